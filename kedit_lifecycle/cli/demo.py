"""`demo`: twelve facts of a real model edited one after another, half of them taken back, and the proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.apply import Follower
from kedit_lifecycle.cli.options import DEVICE
from kedit_lifecycle.cli.output import clipped, emit_json, line, narrate, number, paragraph, plain
from kedit_lifecycle.cli.progress import ProgressDisplay, duration
from kedit_lifecycle.cli.session import DEFAULT_STORE, Session, command, pass_session, quiet_libraries
from kedit_lifecycle.cli.setup import DEFAULT_MODEL, loading
from kedit_lifecycle.errors import GateError, StoreError

if TYPE_CHECKING:
    from kedit_lifecycle.evaluation.scores import MetricValue
    from kedit_lifecycle.facts.request import EditRequest
    from kedit_lifecycle.ledger.records import VersionRow
    from kedit_lifecycle.workbench import EditOutcome, Workbench

BACK_TO = 6
MEASURES = ("efficacy", "paraphrase", "neighborhood", "perplexity")
Table = Mapping[str, "MetricValue"]


@command("demo")
@click.option(
    "--model", default=DEFAULT_MODEL, show_default=True, help="The facts are some the default model knows."
)
@click.option(
    "--facts", type=click.IntRange(2, 12), default=12, show_default=True, help="How many of the twelve."
)
@DEVICE
@pass_session
def demo_command(session: Session, model: str, facts: int, device: str) -> None:
    """Edit twelve facts in a real model, then take half of them back.

    The store is a new one: store/demo, or store/demo-2 and so on where there is one already, unless
    --store names another place.
    """
    session.must_write()
    quiet_libraries()
    session.store = new_place(session.store)
    session.resume = f"kedit log --store {session.store}"
    from kedit_lifecycle.facts.demo import demo_requests
    from kedit_lifecycle.workbench import Workbench

    narrate(loading(model))
    with (
        ProgressDisplay() as progress,
        Workbench.create(
            session.store,
            model=model,
            device=device,
            checkpoint_every=4,
            accept_unsound=model != DEFAULT_MODEL,
            progress=progress,
            command=session.command,
        ) as workbench,
    ):
        shown = Demo(session, workbench, progress, demo_requests()[:facts]).run()
    if session.json:
        emit_json(shown)


def new_place(store: Path) -> Path:
    """Where the demo's store goes: below the default store's home, never over another store."""
    first = store / "demo" if store == Path(DEFAULT_STORE) else store
    places = (first if count == 1 else first.with_name(f"{first.name}-{count}") for count in range(1, 10_000))
    return next(place for place in places if not (place / "ledger.db").exists())


class Demo:
    """The parts of the demo, one after another; each prints what it shows and gives it back for `--json`."""

    def __init__(
        self,
        session: Session,
        workbench: Workbench,
        progress: ProgressDisplay,
        requests: Sequence[EditRequest],
    ) -> None:
        self._session = session
        self._workbench = workbench
        self._progress = progress
        self._requests = requests
        self._back_to = min(BACK_TO, len(requests) // 2)
        self._first_said: list[str] = []
        self._said_edited: list[str] = []

    def run(self) -> dict[str, Any]:
        """All of it."""
        edits = self._edit()
        refused = self._contradict()
        rollback = self._roll_back()
        proof = self._verify()
        self._what_next()
        return {
            "store": str(self._session.store),
            "edits": edits,
            "refused": refused,
            "rollback": rollback,
            "verify": proof,
        }

    def _say(self, text: str = "") -> None:
        if not self._session.json:
            line(text)

    def _say_at(self, heading: str, text: str) -> None:
        if not self._session.json:
            paragraph(heading, text)

    def _edit(self) -> dict[str, Any]:
        count = len(self._requests)
        self._say(f"{count} facts, edited one after another with ROME; the store: {self._session.store}")
        self._say("The measures are of that edit, just after it; ppl is perplexity on a fixed text.")
        self._say()
        self._say(_row("", "fact", "it said", "it says now", ("ES", "PS", "NS", "ppl")))
        follow = Follower(self._session, self._progress, count, say=self._one_edited)
        summary = self._workbench.apply(
            self._requests, policy="observe", message="demo", on_outcome=follow, progress=follow.within
        )
        last = self._workbench.evaluate_history()
        self._say()
        self._say(_row("", "means", "", "", ("ES", "PS", "NS", "ppl")))
        self._say(_row("", "unedited model", "", "", _measures(last.unedited)))
        self._say(_row("", "each, just after its edit", "", "", _measures(summary.metrics)))
        self._say(_row("", f"all, after edit {count}", "", "", _measures(last.metrics)))
        narrate(f"{count} edits took {duration(summary.seconds)}")
        return {
            "committed": [version.number for version in summary.committed],
            "said": self._first_said,
            "says": self._said_edited,
            "unedited": plain(last.unedited),
            "at_own_version": plain(summary.metrics),
            "at_last_version": plain(last.metrics),
            "seconds": summary.seconds,
        }

    def _one_edited(self, outcome: EditOutcome) -> None:
        assert outcome.version is not None
        request, said, says = outcome.requests[0], outcome.before[0], outcome.after[0]
        self._first_said.append(said.completion)
        self._said_edited.append(says.completion)
        if outcome.version.number == 1:
            self._say(_row("", "unedited model", "", "", ("", "", "", _measures(outcome.unedited)[3])))
        fact = f"{request.subject} → {request.target_new}"
        shown = _row(
            outcome.version.number, fact, said.completion, says.completion, _measures(outcome.metrics)
        )
        self._say(shown)

    def _contradict(self) -> str:
        """Try to make an edit that contradicts the last one; the gate turns it down before it is made."""
        last = self._requests[-1]
        other = last.model_copy(update={"target_new": last.target_true or "nothing"})
        self._say()
        self._say(f"kedit edit: {other.question} → {other.target_new}")
        try:
            self._workbench.edit(other, message="demo")
        except GateError as error:
            self._say_at("  refused: ", str(error))
            return str(error)
        raise AssertionError("an edit that contradicts an earlier one passed the gate")

    def _roll_back(self) -> dict[str, Any]:
        """Go back, then ask the model itself, and take the fingerprints of its tensors again."""
        target = self._workbench.rollback(str(self._back_to), message="demo")
        self._say()
        self._say(f"kedit rollback {target.number}")
        matching = self._fingerprints(target)
        self._say(
            f"  {matching} of {len(target.tensors)} edited tensors have the bytes they were committed with"
        )
        answers = [self._workbench.ask(one.question).text for one in self._requests]
        for place, (request, now) in enumerate(zip(self._requests, answers, strict=True), start=1):
            asked, said = clipped(request.question, 40), clipped(_start(now), 22)
            self._say(f"  {place:>2} {asked:<40} {said:<22} {_reading(request, now)}")
        return {"to": target.number, "matching_tensors": matching, "answers": answers}

    def _fingerprints(self, version: VersionRow) -> int:
        """How many tensors are, byte for byte, what the version was committed with.

        Raises:
            StoreError: not all of them.
        """
        model = self._workbench.checkout_model(str(version.number))
        found = {name: model.fingerprints(name) for name in version.tensors}
        same = [
            name
            for name, state in version.tensors.items()
            if dataclasses.astuple(found[name]) == dataclasses.astuple(state)
        ]
        if len(same) != len(version.tensors):
            raise StoreError(
                f"{len(version.tensors) - len(same)} tensors differ from version {version.number}"
            )
        return len(same)

    def _verify(self) -> dict[str, Any]:
        from kedit_lifecycle.ledger.verify import verify

        report = verify(self._session.store, "deep", None, self._progress)
        self._say()
        self._say("kedit verify --deep")
        for text in report.proven:
            self._say_at("  proven: ", text)
        for finding in report.findings:
            self._say_at(f"  {finding.severity}: ", f"{finding.where}: {finding.problem}")
        if report.damaged:
            raise StoreError(
                "the demo's store is damaged", hint=f"kedit verify --deep --store {self._session.store}"
            )
        self._say("  sound")
        return {"damaged": report.damaged, "proven": report.proven, "head_hash": report.head_hash}

    def _what_next(self) -> None:
        at = f"--store {self._session.store}"
        question = self._requests[-1].question
        self._say()
        self._say("Next:")
        for text in (
            f"kedit undo {at}",
            f"kedit log {at}",
            f"kedit show {len(self._requests)} {at}",
            f"kedit diff {self._back_to} {len(self._requests)} {at}",
            f'kedit ask "{question}" --at {len(self._requests)} --compare 0 {at}',
        ):
            self._say(f"  {text}")


def _row(place: object, fact: str, said: str, says: str, measures: Sequence[str]) -> str:
    """One line of the demo's table, 80 columns at most."""
    answers = f"{clipped(fact, 27):<27} {clipped(_start(said), 12):<12} {clipped(_start(says), 12):<12}"
    middle = answers if said or says else f"{clipped(fact, 53):<53}"
    return (f"{place!s:>2} {middle}" + "".join(f" {value:>5}" for value in measures)).rstrip()


def _start(completion: str) -> str:
    """The first line of what the model said."""
    lines = completion.strip().splitlines()
    return lines[0] if lines else ""


def _reading(request: EditRequest, completion: str) -> str:
    """Whether an answer is the new one, the old one, or neither."""
    from kedit_lifecycle.evaluation.metrics import generated_match

    if generated_match(completion, request.target_new):
        return "as edited"
    was_true = request.target_true is not None and generated_match(completion, request.target_true)
    return "as before" if was_true else "neither"


def _measures(table: Table) -> tuple[str, ...]:
    values = [table[metric].value if metric in table else None for metric in MEASURES]
    perplexity = values[3]
    digits = 2 if perplexity is None or perplexity < 100 else 0
    return (*(number(value, 2) for value in values[:3]), number(perplexity, digits))
