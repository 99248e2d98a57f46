"""`apply`: change the facts of a file."""

from __future__ import annotations

from collections.abc import Callable
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
from kedit_lifecycle.cli.output import WIDTH, clipped, emit_json, line, narrate, number, plain
from kedit_lifecycle.cli.progress import ProgressDisplay, duration
from kedit_lifecycle.cli.session import Session, command, pass_session
from kedit_lifecycle.errors import BadRecordError, RefusedError

if TYPE_CHECKING:
    from kedit_lifecycle.facts.readers import LoadedRequests
    from kedit_lifecycle.workbench import ApplySummary, EditOutcome

FACT_WIDTH = 34


@command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format", "file_format", type=click.Choice(["json", "jsonl", "csv"]), help="Default: by content."
)
@click.option("--limit", type=click.IntRange(1), help="Only the first so many requests.")
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Requests to a version.")
@click.option(
    "--allow-conflicts", is_flag=True, help="Also batches with two targets for one subject and relation."
)
@click.option("--keep-going", is_flag=True, help="Pass over malformed records; each is named on stderr.")
@click.option("--resume", is_flag=True, help="Go on with this very run, which was interrupted.")
@METHOD
@PROFILE
@config_options
@SEED
@MESSAGE
@POLICY
@SUPERSEDE
@click.option("--dry-run", is_flag=True, help="Only read the file and say what would be done.")
@DEVICE
@pass_session
def apply_command(
    session: Session,
    file: Path,
    file_format: Any,
    limit: int | None,
    batch: int,
    allow_conflicts: bool,
    keep_going: bool,
    resume: bool,
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
) -> None:
    """Change the facts of FILE, in order: CounterFact, JSON Lines, a JSON list or CSV.

    FILE may also hold zsRE, KnowEdit, RippleEdits, MQuAKE, ConflictEdit or RoundEdit records, or be
    `world-facts` (`world-facts:3` for seed 3), the built-in set, which needs no file.

    The whole file is read first: a malformed record stops the command before anything is changed. What
    is committed stays when a run is interrupted; the same command with --resume goes on.
    """
    from kedit_lifecycle.facts.readers import load_requests

    config = editor_config(settings, config_file)
    loaded = load_requests(file, file_format, keep_going=keep_going)
    for error in loaded.skipped:
        narrate(f"passed over: {error}")
    if not loaded.requests:
        raise BadRecordError(f"{file}: no record is usable")
    requests = loaded.requests[:limit]
    if dry_run:
        _print_plan(session, requests, loaded, batch)
        return
    session.must_write()
    session.resume = session.command + ("" if resume else " --resume")
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        follow = Follower(session, progress, total=-(-len(requests) // batch))
        summary = workbench.apply(
            requests,
            method=method,
            profile=profile,
            config=config,
            seed=seed,
            batch=batch,
            resume=resume,
            allow_conflicts=allow_conflicts,
            policy=policy,
            supersede=supersede,
            message=message,
            on_outcome=follow,
            progress=follow.within,
        )
        notes = list(workbench.notes)
    for text in notes:
        narrate(f"warning: {text}")
    _print_summary(session, summary, loaded)
    if summary.taken_back:
        refused, made = len(summary.taken_back), len(summary.committed)
        raise RefusedError(
            f"the gate took back {refused} of {refused + made} steps; the others are committed",
            hint="kedit log --attempts",
        )


class Follower:
    """Follows a sequence of edits: says what each did as it is committed, and keeps the bar moving."""

    def __init__(
        self,
        session: Session,
        progress: ProgressDisplay,
        total: int,
        say: Callable[[EditOutcome], None] | None = None,
    ) -> None:
        self._session = session
        self._progress = progress
        self._total = total
        self._done = 0
        self._say = say or self._print_line

    def __call__(self, outcome: EditOutcome) -> None:
        """One step is committed."""
        for text in outcome.warnings:
            self._progress.say(f"warning: {text}")
        if outcome.version is None:
            self._refused(outcome)
        else:
            self._say(outcome)
        self._done = max(self._done + 1, _place(outcome))
        self._progress("edits", self._done, self._total)

    def within(self, _stage: str, _done: int, _total: int) -> None:
        """A step goes on."""
        self._progress("edits", self._done, self._total)

    def _refused(self, outcome: EditOutcome) -> None:
        if not self._session.json:
            line(taken_back_line(outcome))

    def _print_line(self, outcome: EditOutcome) -> None:
        if not self._session.json:
            line(outcome_line(outcome))


def _place(outcome: EditOutcome) -> int:
    """How many steps of the run are over with this one, as far as its version says."""
    run = outcome.version.run if outcome.version else None
    return int((run or {}).get("index", -1)) + 1


def taken_back_line(outcome: EditOutcome) -> str:
    """`  ✗     Japan → Madrid  reject: conflict: v3 said …`."""
    request = outcome.requests[0]
    fact = clipped(f"{request.subject} → {request.target_new}", 26)
    reason = outcome.decision.reasons[0] if outcome.decision.reasons else ""
    text = f"{'✗':>6}  {fact:<26}  {outcome.decision.action}: {reason}"
    return clipped(text, WIDTH)


def outcome_line(outcome: EditOutcome) -> str:
    """`version 3  Japan: Tokyo → Madrid   ES 1.00  PS 1.00  NS 0.67  perplexity 19.2`."""
    from kedit_lifecycle.evaluation.registry import METRICS

    assert outcome.version is not None
    request = outcome.requests[0]
    more = f" (+{len(outcome.requests) - 1})" if len(outcome.requests) > 1 else ""
    shown = [
        f"{METRICS[name].short} {number(outcome.metrics[name].value, 2)}"
        for name in ("efficacy", "paraphrase", "neighborhood", "perplexity")
        if name in outcome.metrics
    ]
    measures = "  ".join(shown)
    width = min(FACT_WIDTH, WIDTH - len(measures) - 10)
    fact = clipped(f"{request.subject} → {request.target_new}", width - len(more)) + more
    return f"{outcome.version.number:>6}  {fact:<{width}}  {measures}".rstrip()


def _print_plan(session: Session, requests: Any, loaded: LoadedRequests, batch: int) -> None:
    versions = -(-len(requests) // batch)
    if session.json:
        skipped = [str(error) for error in loaded.skipped]
        emit_json({"requests": plain(requests), "versions": versions, "skipped": skipped})
        return
    line(
        f"{len(requests)} requests would make {versions} versions; {len(loaded.skipped)} records passed over"
    )
    for request in requests[:10]:
        line(f"  {request.question} → {request.target_new}")
    if len(requests) > 10:
        line(f"  … and {len(requests) - 10} more")


def _print_summary(session: Session, summary: ApplySummary, loaded: LoadedRequests) -> None:
    from kedit_lifecycle.cli.measures import print_measures

    if session.json:
        emit_json({**plain(summary), "skipped": [str(error) for error in loaded.skipped]})
        return
    line()
    print_measures(summary.unedited, summary.metrics, "edited")
    already = f", {summary.already_done} were done before" if summary.already_done else ""
    skipped = f", {len(loaded.skipped)} records passed over" if loaded.skipped else ""
    refused = f", {len(summary.taken_back)} taken back by the gate" if summary.taken_back else ""
    line(f"{len(summary.committed)} versions committed{refused}{already}{skipped}")
    narrate(f"took {duration(summary.seconds)}")
