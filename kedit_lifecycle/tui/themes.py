"""The themes: dark, light, the terminal's own colours, and high contrast."""

from __future__ import annotations

from textual.theme import Theme

_BOLD = {"block-cursor-text-style": "bold"}


def _muted(muted: str, disabled: str) -> dict[str, str]:
    """Text that stands back. As colours, since what is relative to a background is not blended in lists."""
    return _BOLD | {"text-muted": muted, "text-disabled": disabled}


DARK = Theme(
    "kedit-dark",
    primary="#5b9bd5",
    secondary="#8fb8de",
    accent="#e0a458",
    success="#7fc37e",
    warning="#e6b450",
    error="#e06c75",
    foreground="#d7dae0",
    background="#14171c",
    surface="#1a1e25",
    panel="#232933",
    boost="#2a313d",
    dark=True,
    variables=_muted("#8d96a5", "#5d6573"),
)
LIGHT = Theme(
    "kedit-light",
    primary="#1f5fa8",
    secondary="#3c6e9f",
    accent="#9a5b00",
    success="#226b2b",
    warning="#8a5a00",
    error="#b3261e",
    foreground="#1d2127",
    background="#fbfbf9",
    surface="#f3f3f0",
    panel="#e6e6e1",
    boost="#dcdcd6",
    dark=False,
    variables=_muted("#5b636f", "#9ba1a9"),
)
ANSI = Theme(
    "ansi",
    primary="ansi_bright_blue",
    secondary="ansi_cyan",
    accent="ansi_yellow",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    ansi=True,
    variables={
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_white",
        "block-cursor-text-style": "none",
        "border-blurred": "ansi_bright_black",
        "text-muted": "ansi_bright_black",
        "text-disabled": "ansi_bright_black",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
        "input-selection-background": "ansi_blue",
        "input-selection-foreground": "ansi_white",
        "screen-selection-background": "ansi_blue",
        "screen-selection-foreground": "ansi_white",
    },
)
CONTRAST = Theme(
    "high-contrast",
    primary="#6fc3ff",
    secondary="#ffffff",
    accent="#ffff00",
    success="#00ff66",
    warning="#ffd700",
    error="#ff8080",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    boost="#2b2b2b",
    text_alpha=1.0,
    dark=True,
    variables=_muted("#d8d8d8", "#b0b0b0")
    | {
        "block-cursor-foreground": "#000000",
        "block-cursor-background": "#ffff00",
        "border": "#ffffff",
        "border-blurred": "#c0c0c0",
    },
)
THEMES: tuple[Theme, ...] = (DARK, LIGHT, ANSI, CONTRAST)
"""In the order in which one key goes through them."""


def next_theme(name: str) -> str:
    """The theme after this one."""
    names = [theme.name for theme in THEMES]
    return names[(names.index(name) + 1) % len(names)] if name in names else names[0]
