"""Whether a query is about an edit: features of the pair, a small trained head, a calibrated threshold."""
