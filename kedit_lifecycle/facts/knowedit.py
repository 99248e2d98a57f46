"""KnowEdit (Zhang et al. 2024): wiki_recent, wiki_counterfact and ZsRE, with their groups of probes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kedit_lifecycle.facts.counterfact import FLAT_ONLY
from kedit_lifecycle.facts.fields import (
    Record,
    answer_texts,
    objects,
    one_or_more,
    reject_unknown,
    required_object,
    required_text,
    source_of,
    without_repeats,
)

GROUPS = ("portability", "locality")
FIELDS = frozenset(
    {
        *GROUPS,
        "case_id",
        "subject",
        "prompt",
        "target_new",
        "ground_truth",
        "rephrase",
        "rephrase_prompt",
        "cond",
    }
)


def is_knowedit(record: Record) -> bool:
    """Whether a record has groups of probes, and nothing that only a flattened CounterFact one has."""
    return any(group in record for group in GROUPS) and (FLAT_ONLY - FIELDS).isdisjoint(record)


def knowedit_fields(record: Record) -> tuple[dict[str, Any], ...]:
    """The one request of a record; the groups' probes keep the data set's own categories.

    A `ground_truth` is a string, a list, or a list of lists (of spellings): all of them are right
    answers. A probe without an answer or without a question asks nothing and is left out. Other than
    in flattened CounterFact, the rephrased prompt is a paraphrase.
    """
    reject_unknown(record, FIELDS)
    true = answer_texts(record, "ground_truth")
    return (
        {
            "subject": required_text(record, "subject").strip(),
            "prompt": required_text(record, "prompt"),
            "target_new": required_text(record, "target_new").strip(),
            "target_true": true[0] if true else None,
            "paraphrases": without_repeats(
                (*one_or_more(record, "rephrase"), *one_or_more(record, "rephrase_prompt"))
            ),
            "probes": [probe for group in GROUPS for probe in _probes(record, group)],
            "source": source_of("knowedit", record, "case_id"),
        },
    )


def _probes(record: Record, group: str) -> Iterator[dict[str, Any]]:
    categories = required_object(record, group) if record.get(group) is not None else {}
    for category in categories:
        for number, item in enumerate(objects(categories, category, f"{group}.")):
            where = f"{group}.{category}.{number}."
            prompt = required_text(item, "prompt", where)
            answers = answer_texts(item, "ground_truth", where)
            if prompt.strip() and answers:
                yield {"category": category, "prompt": prompt, "answers": answers}
