"""`ripple`: what should have changed along with an edit, and what should not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.options import DEVICE
from kedit_lifecycle.cli.output import Column, emit_json, line, narrate, number, plain, print_table
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, command, pass_session

if TYPE_CHECKING:
    from kedit_lifecycle.workbench.checking import VersionRipple


@command("ripple")
@click.argument("ref", default="HEAD")
@click.option("--at", metavar="REF", help="Asked of the model of this version. Default: REF.")
@click.option("--each", is_flag=True, help="A line for each probe.")
@DEVICE
@pass_session
def ripple_command(session: Session, ref: str, at: str | None, each: bool, device: str) -> None:
    """Ask what should have changed along with the edits of a version (default HEAD), and what should not.

    The six criteria of RippleEdits and the multi-hop questions of MQuAKE, by the facts' own probes, else
    by what follows from world-facts and the live edits. A test counts if what it takes for known was known
    before the edit.
    """
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        from kedit_lifecycle.workbench.checking import ripple_of

        found = ripple_of(workbench, ref, at=at)
        notes = list(workbench.notes)
    for text in notes:
        narrate(f"warning: {text}")
    if session.json:
        emit_json(_as_json(found))
    else:
        _print(found, each)


def _as_json(found: VersionRipple) -> Any:
    report = found.report
    return {
        "version": found.version.number,
        "at": found.at.number,
        "share": report.share,
        "before": plain(report.before_by_category),
        "after": plain(report.by_category),
        "left_out": dict(report.left_out),
        "probes": plain(report.outcomes),
    }


def _print(found: VersionRipple, each: bool) -> None:
    report = found.report
    where = "" if found.at.id == found.version.id else f", asked of version {found.at.number}"
    line(f"edits of version {found.version.number} ({found.version.short}){where}")
    if each:
        columns = [
            Column("criterion"),
            Column(""),
            Column("prompt", elastic=True),
            Column("it says now", elastic=True),
        ]
        rows = [
            (one.category, _sign(one.counted, one.holds), one.probe.prompt, (one.after or "").strip())
            for one in report.outcomes
        ]
        print_table(columns, rows)
        line()
    columns = [
        Column("criterion", elastic=True),
        Column("before", "right"),
        Column("now", "right"),
        Column("tests", "right"),
        Column("left out", "right"),
    ]
    before, after = report.before_by_category, report.by_category
    rows_by_criterion = [
        (
            category,
            number(before[category].value if category in before else None),
            number(after[category].value if category in after else None),
            after[category].count if category in after else 0,
            left_out,
        )
        for category, left_out in report.left_out.items()
    ]
    print_table(columns, rows_by_criterion)


def _sign(counted: bool, holds: bool) -> str:
    if not counted:
        return "– left out"
    return "✓ holds" if holds else "✗ does not"
