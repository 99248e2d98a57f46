"""The terminal UI begins light: no model library, no server, and the client after the first paint."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.unit, pytest.mark.tui]

HEAVY = ("torch", "transformers", "sqlmodel", "sqlalchemy", "uvicorn", "starlette", "numpy")
LATER = ("httpx", "pydantic", "textual_plot")


def loaded_by(code: str) -> set[str]:
    """Names in `sys.modules` after `code` ran in a fresh interpreter, their parents too."""
    done = subprocess.run(
        [sys.executable, "-c", code + "\nimport sys; print('\\n'.join(sys.modules), file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_help_of_tui_loads_no_terminal_library() -> None:
    code = (
        "from kedit_lifecycle.cli.main import main\n"
        "try:\n    main(['tui', '--help'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
    )
    assert not loaded_by(code).intersection((*HEAVY, *LATER, "textual"))


def test_the_app_and_its_first_screen_load_neither_models_nor_the_client() -> None:
    loaded = loaded_by(
        "import kedit_lifecycle.tui.app\n"
        "import kedit_lifecycle.tui.screens.ledger, kedit_lifecycle.tui.screens.audit"
    )
    assert "textual" in loaded
    assert not loaded.intersection((*HEAVY, *LATER, "kedit_lifecycle.engine.client"))


def test_with_its_client_it_loads_no_server_and_no_ledger() -> None:
    loaded = loaded_by("import kedit_lifecycle.tui.app, kedit_lifecycle.engine.client")
    assert "httpx" in loaded
    assert not loaded.intersection(HEAVY)
    assert not {"kedit_lifecycle.engine.server", "kedit_lifecycle.engine.worker"} & loaded
    assert not [
        name for name in loaded if name.startswith(("kedit_lifecycle.ledger", "kedit_lifecycle.workbench"))
    ]
