"""`show`, `diff`, `status`: looking at the ledger, without torch and without SQLModel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.output import clipped, emit_json, line, plain
from kedit_lifecycle.cli.session import Session, command, pass_session

if TYPE_CHECKING:
    from kedit_lifecycle.ledger.reader import LedgerReader
    from kedit_lifecycle.ledger.records import RequestDraft, TensorState, VersionRow

HASH_SHOWN = 12


@command("show")
@click.argument("ref", default="HEAD")
@pass_session
def show_command(session: Session, ref: str) -> None:
    """Show one version: its facts, what the model said before and after, its measures, its tensors.

    Measures are means over the version's requests, beside the unedited model's.
    """
    from kedit_lifecycle.cli import showing

    with session.reader() as reader:
        version = reader.resolve(ref)
        if session.json:
            emit_json(showing.as_json(reader, version))
        else:
            showing.as_text(reader, version)


@command("diff")
@click.argument("one", metavar="[REF]", default="HEAD~1")
@click.argument("other", metavar="[REF]", default="HEAD")
@pass_session
def diff_command(session: Session, one: str, other: str) -> None:
    """Show which facts and tensors differ between two versions (default: HEAD~1 and HEAD).

    A fact edited only on the way to the first is marked -, only on the way to the second +.
    """
    from kedit_lifecycle.cli.shapes import common_ancestor, fact_line

    with session.reader() as reader:
        left, right = reader.resolve(one), reader.resolve(other)
        base = common_ancestor(reader, left, right)
        gone, come = _facts_since(reader, base, left), _facts_since(reader, base, right)
    tensors = _changed_tensors(left, right)
    if session.json:
        emit_json(_diff_json(left, right, base, gone, come, tensors))
        return
    line(f"version {left.number} ({left.short}) and version {right.number} ({right.short})")
    if base.id not in (left.id, right.id):
        line(f"they part after version {base.number} ({base.short})")
    for sign, facts in (("-", gone), ("+", come)):
        for version, request in facts:
            line(f"{sign} {fact_line(request)}  (version {version.number})")
    for name, (before, after) in tensors.items():
        line(f"~ {name}  {_fingerprint(before)} → {_fingerprint(after)}")
    if not (gone or come or tensors):
        line("no difference")


def _facts_since(
    reader: LedgerReader, base: VersionRow, tip: VersionRow
) -> list[tuple[VersionRow, RequestDraft]]:
    return [
        (version, request)
        for version in reader.path_between(base.id, tip.id)
        for request in reader.requests(version.number)
    ]


def _changed_tensors(
    left: VersionRow, right: VersionRow
) -> dict[str, tuple[TensorState | None, TensorState | None]]:
    names = sorted({*left.tensors, *right.tensors})
    pairs = {name: (left.tensors.get(name), right.tensors.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _fingerprint(state: TensorState | None) -> str:
    return state.served[:HASH_SHOWN] if state else "unedited"


def _diff_json(
    left: VersionRow,
    right: VersionRow,
    base: VersionRow,
    gone: list[tuple[VersionRow, RequestDraft]],
    come: list[tuple[VersionRow, RequestDraft]],
    tensors: dict[str, tuple[TensorState | None, TensorState | None]],
) -> Any:
    def facts(found: list[tuple[VersionRow, RequestDraft]]) -> Any:
        return [{"version": version.number, "request": plain(request.payload)} for version, request in found]

    return {
        "from": {"number": left.number, "id": left.id},
        "to": {"number": right.number, "id": right.id},
        "common": {"number": base.number, "id": base.id},
        "only_from": facts(gone),
        "only_to": facts(come),
        "tensors": {
            name: {"from": plain(before), "to": plain(after)} for name, (before, after) in tensors.items()
        },
    }


@command("status")
@pass_session
def status_command(session: Session) -> None:
    """Say where HEAD is, which model the store edits, and how much the store holds."""
    from kedit_lifecycle.cli.shapes import version_line, when

    with session.reader() as reader:
        branch, _ = reader.head_ref()
        head, meta, counts, refs = reader.head(), reader.meta(), reader.counts(), reader.refs()
        requests = reader.requests(head.number)
        last = reader.events(limit=1)
    if session.json:
        shown = {"store": str(session.store), "branch": branch, "head": plain(head), "meta": meta}
        emit_json({**shown, "counts": counts, "refs": refs, "last_event": last[0] if last else None})
        return
    tags = [ref.name for ref in refs if ref.kind == "tag"]
    branches = [ref.name for ref in refs if ref.kind == "branch"]
    line(f"store     {session.store}")
    line(
        f"model     {meta.get('model_name', '?')} ({meta.get('architecture', '?')}, {meta.get('dtype', '?')})"
    )
    line(f"base      {meta.get('base_digest', '?')[:HASH_SHOWN]}")
    line(f"HEAD      version {head.number} ({head.short}) on {branch or 'no branch'}, {when(head.time)} UTC")
    line(f"          {clipped(version_line(head, requests), 70)}")
    line(f"live      {head.depth} versions deep, {len(head.tensors)} tensors edited")
    line(f"holds     {counts['version']} versions, {counts['edit_request']} facts, {counts['event']} events")
    line(f"branches  {', '.join(branches)}")
    if tags:
        line(f"tags      {', '.join(tags)}")
    if last:
        line(f"chain     {last[0].hash[:HASH_SHOWN]} (event {last[0].seq}, {last[0].kind})")
