"""`policy`: what the gate holds edits to."""

from __future__ import annotations

import io
from typing import Any

import click

from kedit_lifecycle.cli.catalogue import COMMANDS
from kedit_lifecycle.cli.output import Column, emit_json, line, print_table
from kedit_lifecycle.cli.session import Session, StoreCommand, pass_session


@click.group("policy", short_help=COMMANDS["policy"].summary)
def policy_command() -> None:
    """Show, check or describe the policies that edits are held to.

    A policy has limits for the checks, what they may cost, and rules: what becomes of an edit at which
    verdict of which check. `edit` and `apply` take one with --policy, by name or as a YAML file.
    """


@policy_command.command("list", cls=StoreCommand)
@pass_session
def list_command(session: Session) -> None:
    """List the policies that come with kedit."""
    from kedit_lifecycle.checks.gate import load_policy, shipped_policies

    policies = [load_policy(name) for name in shipped_policies()]
    if session.json:
        emit_json([policy.model_dump(mode="json") for policy in policies])
        return
    rows = [(one.name, one.description) for one in policies]
    print_table([Column("policy"), Column("what it does", elastic=True)], rows)


@policy_command.command("show", cls=StoreCommand)
@click.argument("policy", default="guarded")
@pass_session
def show_command(session: Session, policy: str) -> None:
    """Show POLICY (a name or a file; default guarded) with every limit written out, as YAML."""
    from kedit_lifecycle.checks.gate import load_policy

    found = load_policy(policy).model_dump(mode="json")
    if session.json:
        emit_json(found)
    else:
        for text in _yaml(found).splitlines():
            line(text)


def _yaml(values: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style, writer.sort_base_mapping_type_on_output = None, False  # type: ignore[assignment]
    writer.width = 4096  # no line is broken: each is a field
    stream = io.StringIO()
    writer.dump(values, stream)
    return stream.getvalue()


@policy_command.command("validate", cls=StoreCommand)
@click.argument("file")
@pass_session
def validate_command(session: Session, file: str) -> None:
    """Check a policy FILE; exit code 2 and the field that is wrong, where one is."""
    from kedit_lifecycle.checks.gate import load_policy

    policy = load_policy(file)
    if session.json:
        emit_json({"name": policy.name, "digest": policy.digest, "rules": len(policy.rules)})
    else:
        line(f"{policy.name}: sound, {len(policy.rules)} rules, digest {policy.digest[:10]}")


@policy_command.command("schema", cls=StoreCommand)
@pass_session
def schema_command(session: Session) -> None:
    """Print the JSON Schema of a policy file, for an editor or a validator."""
    from kedit_lifecycle.checks.gate import policy_schema

    emit_json(policy_schema())
