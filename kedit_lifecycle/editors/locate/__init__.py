"""What locate-then-edit methods share: contexts, the search for values, keys layer by layer, solves."""
