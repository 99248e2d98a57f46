"""What every editor is: a pure function from (model, requests, config, statistics, seed) to a WeightDelta."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.delta import WeightDelta
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent


class EditorConfig(BaseModel):
    """Base of all editors' hyper-parameters; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ConfigT = TypeVar("ConfigT", bound=EditorConfig)


class Editor(ABC, Generic[ConfigT]):
    """A knowledge-editing method. Registered by `editors.register`; one folder per method."""

    name: ClassVar[str]
    pretty_name: ClassVar[str]
    reference_url: ClassVar[str]
    config_class: ClassVar[type[EditorConfig]]

    @abstractmethod
    def default_config(self, model: EditableModel) -> ConfigT:
        """The defaults for this model: measured where we have them, published otherwise."""

    @abstractmethod
    def layers(self, config: ConfigT) -> tuple[int, ...]:
        """The layers whose key covariance `plan` will ask for."""

    def settled(self, config: ConfigT, statistics: Statistics) -> ConfigT:
        """The config as the ledger keeps it: what it names by a word, named by content instead."""
        return config

    @abstractmethod
    def plan(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        config: ConfigT,
        *,
        statistics: Statistics,
        past: PastKeys | None = None,
        progress: Progress = silent,
    ) -> WeightDelta:
        """The updates that make the requests true. The model is left as it was.

        `past` are the keys of the edits that the model has had; None takes it as unedited. A request
        that cannot be solved is a failure of the result, by its place, while the others go on.

        Raises:
            EditFailedError: naming the requests, if none could be solved.
        """
