"""One record of a file, whatever the file's format, turned into an `EditRequest`."""

from __future__ import annotations

from collections.abc import Mapping

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts import counterfact
from kedit_lifecycle.facts.fields import reject_unknown, required_text
from kedit_lifecycle.facts.request import EditRequest, make_request

PLAIN_FIELDS = frozenset(EditRequest.model_fields)


def request_from(record: object) -> EditRequest:
    """The request a parsed record stands for; its shape is told from its fields.

    Raises:
        BadRecordError: naming the field that is wrong.
    """
    if not isinstance(record, Mapping):
        raise BadRecordError(f"a record must be an object with fields, not {type(record).__name__}")
    if "requested_rewrite" in record:
        return make_request(**counterfact.full_fields(record))
    if counterfact.is_flat(record):
        return make_request(**counterfact.flat_fields(record))
    reject_unknown(record, PLAIN_FIELDS)
    for name in ("subject", "prompt", "target_new"):
        required_text(record, name)
    return make_request(**record)
