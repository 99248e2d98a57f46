"""known_1000 (Meng et al. 2022): facts that GPT-2 XL knows, made for causal tracing."""

from __future__ import annotations

from typing import Any

from kedit_lifecycle.facts.fields import Record, optional_text, required_text, source_of


def is_known_1000(record: Record) -> bool:
    """Whether a record is one of known_1000's."""
    return "known_id" in record or {"attribute", "template"} <= record.keys()


def known_1000_fields(record: Record) -> tuple[dict[str, Any], ...]:
    """The fact as a request that changes nothing: `target_new` is `target_true`, the `attribute`.

    The facts are there to be traced, or to be asked before and after other edits. The prompt is
    `prompt`, after which the model said the attribute, not the shorter `template`.
    """
    attribute = required_text(record, "attribute").strip()
    return (
        {
            "subject": required_text(record, "subject").strip(),
            "prompt": required_text(record, "prompt"),
            "target_new": attribute,
            "target_true": attribute,
            "relation": optional_text(record, "relation_id"),
            "source": source_of("known_1000", record, "known_id"),
        },
    )
