"""`EditRequest`: one fact to change, validated."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from kedit_lifecycle.errors import BadRecordError, first_problem

SUBJECT_SLOT = "{}"


class Condition(BaseModel):
    """What the unedited model must know for a probe to count: `prompt` continues with one of `answers`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    answers: tuple[str, ...]


class Probe(BaseModel):
    """A question whose answer an edit should (or should not) change; any of `answers` is right.

    `category` is the data set's own name for it (for example `Compositionality_I`). A probe counts only
    if all of its `conditions` hold before the edit (RippleEdits' condition queries, Cohen et al. 2024).
    The probes of one request that share a name in `any_of` are one test, passed when any of
    them is (MQuAKE's three wordings of one question, Zhong et al. 2023; RippleEdits' OR tests).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: str
    prompt: str
    answers: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    any_of: str | None = None


def _texts(value: Any) -> Iterator[str]:
    """Every string in a field's value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Probe | Condition):
        for name in type(value).model_fields:
            yield from _texts(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)


class EditRequest(BaseModel):
    """One fact to change: `prompt` with `{}` for `subject` should continue with `target_new`.

    Fields are as in CounterFact (Meng et al. 2022): `paraphrases` are whole prompts that should
    show the edit too, `neighborhood` whole prompts about other subjects that should not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    prompt: str
    target_new: str
    target_true: str | None = None
    relation: str | None = None
    paraphrases: tuple[str, ...] = ()
    neighborhood: tuple[str, ...] = ()
    generation_prompts: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    reason: str | None = None
    source: str | None = Field(default=None, description="where the fact comes from, e.g. counterfact:17749")

    @field_validator("*")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        for text in _texts(value):
            if "\0" in text:
                raise ValueError(f"holds a NUL character: {text!r}")
            if any("\ud800" <= character <= "\udfff" for character in text):
                raise ValueError(f"is not valid Unicode: {text!r}")
        return value

    @model_validator(mode="after")
    def _whole(self) -> EditRequest:
        if not self.subject.strip():
            raise ValueError("subject is empty")
        if self.prompt.count(SUBJECT_SLOT) != 1:
            raise ValueError(f"prompt must hold the subject's place {{}} exactly once: {self.prompt!r}")
        if not self.target_new.strip():
            raise ValueError("target_new is empty")
        return self

    @property
    def question(self) -> str:
        """The prompt with the subject in place."""
        return self.prompt.replace(SUBJECT_SLOT, self.subject)

    @property
    def digest(self) -> str:
        """sha256 (hex) of the request as RFC 8785 JSON."""
        return hashlib.sha256(rfc8785.dumps(self.model_dump(mode="json"))).hexdigest()


def make_request(**fields: Any) -> EditRequest:
    """Build a request; a prompt that spells the subject out gets its `{}`.

    Raises:
        BadRecordError: naming the field that is wrong.
    """
    subject, prompt = str(fields.get("subject", "")), str(fields.get("prompt", ""))
    if SUBJECT_SLOT not in prompt and subject:
        if subject not in prompt:
            raise BadRecordError(
                f"the subject {subject!r} is not in the prompt {prompt!r}",
                hint='write the prompt with {} where the subject stands, e.g. "The capital of {} is"',
            )
        fields["prompt"] = prompt.replace(subject, SUBJECT_SLOT, 1)
    try:
        return EditRequest.model_validate(fields)
    except ValidationError as error:
        raise BadRecordError(
            first_problem(error, "request"),
            hint="a fact is a subject, a prompt with {} in its place, and a target: see kedit edit --help",
        ) from error
