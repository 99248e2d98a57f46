"""The arguments of every kind of job, as a client sends them; what is done with them is in `jobs`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from kedit_lifecycle.facts.request import EditRequest, make_request


class Arguments(BaseModel):
    """Base of every kind's arguments; an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class How(Arguments):
    """How facts are written into the model."""

    method: str = "rome"
    config: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    message: str = ""
    policy: str = "guarded"

    def given(self) -> dict[str, Any]:
        """As what the workbench takes them: the arguments above, and no kind's own."""
        return {name: getattr(self, name) for name in How.model_fields}


class Fact(Arguments):
    """A fact, as it stands in a form."""

    subject: str
    prompt: str
    target: str
    target_true: str | None = None
    relation: str | None = None
    paraphrases: list[str] = Field(default_factory=list)
    neighborhood: list[str] = Field(default_factory=list)
    reason: str | None = None
    source: str | None = None

    def request(self) -> EditRequest:
        """The fact.

        Raises:
            BadRecordError: it is malformed.
        """
        names = ("target_true", "relation", "paraphrases", "neighborhood", "reason", "source")
        given = {name: value for name in names if (value := getattr(self, name))}
        return make_request(subject=self.subject, prompt=self.prompt, target_new=self.target, **given)


class Edit(How, Fact):
    """One fact."""

    profile: str | None = None
    supersede: bool = False
    dry_run: bool = False


class Apply(How):
    """Many facts, of a file or given."""

    profile: str | None = None
    supersede: bool = False
    file: str | None = None
    requests: list[dict[str, Any]] = Field(default_factory=list)
    limit: int | None = None
    batch: int = 1
    resume: bool = False
    allow_conflicts: bool = False


class Consolidate(How):
    """Facts of the memory, by the versions that made them; none: all."""

    versions: list[int] = Field(default_factory=list)
    method: str = "memit"
    dry_run: bool = False


class Rollback(Arguments):
    """Where to."""

    ref: str
    message: str = ""


class Nothing(Arguments):
    """No arguments."""


class Ref(Arguments):
    """A version."""

    ref: str = "HEAD"


class Name(Arguments):
    """A branch or tag."""

    name: str
    at: str = "HEAD"


class Ask(Arguments):
    """A prompt, and which versions are asked; `base` is the unedited model."""

    prompt: str
    refs: list[str] = Field(default_factory=lambda: ["HEAD"])
    tokens: int = Field(default=20, ge=1, le=2048)
    top: int = Field(default=5, ge=1, le=50)


class Peek(Arguments):
    """A prompt, and a target whose probability is asked for."""

    prompt: str
    target: str = ""
    ref: str = "HEAD"
    tokens: int = Field(default=8, ge=1, le=64)


class RouteOf(Arguments):
    """A prompt that the memory is tested with."""

    prompt: str
    ref: str = "HEAD"


class Check(Ref):
    """A version, and the policy it is held to."""

    policy: str = "guarded"


class Verify(Arguments):
    """How thoroughly."""

    quick: bool = False


class Command(Arguments):
    """A command line, carried out here as it would be where it was typed: see `relay`."""

    arguments: list[str]
    folder: str
    environ: dict[str, str] = Field(default_factory=dict)
