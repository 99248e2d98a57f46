"""One record of a file, whatever the file's format, turned into the requests it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts import counterfact
from kedit_lifecycle.facts.conflict_edit import (
    conflict_edit_fields,
    is_conflict_edit,
    is_round_edit,
    round_edit_fields,
)
from kedit_lifecycle.facts.fields import Record, reject_unknown, required_text
from kedit_lifecycle.facts.knowedit import is_knowedit, knowedit_fields
from kedit_lifecycle.facts.known_1000 import is_known_1000, known_1000_fields
from kedit_lifecycle.facts.mquake import is_mquake, mquake_fields
from kedit_lifecycle.facts.request import EditRequest, make_request
from kedit_lifecycle.facts.ripple_edits import is_ripple_edits, ripple_edits_fields
from kedit_lifecycle.facts.zsre import is_zsre, zsre_fields

PLAIN_FIELDS = frozenset(EditRequest.model_fields)
Recogniser = Callable[[Record], bool]
FieldReader = Callable[[Record], tuple[dict[str, Any], ...]]


def requests_from(record: object) -> tuple[EditRequest, ...]:
    """The requests a parsed record stands for, in order; its form is told from its fields.

    Most forms give one. MQuAKE's rewrites, ConflictEdit's edits and RoundEdit's way there and back
    are several that belong together.

    Raises:
        BadRecordError: naming the field that is wrong.
    """
    if not isinstance(record, Mapping):
        raise BadRecordError(f"a record must be an object with fields, not {type(record).__name__}")
    read = next((read for recognise, read in _FORMS if recognise(record)), _plain_fields)
    found = read(record)
    return tuple(_request(fields, number, len(found)) for number, fields in enumerate(found, start=1))


def _request(fields: dict[str, Any], number: int, count: int) -> EditRequest:
    try:
        return make_request(**fields)
    except BadRecordError as error:
        if count == 1:
            raise
        raise BadRecordError(f"request {number} of {count}: {error}", hint=error.hint) from error


def _plain_fields(record: Record) -> tuple[dict[str, Any], ...]:
    reject_unknown(record, PLAIN_FIELDS)
    for name in ("subject", "prompt", "target_new"):
        required_text(record, name)
    return (dict(record),)


_FORMS: tuple[tuple[Recogniser, FieldReader], ...] = (
    (is_mquake, mquake_fields),
    (counterfact.is_full, counterfact.full_fields),
    (is_zsre, zsre_fields),
    (is_conflict_edit, conflict_edit_fields),
    (is_round_edit, round_edit_fields),
    (is_ripple_edits, ripple_edits_fields),
    (is_known_1000, known_1000_fields),
    (is_knowedit, knowedit_fields),
    (counterfact.is_flat, counterfact.flat_fields),
)
"""The published forms: the first that knows a record reads it; one that none knows is a plain request."""
