"""The sentences of RippleEdits: "The gender of Ada is male." into prompt, subject and target.

The data set gives a sentence and the relation's name, the subject only by its Wikidata id. What stands
around the subject follows from the relation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts.fields import Record, required_object, required_text
from kedit_lifecycle.facts.request import SUBJECT_SLOT

USUAL = ("The name of the {relation} of {} is", "The {relation} of {} is")
OTHERS = {
    "award received": "The name of the award {} won is",
    "capital": "The name of the capital city of {} is",
    "capital of": "The name of the country which {} is the capital of is",
    "cast member": "The names of the cast members of {} are",
    "continent": "The name of the continent which {} is part of is",
    "country": "The name of the country which {} is associated with is",
    "currency": "The name of the currency in {} is",
    "ethnic group": "The name of the ethnic group which {} is associated with is",
    "followed by": "{} is followed by",
    "follows": "{} follows",
    "league": "The name of the league which {} plays in is",
    "member of sports team": "The name of the sports team which {} is a member of is",
    "native language": "The mother tongue of {} is",
    "number of children": "The number of children {} has is",
    "position held": "The name of the position held by {} is",
    "religion": "The name of the religion which {} is associated with is",
    "sex or gender": "The gender of {} is",
    "sibling": "The names of the siblings of {} are",
}


def split_sentence(edit: Record, relation: str, prompts: tuple[str, ...]) -> dict[str, Any]:
    """`subject`, `prompt`, `target_new` and `target_true` of the record's `edit`.

    Where the words after the subject could be its own ("The World Is Enough is …"), the sentence of
    the fact before the edit decides, which asks the same question; else `prompts`, other questions
    about the subject.

    Raises:
        BadRecordError: the subject cannot be found, or not for certain.
    """
    sentence = required_text(edit, "prompt", "edit.")
    before = _fact_before(edit)
    found = list(_splits(sentence, relation))
    if not found:
        raise BadRecordError(
            f"edit.prompt: the subject cannot be found in {sentence!r} (relation {relation!r})",
            hint="give the record as plain fields: subject, prompt with {}, target_new",
        )
    if before is not None:
        found = [one for one in found if before.startswith(f"{_question(one)} ")][-1:]
        if not found:
            raise BadRecordError(f"edit.original_fact.prompt: asks another question than {sentence!r}")
    elif len(found) > 1:
        found = [one for one in found if any(one["subject"] in prompt for prompt in prompts)][-1:]
        if not found:
            raise BadRecordError(f"edit.prompt: the subject is not certain in {sentence!r}")
    split = found[0]
    target_true = _target(before.removeprefix(_question(split))) if before else None
    return {**split, "target_true": target_true or None}


def _fact_before(edit: Record) -> str | None:
    """The sentence of the fact that the edit replaces; a recent fact replaces none."""
    for name in ("original_fact", "previous_fact"):
        if edit.get(name) is not None:
            return required_text(required_object(edit, name, "edit."), "prompt", f"edit.{name}.")
    return None


def _splits(sentence: str, relation: str) -> Iterator[dict[str, str]]:
    """Every way to read the sentence, the shortest subject first."""
    templates = [OTHERS[relation]] if relation in OTHERS else list(USUAL)
    for template in templates:
        prompt = template.replace("{relation}", relation)
        before, after = prompt.split(SUBJECT_SLOT)
        end = sentence.find(f"{after} ", len(before)) if sentence.startswith(before) else -1
        while end >= 0:
            subject, target = sentence[len(before) : end], _target(sentence[end + len(after) :])
            yield {"subject": subject, "prompt": prompt, "target_new": target}
            end = sentence.find(f"{after} ", end + 1)


def _question(split: dict[str, str]) -> str:
    return split["prompt"].replace(SUBJECT_SLOT, split["subject"])


def _target(rest: str) -> str:
    return rest.strip().removesuffix(".").strip()
