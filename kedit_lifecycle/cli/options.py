"""Options that several commands share, and what is read from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kedit_lifecycle.errors import UsageError

Decorated = Callable[..., Any]

DEVICE = click.option(
    "--device", default="cpu", show_default=True, envvar="KEDIT_DEVICE", help="cpu, cuda or cuda:N."
)
METHOD = click.option(
    "--method",
    default="rome",
    show_default=True,
    help="The editor; serac: into the memory; auto: weights or memory, whichever suits.",
)
SEED = click.option("--seed", type=int, default=0, show_default=True, help="Of everything drawn at random.")
MESSAGE = click.option("-m", "--message", default="", help="Why; kept in the ledger.")
AT = click.option("--at", default="HEAD", show_default=True, metavar="REF", help="The version.")

POLICY = click.option(
    "--policy",
    default="guarded",
    show_default=True,
    envvar="KEDIT_POLICY",
    metavar="NAME|FILE",
    help="What an edit is held to: observe, guarded, strict, or a YAML file (`kedit policy`).",
)
SUPERSEDE = click.option(
    "--supersede", is_flag=True, help="Take the place of earlier edits that this one contradicts."
)
PROFILE = click.option(
    "--profile", metavar="ID|PATH", help="Settings found by `kedit tune`; --config and --set win over it."
)


def config_options(function: Decorated) -> Decorated:
    """`--set name=value` and `--config FILE`, the editor's hyper-parameters."""
    named = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="A hyper-parameter of the editor; VALUE is JSON or a word. Repeatable; wins over --config.",
    )
    from_file = click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Hyper-parameters as a YAML or JSON mapping.",
    )
    return named(from_file(function))


def editor_config(settings: Sequence[str], file: Path | None) -> dict[str, Any]:
    """The hyper-parameters given, the file's first and `--set` over them.

    Raises:
        UsageError: a setting without =, or a file that is no mapping.
    """
    config = dict(_from_file(file)) if file else {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {setting}: not NAME=VALUE", hint="for example --set steps=25")
        config[name.strip()] = _value(value)
    return config


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _from_file(path: Path) -> Mapping[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise UsageError(f"cannot read the config {path}: {error}") from error
    if not isinstance(found, Mapping):
        raise UsageError(f"the config {path} is not a mapping of names to values")
    return found


def layer_list(text: str | None) -> list[int] | None:
    """`4,5,7-9` as numbers.

    Raises:
        UsageError: it is not that.
    """
    if text is None:
        return None
    layers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"--layers {text}: not a list of layers", hint="for example --layers 4,5 or 4-8")
        layers += range(int(first), int(last if dash else first) + 1)
    return layers
