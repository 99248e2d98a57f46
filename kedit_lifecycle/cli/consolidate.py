"""`consolidate`: from the memory into the weights."""

from __future__ import annotations

from pathlib import Path

import click

from kedit_lifecycle.cli.options import DEVICE, MESSAGE, POLICY, SEED, config_options, editor_config
from kedit_lifecycle.cli.output import emit_json, line, narrate
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, command, pass_session
from kedit_lifecycle.errors import GateError


@command("consolidate")
@click.argument("versions", nargs=-1, type=click.IntRange(1))
@click.option("--method", default="memit", show_default=True, help="The editor that writes the batch.")
@config_options
@SEED
@MESSAGE
@POLICY
@click.option("--dry-run", is_flag=True, help="Make and measure the batch, then take it back.")
@DEVICE
@pass_session
def consolidate_command(
    session: Session,
    versions: tuple[int, ...],
    method: str,
    settings: tuple[str, ...],
    config_file: Path | None,
    seed: int,
    message: str,
    policy: str,
    dry_run: bool,
    device: str,
) -> None:
    """Write facts of the memory into the weights as one batch, and drop them from the memory.

    Of VERSIONS, by number, or all that the memory holds. One version, one undo. Where the policy does not
    let the batch pass, the weights are as before and the memory keeps the facts: exit code 1.
    """
    from kedit_lifecycle.cli.edit import outcome_json

    if not dry_run:
        session.must_write()
    config = editor_config(settings, config_file)
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        refused: GateError | None = None
        try:
            outcome = workbench.consolidate(
                versions,
                method=method,
                config=config,
                seed=seed,
                message=message,
                policy=policy,
                dry_run=dry_run,
                progress=progress,
            )
        except GateError as error:
            refused, outcome = error, error.outcome
        left = len(workbench.memory_entries())
    for text in outcome.warnings:
        narrate(f"warning: {text}")
    if session.json:
        emit_json(outcome_json(outcome))
    else:
        from kedit_lifecycle.cli.checking import print_checks
        from kedit_lifecycle.cli.measures import print_measures

        made = f"version {outcome.version.number}" if outcome.version else "nothing was written"
        line(f"{made}: {len(outcome.requests)} facts of the memory with {method}; it holds {left} now")
        print_measures(outcome.unedited, outcome.metrics, "edited")
        line()
        print_checks(outcome.checks)
    if refused is not None:
        raise refused
