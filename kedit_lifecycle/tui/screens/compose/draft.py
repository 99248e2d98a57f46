"""What stands in the form, as a job's arguments and as a command line."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.tui.widgets.fact_input import SLOT

DEFAULT_METHOD, DEFAULT_POLICY = "rome", "guarded"
MEMORY = "serac"


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact and how it is to be edited; `settings` are NAME=VALUE words."""

    subject: str = ""
    prompt: str = ""
    target: str = ""
    target_true: str = ""
    relation: str = ""
    method: str = DEFAULT_METHOD
    policy: str = DEFAULT_POLICY
    settings: str = ""
    message: str = ""
    paraphrases: tuple[str, ...] = ()
    neighborhood: tuple[str, ...] = ()

    @property
    def fact(self) -> tuple[str, ...]:
        """What conflicts, suggestions and answers depend on."""
        return (self.subject, self.prompt, self.target, self.target_true, self.relation)

    @property
    def named(self) -> dict[str, str]:
        """The fact by names, as the engine takes it, without what is empty."""
        names = ("subject", "prompt", "target", "target_true", "relation")
        return {name: value for name, value in zip(names, self.fact, strict=True) if value.strip()}

    @property
    def question(self) -> str:
        """The prompt with the subject in it; empty while they do not fit each other."""
        if not self.subject or not self.prompt or self.misfit:
            return ""
        return self.prompt.replace(SLOT, self.subject)

    @property
    def misfit(self) -> str | None:
        """Why subject and prompt do not fit each other; None while one is empty."""
        if not self.subject.strip() or not self.prompt.strip():
            return None
        if SLOT not in self.prompt and self.subject not in self.prompt:
            return "the subject is not in the prompt ({} stands for it)"
        if self.prompt.count(SLOT) > 1:
            return "{} stands in the prompt more than once"
        return None

    @property
    def problem(self) -> str | None:
        """What keeps it from being made."""
        missing = [name for name in ("subject", "prompt", "target") if not getattr(self, name).strip()]
        if missing:
            return f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} still empty"
        try:
            self.config()
        except UsageError as error:
            return str(error)
        return self.misfit

    def config(self) -> dict[str, Any]:
        """The settings by name; values are JSON or words.

        Raises:
            UsageError: they are not NAME=VALUE.
        """
        try:
            words = shlex.split(self.settings)
        except ValueError as error:
            raise UsageError(f"settings: {error}") from error
        return dict(_setting(word) for word in words)

    def arguments(self, *, dry_run: bool = False, supersede: bool = False) -> dict[str, Any]:
        """Of a job of kind `edit`.

        Raises:
            UsageError: the settings are not NAME=VALUE.
        """
        return {
            "subject": self.subject,
            "prompt": self.prompt,
            "target": self.target,
            "target_true": self.target_true or None,
            "relation": self.relation or None,
            "paraphrases": list(self.paraphrases),
            "neighborhood": list(self.neighborhood),
            "method": self.method or DEFAULT_METHOD,
            "policy": self.policy or DEFAULT_POLICY,
            "config": self.config(),
            "message": self.message,
            "supersede": supersede,
            "dry_run": dry_run,
        }

    def words(self, *, dry_run: bool = False, supersede: bool = False) -> list[str]:
        """Of `kedit edit`, what is the default left out."""
        given = [("--subject", self.subject), ("--prompt", self.prompt), ("--target", self.target)]
        given += [("--target-true", self.target_true), ("--relation", self.relation)]
        given += [("--paraphrase", one) for one in self.paraphrases]
        given += [("--neighborhood", one) for one in self.neighborhood]
        given += [("--method", self.method if self.method != DEFAULT_METHOD else "")]
        given += [("--policy", self.policy if self.policy != DEFAULT_POLICY else "")]
        given += [("--set", word) for word in _words(self.settings)]
        given += [("--message", self.message)]
        words = ["edit", *(part for option, value in given if value for part in (option, value))]
        flags = (("--supersede", supersede), ("--dry-run", dry_run))
        return [*words, *(flag for flag, on in flags if on)]


def _words(settings: str) -> list[str]:
    try:
        return shlex.split(settings)
    except ValueError:
        return []


def _setting(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise UsageError(f"settings: {word!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
