"""Facts kept in the memory: versions like any other, answered by route, and the weights as they were."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_workbench import QUICK, all_fingerprints, broken_for_tilde, requests, tiny_workbench

from kedit_lifecycle.checks.collapse import HealthLimits
from kedit_lifecycle.checks.collapse.limits import MeasureLimits
from kedit_lifecycle.checks.gate import Policy, Rule
from kedit_lifecycle.editors.fine_tuning import FineTuning, FineTuningConfig
from kedit_lifecycle.errors import GateError, RefusedError
from kedit_lifecycle.facts.request import EditRequest, make_request
from kedit_lifecycle.ledger.verify import verify
from kedit_lifecycle.workbench import Workbench, auto
from kedit_lifecycle.workbench.asking import target_probability
from kedit_lifecycle.workbench.attempts import ATTEMPT_EVENT
from kedit_lifecycle.workbench.checking import check_version, ripple_of
from kedit_lifecycle.workbench.remembering import Memory

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("kedit_cache")]

SERAC: dict[str, Any] = {"method": "serac", "policy": "observe"}
WILD: dict[str, Any] = {"method": "ft", "config": QUICK["ft"] | {"learning_rate": 3.0}}
ASKED = "The capital of France is"
EVERYTHING = MeasureLimits(warn=1e8, fail=1e9)


def capital(target: str, subject: str = "France") -> EditRequest:
    return make_request(
        subject=subject,
        prompt="The capital of {} is",
        target_new=target,
        target_true="Paris",
        relation="P36",
        paraphrases=["France has its seat of government in"],
        neighborhood=["The capital of Italy is"],
    )


def test_a_fact_in_memory_changes_no_weight_and_answers(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        untouched = all_fingerprints(workbench.model)
        plain = workbench.ask("The capital of Italy is")
        outcome = workbench.edit(capital("Rome"), **SERAC)
        version = outcome.version
        assert version is not None
        assert (version.operation, version.editor) == ("memory", "serac")
        assert version.memory
        assert version.tensors == {}
        assert workbench.store.reader.updates(version.number) == []
        assert all_fingerprints(workbench.model) == untouched
        asked = workbench.ask(ASKED)
        assert asked.route is not None
        assert asked.route.answered_by == "memory"
        assert asked.route.entry is not None
        assert asked.route.entry.id == (1, 0)
        elsewhere = workbench.ask("The capital of Italy is")
        assert elsewhere.route is not None
        assert elsewhere.route.answered_by == "model"
        assert (elsewhere.text, elsewhere.top) == (plain.text, plain.top)
        assert workbench.ask(ASKED, ref="0").route is None
        assert verify(workbench.store.path, "deep").findings == []


def test_measures_are_of_the_system_and_perplexity_is_the_models(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        outcome = workbench.edit(capital("Rome"), **SERAC)
        probability = {name: answers[0].target_probability for name, answers in
                       (("before", outcome.before), ("after", outcome.after))}  # fmt: skip
        assert probability["before"] != probability["after"]  # the edit stands before the question
        assert outcome.metrics["perplexity"].value == outcome.unedited["perplexity"].value
        assert outcome.metrics["drift_kl"].value == outcome.unedited["drift_kl"].value
        again = workbench.evaluate_history(record=False)
        (one,) = again.per_request
        assert one.target_probability == pytest.approx(probability["after"], rel=1e-5)
        assert one.neighborhood_next == one.neighborhood_before


def test_undo_checkout_and_branches_have_the_memory_of_their_version(tmp_path: Path) -> None:
    def answered(workbench: Workbench, ref: str) -> str:
        asked = workbench.ask(ASKED, ref=ref)
        return asked.route.entry.request.target_new if asked.route and asked.route.entry else "model"

    with tiny_workbench(tmp_path) as workbench:
        first = workbench.edit(capital("Rome"), **SERAC).version
        second = workbench.edit(capital("Tokyo"), **SERAC, supersede=True).version
        assert first is not None
        assert second is not None
        assert [answered(workbench, ref) for ref in ("0", "1", "2")] == ["model", "Rome", "Tokyo"]
        assert workbench.undo().memory == first.memory
        assert answered(workbench, "HEAD") == "Rome"
        assert answered(workbench, "2") == "Tokyo"
        third = workbench.edit(requests(1)[0], **SERAC).version  # another branch of history
        assert third is not None
        assert len({first.memory, second.memory, third.memory}) == 3
        assert answered(workbench, "HEAD") == "Rome"
        workbench.undo()
        workbench.undo()
        assert workbench.store.reader.head().memory == ""
        assert answered(workbench, "HEAD") == "model"


def test_of_two_facts_for_one_slot_the_newest_answers(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(capital("Rome"), **SERAC)
        with pytest.raises(GateError, match="v1 said"):
            workbench.edit(capital("Tokyo"), method="serac")
        workbench.edit(capital("Tokyo"), **SERAC)
        route = workbench.ask(ASKED).route
        assert route is not None
        assert route.entry is not None
        assert route.entry.request.target_new == "Tokyo"


def test_a_batch_in_memory_is_one_version_and_a_weight_edit_keeps_the_memory(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        (version,) = workbench.apply([capital("Rome"), *requests(2)], batch=3, **SERAC).committed
        assert len(workbench.store.reader.requests(version.number)) == 3
        edited = workbench.edit(requests(3)[2], config=QUICK["rome"], policy="observe").version
        assert edited is not None
        assert edited.memory == version.memory
        assert edited.tensors
        route = workbench.ask(ASKED).route
        assert route is not None
        assert route.answered_by == "memory"


@pytest.mark.parametrize("harm", ["deleted", "foreign", "truncated"])
def test_an_index_that_is_not_the_ledgers_is_made_anew(tmp_path: Path, harm: str) -> None:
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(capital("Rome"), **SERAC)
    folder = tmp_path / "store" / "memory" / "index"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert files
    if harm == "deleted":
        shutil.rmtree(folder)
    for path in files if harm != "deleted" else ():
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if harm == "truncated" else b"something else")
    with Workbench.open(tmp_path / "store") as workbench:
        route = workbench.ask(ASKED).route
        assert route is not None
        assert route.answered_by == "memory"
        assert any("anew" in note for note in workbench.notes)
    with Workbench.open(tmp_path / "store") as workbench:
        workbench.ask(ASKED)
        assert workbench.notes == []


def test_a_candidate_that_is_taken_back_leaves_nothing_in_the_memory(tmp_path: Path) -> None:
    never = Policy(name="never", rules=(Rule(check="efficacy", verdict="warn", action="reject"),))
    with tiny_workbench(tmp_path) as workbench:
        with pytest.raises(GateError):
            workbench.edit(capital("an answer that nobody ever gave"), method="serac", policy=never)
        assert workbench.store.reader.head().number == 0
        workbench.edit(requests(1)[0], **SERAC)  # takes the number that the candidate had
        assert [entry.request.subject for entry in workbench.memory_entries()] == ["City A0"]
        workbench.edit(capital("Rome"), **SERAC)
        route = workbench.ask(ASKED).route
        assert route is not None
        assert route.entry is not None
        assert route.entry.id == (2, 0)


def test_a_dry_run_in_memory_writes_nothing(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        events = workbench.store.reader.counts()["event"]
        outcome = workbench.edit(capital("Rome"), **SERAC, dry_run=True)
        assert outcome.version is None
        assert outcome.after
        assert workbench.store.reader.counts()["event"] == events
        assert workbench.ask(ASKED).route is None


def test_what_would_harm_the_weights_is_kept_in_memory_when_the_policy_says_so(tmp_path: Path) -> None:
    limits = HealthLimits.model_validate({"drift": {"warn": 0.1, "fail": 0.4}})
    policy = Policy(name="p", limits=limits, rules=(Rule(check="drift", verdict="fail", action="memory"),))
    with tiny_workbench(tmp_path) as workbench:
        untouched = all_fingerprints(workbench.model)
        version = workbench.edit(capital("Rome"), **WILD, policy=policy).version
        assert version is not None
        assert version.operation == "memory"
        route = version.diagnostics["route"]
        assert route["instead_of"] == "ft"
        assert route["reasons"][0].startswith("drift: ")
        assert all_fingerprints(workbench.model) == untouched
        (attempt,) = workbench.store.reader.events(kind=ATTEMPT_EVENT)
        assert attempt.payload["decision"] == "memory"


def test_a_run_into_the_memory_resumes_to_the_same_versions(tmp_path: Path) -> None:
    facts = requests(4)

    class Stop(BaseException):
        pass

    def stop(_: object) -> None:
        raise Stop

    (tmp_path / "whole").mkdir()
    with tiny_workbench(tmp_path / "whole") as whole:
        expected = [version.id for version in whole.apply(facts, batch=2, **SERAC).committed]
    with tiny_workbench(tmp_path) as first, pytest.raises(Stop):
        first.apply(facts, batch=2, **SERAC, on_outcome=stop)
    with Workbench.open(tmp_path / "store") as second:
        summary = second.apply(facts, batch=2, **SERAC, resume=True)
        assert [version.id for version in second.store.reader.log(limit=2)[::-1]] == expected
        assert len(summary.committed) == 1


def test_consolidation_writes_the_facts_into_the_weights_and_empties_the_memory(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        untouched = all_fingerprints(workbench.model)
        workbench.apply(requests(3), batch=1, **SERAC)
        settings: dict[str, Any] = {"config": QUICK["memit"], "policy": "observe"}
        part = workbench.consolidate([1, 3], **settings).version
        assert part is not None
        assert (part.operation, part.editor) == ("batch", "memit")
        assert [entry.id.version for entry in workbench.memory_entries()] == [2]
        assert all_fingerprints(workbench.model) != untouched
        rest = workbench.consolidate(**settings).version
        assert rest is not None
        assert rest.memory == ""
        with pytest.raises(RefusedError, match="holds none"):
            workbench.consolidate(**settings)
        workbench.undo()
        workbench.undo()
        assert [entry.id.version for entry in workbench.memory_entries()] == [1, 2, 3]
        assert all_fingerprints(workbench.checkout_model()) == untouched
        assert verify(workbench.store.path, "deep").findings == []


def test_a_consolidation_that_the_gate_takes_back_leaves_the_memory(tmp_path: Path) -> None:
    limits = HealthLimits.model_validate({"drift": {"warn": 0.1, "fail": 0.4}})
    policy = Policy(name="p", limits=limits, rules=(Rule(check="drift", verdict="fail", action="reject"),))
    with tiny_workbench(tmp_path) as workbench:
        workbench.apply(requests(2), batch=1, **SERAC)
        untouched = all_fingerprints(workbench.model)
        with pytest.raises(GateError, match="drift"):
            workbench.consolidate(**WILD, policy=policy)
        assert [entry.id.version for entry in workbench.memory_entries()] == [1, 2]
        assert all_fingerprints(workbench.model) == untouched


def test_a_version_checked_again_is_asked_with_its_memory(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        made = workbench.edit(capital("Rome"), **SERAC)
        workbench.edit(capital("Oslo", "Italy"), **SERAC)
        then = next(one for one in made.checks if one.check == "efficacy")
        now = check_version(workbench, "1", Policy(name="mine")).results
        found = next(one for one in now if one.check == "efficacy").detail["target_probability"]
        assert found == then.detail["target_probability"]
        assert found != pytest.approx(target_probability(workbench, ASKED, "Rome", ref="0"))
        assert ripple_of(workbench, "1").at.number == 1


def test_auto_says_why_it_chose(tmp_path: Path) -> None:
    sentence = "a city on the Seine that has been the seat of kings and presidents"
    with tiny_workbench(tmp_path) as workbench:
        long = workbench.edit(capital(sentence), method="auto", policy="observe").version
        assert long is not None
        route = long.diagnostics["route"]
        assert route["chosen_by"] == "auto"
        assert route["order"] == ["serac", "memit", "serac"]
        assert route["method"] == long.editor
        assert "a target of 14 words is a text" in route["reasons"]
        short = workbench.edit(requests(1)[0], method="auto", policy="observe").version
        assert short is not None
        assert short.diagnostics["route"]["order"][0] in ("memit", "serac")
        tried = [event.payload for event in workbench.store.reader.events(kind=ATTEMPT_EVENT)]
        assert all(payload["decision"] == "retry" for payload in tried)
        assert all(payload["reasons"] for payload in tried)


def test_auto_keeps_off_weights_whose_checks_warned(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(requests(1)[0], **WILD, policy="observe")
        version = workbench.edit(capital("Rome"), method="auto", policy="observe").version
        assert version is not None
        reasons = version.diagnostics["route"]["reasons"]
        assert any(reason.startswith("drift at v1") for reason in reasons)


def test_what_would_wear_the_weights_goes_into_the_memory(tmp_path: Path) -> None:
    def route(folder: str, limits: HealthLimits) -> tuple[str, list[str]]:
        with tiny_workbench(tmp_path / folder) as workbench:
            untouched = all_fingerprints(workbench.model)
            made = workbench.edit(requests(1)[0], method="auto", policy=Policy(name="mine", limits=limits))
            assert made.version is not None
            kept = all_fingerprints(workbench.model) == untouched
            assert kept == (made.version.operation == "memory")
            tried = workbench.store.reader.events(kind=ATTEMPT_EVENT)
            reasons = [reason for one in tried for reason in one.payload["reasons"]]
            said = made.version.diagnostics["route"]["reasons"]
            assert all(any(reason in one for one in said) for reason in reasons)
            assert any("was tried" in one for one in said) == bool(reasons)
            return made.version.operation, reasons

    names = ("efficacy", "perplexity", "perplexity_step", "drift", "weight_change")
    wide = HealthLimits().model_copy(update=dict.fromkeys(names, EVERYTHING))
    assert route("wide", wide) == ("edit", [])
    for check in ("perplexity_step", "weight_change"):
        narrow = wide.model_copy(update={check: MeasureLimits(warn=1e-9, fail=1e9)})
        operation, reasons = route(check, narrow)
        assert operation == "memory"
        assert any(one.startswith(f"{check}:") for one in reasons)


def test_what_the_memory_does_not_hold_goes_into_the_weights_while_the_model_does_not_suffer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # fine-tuning, which reaches its target on the tiny model, in the place of MEMIT
    strong = FineTuningConfig.model_validate(QUICK["ft"] | {"learning_rate": 0.02, "steps": 25})
    monkeypatch.setattr(FineTuning, "default_config", lambda *_: strong)
    for name in ("SPARING", "NEEDED"):
        monkeypatch.setattr(auto, name, replace(getattr(auto, name), method="ft"))
    wide = HealthLimits().model_copy(
        update=dict.fromkeys(("perplexity", "perplexity_step", "drift", "retention"), EVERYTHING)
    )
    moved = wide.model_copy(update={"weight_change": MeasureLimits(warn=1e-9, fail=1e9)})
    suffering = moved.model_copy(update={"drift": MeasureLimits(warn=1e-9, fail=1e9)})
    for name, limits, operation in (("moved", moved, "edit"), ("suffering", suffering, "memory")):
        with tiny_workbench(tmp_path / name) as workbench:
            made = workbench.edit(requests(1)[0], method="auto", policy=Policy(name="mine", limits=limits))
            assert made.version is not None
            assert made.version.operation == operation
            first, second, *rest = made.version.diagnostics["route"]["reasons"][1:]
            assert first.startswith("ft was tried")
            assert "weight_change" in first
            assert second.startswith("serac was tried: efficacy")  # the tiny model does not answer from it
            assert len(rest) == (operation == "memory")


def test_a_fact_that_cannot_be_written_stays_in_the_memory(tmp_path: Path) -> None:
    broken_for_tilde(tmp_path)
    bad = make_request(subject="City ~", prompt="{} is in the country of", target_new="Japan")
    one, other = requests(2)
    with tiny_workbench(tmp_path) as workbench:
        workbench.apply([one, bad, other], batch=3, measure="none", **SERAC)
        made = workbench.consolidate(config=QUICK["memit"], policy="observe").version
        assert made is not None
        assert [entry.request.subject for entry in workbench.memory_entries()] == ["City ~"]
        assert [s.earlier_position for s in workbench.store.reader.supersedes(made.number)] == [0, 2]
        memory = Memory(workbench.store, None)
        assert made.memory == memory.fingerprint(memory.entries(made), memory.config_at(made))


@pytest.mark.parametrize("anew", [False, True])
def test_a_fact_told_again_in_the_weights_is_no_longer_answered_by_the_memory(
    tmp_path: Path, anew: bool
) -> None:
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(capital("Rome"), **SERAC)
        workbench.edit(capital("Oslo", "Norway"), **SERAC)
    with Workbench.open(tmp_path / "store") as workbench:
        if not anew:
            workbench.edit(requests(1)[0], **SERAC)  # the line is at hand, not read from the ledger
        made = workbench.edit(capital("Rome"), config=QUICK["rome"], policy="observe")
        assert made.version is not None
        reader = workbench.store.reader
        assert [
            (one.earlier_version, one.earlier_position) for one in reader.supersedes(made.version.number)
        ] == [(1, 0)]
        (conflict,) = [one for one in made.checks if one.check == "conflict"]
        assert conflict.verdict == "pass"
        assert "takes the place of v1" in conflict.message
        route = workbench.ask(ASKED).route
        assert route is not None
        assert route.answered_by == "model"
        other = workbench.ask("The capital of Norway is").route
        assert other is not None
        assert other.answered_by == "memory"
        workbench.undo()
        back = workbench.ask(ASKED).route
        assert back is not None
        assert back.answered_by == "memory"
        assert verify(workbench.store.path, "deep").findings == []


def test_a_fact_told_again_in_the_memory_is_there_once(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(capital("Rome"), **SERAC)
        workbench.edit(capital("Rome"), **SERAC)
        assert [tuple(one.id) for one in workbench.memory_entries()] == [(2, 0)]


def test_a_fact_told_again_of_the_weights_replaces_nothing(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(capital("Rome"), config=QUICK["rome"], policy="observe")
        made = workbench.edit(capital("Rome"), config=QUICK["rome"], policy="observe")
        assert made.version is not None
        assert workbench.store.reader.supersedes(made.version.number) == []
