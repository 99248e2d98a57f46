"""Tables of measures that are not in the ledger yet: an edit's, an evaluation's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kedit_lifecycle.cli.output import Column, number, print_table
from kedit_lifecycle.cli.shapes import metric_title

if TYPE_CHECKING:
    from kedit_lifecycle.evaluation.scores import MetricValue


def print_measures(
    unedited: Mapping[str, MetricValue],
    now: Mapping[str, MetricValue],
    heading: str,
    when_made: Mapping[str, float] | None = None,
) -> None:
    """Every measure with the unedited model's beside it, and the one taken when the edits were made."""
    columns = [
        Column("measure"),
        Column("unedited", "right"),
        *([Column("when made", "right")] if when_made else []),
        Column(heading, "right"),
        Column("n", "right"),
        Column("protocol", elastic=True),
    ]
    rows = []
    for metric in dict.fromkeys((*now, *unedited)):
        known = now.get(metric) or unedited[metric]
        then = [number(when_made.get(metric))] if when_made else []
        values = (_shown(unedited.get(metric)), *then, _shown(now.get(metric)))
        rows.append((metric_title(metric), *values, known.count, known.protocol))
    if rows:
        print_table(columns, rows)


def _shown(value: MetricValue | None) -> str:
    return number(value.value if value else None)
