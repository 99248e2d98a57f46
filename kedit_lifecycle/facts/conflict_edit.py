"""ConflictEdit and RoundEdit (Li et al., ICLR 2024): edits that contradict or undo each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedit_lifecycle.errors import BadRecordError, UsageError
from kedit_lifecycle.facts.fields import (
    Record,
    objects,
    optional_text,
    required_object,
    required_text,
    texts,
    without_repeats,
)
from kedit_lifecycle.facts.json_value import parse_json
from kedit_lifecycle.facts.request import SUBJECT_SLOT

TRUE_OBJECTS = "true-objects"


def is_conflict_edit(record: Record) -> bool:
    """Whether a record holds a list of edits."""
    return "edits" in record


def is_round_edit(record: Record) -> bool:
    """Whether a record holds one edit and the objects that were true before it."""
    return "edit" in record and "true_objects" in record


def conflict_edit_fields(record: Record) -> tuple[dict[str, Any], ...]:
    """The edits of a record, in order; `source` is `conflictedit:<type>:<rule>`.

    `target_true` is the published `object`: what an edit replaces, in the model or by the edit before.
    """
    edits = objects(record, "edits")
    if not edits:
        raise BadRecordError("edits: is empty")
    kind, rule = required_text(record, "type"), optional_text(record, "rule")
    source = f"conflictedit:{kind}:{rule}" if rule else f"conflictedit:{kind}"
    return tuple(
        {**_edit_fields(edit, f"edits.{number}."), "source": source} for number, edit in enumerate(edits)
    )


def round_edit_fields(record: Record) -> tuple[dict[str, Any], ...]:
    """The edit o → o*, then the edit back, o* → o.

    The second carries a probe of category `true-objects`, whose answers are all objects that were true
    before the round trip: Distortion, Ignore Rate and Failure Rate are measured on them.
    """
    source = f"roundedit:{required_text(record, 'type')}"
    there = {**_edit_fields(required_object(record, "edit"), "edit."), "source": source}
    if there["target_true"] is None:
        raise BadRecordError("edit.object: missing; there is nothing to edit back to")
    true = without_repeats(
        required_text(item, "label", f"true_objects.{number}.")
        for number, item in enumerate(objects(record, "true_objects"))
    )
    question = there["prompt"].replace(SUBJECT_SLOT, there["subject"])
    back = {**there, "target_new": there["target_true"], "target_true": there["target_new"]}
    back["probes"] = [{"category": TRUE_OBJECTS, "prompt": question, "answers": true}] if true else []
    return there, back


def conflict_paraphrases(path: Path | str) -> dict[str, tuple[str, ...]]:
    """The paraphrases of `conflict_prompts.json` or `round_prompts.json`: prompts with `{}`, by relation id.

    Raises:
        BadRecordError: the file holds something else; file, relation and position are named.
        UsageError: the file cannot be read.
    """
    path = Path(path)
    try:
        record = parse_json(path.read_text("utf-8"))
        return _paraphrases(record)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadRecordError(f"{path}: not UTF-8", hint="save the file as UTF-8") from error
    except BadRecordError as error:
        raise BadRecordError(f"{path}: {error}", hint=error.hint) from error


def _paraphrases(record: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(record, dict):
        raise BadRecordError("must be an object with relation ids as fields")
    found = {relation: texts(record, relation) for relation in record}
    for relation, prompts in found.items():
        for number, prompt in enumerate(prompts):
            if prompt.count(SUBJECT_SLOT) != 1:
                raise BadRecordError(f"{relation}.{number}: must hold {{}} exactly once: {prompt!r}")
    return {relation: without_repeats(prompts) for relation, prompts in found.items()}


def _edit_fields(edit: Record, where: str) -> dict[str, Any]:
    relation = required_object(edit, "relation", where)
    return {
        "subject": _label(edit, "subject", where),
        "prompt": required_text(relation, "prompt", f"{where}relation."),
        "target_new": _label(edit, "new_object", where),
        "target_true": _label(edit, "object", where) if edit.get("object") is not None else None,
        "relation": optional_text(relation, "id", f"{where}relation."),
    }


def _label(edit: Record, name: str, where: str) -> str:
    return required_text(required_object(edit, name, where), "label", f"{where}{name}.").strip()
