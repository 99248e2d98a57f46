"""CounterFact (Meng et al. 2022), as published and flattened, into the fields of an `EditRequest`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedit_lifecycle.facts.fields import (
    Record,
    one_or_more,
    optional_text,
    reject_unknown,
    required_object,
    required_text,
    source_of,
    texts,
)

# What only a flattened record has. The targets, subject and prompt it shares with a plain one.
FLAT_ONLY = frozenset(
    {
        "case_id",
        "relation_id",
        "ground_truth",
        "paraphrase_prompt",
        "rephrase_prompt",
        "generation_prompt",
        "neighborhood_prompt",
        "neighborhood_answer",
        "locality_prompt",
        "locality_ground_truth",
        "easyedit_split",
    }
)
FLAT_FIELDS = FLAT_ONLY | {"subject", "prompt", "target_new", "target_true"}


def is_full(record: Record) -> bool:
    """Whether a record is one of `counterfact.json`, with one rewrite."""
    return "requested_rewrite" in record


def is_flat(record: Record) -> bool:
    """Whether a record is a flattened CounterFact one."""
    return not FLAT_ONLY.isdisjoint(record)


def full_fields(record: Record) -> tuple[dict[str, Any], ...]:
    """The one request of a record of `counterfact.json`; its attribute prompts are not used."""
    fields = {
        **rewrite_fields(required_object(record, "requested_rewrite"), "requested_rewrite."),
        "paraphrases": texts(record, "paraphrase_prompts"),
        "neighborhood": texts(record, "neighborhood_prompts"),
        "generation_prompts": texts(record, "generation_prompts"),
        "source": source_of("counterfact", record, "case_id"),
    }
    return (fields,)


def rewrite_fields(rewrite: Record, where: str) -> dict[str, Any]:
    """One `requested_rewrite`, which MQuAKE has too; `where` is the path to it."""
    return {
        "subject": required_text(rewrite, "subject", where),
        "prompt": required_text(rewrite, "prompt", where),
        "target_new": _target(rewrite, "target_new", where),
        "target_true": _target(rewrite, "target_true", where) if rewrite.get("target_true") else None,
        "relation": optional_text(rewrite, "relation_id", where),
    }


def flat_fields(record: Record) -> tuple[dict[str, Any], ...]:
    """The one request of a flattened record, with one paraphrase and one neighborhood prompt.

    `rephrase_prompt` (KnowEdit's and EasyEdit's name) holds, in most records, one of CounterFact's
    generation prompts, which asks about a consequence of the edit: it is never taken as a paraphrase.
    A neighborhood prompt whose answer is not `target_true` is no neighborhood in CounterFact's
    sense, where NS compares the two targets; it becomes a probe.
    """
    reject_unknown(record, FLAT_FIELDS)
    target_true = optional_text(record, "target_true") or next(
        iter(one_or_more(record, "ground_truth")), None
    )
    same, probes = _neighborhood(record, target_true)
    fields = {
        "subject": required_text(record, "subject"),
        "prompt": required_text(record, "prompt"),
        "target_new": required_text(record, "target_new").strip(),
        "target_true": target_true.strip() if target_true else None,
        "relation": optional_text(record, "relation_id"),
        "paraphrases": one_or_more(record, "paraphrase_prompt"),
        "neighborhood": same,
        "generation_prompts": (
            *one_or_more(record, "generation_prompt"),
            *one_or_more(record, "rephrase_prompt"),
        ),
        "probes": probes,
        "source": source_of("counterfact", record, "case_id"),
    }
    return (fields,)


def _neighborhood(record: Record, target_true: str | None) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    same: list[str] = []
    probes: list[dict[str, Any]] = []
    for prompt_name, answer_name in (
        ("neighborhood_prompt", "neighborhood_answer"),
        ("locality_prompt", "locality_ground_truth"),
    ):
        answers = [answer.strip() for answer in one_or_more(record, answer_name)]
        for prompt in one_or_more(record, prompt_name):
            if not answers or (target_true and target_true.strip() in answers):
                same.append(prompt)
            else:
                probes.append({"category": "neighborhood", "prompt": prompt, "answers": answers})
    return tuple(same), probes


def _target(rewrite: Record, name: str, where: str) -> str:
    """`{"str": "Rome"}`, as published, or the bare string."""
    if isinstance(rewrite.get(name), Mapping):
        return required_text(rewrite[name], "str", f"{where}{name}.").strip()
    return required_text(rewrite, name, where).strip()
