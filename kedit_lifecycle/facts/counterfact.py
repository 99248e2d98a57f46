"""CounterFact (Meng et al. 2022), as published and flattened, into the fields of an `EditRequest`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts.fields import (
    Record,
    one_or_more,
    optional_text,
    reject_unknown,
    required_text,
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


def is_flat(record: Record) -> bool:
    """Whether a record is a flattened CounterFact one."""
    return not FLAT_ONLY.isdisjoint(record)


def full_fields(record: Record) -> dict[str, Any]:
    """A record of `counterfact.json`; its attribute prompts are not used."""
    rewrite = record["requested_rewrite"]
    if not isinstance(rewrite, Mapping):
        raise BadRecordError(
            "requested_rewrite: must be an object (a list of rewrites is MQuAKE's form, which is not read)"
        )
    where = "requested_rewrite."
    return {
        "subject": required_text(rewrite, "subject", where),
        "prompt": required_text(rewrite, "prompt", where),
        "target_new": _target(rewrite, "target_new", where),
        "target_true": _target(rewrite, "target_true", where) if rewrite.get("target_true") else None,
        "relation": optional_text(rewrite, "relation_id", where),
        "paraphrases": texts(record, "paraphrase_prompts"),
        "neighborhood": texts(record, "neighborhood_prompts"),
        "generation_prompts": texts(record, "generation_prompts"),
        "source": _source(record),
    }


def flat_fields(record: Record) -> dict[str, Any]:
    """A flattened record, one paraphrase and one neighborhood prompt each.

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
    return {
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
        "source": _source(record),
    }


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


def _source(record: Record) -> str:
    case = record.get("case_id")
    if case is None:
        return "counterfact"
    if isinstance(case, bool) or not isinstance(case, int | str):
        raise BadRecordError("case_id: must be a number or a string")
    return f"counterfact:{case}"
