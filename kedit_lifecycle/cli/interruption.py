"""What to say after Ctrl-C: what is committed stays, and where HEAD is."""

from __future__ import annotations

from pathlib import Path

from kedit_lifecycle.errors import KeditError


def what_stands(store: Path) -> str:
    """One sentence on what the store holds now."""
    from kedit_lifecycle.ledger.reader import LedgerReader

    try:
        with LedgerReader(store) as reader:
            head = reader.head()
    except KeditError:
        return "Nothing was written."
    return f"All up to version {head.number} ({head.short}) is committed; nothing is half done."
