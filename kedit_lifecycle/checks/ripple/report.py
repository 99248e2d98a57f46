"""What became of every probe, per criterion, and as one check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kedit_lifecycle.checks.result import CheckResult, Verdict, judged
from kedit_lifecycle.checks.ripple.answers import answer_given
from kedit_lifecycle.checks.ripple.criteria import CRITERIA, criterion_of
from kedit_lifecycle.checks.ripple.reading import ProbeReadings
from kedit_lifecycle.evaluation.metrics import mean
from kedit_lifecycle.evaluation.registry import RIPPLE_PROTOCOL, measured
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.facts.request import EditRequest, Probe

WARN_BELOW = 0.5


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """One probe before the edit and after it: what was said, and whether it has an answer that is right.

    `counted`: all its conditions held before; where they did not, `after` need not have been read. `request`
    is the request's position; `category` the criterion, or the data set's own name where it is none.
    """

    probe: Probe
    before: str
    after: str | None
    held_before: bool
    holds: bool
    counted: bool
    request: int
    category: str


@dataclass(frozen=True, slots=True)
class RippleTest:
    """The probes that are judged together: one, or those of one `any_of` name in one request.

    Such a test counts if any of its probes does, and holds if any that counts holds.
    """

    category: str
    outcomes: tuple[ProbeOutcome, ...]

    @property
    def counted(self) -> bool:
        """Whether its conditions held before the edit."""
        return any(outcome.counted for outcome in self.outcomes)

    @property
    def holds(self) -> bool:
        """Whether it holds after the edit."""
        return any(outcome.holds for outcome in self.outcomes if outcome.counted)

    @property
    def held_before(self) -> bool:
        """Whether it held before the edit."""
        return any(outcome.held_before for outcome in self.outcomes if outcome.counted)


@dataclass(frozen=True, slots=True)
class RippleReport:
    """Every probe's outcome, and the share of counted tests that hold."""

    outcomes: tuple[ProbeOutcome, ...]

    @property
    def tests(self) -> tuple[RippleTest, ...]:
        """The tests that the probes form, in the order of their first probes."""
        grouped: dict[tuple[Any, ...], list[ProbeOutcome]] = {}
        for position, outcome in enumerate(self.outcomes):
            name = outcome.probe.any_of
            key = (outcome.request, outcome.category, name, position if name is None else None)
            grouped.setdefault(key, []).append(outcome)
        return tuple(RippleTest(group[0].category, tuple(group)) for group in grouped.values())

    @property
    def by_category(self) -> Mapping[str, MetricValue]:
        """Share of counted tests that hold after the edit; `count` is how many were counted."""
        return dict(self._shares(lambda test: test.holds))

    @property
    def before_by_category(self) -> Mapping[str, MetricValue]:
        """The same tests on the model before the edit."""
        return dict(self._shares(lambda test: test.held_before))

    @property
    def left_out(self) -> Mapping[str, int]:
        """How many tests of each category were not counted, since a condition did not hold before."""
        return {category: sum(not test.counted for test in tests) for category, tests in self._by_category()}

    @property
    def share(self) -> float | None:
        """Share of all counted tests that hold after the edit; None where none was counted."""
        return mean([float(test.holds) for test in self.tests if test.counted])

    def _by_category(self) -> Iterator[tuple[str, list[RippleTest]]]:
        """Tests by category: the criteria in their order, then the data sets' own names."""
        tests = self.tests
        found = dict.fromkeys(test.category for test in tests)
        for category in (*(c for c in CRITERIA if c in found), *(c for c in found if c not in CRITERIA)):
            yield category, [test for test in tests if test.category == category]

    def _shares(self, holding: Callable[[RippleTest], bool]) -> Iterator[tuple[str, MetricValue]]:
        for category, tests in self._by_category():
            held = [float(holding(test)) for test in tests if test.counted]
            share = mean(held)
            if share is not None:
                yield category, _metric(category, share, len(held))


def _metric(category: str, share: float, count: int) -> MetricValue:
    if category in CRITERIA:
        return measured(category, share, count)
    return MetricValue(category, RIPPLE_PROTOCOL, "greedy-generation", share, count)


def ripple_report(
    before: ProbeReadings, after: ProbeReadings, requests: Sequence[EditRequest]
) -> RippleReport:
    """Compare the readings of the requests' probes on the parent with those after the edit.

    Raises:
        UsageError: if before the edit a probe or condition was not read, or after it a probe that counts.
    """
    return RippleReport(
        tuple(
            _outcome(before, after, probe, request, position)
            for position, request in enumerate(requests)
            for probe in request.probes
        )
    )


def _outcome(
    before: ProbeReadings, after: ProbeReadings, probe: Probe, request: EditRequest, position: int
) -> ProbeOutcome:
    counted = before.counts(probe, request)
    said = after.said(probe.prompt) if counted else after.continuations.get(probe.prompt)
    return ProbeOutcome(
        probe=probe,
        before=before.said(probe.prompt),
        after=said,
        held_before=before.gives(probe.prompt, probe.answers),
        holds=said is not None and answer_given(said, probe.answers),
        counted=counted,
        request=position,
        category=criterion_of(probe, request),
    )


def ripple_check(
    report: RippleReport, *, warn: float | None = WARN_BELOW, fail: float | None = None
) -> CheckResult:
    """The share of counted tests that hold, beside lower limits; with none counted it passes without a value.

    `detail` has for each category the shares before and after (None where none was counted), how many tests
    were counted and left out, and the protocol.
    """
    share, counted = report.share, sum(test.counted for test in report.tests)
    left_out = len(report.tests) - counted
    verdict: Verdict = "pass"
    message = f"no ripple test to count ({left_out} left out: a condition did not hold before the edit)"
    if share is not None:
        verdict = judged(share, warn, fail, higher_is_worse=False)
        held = round(share * counted)
        message = f"{held} of {counted} ripple tests hold ({left_out} left out)"
    return CheckResult("ripple", verdict, message, share, warn, fail, _detail(report))


def _detail(report: RippleReport) -> dict[str, Any]:
    before, after = report.before_by_category, report.by_category
    return {
        category: {
            "before": before[category].value if category in before else None,
            "after": after[category].value if category in after else None,
            "counted": after[category].count if category in after else 0,
            "left_out": left_out,
            "protocol": RIPPLE_PROTOCOL,
        }
        for category, left_out in report.left_out.items()
    }
