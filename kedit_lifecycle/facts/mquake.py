"""MQuAKE (Zhong et al. 2023): several rewrites at once, and questions that take several hops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts.counterfact import rewrite_fields
from kedit_lifecycle.facts.fields import (
    Record,
    objects,
    required_text,
    source_of,
    texts,
    without_repeats,
)

MULTI_HOP = "multi-hop"
SINGLE_HOP = "single-hop"


def is_mquake(record: Record) -> bool:
    """Whether a record asks for a list of rewrites."""
    return isinstance(record.get("requested_rewrite"), list | tuple)


def mquake_fields(record: Record) -> tuple[dict[str, Any], ...]:
    """The rewrites of a record in order, one request each; the last one carries the probes.

    The questions (three wordings of one, of which any may succeed) are probes of category
    `multi-hop`, on the condition that the unedited model knows every single hop. The hops after the
    edits are probes of category `single-hop`.
    """
    rewrites = objects(record, "requested_rewrite")
    if not rewrites:
        raise BadRecordError("requested_rewrite: is empty")
    source = source_of("mquake", record, "case_id")
    requests = [
        {**rewrite_fields(rewrite, f"requested_rewrite.{number}."), "source": source}
        for number, rewrite in enumerate(rewrites)
    ]
    requests[-1]["probes"] = [*_multi_hop(record), *_hops(record, "new_single_hops", SINGLE_HOP)]
    return tuple(requests)


def _multi_hop(record: Record) -> Iterator[dict[str, Any]]:
    questions = without_repeats(texts(record, "questions"))
    if not questions:
        return
    conditions = [
        {"prompt": hop["prompt"], "answers": hop["answers"]} for hop in _hops(record, "single_hops", "")
    ]
    answers = _answers(record, "new_answer", "")
    for question in questions:
        yield {
            "category": MULTI_HOP,
            "prompt": question,
            "answers": answers,
            "conditions": conditions,
            "any_of": MULTI_HOP,
        }


def _hops(record: Record, name: str, category: str) -> Iterator[dict[str, Any]]:
    for number, hop in enumerate(objects(record, name)):
        where = f"{name}.{number}."
        prompt = required_text(hop, "cloze", where)
        yield {"category": category, "prompt": prompt, "answers": _answers(hop, "answer", where)}


def _answers(record: Record, name: str, where: str) -> tuple[str, ...]:
    """An answer and its other spellings."""
    spellings = texts(record, f"{name}_alias", where)
    return without_repeats((required_text(record, name, where), *spellings))
