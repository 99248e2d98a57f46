"""Policies from YAML: those that are shipped, and files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kedit_lifecycle.checks.gate.policy import Policy
from kedit_lifecycle.errors import UsageError, first_problem

_FOLDER = resources.files("kedit_lifecycle.checks.gate") / "policies"
_SUFFIX = ".yaml"


def shipped_policies() -> list[str]:
    """The names of the policies that come with kedit."""
    return sorted(one.name.removesuffix(_SUFFIX) for one in _FOLDER.iterdir() if one.name.endswith(_SUFFIX))


def load_policy(name: str | Path) -> Policy:
    """A shipped policy by its name, or that of a YAML (or JSON) file.

    Raises:
        UsageError: there is no such policy; or the file, the field that is wrong, and what is wrong with it.
    """
    shipped = _FOLDER / f"{name}{_SUFFIX}"
    if str(name) in shipped_policies():
        return _parse(shipped.read_text("utf-8"), str(name))
    path = Path(name)
    try:
        return _parse(path.read_text("utf-8"), str(path))
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no policy {str(name)!r}, and no file of that name",
            hint=f"one of {', '.join(shipped_policies())}, or a YAML file (kedit policy schema)",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the policy {path}: {error}") from error


def _parse(text: str, where: str) -> Policy:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise UsageError(f"the policy {where} is no YAML: {error}") from error
    if not isinstance(found, Mapping):
        raise UsageError(f"the policy {where} is not a mapping", hint="kedit policy show guarded")
    try:
        return Policy.model_validate({"name": Path(where).stem, **found})
    except ValidationError as error:
        raise UsageError(
            f"the policy {where}, {first_problem(error, 'rules')}",
            hint="kedit policy schema; kedit policy show guarded",
        ) from error


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of a policy file."""
    return Policy.model_json_schema() | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
