"""Requests of one batch that cannot all become true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kedit_lifecycle.errors import RefusedError
from kedit_lifecycle.facts.request import EditRequest


def refuse_conflicts(batches: Iterable[Sequence[EditRequest]]) -> None:
    """Refuse batches that hold two targets for one subject and relation (or prompt, without a relation).

    Raises:
        RefusedError: naming the two requests.
    """
    for batch in batches:
        seen: dict[tuple[str, str], EditRequest] = {}
        for request in batch:
            slot = (request.subject.strip(), request.relation or request.prompt.strip())
            earlier = seen.setdefault(slot, request)
            if earlier.target_new.strip() != request.target_new.strip():
                raise RefusedError(
                    f"one batch has two targets for {request.question!r}: {earlier.target_new!r} and "
                    f"{request.target_new!r}",
                    hint="leave one of them out, give them different versions (--batch 1), or "
                    "--allow-conflicts",
                )
