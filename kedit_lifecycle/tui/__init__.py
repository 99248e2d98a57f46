"""The terminal UI: a client of the engine. It imports neither torch nor the ledger nor the workbench."""
