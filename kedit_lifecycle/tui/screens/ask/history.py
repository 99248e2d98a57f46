"""The questions of a session, gone through as in a shell."""

from __future__ import annotations

from dataclasses import dataclass, field

_MOST = 500


@dataclass
class Questions:
    """Oldest first; `typed` is what was being written when one began to look back."""

    asked: list[str] = field(default_factory=list)
    typed: str = ""
    _place: int | None = None

    def add(self, question: str) -> None:
        """A question was asked; the same one twice in a row counts once."""
        if not self.asked or self.asked[-1] != question:
            self.asked = [*self.asked, question][-_MOST:]
        self._place = None

    def step(self, by: int, shown: str) -> str:
        """The question before (-1) or after (1); behind the newest, what was being written."""
        if self._place is None:
            if by > 0 or not self.asked:
                return shown
            self.typed, self._place = shown, len(self.asked)
        place = max(self._place + by, 0)
        if place >= len(self.asked):
            self._place = None
            return self.typed
        self._place = place
        return self.asked[place]
