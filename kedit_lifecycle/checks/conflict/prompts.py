"""Whether two prompts ask the same of their subjects: by relation, by wording, by meaning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from kedit_lifecycle.checks.conflict.meaning import NearestTexts
from kedit_lifecycle.checks.conflict.names import name_key
from kedit_lifecycle.facts.relations import RELATIONS, relation_of
from kedit_lifecycle.facts.request import SUBJECT_SLOT

PromptMatch = Literal["relation", "wording", "meaning"]

NEAR_PROMPT = 0.65
"""Cosine similarity of two templates from which they mean one relation."""
NEAR_PROMPT_SAME_VALUE = 0.50
"""The same where both prompts had, or put, the same value: that it is one relation is then likelier."""

_SUBJECT = "something"  # stands for the subject when a template is embedded
_MARK = "subjectslot"  # survives `name_key`, unlike {}
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\s])")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a prompt asks: its relation's id where that is known, and its wording without the subject."""

    relation: str | None
    template: str
    wording: str


@lru_cache(maxsize=16384)
def asked(prompt: str, relation: str | None) -> Asked:
    """Read a prompt with `{}`; without a relation, one whose wording is a declared relation's is that."""
    template = _last_sentence(prompt)
    wording = name_key(template.replace(SUBJECT_SLOT, f" {_MARK} "))
    if relation is None or not relation.strip():
        return Asked(_BY_WORDING.get(wording), template, wording)
    known = relation_of(relation)
    return Asked(known.id if known else relation.strip().casefold(), template, wording)


def _last_sentence(prompt: str) -> str:
    """The prompt from the sentence of the subject on: paraphrases often begin with unrelated text."""
    begin = 0
    for end in _SENTENCE_END.finditer(prompt, 0, prompt.find(SUBJECT_SLOT)):
        if not re.search(r"\b\w\.\s+$", prompt[: end.end()]):  # an initial ends no sentence
            begin = end.end()
    return prompt[begin:].strip()


_BY_WORDING = {
    name_key(relation.prompt.replace(SUBJECT_SLOT, f" {_MARK} ")): relation.id
    for relation in RELATIONS.values()
}


def compare(
    new: Asked, recorded: Asked, meaning: NearestTexts | None, *, same_value: bool
) -> PromptMatch | None:
    """How the two ask one thing, None if they do not.

    Two known relations decide by themselves, except that one wording is one question to the model
    whatever it is called. Else the wording decides, then the templates' meaning.
    """
    if new.relation and recorded.relation and new.relation == recorded.relation:
        return "relation"
    if new.wording == recorded.wording:
        return "wording"
    if meaning is None or (new.relation and recorded.relation):
        return None
    limit = NEAR_PROMPT_SAME_VALUE if same_value else NEAR_PROMPT
    return "meaning" if meaning.similarity(_embedded(new), _embedded(recorded)) >= limit else None


def _embedded(one: Asked) -> str:
    return one.template.replace(SUBJECT_SLOT, _SUBJECT)
