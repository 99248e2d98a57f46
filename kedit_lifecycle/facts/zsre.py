"""zsRE (Levy et al. 2017) in the form that MEND made of it (Mitchell et al. 2022)."""

from __future__ import annotations

from typing import Any

from kedit_lifecycle.facts.fields import Record, one_or_more, required_text, without_repeats

QUESTION_PREFIX = "nq question: "  # T5's name of its task; it means nothing to a causal language model


def is_zsre(record: Record) -> bool:
    """Whether a record is one of zsRE's, which alone ask a `src` for an `alt`."""
    return "src" in record and "alt" in record


def zsre_fields(record: Record) -> tuple[dict[str, Any], ...]:
    """The one request of a record.

    `target_new` is `alt`, `target_true` the first of `answers`. `pred`, what the model of the paper
    said, is no part of the fact. The unrelated question `loc` becomes a probe of category `locality`,
    without the prefix "nq question: " and with a question mark.
    """
    answers = without_repeats(one_or_more(record, "answers"))
    return (
        {
            "subject": required_text(record, "subject").strip(),
            "prompt": required_text(record, "src"),
            "target_new": required_text(record, "alt").strip(),
            "target_true": answers[0] if answers else None,
            "paraphrases": without_repeats(one_or_more(record, "rephrase")),
            "probes": _locality(record),
            "source": "zsre",
        },
    )


def _locality(record: Record) -> list[dict[str, Any]]:
    answers = without_repeats(one_or_more(record, "loc_ans"))
    question = required_text(record, "loc").removeprefix(QUESTION_PREFIX).strip() if answers else ""
    if not question:
        return []
    return [{"category": "locality", "prompt": question.rstrip("?") + "?", "answers": answers}]
