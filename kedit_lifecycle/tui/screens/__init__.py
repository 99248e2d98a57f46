"""The screens of the terminal UI, each a plug-in of `registry`."""
