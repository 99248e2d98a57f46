"""What is asked of an edit: requests and probes, and the files they are read from."""
