"""RippleEdits (Cohen et al. 2024): one edit, and tests of six criteria with conditions before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts.fields import (
    Record,
    objects,
    optional_text,
    required_object,
    required_text,
    texts,
    without_repeats,
)
from kedit_lifecycle.facts.relations import relation_of
from kedit_lifecycle.facts.ripple_sentences import split_sentence

CRITERIA = (
    "Logical_Generalization",
    "Compositionality_I",
    "Compositionality_II",
    "Subject_Aliasing",
    "Relation_Specificity",
    "Forgetfulness",
)
SPELLINGS = {"Relation_Specifity": "Relation_Specificity"}  # as the data set's own description has it


def is_ripple_edits(record: Record) -> bool:
    """Whether a record holds one edit and tests by criterion."""
    return "edit" in record and ("example_type" in record or any(name in record for name in CRITERIA))


def ripple_edits_fields(record: Record) -> tuple[dict[str, Any], ...]:
    """The one request of a record; every test question is a probe with the test's conditions.

    The questions of an OR test are bound by `any_of`; of an AND test each counts for itself. Where a
    question has several answers, any of them is right; the published evaluation wants all of them
    said in one go. A question without text or answer asks nothing and is left out.
    """
    edit = required_object(record, "edit")
    words = required_text(edit, "relation", "edit.").replace("_", " ").strip().lower()
    declared = relation_of(words)
    kind = optional_text(record, "example_type")
    return (
        {
            **split_sentence(edit, words, tuple(_prompts_about(record, edit.get("subject_id")))),
            "relation": declared.id if declared else words,
            "probes": list(_probes(record)),
            "source": f"rippleedits:{kind}" if kind else "rippleedits",
        },
    )


def _prompts_about(record: Record, subject_id: object) -> Iterator[str]:
    """The test questions about the edit's own subject, which spell its name out."""
    for name in CRITERIA:
        for number, test in enumerate(objects(record, name)):
            for query in objects(test, "test_queries", f"{name}.{number}."):
                if subject_id is not None and query.get("subject_id") == subject_id:
                    yield str(query.get("prompt"))


def _probes(record: Record) -> Iterator[dict[str, Any]]:
    for name in (*CRITERIA, *SPELLINGS):
        for number, test in enumerate(objects(record, name)):
            yield from _test(test, SPELLINGS.get(name, name), number, f"{name}.{number}.")


def _test(test: Record, category: str, number: int, where: str) -> Iterator[dict[str, Any]]:
    how = optional_text(test, "test_condition", where) or "OR"
    if how not in {"OR", "AND"}:
        raise BadRecordError(f"{where}test_condition: must be OR or AND, not {how!r}")
    questions = list(_questions(test, "test_queries", where))
    conditions = list(_questions(test, "condition_queries", where))
    any_of = f"{category}:{number}" if how == "OR" and len(questions) > 1 else None
    for question in questions:
        yield {"category": category, **question, "conditions": conditions, "any_of": any_of}


def _questions(test: Record, name: str, where: str) -> Iterator[dict[str, Any]]:
    for number, query in enumerate(objects(test, name, where)):
        place = f"{where}{name}.{number}."
        prompt = required_text(query, "prompt", place)
        answers = without_repeats(_answers(query, place))
        if prompt.strip() and answers:
            yield {"prompt": prompt, "answers": answers}


def _answers(query: Record, where: str) -> Iterator[str]:
    """Every spelling of every answer; a single letter would be found in any text, and is left out."""
    for number, answer in enumerate(objects(query, "answers", where)):
        place = f"{where}answers.{number}."
        for text in (required_text(answer, "value", place), *texts(answer, "aliases", place)):
            if len(text.strip()) > 1 or text.strip().isdigit():
                yield text
