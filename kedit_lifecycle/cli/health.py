"""`health`: the state of the model over its history, and the series behind it; from the ledger alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.options import POLICY
from kedit_lifecycle.cli.output import Column, emit_json, line, number, plain, print_table
from kedit_lifecycle.cli.session import Session, command, pass_session
from kedit_lifecycle.errors import RefusedError

if TYPE_CHECKING:
    from kedit_lifecycle.checks.collapse import Health, HealthLimits
    from kedit_lifecycle.checks.collapse.history import Reading

MEASURES = {
    "perplexity": "PPL ×",
    "drift": "drift",
    "retention": "lost",
    "neighborhood": "N changed",
    "weight_change": "‖ΔW‖/‖W‖",
    "efficacy": "missed",
}
SIGNS = {"healthy": "● healthy", "degrading": "! degrading", "collapsed": "✗ collapsed"}


@command("health")
@click.argument("ref", default="HEAD")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="Versions listed.")
@click.option("--plot", is_flag=True, help="Draw the series in the terminal.")
@click.option("--png", type=click.Path(path_type=Path, dir_okay=False), help="Draw them into this file.")
@POLICY
@pass_session
def health_command(session: Session, ref: str, limit: int, plot: bool, png: Path | None, policy: str) -> None:
    """Say whether the model of a version is healthy, degrading or collapsed, and since when.

    From what the checks measured when each edit was made, held to the limits of a policy; no model is
    loaded. Perplexity is a ratio to the unedited model's; the other measures are 0 when all is well.
    """
    from kedit_lifecycle.checks.collapse import health_series
    from kedit_lifecycle.checks.collapse.history import recorded_series
    from kedit_lifecycle.checks.gate import load_policy

    limits = load_policy(policy).limits
    with session.reader() as reader:
        version = reader.resolve(ref)
        series = recorded_series(reader, version, limits)
    states = health_series(series, limits)
    if session.json:
        emit_json(_as_json(version.number, series, states))
    elif not series:
        line(f"version {version.number}: nothing was measured on the way to it")
    else:
        _print(series[-limit:], states[-limit:], version.number)
    if plot or png:
        _draw(series, states, limits, plot=plot, png=png)


def _as_json(number_: int, series: list[Reading], states: list[tuple[int, Health]]) -> Any:
    last = plain(states[-1][1]) if states else None
    rows = [
        {"version": version, **values, "state": health.state}
        for (version, values), (_, health) in zip(series, states, strict=True)
    ]
    return {"version": number_, "health": last, "series": rows}


def _print(series: list[Reading], states: list[tuple[int, Health]], number_: int) -> None:
    now = states[-1][1]
    since = "" if now.since is None else f" since version {now.since}"
    line(f"version {number_}: {SIGNS[now.state]}{since}")
    for reason in now.reasons:
        line(f"  {reason}")
    line()
    columns = [
        Column("v", "right"),
        *(Column(name, "right") for name in MEASURES.values()),
        Column("state"),
    ]
    rows = [
        (version, *(number(values.get(name)) for name in MEASURES), SIGNS[health.state])
        for (version, values), (_, health) in zip(series, states, strict=True)
    ]
    print_table(columns, rows)


def _draw(
    series: list[Reading],
    states: list[tuple[int, Health]],
    limits: HealthLimits,
    *,
    plot: bool,
    png: Path | None,
) -> None:
    from kedit_lifecycle.cli.charts import draw_png, draw_terminal

    if not series:
        raise RefusedError(
            "there is nothing to draw: no version was measured", hint="kedit edit; kedit health"
        )
    if plot:
        draw_terminal(series, limits)
    if png is not None:
        draw_png(series, states, limits, png)
        line(f"drawn into {png}")
