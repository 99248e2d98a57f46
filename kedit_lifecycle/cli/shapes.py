"""Rows of the ledger as lines for people and as JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kedit_lifecycle.cli.output import plain
from kedit_lifecycle.evaluation.registry import METRICS

if TYPE_CHECKING:
    from kedit_lifecycle.ledger.reader import LedgerReader
    from kedit_lifecycle.ledger.records import MetricDraft, RefRow, RequestDraft, VersionRow

SCORE_PARTS = ("efficacy", "paraphrase", "neighborhood")


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of a version, the mean over its requests, at one evaluated version."""

    metric: str
    protocol: str
    scorer: str
    evaluated: int
    value: float
    requests: int


def when(time: str) -> str:
    """A time of the ledger (UTC) to the minute."""
    return time[:16].replace("T", " ")


def fact_line(request: RequestDraft) -> str:
    """`Japan: Tokyo → Madrid`."""
    before = f"{request.target_true} → " if request.target_true else "→ "
    return f"{request.subject}: {before}{request.target_new}"


def version_line(version: VersionRow, requests: Sequence[RequestDraft]) -> str:
    """What a version did, in one line."""
    if not requests:
        return version.message or version.operation
    more = f" (+{len(requests) - 1} more)" if len(requests) > 1 else ""
    return f"{fact_line(requests[0])}{more}" + (f" · {version.message}" if version.message else "")


def version_json(version: VersionRow, requests: Sequence[RequestDraft], names: Sequence[str] = ()) -> Any:
    """A version for `--json`, its requests whole and its refs beside."""
    shown = plain(version)
    shown["requests"] = [plain(request.payload) for request in requests]
    shown["refs"] = list(names)
    return shown


def ref_names(reader: LedgerReader) -> dict[str, list[str]]:
    """Version id -> the refs there; HEAD first, and its branch after it."""
    branch, at = reader.head_ref()
    names: dict[str, list[str]] = {at: ["HEAD"]}
    refs = sorted(reader.refs(), key=lambda ref: ref.name != branch)
    for ref in refs:
        if ref.kind != "head":
            names.setdefault(ref.target, []).append(_ref_label(ref))
    return names


def _ref_label(ref: RefRow) -> str:
    return f"tag {ref.name}" if ref.kind == "tag" else ref.name


def measured(metrics: Iterable[MetricDraft], version: int) -> list[Measured]:
    """Means over a version's requests, per metric, protocol, scorer and evaluated version.

    The score S of several requests is the harmonic mean of their mean ES, PS and NS, not a mean of scores.
    """
    groups: dict[tuple[str, str, str, int], list[float]] = {}
    for one in metrics:
        evaluated = version if one.evaluated is None else one.evaluated
        groups.setdefault((one.metric, one.protocol, one.scorer, evaluated), []).append(one.value)
    means = [Measured(*key, statistics.fmean(values), len(values)) for key, values in groups.items()]
    return [_whole_score(one, means) if one.metric == "score" else one for one in means]


def _whole_score(score: Measured, means: Sequence[Measured]) -> Measured:
    parts = [one.value for one in means if one.metric in SCORE_PARTS and one.evaluated == score.evaluated]
    value = statistics.harmonic_mean(parts) if len(parts) == len(SCORE_PARTS) else score.value
    return Measured(score.metric, score.protocol, score.scorer, score.evaluated, value, score.requests)


def metric_title(metric: str) -> str:
    """A metric's short name and id, as in the registry."""
    known = METRICS.get(metric)
    return f"{known.short} {metric}" if known and known.short != metric else metric


def common_ancestor(reader: LedgerReader, one: VersionRow, other: VersionRow) -> VersionRow:
    """The deepest version that both descend from, found by halving the depth."""
    low, high = 0, min(one.depth, other.depth)
    while low < high:
        middle = (low + high + 1) // 2
        if reader.ancestor_at(one, middle).id == reader.ancestor_at(other, middle).id:
            low = middle
        else:
            high = middle - 1
    return reader.ancestor_at(one, low)
