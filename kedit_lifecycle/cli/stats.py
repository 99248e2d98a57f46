"""`stats`: the covariance of keys, from which editors know what a layer is used for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.catalogue import COMMANDS
from kedit_lifecycle.cli.options import DEVICE, METHOD, layer_list
from kedit_lifecycle.cli.output import Column, emit_json, line, plain, print_table
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, StoreCommand, pass_session
from kedit_lifecycle.errors import UsageError

if TYPE_CHECKING:
    from kedit_lifecycle.editors.statistics import StatisticsEntry


@click.group("stats", short_help=COMMANDS["stats"].summary)
def stats_command() -> None:
    """Build or list the covariance statistics that editors need.

    They are always of the unedited model. An edit builds what it lacks by itself.
    """


@stats_command.command("build", cls=StoreCommand)
@click.option(
    "--layers", metavar="LIST", help="For example 4,5 or 4-8. Default: those that the editor changes."
)
@METHOD
@click.option(
    "--tokens", type=click.IntRange(1), help="Default: the method's, or 10 times the width of the layer."
)
@click.option("--text", type=click.Path(path_type=Path), metavar="FILE", help="From this text.")
@click.option(
    "--dataset", metavar="NAME", help="From this Hugging Face dataset (needs the extra `datasets`)."
)
@click.option("--dataset-config", metavar="NAME", help="Its configuration.")
@click.option("--split", default="train", show_default=True, help="Its split.")
@click.option("--column", default="text", show_default=True, help="Its column of texts.")
@DEVICE
@pass_session
def build_command(
    session: Session,
    layers: str | None,
    method: str,
    tokens: int | None,
    text: Path | None,
    dataset: str | None,
    dataset_config: str | None,
    split: str,
    column: str,
    device: str,
) -> None:
    """Build the statistics of some layers in one pass; by default from the model's own samples."""
    session.must_write()
    if text and dataset:
        raise UsageError("--text and --dataset cannot go together", hint="give one of them")
    wanted = layer_list(layers)
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        from kedit_lifecycle.editors.statistics.corpus import Corpus, DatasetCorpus, TextCorpus

        corpus: Corpus | None = TextCorpus(text) if text else None
        if dataset:
            corpus = DatasetCorpus(dataset, dataset_config, split, column)
        entries = workbench.build_stats(wanted, method=method, tokens=tokens, corpus=corpus)
    _print(session, entries)


@stats_command.command("list", cls=StoreCommand)
@pass_session
def list_command(session: Session) -> None:
    """List the statistics that this store keeps."""
    with session.workbench() as workbench:
        entries = workbench.list_stats()
    _print(session, entries)


def _print(session: Session, entries: list[StatisticsEntry]) -> None:
    if session.json:
        emit_json([{"digest": one.digest, **plain(one)} for one in entries])
        return
    if not entries:
        line("none yet: kedit stats build, or the first edit, makes them")
        return
    columns = [
        Column("kind"),
        Column("layer", "right"),
        Column("tokens", "right"),
        Column("from", elastic=True),
        Column("digest"),
    ]
    print_table(columns, [_row(one) for one in sorted(entries, key=_place)])


def _place(entry: StatisticsEntry) -> tuple[str, int, int]:
    recipe = entry.recipe
    return recipe.get("kind", "?"), recipe.get("layer", -1), recipe.get("tokens", 0)


def _row(entry: StatisticsEntry) -> tuple[Any, ...]:
    recipe = entry.recipe
    corpus = recipe.get("corpus") or {}
    source = corpus.get("name") or corpus.get("sha256", "")[:12]
    origin = f"{corpus.get('kind', 'the model')} {source}".strip()
    return (
        recipe.get("kind", "?"),
        recipe.get("layer", "-"),
        recipe.get("tokens", "-"),
        origin,
        entry.digest[:10],
    )
