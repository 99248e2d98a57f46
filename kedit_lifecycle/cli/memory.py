"""`memory`: the facts that are kept outside the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.catalogue import COMMANDS
from kedit_lifecycle.cli.options import AT
from kedit_lifecycle.cli.output import Column, emit_json, line, narrate, number, plain, print_table
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, StoreCommand, pass_session, quiet_libraries
from kedit_lifecycle.errors import StoreError

if TYPE_CHECKING:
    from kedit_lifecycle.ledger.store import Store
    from kedit_lifecycle.memory.entry import MemoryEntry
    from kedit_lifecycle.workbench.remembering import Memory


@click.group("memory", short_help=COMMANDS["memory"].summary)
def memory_command() -> None:
    """The facts that are kept outside the weights (SERAC), with `edit --method serac` or `auto`.

    They are versions like any other: undo, rollback and checkout take the memory along. The index is a
    cache: it can always be made anew from the ledger.
    """


def _memory(store: Store, progress: ProgressDisplay) -> Memory:
    quiet_libraries()
    from kedit_lifecycle.workbench.remembering import Memory

    return Memory(store, None, progress)


@memory_command.command("list", cls=StoreCommand)
@AT
@click.option(
    "-n", "--limit", type=click.IntRange(1), default=50, show_default=True, help="How many at most."
)
@pass_session
def list_command(session: Session, at: str, limit: int) -> None:
    """List the facts in the memory of a version, newest first."""
    with ProgressDisplay() as progress, session.open_store() as store:
        entries = _memory(store, progress).entries(store.reader.resolve(at))[::-1]
    if session.json:
        emit_json([_as_json(entry) for entry in entries])
        return
    if not entries:
        line("the memory is empty: kedit edit --method serac puts a fact into it")
        return
    rows = [(_label(entry), entry.request.question, entry.request.target_new) for entry in entries[:limit]]
    print_table([Column("v"), Column("asked", elastic=True), Column("answer", elastic=True)], rows)
    if len(entries) > limit:
        line(f"… and {len(entries) - limit} more: --limit {len(entries)}")


@memory_command.command("search", cls=StoreCommand)
@click.argument("query")
@AT
@click.option(
    "-n", "--limit", type=click.IntRange(1), default=10, show_default=True, help="How many at most."
)
@pass_session
def search_command(session: Session, query: str, at: str, limit: int) -> None:
    """Say which fact in memory would answer QUERY, if any, and how near the others are."""
    with ProgressDisplay() as progress, session.open_store() as store:
        memory = _memory(store, progress)
        version = store.reader.resolve(at)
        entries = memory.entries(version)
        route = memory.router(entries, memory.config_at(version)).route([query])[0]
        notes = memory.take_notes() + ([route.note] if route.note else [])
    for text in notes:
        narrate(f"warning: {text}")
    if session.json:
        emit_json(plain(route))
        return
    answered = "the model answers" if route.entry is None else f"{_label(route.entry)} answers"
    line(f"{answered}: score {number(route.score)}, threshold {number(route.threshold)}")
    rows = [
        (_label(one.entry), number(one.score), number(one.similarity), one.entry.request.question,
         one.entry.request.target_new)
        for one in route.candidates[:limit]
    ]  # fmt: skip
    columns = [
        Column("v"),
        Column("score", "right"),
        Column("cosine", "right"),
        Column("asked", elastic=True),
        Column("answer", elastic=True),
    ]
    if rows:
        print_table(columns, rows)


@memory_command.command("stats", cls=StoreCommand)
@AT
@pass_session
def stats_command(session: Session, at: str) -> None:
    """Say how much the memory holds, how it is indexed, and how its scope is decided."""
    with ProgressDisplay() as progress, session.open_store() as store:
        memory = _memory(store, progress)
        version = store.reader.resolve(at)
        entries, config = memory.entries(version), memory.config_at(version)
        artefact = memory.artefact(config)
        shown: dict[str, Any] = {
            "version": version.number,
            "memory": version.memory,
            "entries": len(entries),
            "entries_of_all_versions": len(memory.all_entries()),
            "indexed": len(memory.index()),
            "encoder": memory.encoder.name,
            "dimension": memory.encoder.dimension,
            "scope": artefact.digest,
            "threshold": artefact.threshold,
            "recipe": plain(artefact.recipe),
        }
        notes = memory.take_notes()
    for text in notes:
        narrate(f"warning: {text}")
    if session.json:
        emit_json(shown)
        return
    line(f"version    {version.number} ({version.short})")
    line(f"memory     {version.memory[:12] or 'empty'}, {len(entries)} facts")
    line(f"index      {shown['indexed']} of {shown['entries_of_all_versions']} facts of all versions")
    line(f"encoder    {shown['encoder']}, {shown['dimension']} dimensions")
    line(f"scope      {artefact.digest[:12]}, threshold {artefact.threshold:.3f}")
    line(f"template   {config.template}")


@memory_command.command("rebuild", cls=StoreCommand)
@pass_session
def rebuild_command(session: Session) -> None:
    """Make the index anew from the ledger."""
    session.must_write()
    with ProgressDisplay() as progress, session.open_store() as store:
        count = _memory(store, progress).rebuild()
    if session.json:
        emit_json({"indexed": count})
    else:
        line(f"{count} facts indexed")


@memory_command.command("check", cls=StoreCommand)
@AT
@pass_session
def check_command(session: Session, at: str) -> None:
    """Check the memory of a version against its fingerprint, and the index against the ledger.

    Exit code 3 if the fingerprint differs; an index that does not fit is made anew, and said.
    """
    with ProgressDisplay() as progress, session.open_store() as store:
        memory = _memory(store, progress)
        version = store.reader.resolve(at)
        entries = memory.entries(version)
        found = memory.fingerprint(entries, memory.config_at(version))
        indexed = sum(entry.id in memory.index() for entry in entries)
        notes = memory.take_notes()
    for text in notes:
        narrate(f"note: {text}")
    same = found == version.memory
    if session.json:
        emit_json({"version": version.number, "sound": same, "entries": len(entries), "indexed": indexed})
    else:
        verdict = "as it was committed" if same else "NOT as it was committed"
        line(f"version {version.number}: {len(entries)} facts, {indexed} indexed; the memory is {verdict}")
    if not same:
        raise StoreError(
            f"the memory of version {version.number} is not what was committed: another encoder or scope "
            "classifier, or a damaged ledger",
            hint="kedit memory stats; kedit verify --deep",
        )


def _label(entry: MemoryEntry) -> str:
    version, position = entry.id
    return f"v{version}" if position == 0 else f"v{version}#{position + 1}"


def _as_json(entry: MemoryEntry) -> Any:
    return {
        "version": entry.id.version,
        "position": entry.id.position,
        "digest": entry.digest,
        "request": plain(entry.request),
    }
