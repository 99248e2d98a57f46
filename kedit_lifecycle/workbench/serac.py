"""SERAC as a method among the editors: it changes no weight, and keeps the fact in the store's memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from kedit_lifecycle.editors import Editor, EditorConfig, PastKeys, editor_names, get_editor
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.counterfactual import IN_CONTEXT
from kedit_lifecycle.models.delta import WeightDelta
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent

MEMORY = "memory"
"""The operation of a version that keeps its facts outside the weights."""

IN_CONTEXT_ANSWERS = "in-context"


class SeracConfig(EditorConfig):
    """How facts kept in memory are answered (Mitchell et al. 2022); it holds for the whole memory."""

    scope: str = Field(
        default="default",
        description="the scope classifier: default, or the digest of one that `kedit train serac` made",
    )
    template: str = Field(
        default=IN_CONTEXT.template,
        description="what the counterfactual model reads: {fact} and {target} of the edit, then {query}; a "
        "trained one reads what it was trained with",
    )
    counterfactual: str = Field(
        default=IN_CONTEXT_ANSWERS,
        description="who answers what is in scope: in-context, the model itself with the edit before its "
        "eyes, or the digest of a LoRA that `kedit train serac --counterfactual` made",
    )


class Serac(Editor[SeracConfig]):
    """Facts in an external memory; a scope classifier decides which queries they answer."""

    name = "serac"
    pretty_name = "SERAC (semi-parametric editing with a retrieval-augmented counterfactual model)"
    reference_url = "https://arxiv.org/abs/2206.06520"
    config_class = SeracConfig

    def default_config(self, model: EditableModel) -> SeracConfig:
        """The shipped scope classifier, the model itself conditioned in context."""
        return SeracConfig()

    def layers(self, config: SeracConfig) -> tuple[int, ...]:
        """None."""
        return ()

    def plan(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        config: SeracConfig,
        *,
        statistics: Statistics,
        past: PastKeys | None = None,
        progress: Progress = silent,
    ) -> WeightDelta:
        """No update: the weights stay as they are."""
        return WeightDelta(updates=())


class AutoConfig(EditorConfig):
    """`auto` has no settings of its own: each method goes by its defaults."""


class Auto(Editor[AutoConfig]):
    """Weights or memory, chosen for each step; what it chose made the version, and is named there."""

    name = "auto"
    pretty_name = "auto (weights or memory, by what is asked and how the model fares)"
    reference_url = "https://arxiv.org/abs/2206.06520"
    config_class = AutoConfig

    def default_config(self, model: EditableModel) -> AutoConfig:
        """Nothing to set."""
        return AutoConfig()

    def layers(self, config: AutoConfig) -> tuple[int, ...]:
        """None of its own."""
        return ()

    def plan(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        config: AutoConfig,
        *,
        statistics: Statistics,
        past: PastKeys | None = None,
        progress: Progress = silent,
    ) -> WeightDelta:
        """Never by itself: a workbench makes the step by the method that was chosen.

        Raises:
            UsageError: always.
        """
        raise UsageError("auto is a choice between methods, and plans no edit itself")


_BESIDE_EDITORS: dict[str, type[Editor[Any]]] = {Serac.name: Serac, Auto.name: Auto}


def find_method(name: str) -> Editor[Any]:
    """An editor by name, SERAC, or the choice between them.

    Raises:
        UsageError: naming those that exist.
    """
    if name in _BESIDE_EDITORS:
        return _BESIDE_EDITORS[name]()
    try:
        return get_editor(name)
    except UsageError as error:
        methods = ", ".join(sorted([*editor_names(), *_BESIDE_EDITORS]))
        raise UsageError(f"no editor {name!r}; there are: {methods}") from error
