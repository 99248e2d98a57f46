"""The ledger: versions, refs and the audit chain. Import its modules directly; this package loads none."""
