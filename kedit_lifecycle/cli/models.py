"""`models`: which models are at hand, and whether one is loaded right."""

from __future__ import annotations

import click

from kedit_lifecycle.cli.catalogue import COMMANDS
from kedit_lifecycle.cli.options import DEVICE
from kedit_lifecycle.cli.output import Column, emit_json, line, narrate, plain, print_table
from kedit_lifecycle.cli.session import Session, StoreCommand, pass_session, quiet_libraries
from kedit_lifecycle.errors import ModelError


@click.group("models", short_help=COMMANDS["models"].summary)
def models_command() -> None:
    """List the models at hand, or check that one is loaded right."""


@models_command.command("list", cls=StoreCommand)
@pass_session
def list_command(session: Session) -> None:
    """List the models that can be named. Any folder or hub id of a causal LM will do as well."""
    from kedit_lifecycle.models.sources import known_models

    found = known_models()
    if session.json:
        emit_json(found)
        return
    columns = [Column("model"), Column("family"), Column("here"), Column("note", elastic=True)]
    print_table(
        columns, [(one.name, one.architecture, "yes" if one.available else "no", one.note) for one in found]
    )


@models_command.command("check", cls=StoreCommand)
@click.argument("name")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Default: as saved.")
@DEVICE
@pass_session
def check_command(session: Session, name: str, dtype: str | None, device: str) -> None:
    """Load the model NAME and check it. The exit code is 5 when it does not look right."""
    quiet_libraries()
    narrate(f"loading {name}")
    from kedit_lifecycle.models.sanity import check_sanity
    from kedit_lifecycle.models.sources import load_model

    report = check_sanity(load_model(name, dtype=dtype, device=device))
    if session.json:
        emit_json({**plain(report), "verdict": report.verdict})
    else:
        print_table(
            [Column("check"), Column("verdict"), Column("found", elastic=True)],
            [(one.name, one.verdict, one.found) for one in report.checks],
        )
        line(f"verdict: {report.verdict}")
    if report.verdict == "fail":
        raise ModelError(f"the model {name} does not look right", hint="see the checks that failed")
