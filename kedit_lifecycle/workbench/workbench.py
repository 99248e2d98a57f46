"""`Workbench`: a store and its model, and everything one can do with them."""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from kedit_lifecycle.checks.gate import Policy, load_policy
from kedit_lifecycle.checks.health.checks import HealthChecks
from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.editors.statistics import Statistics, StatisticsEntry, open_statistics
from kedit_lifecycle.editors.statistics.corpus import Corpus
from kedit_lifecycle.errors import ModelError, RefusedError, UsageError
from kedit_lifecycle.evaluation.answering import PlainModel
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.ledger.making import refuse_existing
from kedit_lifecycle.ledger.records import Supersession, VersionRow
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.memory.entry import MemoryEntry
from kedit_lifecycle.memory.system import RoutedModel
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.sanity import check_sanity
from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model
from kedit_lifecycle.progress import Progress, silent
from kedit_lifecycle.tuning.profile import load_profile
from kedit_lifecycle.workbench.attempts import keep_policy
from kedit_lifecycle.workbench.auto import Choice, choose
from kedit_lifecycle.workbench.batch_conflicts import refuse_conflicts
from kedit_lifecycle.workbench.checkout import check_out
from kedit_lifecycle.workbench.editing import Bench, Step, settle
from kedit_lifecycle.workbench.gatekeeping import Gatekeeper, contradictions
from kedit_lifecycle.workbench.history import live_requests
from kedit_lifecycle.workbench.line_state import LineState
from kedit_lifecycle.workbench.measuring import Measure, Measuring
from kedit_lifecycle.workbench.outcomes import Answer, ApplySummary, EditOutcome, Evaluation
from kedit_lifecycle.workbench.remembering import Memory
from kedit_lifecycle.workbench.sequence import RUN_EVENT, RunPlan, started, steps_done
from kedit_lifecycle.workbench.serac import find_method
from kedit_lifecycle.workbench.stepping import carry_out, refusal
from kedit_lifecycle.workbench.summary import ApplyTally

DEFAULT_CHECKPOINT_EVERY = 32
DEFAULT_POLICY = "guarded"
DRIFT_SAMPLE_TOKENS = 512  # of the unedited model's own text; the policy's budget says how many are read


class Workbench:
    """A store, and its model at the version asked for.

    The model is loaded when it is first needed. Use it as a context manager, or call `close`.
    """

    def __init__(self, store: Store, *, device: str = "cpu", progress: Progress = silent) -> None:
        self.store = store
        self.notes: list[str] = []  # what a checkout had to say
        self.author = os.environ.get("KEDIT_AUTHOR") or _user()
        self.command = "python"
        self._device = device
        self._progress = progress
        self._bench: Bench | None = None
        self._may_write = False  # to the store's statistics: while the writer lock is held
        self._measuring: dict[str, Measuring] = {}  # by what its checks are held to and may cost
        self._line = LineState()

    @classmethod
    def create(
        cls,
        path: str | Path = "store",
        *,
        model: str = DEFAULT_MODEL,
        dtype: str | None = None,
        device: str = "cpu",
        checkpoint_every: int = DEFAULT_CHECKPOINT_EVERY,
        accept_unsound: bool = False,
        progress: Progress = silent,
        command: str = "python",
    ) -> Workbench:
        """Load and check a model, and start a history for it at `path`.

        Raises:
            ModelError: no such model, or it fails its sanity check (unless `accept_unsound`).
            RefusedError: there is a store already.
        """
        if checkpoint_every < 1:
            raise UsageError("checkpoint_every must be at least 1")
        refuse_existing(Path(path))  # before minutes go into loading a model
        loaded = load_model(model, dtype=dtype, device=device)
        report = check_sanity(loaded)
        if report.verdict == "fail" and not accept_unsound:
            wrong = "; ".join(f"{c.name}: {c.found}" for c in report.checks if c.verdict == "fail")
            raise ModelError(
                f"the model {model!r} does not look right ({wrong})",
                hint="kedit models check NAME; --accept-unsound if it is meant to be so",
            )
        meta = _meta(loaded, checkpoint_every)
        workbench = cls(
            Store.create(Path(path), meta, author=os.environ.get("KEDIT_AUTHOR") or _user(), command=command),
            device=device,
            progress=progress,
        )
        workbench.command = command
        workbench._adopt(loaded)
        return workbench

    @classmethod
    def open(
        cls,
        path: str | Path = "store",
        *,
        readonly: bool = False,
        device: str = "cpu",
        progress: Progress = silent,
        command: str = "python",
    ) -> Workbench:
        """Open the store at `path`.

        Raises:
            NoStoreError: there is none.
        """
        workbench = cls(Store.open(Path(path), readonly=readonly), device=device, progress=progress)
        workbench.command = command
        return workbench

    def close(self) -> None:
        """Let go of the store's lock and of the model."""
        self.store.close()
        self._bench = None

    def __enter__(self) -> Self:
        """The workbench itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # The model

    @property
    def model(self) -> EditableModel:
        """The model, as it was left by the last call."""
        return self._ready().model

    @property
    def statistics(self) -> Statistics:
        """What is known of the unedited model."""
        return self._ready().statistics

    def _ready(self) -> Bench:
        if self._bench is None:
            meta = self.store.meta
            loaded = load_model(meta["model_name"], dtype=meta["dtype"], device=self._device)
            if loaded.base_digest != meta["base_digest"]:
                raise ModelError(
                    f"{meta['model_name']} is not the model this store was made for: its weights have the "
                    f"digest {loaded.base_digest[:12]}, the store says {meta['base_digest'][:12]}",
                    hint="put the original model back at that place",
                )
            self._adopt(loaded)
        assert self._bench is not None
        if (self._bench.author, self._bench.command) != (self.author, self.command):
            self._bench = replace(self._bench, author=self.author, command=self.command)
        return self._bench

    def _adopt(self, model: EditableModel) -> None:
        path, blobs = self.store.path / "stats", self.store.blobs
        statistics = open_statistics(model, path, blobs, self._progress, may_write=lambda: self._may_write)
        memory = Memory(self.store, model, self._progress)
        self._bench = Bench(self.store, model, statistics, self.author, self.command, memory)

    def checkout_model(self, ref: str = "HEAD") -> EditableModel:
        """The model with exactly the weights of a version, every fingerprint compared.

        Raises:
            StoreError: if the version's bytes cannot be had.
        """
        return self._at(self.store.reader.resolve(ref)).model

    def system_at(self, version: VersionRow) -> RoutedModel | None:
        """The model of a version together with its memory; None where that is empty."""
        return self._at(version).memory.system_at(version)

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._bench is not None

    def _at(self, version: VersionRow) -> Bench:
        bench = self._ready()
        self.notes += check_out(bench.model, self.store, version)
        return bench

    # Editing

    def edit(
        self,
        request: EditRequest,
        *,
        method: str = "rome",
        profile: str | None = None,
        config: Mapping[str, Any] | None = None,
        seed: int = 0,
        message: str = "",
        measure: Measure = "all",
        policy: str | Policy = DEFAULT_POLICY,
        supersede: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> EditOutcome:
        """Change one fact: one version on top of HEAD.

        The policy (a name, or a file's) decides whether it is committed; with another `measure` than
        "all", only on the conflicts. `supersede`: it takes the place of earlier edits it contradicts.

        Raises:
            EditFailedError: the editor found no usable update; nothing changed.
            GateError: the policy did not let it pass (not on a dry run, which says so in the outcome).
        """
        with self._writing(dry_run):
            head = self.store.reader.head()
            bench = self._at(head)
            editor = find_method(method)
            digest, config = self._from_profile(profile, method, config)
            settings = settle(editor, bench, config)
            step = Step(editor, settings, (request,), seed, message, profile=digest)
            gate = self._gatekeeper(policy, supersede=supersede, dry_run=dry_run)
            report = progress or self._progress
            outcome = carry_out(
                bench, head, step, gate=gate, measure=measure, dry_run=dry_run, progress=report
            )
            self._follow(outcome)
        if outcome.version is None and not dry_run:
            raise refusal(outcome)
        return outcome

    def advise(self, request: EditRequest, *, supersede: bool = False) -> Choice:
        """What `auto` would try for a fact on top of HEAD, in order, and why; nothing is written."""
        with self._writing(True):
            head = self.store.reader.head()
            self._line.go_to(self.store, head)
            against = contradictions(self._line, [request], supersede=supersede)
            return choose(self.store.reader, head, [request], against)

    def _gatekeeper(self, policy: str | Policy, *, supersede: bool, dry_run: bool = False) -> Gatekeeper:
        """What holds edits to a policy; the ledger keeps each policy that was ever used."""
        found = policy if isinstance(policy, Policy) else load_policy(policy)
        if not dry_run:
            keep_policy(self.store, found, author=self.author, command=self.command)
        measuring = self.measured_by(found)
        return Gatekeeper(self.store, self.model, measuring, self._line, found, supersede)

    def measured_by(self, policy: Policy) -> Measuring:
        """What measures within the policy's limits and budget; the unedited model is read once for each."""
        name = policy.limits.model_dump_json() + policy.budget.model_dump_json()
        if name not in self._measuring:
            samples = self.statistics.samples(DRIFT_SAMPLE_TOKENS, seed=1)
            health = HealthChecks(self.model, samples, policy.limits, policy.budget)
            self._measuring[name] = Measuring(self.model, health)
        return self._measuring[name]

    def _follow(self, outcome: EditOutcome) -> VersionRow:
        """HEAD after a step, with the model there."""
        if outcome.rolled_back_to is not None:
            self._at(outcome.rolled_back_to)
        return outcome.version or outcome.rolled_back_to or self.store.reader.head()

    def apply(
        self,
        requests: Sequence[EditRequest],
        *,
        method: str = "rome",
        profile: str | None = None,
        config: Mapping[str, Any] | None = None,
        seed: int = 0,
        batch: int = 1,
        resume: bool = False,
        allow_conflicts: bool = False,
        policy: str | Policy = DEFAULT_POLICY,
        supersede: bool = False,
        message: str = "",
        measure: Measure = "all",
        progress: Progress | None = None,
        on_outcome: Callable[[EditOutcome], None] | None = None,
    ) -> ApplySummary:
        """Change many facts in order, `batch` to a version. What is committed stays if a later one fails.

        The policy decides on each version as for `edit`; a step that it takes back is in the summary, and
        the run goes on. With `resume`, the run that HEAD is in the middle of goes on; it ends with the same
        version ids as if it had never been interrupted.

        Raises:
            RefusedError: `resume`, and HEAD is not in the middle of this very run; or a batch has two
                targets for one subject and relation, unless `allow_conflicts`.
            GateError: the policy stopped the run.
        """
        if not requests or batch < 1:
            raise UsageError("nothing to apply" if batch > 0 else "a batch holds at least one request")
        with self._writing():
            head = self.store.reader.head()
            bench = self._at(head)
            editor = find_method(method)
            digest, config = self._from_profile(profile, method, config)
            settings = settle(editor, bench, config)
            values = settings.model_dump(mode="json") | ({"profile": digest} if digest else {})
            plan = RunPlan(tuple(requests), method, values, seed, batch, message)
            if not allow_conflicts:
                refuse_conflicts(plan.steps())
            run, done = plan.run_id(head.id), 0
            if resume:
                run, done = steps_done(self.store.reader, head, plan)
                self._note_other_threads(run)
            else:
                self._record_run(plan, run)
            gate = self._gatekeeper(policy, supersede=supersede)
            tally = ApplyTally(run, already_done=done)
            for index, group in enumerate(plan.steps()):
                if index >= done:
                    step = Step(editor, settings, group, seed, message, plan.label(run, index), digest)
                    report = progress or self._progress
                    outcome = carry_out(
                        bench, head, step, gate=gate, measure=measure, dry_run=False, progress=report
                    )
                    head = self._follow(outcome)
                    tally.add(outcome)
                    if on_outcome is not None:
                        on_outcome(outcome)
                    if outcome.decision.action == "halt":
                        raise refusal(outcome)
            return tally.summary()

    def _from_profile(
        self, name: str | None, method: str, config: Mapping[str, Any] | None
    ) -> tuple[str | None, Mapping[str, Any] | None]:
        """The profile's digest, and its settings with `config` over them."""
        if name is None:
            return None, config
        found = load_profile(self.store.path, name, method, self.store.meta["base_digest"])
        return found.digest, {**found.config, **(config or {})}

    def _record_run(self, plan: RunPlan, run: str) -> None:
        payload = {
            "id": run,
            "method": plan.method,
            "steps": len(plan.steps()),
            "requests": len(plan.requests),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        self.store.record(RUN_EVENT, payload, author=self.author, command=self.command)

    def _note_other_threads(self, run: str) -> None:
        """An optimisation gives other bits on another number of threads; stored factors do not."""
        record = started(self.store.reader, run) or {}
        now = {"threads": torch.get_num_threads(), "torch": torch.__version__}
        before = {name: record.get(name, value) for name, value in now.items()}
        if before != now:
            self.notes.append(
                f"the run began with {before['threads']} threads and torch {before['torch']}, and goes on "
                f"with {now['threads']} and {now['torch']}: its versions will not have the ids of an "
                "unbroken run"
            )

    @contextlib.contextmanager
    def _writing(self, dry_run: bool = False) -> Iterator[None]:
        """Hold the writer lock inside, and let statistics be kept; on a dry run nothing is written."""
        if dry_run:
            yield
            return
        with self.store.writing():
            self._may_write = True
            try:
                yield
            finally:
                self._may_write = False

    # Asking and measuring

    def ask(
        self,
        prompt: str,
        *,
        ref: str = "HEAD",
        max_new_tokens: int = 20,
        sample: bool = False,
        temperature: float = 1.0,
        seed: int = 0,
        top: int = 5,
    ) -> Answer:
        """What a version says to a prompt: greedy, or sampled under a seed."""
        if not prompt.strip():
            raise UsageError("the prompt is empty")
        version = self.store.reader.resolve(ref)
        bench = self._at(version)
        memory, tokenizer = bench.memory.system_at(version), bench.model.tokenizer
        self.notes += bench.memory.take_notes()
        system = memory or PlainModel(bench.model)
        chosen = seed if sample else None
        ids = system.generate([prompt], max_new_tokens, seed=chosen, temperature=temperature)[0]
        text = tokenizer.decode(ids, skip_special_tokens=True)
        best = system.scorer().next_logprobs([prompt], top)[0]
        tokens = tuple((tokenizer.decode([one.token]), one.probability) for one in best)
        return Answer(prompt, text, version, tokens, memory.routes([prompt])[0] if memory else None)

    def evaluate(
        self,
        requests: Sequence[EditRequest],
        *,
        ref: str = "HEAD",
        fluency: bool = False,
        versions: Sequence[int] = (),
    ) -> Evaluation:
        """Evaluate requests at a version beside the unedited model; nothing is written."""
        version = self.store.reader.resolve(ref)
        system = self._at(version).memory.system_at(version)
        measuring = self.measured_by(load_policy(DEFAULT_POLICY))
        unedited = measuring.unedited(requests, fluency=fluency)
        now = measuring.now(requests, fluency=fluency, before=unedited, against="base", system=system)
        numbers = tuple(versions) or (0,) * len(requests)
        return Evaluation(version, tuple(requests), numbers, now.evaluations, now.table(), unedited.table())

    def measure_model(self) -> dict[str, MetricValue]:
        """Perplexity and drift of the model as it was left by the last call."""
        return self.measured_by(load_policy(DEFAULT_POLICY)).whole()

    def evaluate_history(
        self, *, ref: str = "HEAD", at: str | None = None, fluency: bool = False, record: bool = True
    ) -> Evaluation:
        """Evaluate every edit in the history of `ref` on the model of version `at` (default `ref`).

        With `record`, the numbers are added to the ledger, beside those taken when each edit was made.

        Raises:
            RefusedError: there is no edit in that history.
        """
        line = live_requests(self.store.reader, self.store.reader.resolve(ref))
        if not line:
            raise RefusedError(f"there are no edits in the history of {ref}")
        requests = [request for _, _, request in line]
        numbers = [version.number for version, _, _ in line]
        result = self.evaluate(requests, ref=at or ref, fluency=fluency, versions=numbers)
        if record:
            from kedit_lifecycle.workbench.history import record_evaluation

            record_evaluation(self.store, result, [p for _, p, _ in line], self.author, self.command)
        return result

    def consolidate(
        self,
        versions: Sequence[int] = (),
        *,
        method: str = "memit",
        config: Mapping[str, Any] | None = None,
        seed: int = 0,
        message: str = "",
        policy: str | Policy = DEFAULT_POLICY,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> EditOutcome:
        """Write facts of the memory into the weights as one batch, and drop them from the memory.

        Of these versions, or all that it holds. One version, one undo; where the policy does not let the
        batch pass, the memory keeps them.

        Raises:
            RefusedError: the memory holds none of them.
            GateError: the policy did not let it pass.
        """
        with self._writing(dry_run):
            head = self.store.reader.head()
            bench = self._at(head)
            chosen = [e for e in bench.memory.entries(head) if not versions or e.id.version in versions]
            if not chosen:
                raise RefusedError("the memory at HEAD holds none of these facts", hint="kedit memory list")
            editor = get_editor(method)
            requests = tuple(entry.request for entry in chosen)
            step = Step(editor, settle(editor, bench, config), requests, seed, message)
            gate = self._gatekeeper(policy, supersede=False, dry_run=dry_run)
            gate.replacing = tuple(Supersession(place, *entry.id) for place, entry in enumerate(chosen))
            outcome = carry_out(
                bench,
                head,
                step,
                gate=gate,
                measure="all",
                dry_run=dry_run,
                progress=progress or self._progress,
            )
            self._follow(outcome)
        if outcome.version is None and not dry_run:
            raise refusal(outcome)
        return outcome

    def memory_entries(self, ref: str = "HEAD") -> list[MemoryEntry]:
        """The facts that the memory of a version holds, oldest first."""
        return self._ready().memory.entries(self.store.reader.resolve(ref))

    # Moving in history

    def rollback(self, ref: str, *, message: str = "") -> VersionRow:
        """Move the current branch to an earlier (or any other) version; `undo` takes it back."""
        target = self.store.reader.resolve(ref)
        self._at(target)  # its bytes must be there before HEAD goes to it
        return self.store.move(
            target.id, kind="rollback", author=self.author, command=self.command, message=message
        )

    def undo(self) -> VersionRow:
        """Take back the last commit, rollback or switch."""
        return self.store.undo(author=self.author, command=self.command)

    def redo(self) -> VersionRow:
        """Take back the last undo."""
        return self.store.redo(author=self.author, command=self.command)

    def switch(self, ref: str) -> VersionRow:
        """Put HEAD on a branch, or detach it at a version."""
        return self.store.move(ref, kind="switch", author=self.author, command=self.command)

    # Statistics of the unedited model

    def build_stats(
        self,
        layers: Sequence[int] | None = None,
        *,
        method: str = "rome",
        tokens: int | None = None,
        corpus: Corpus | None = None,
    ) -> list[StatisticsEntry]:
        """Key covariance of the layers, in one pass; by default of those, and the tokens, of the method."""
        bench = self._ready()
        editor = get_editor(method)
        config = editor.default_config(bench.model)
        wanted = list(layers or editor.layers(config))
        beyond = [layer for layer in wanted if not 0 <= layer < bench.model.layer_count]
        if beyond:
            raise UsageError(f"no layer {beyond[0]}: the model has {bench.model.layer_count}, from 0")
        tokens = tokens or getattr(config, "second_moment_tokens", None)
        with self._writing():
            return bench.statistics.build_second_moments(wanted, tokens=tokens, corpus=corpus)

    def list_stats(self) -> list[StatisticsEntry]:
        """Every statistic kept in this store."""
        from kedit_lifecycle.editors.statistics import StatisticsLibrary

        return StatisticsLibrary(self.store.path / "stats", self.store.blobs).entries()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _meta(model: EditableModel, checkpoint_every: int) -> dict[str, str]:
    from kedit_lifecycle import __version__

    local = Path(model.source).is_dir() and model.name != DEFAULT_MODEL
    return {
        "model_name": model.source if local else model.name,
        "model_source": model.source,
        "base_digest": model.base_digest,
        "dtype": str(model.dtype).removeprefix("torch."),
        "architecture": model.network.config.model_type,
        "release": __version__,
        "checkpoint_every": str(checkpoint_every),
    }
