"""`edit`: change one fact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.options import (
    DEVICE,
    MESSAGE,
    METHOD,
    POLICY,
    PROFILE,
    SEED,
    SUPERSEDE,
    config_options,
    editor_config,
)
from kedit_lifecycle.cli.output import emit_json, line, narrate, number, plain
from kedit_lifecycle.cli.progress import ProgressDisplay, duration
from kedit_lifecycle.cli.session import Session, command, pass_session
from kedit_lifecycle.errors import GateError

if TYPE_CHECKING:
    from kedit_lifecycle.facts.request import EditRequest
    from kedit_lifecycle.workbench import EditOutcome


@command("edit")
@click.option("--subject", required=True, help="What the fact is about, as it stands in the prompt.")
@click.option("--prompt", required=True, help='With {} for the subject: "The capital of {} is".')
@click.option("--target", required=True, help="What the model shall say.")
@click.option("--target-true", help="What is true now; measures that compare the two need it.")
@click.option("--relation", help="For example a Wikidata property.")
@click.option(
    "--paraphrase", "paraphrases", multiple=True, help="A prompt that should show it too. Repeatable."
)
@click.option("--neighborhood", multiple=True, help="A prompt that should not change. Repeatable.")
@click.option("--reason", help="Why this fact is changed.")
@click.option("--source", help="Where it comes from.")
@METHOD
@PROFILE
@config_options
@SEED
@MESSAGE
@POLICY
@SUPERSEDE
@click.option("--dry-run", is_flag=True, help="Make and measure the edit, then take it back; write nothing.")
@DEVICE
@pass_session
def edit_command(
    session: Session,
    /,
    method: str,
    profile: str | None,
    settings: tuple[str, ...],
    config_file: Path | None,
    seed: int,
    message: str,
    policy: str,
    supersede: bool,
    dry_run: bool,
    device: str,
    **fact: Any,
) -> None:
    """Change one fact: one version on top of HEAD, if the policy lets it pass.

    Before it is made it is held against every earlier edit; after it the model is checked, and what the
    policy rejects is taken back: the weights are as before, and the attempt stays in the ledger.

    kedit edit --subject France --prompt "The capital of {} is" --target Rome --target-true Paris
    """
    if not dry_run:
        session.must_write()
    request = _request(fact)
    config = editor_config(settings, config_file)
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        refused: GateError | None = None
        try:
            outcome = workbench.edit(
                request,
                method=method,
                profile=profile,
                config=config,
                seed=seed,
                message=message,
                policy=policy,
                supersede=supersede,
                dry_run=dry_run,
                progress=progress,
            )
        except GateError as error:
            refused, outcome = error, error.outcome
        notes = list(workbench.notes)
    for text in [*notes, *outcome.warnings]:
        narrate(f"warning: {text}")
    if session.json:
        emit_json(outcome_json(outcome))
    else:
        _print(outcome, dry_run)
    if refused is not None:
        raise refused


def _request(fact: dict[str, Any]) -> EditRequest:
    from kedit_lifecycle.facts.request import make_request

    given = {name: value for name, value in fact.items() if value not in (None, ())}
    return make_request(target_new=given.pop("target"), **given)


def outcome_json(outcome: EditOutcome) -> Any:
    """An outcome for `--json`; the scores of single prompts are left out."""
    return {
        "version": plain(outcome.version),
        "requests": plain(outcome.requests),
        "before": plain(outcome.before),
        "after": plain(outcome.after),
        "metrics": plain(outcome.metrics),
        "unedited": plain(outcome.unedited),
        "checks": plain(outcome.checks),
        "decision": plain(outcome.decision),
        "attempt": outcome.attempt,
        "warnings": list(outcome.warnings),
        "seconds": outcome.seconds,
    }


def _print(outcome: EditOutcome, dry_run: bool) -> None:
    from kedit_lifecycle.cli.checking import print_checks
    from kedit_lifecycle.cli.measures import print_measures

    request = outcome.requests[0]
    line(_title(outcome, dry_run))
    line(f"  {request.question} …")
    if outcome.before and outcome.after:
        before, after = outcome.before[0], outcome.after[0]
        line(f"  it said      {before.completion.strip()}")
        line(f"  it says now  {after.completion.strip()}")
        line(f"  P(new)       {number(before.target_probability)} → {number(after.target_probability)}")
    if outcome.metrics:
        line()
        print_measures(outcome.unedited, outcome.metrics, "edited")
    line()
    print_checks(outcome.checks)
    narrate(f"took {duration(outcome.seconds)}")


def _title(outcome: EditOutcome, dry_run: bool) -> str:
    action = outcome.decision.action
    if dry_run:
        return f"dry run: nothing was written; the gate would say: {action}"
    if outcome.version is None:
        return f"{action}: the weights are as before (event {outcome.attempt} keeps the attempt)"
    return f"version {outcome.version.number} ({outcome.version.short})"
