"""`tune`: find an editor's settings for the store's model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.options import DEVICE, SEED, config_options, editor_config
from kedit_lifecycle.cli.output import Column, emit_json, line, narrate, number, paragraph, plain, print_table
from kedit_lifecycle.cli.progress import ProgressDisplay, duration
from kedit_lifecycle.cli.session import Session, command, pass_session
from kedit_lifecycle.errors import UsageError

if TYPE_CHECKING:
    from kedit_lifecycle.tuning.profile import Profile
    from kedit_lifecycle.workbench.tuning import FinishedTrial, TuningResult

SHOWN = 10  # digits of a digest


@command("tune")
@click.option("--editor", metavar="NAME", help="Whose settings.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Facts to edit, in any format of `apply`, or `world-facts`.",
)
@click.option(
    "--minutes", type=float, default=30.0, show_default=True, help="When to stop; the best so far wins."
)
@click.option(
    "--edits", type=click.IntRange(1), default=20, show_default=True, help="Length of the longest sequence."
)
@click.option(
    "--candidates", type=click.IntRange(2), default=27, show_default=True, help="Settings to begin with."
)
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Facts to an edit.")
@config_options
@SEED
@click.option("--keep-going", is_flag=True, help="Pass over malformed records; each is named on stderr.")
@click.option("--list", "list_them", is_flag=True, help="List the profiles of this store.")
@DEVICE
@pass_session
def tune_command(
    session: Session,
    /,
    editor: str | None,
    data: Path | None,
    settings: tuple[str, ...],
    config_file: Path | None,
    keep_going: bool,
    list_them: bool,
    device: str,
    **budget: Any,
) -> None:
    """Try an editor's settings on sequences of edits, and store the best as a profile.

    Many candidates edit few facts, the best third of them more, and the best of those a sequence of
    facts that were held out, which decides. Only facts the unedited model knows are used, and the model
    and its history stay as they are. Tried are the layers, the search for the value (optimiser, its
    steps, their size, clamp, decay), where the residual is read, and what is the editor's own (λ, L2, the
    null space's share, damping, bound). What --set or --config give holds for every candidate. The
    score is S, with NS relative to the unedited model's, times the share of facts that are also said,
    divided by the square of the perplexity's growth.

    kedit tune --editor memit --data facts.jsonl --minutes 30
    """
    if list_them:
        _list(session)
        return
    if editor is None or data is None:
        raise UsageError("tuning needs --editor and --data", hint="kedit tune --help, or kedit tune --list")
    session.must_write()
    fixed = editor_config(settings, config_file)
    try:
        _print(session, _tune(session, editor, data, keep_going, device, fixed, budget))
    except KeyboardInterrupt:
        narrate("no profile was stored")
        raise


def _tune(
    session: Session,
    editor: str,
    data: Path,
    keep_going: bool,
    device: str,
    fixed: Mapping[str, Any],
    budget: Mapping[str, Any],
) -> TuningResult:
    from kedit_lifecycle.facts.readers import load_requests

    loaded = load_requests(data, keep_going=keep_going)
    for error in loaded.skipped:
        narrate(f"passed over: {error}")
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        from kedit_lifecycle.workbench.tuning import Budget, tune

        def tell(finished: FinishedTrial) -> None:
            progress.say(trial_line(finished))

        return tune(
            workbench,
            loaded.requests,
            editor=editor,
            fixed=fixed,
            budget=Budget(**budget),
            progress=progress,
            on_trial=tell,
        )


def trial_line(finished: FinishedTrial) -> str:
    """`rung 1  #4  score 0.61  ES 1.00  PS 0.80  NS 0.70  said 0.90  PPL ×1.02  1.2 s  steps 25`."""
    trial = finished.trial
    named = f"rung {finished.rung + 1}  {_name(finished.candidate)}"
    if trial.failure:
        return f"{named}  failed: {trial.failure}  {_settings(finished.changed)}".rstrip()
    measures = "  ".join(
        f"{heading} {number(value, 2)}"
        for heading, value in (
            ("score", trial.score),
            ("ES", trial.efficacy),
            ("PS", trial.paraphrase),
            ("NS", trial.neighborhood),
            ("said", trial.generated_exact_match),
        )
    )
    costs = f"PPL ×{number(trial.perplexity_ratio, 2)}  {number(trial.seconds_per_edit, 2)} s"
    return f"{named}  {measures}  {costs}  {_settings(finished.changed)}".rstrip()


def _name(candidate: int) -> str:
    return f"#{candidate}" if candidate else "default"


def _settings(changed: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in changed.items())


def _value(value: Any) -> str:
    """Layers as a range, everything else as it is."""
    if isinstance(value, list) and value and value == list(range(value[0], value[0] + len(value))):
        return str(value[0]) if len(value) == 1 else f"{value[0]}–{value[-1]}"
    return f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)


def _print(session: Session, result: TuningResult) -> None:
    if session.json:
        emit_json(_json(result))
        return
    columns = [Column("candidate")]
    columns += [Column(heading, "right") for heading in ("score", "S", "ES", "PS", "NS", "unedited", "said")]
    columns += [Column("PPL ×", "right"), Column("time ×", "right")]
    print_table(columns, [_row(result, one) for one in result.finalists])
    line()
    for one in result.finalists:
        text = one.trial.failure and f"failed: {one.trial.failure}; "
        paragraph(_name(one.candidate), f"{text}{_settings(one.changed) or 'as it is'}")
    line()
    _print_how(result)


def _print_how(result: TuningResult) -> None:
    for place, rung in enumerate(result.rungs):
        whose = "held-out facts" if rung.held_out else "tuning facts"
        state = f"{rung.tried} of {rung.planned} candidates" if rung.planned else "not begun"
        decided = ", which decided" if place == result.deciding else ""
        cut = "" if rung.complete or not rung.planned else ", cut short"
        line(f"rung {place + 1}    {rung.edits} {whose}: {state}{cut}{decided}")
    facts = result.facts
    line(f"facts     {len(facts.facts)} that the model knows; {facts.passed_over} others were passed over")
    line(f"best      {_name(result.winner)}")
    line(f"profile   {result.profile.digest[:SHOWN]}")
    if not result.rungs[-1].complete:
        narrate(
            "warning: the held-out facts were not tried by all in time; give more --minutes or fewer --edits"
        )
    narrate(f"took {duration(result.seconds)}")


def _row(result: TuningResult, finished: FinishedTrial) -> list[str]:
    trial = finished.trial
    values = (
        trial.score,
        trial.s,
        trial.efficacy,
        trial.paraphrase,
        trial.neighborhood,
        trial.unedited_neighborhood,
        trial.generated_exact_match,
        trial.perplexity_ratio,
        _time_ratio(result, finished),
    )
    cells = [number(value, 2) for value in values]
    return [_name(finished.candidate), *cells]


def _time_ratio(result: TuningResult, finished: FinishedTrial) -> float | None:
    """Seconds per edit in units of the default's, of the same rung and run."""
    default = next(one.trial.seconds_per_edit for one in result.finalists if one.candidate == 0)
    own = finished.trial.seconds_per_edit
    return own / default if own is not None and default else None


def _json(result: TuningResult) -> Any:
    shown = plain(result)
    facts = result.facts
    counts = {name: getattr(facts, name) for name in ("unknown", "incomparable", "repeated")}
    shown["facts"] = {"known": len(facts.facts), **counts}
    shown["profile"]["digest"] = result.profile.digest
    for row, one in zip(shown["finalists"], result.finalists, strict=True):
        row["time_ratio"] = _time_ratio(result, one)
    return shown


def _list(session: Session) -> None:
    from kedit_lifecycle.tuning.profile import list_profiles

    session.reader().close()  # there must be a store
    profiles = list_profiles(session.store)
    if session.json:
        emit_json([{"digest": one.digest, **plain(one)} for one in profiles])
    elif not profiles:
        line("none yet: kedit tune --editor NAME --data FILE makes them")
    else:
        print_table(
            [Column("profile"), Column("editor"), Column("score", "right"), Column("default", "right"),
             Column("edits", "right"), Column("model", elastic=True)],
            map(_profile_row, profiles),
        )  # fmt: skip


def _profile_row(profile: Profile) -> list[str]:
    scores = profile.made.get("scores", {})
    winner, default = (number(scores.get(one, {}).get("score"), 2) for one in ("winner", "default"))
    edits = str(profile.made.get("edits", "-"))
    return [profile.digest[:SHOWN], profile.editor, winner, default, edits, profile.model]
