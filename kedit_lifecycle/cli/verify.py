"""`verify`: is the store what was written?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from kedit_lifecycle.cli.output import emit_json, line, paragraph, plain
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, command, pass_session
from kedit_lifecycle.errors import StoreError, UsageError

if TYPE_CHECKING:
    from kedit_lifecycle.ledger.records import Finding
    from kedit_lifecycle.ledger.verify import VerifyReport


@command("verify")
@click.option("--quick", is_flag=True, help="Only the chain, the refs and the newest versions.")
@click.option("--deep", is_flag=True, help="Every byte of every blob too.")
@click.option(
    "--anchor", metavar="HASH", help="An event's hash noted elsewhere: proves nothing before it is gone."
)
@click.option(
    "--replay", is_flag=True, help="Also load the model and rebuild every version, comparing bytes."
)
@pass_session
def verify_command(session: Session, quick: bool, deep: bool, anchor: str | None, replay: bool) -> None:
    """Check that the store is what was written, and say what that proves and what it cannot.

    The exit code is 3 when anything is damaged.
    """
    if quick and (deep or replay):
        raise UsageError("--quick cannot go with --deep or --replay", hint="give one of them")
    from kedit_lifecycle.ledger.verify import verify

    level: Literal["quick", "normal", "deep"] = "quick" if quick else "deep" if deep else "normal"
    with ProgressDisplay() as progress:
        report = verify(session.store, level, anchor, progress)
        replayed = _replay(session, progress) if replay and not report.damaged else []
    _print(session, report, replayed, level, rebuilt=replay and not report.damaged)
    damage = [one for one in [*report.findings, *replayed] if one.severity == "damage"]
    if damage:
        raise StoreError(
            f"{len(damage)} damaged, the first: {damage[0].where}: {damage[0].problem}",
            hint="restore the store from a copy; kedit verify --deep checks the copy",
        )


def _replay(session: Session, progress: ProgressDisplay) -> list[Finding]:
    """Rebuild every version from the base model; what comes out with other bytes is damage."""
    from kedit_lifecycle.ledger.records import Finding

    session.readonly = True
    findings: list[Finding] = []
    with session.workbench(progress=progress) as workbench:
        total = workbench.store.reader.counts()["version"]
        for number in range(total):
            try:
                workbench.checkout_model(str(number))
            except StoreError as error:
                findings.append(Finding("damage", f"version {number}", str(error)))
            progress("rebuilding versions", number + 1, total)
        findings += [Finding("note", "replay", text) for text in workbench.notes]
    return findings


def _print(
    session: Session, report: VerifyReport, replayed: list[Finding], level: str, *, rebuilt: bool
) -> None:
    findings = [*report.findings, *replayed]
    if session.json:
        shown = {"level": level, "rebuilt": rebuilt, "findings": plain(findings), "counts": report.counts}
        proof = {"proven": report.proven, "not_proven": report.not_proven, "head_hash": report.head_hash}
        emit_json({**shown, **proof})
        return
    for finding in findings:
        line(f"{finding.severity}: {finding.where}: {finding.problem}")
    paragraph("checked", ", ".join(f"{count} {name}" for name, count in report.counts.items()))
    for text in report.proven:
        paragraph("proven", text)
    if rebuilt and not any(one.severity == "damage" for one in replayed):
        paragraph("proven", "every version, rebuilt from the base model, has the bytes it was committed with")
    for text in report.not_proven:
        paragraph("not shown", text)
    paragraph("anchor", report.head_hash)
    line("damaged" if any(one.severity == "damage" for one in findings) else "sound")
