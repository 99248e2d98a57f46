"""The ledger: the history of the model's beliefs."""

from kedit_lifecycle.tui.screens.ledger.screen import LedgerScreen

__all__ = ["LedgerScreen"]
