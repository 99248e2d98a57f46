"""`edit`: change one fact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.options import DEVICE, MESSAGE, METHOD, PROFILE, SEED, config_options, editor_config
from kedit_lifecycle.cli.output import emit_json, line, narrate, number, plain
from kedit_lifecycle.cli.progress import ProgressDisplay, duration
from kedit_lifecycle.cli.session import Session, command, pass_session

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
    dry_run: bool,
    device: str,
    **fact: Any,
) -> None:
    """Change one fact: one version on top of HEAD.

    kedit edit --subject France --prompt "The capital of {} is" --target Rome --target-true Paris
    """
    if not dry_run:
        session.must_write()
    request = _request(fact)
    config = editor_config(settings, config_file)
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        outcome = workbench.edit(
            request,
            method=method,
            profile=profile,
            config=config,
            seed=seed,
            message=message,
            dry_run=dry_run,
            progress=progress,
        )
        notes = list(workbench.notes)
    for text in [*notes, *outcome.warnings]:
        narrate(f"warning: {text}")
    if session.json:
        emit_json(outcome_json(outcome))
    else:
        _print(outcome)


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
        "warnings": list(outcome.warnings),
        "seconds": outcome.seconds,
    }


def _print(outcome: EditOutcome) -> None:
    from kedit_lifecycle.cli.measures import print_measures

    version = outcome.version
    request = outcome.requests[0]
    line(f"version {version.number} ({version.short})" if version else "dry run: nothing was written")
    line(f"  {request.question} …")
    if outcome.before and outcome.after:
        before, after = outcome.before[0], outcome.after[0]
        line(f"  it said      {before.completion.strip()}")
        line(f"  it says now  {after.completion.strip()}")
        line(f"  P(new)       {number(before.target_probability)} → {number(after.target_probability)}")
    line()
    print_measures(outcome.unedited, outcome.metrics, "edited")
    narrate(f"took {duration(outcome.seconds)}")
