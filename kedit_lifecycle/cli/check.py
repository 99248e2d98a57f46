"""`check`: a version's health, measured now."""

from __future__ import annotations

import click

from kedit_lifecycle.cli.options import DEVICE, POLICY
from kedit_lifecycle.cli.output import emit_json, line, narrate, plain
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, command, pass_session
from kedit_lifecycle.errors import RefusedError


@command("check")
@click.argument("ref", default="HEAD")
@POLICY
@DEVICE
@pass_session
def check_command(session: Session, ref: str, policy: str, device: str) -> None:
    """Check the model of a version (default HEAD) in full, beside the unedited one; nothing is written.

    Perplexity, drift, retention of earlier edits, generated text, the weights, and the state that the
    series of these gives. Exit code 1 if a check fails.
    """
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        from kedit_lifecycle.checks.gate import load_policy
        from kedit_lifecycle.checks.result import worst
        from kedit_lifecycle.cli.checking import print_checks
        from kedit_lifecycle.workbench.checking import check_version

        found = check_version(workbench, ref, load_policy(policy))
        notes = list(workbench.notes)
    for text in notes:
        narrate(f"warning: {text}")
    version = found.version
    if session.json:
        emit_json({"version": version.number, "id": version.id, "checks": plain(found.results)})
    else:
        line(f"version {version.number} ({version.short})")
        print_checks(found.results)
    if worst(found.results) == "fail":
        failed = ", ".join(one.check for one in found.results if one.verdict == "fail")
        raise RefusedError(
            f"version {version.number} fails: {failed}", hint="kedit health; kedit rollback takes edits back"
        )
