"""Style sheets, one per screen or group of widgets."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def style_sheet(name: str) -> str:
    """The text of `name.tcss`, for a widget's `DEFAULT_CSS`."""
    return (Path(__file__).parent / f"{name}.tcss").read_text("utf-8")
