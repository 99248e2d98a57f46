"""What answers the questions of an evaluation: a model as it is, or one with a memory before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kedit_lifecycle.evaluation.scoring import Scorer
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.generation import generate
from kedit_lifecycle.models.lower_cache import HiddenStates


class AnsweringSystem(Protocol):
    """Scores and continues prompts; token ids are of the evaluated model's tokenizer."""

    def scorer(self, token_budget: int = 4096) -> Scorer:
        """What scores targets and reads next tokens."""

    def generate(
        self,
        prompts: Sequence[str],
        max_new_tokens: int,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        stop_at_eos: bool = True,
    ) -> list[list[int]]:
        """Continue each prompt, as `models.generation.generate` does."""


class PlainModel:
    """A model that answers by itself."""

    def __init__(self, model: EditableModel, hidden: HiddenStates | None = None) -> None:
        self.model, self.hidden = model, hidden

    def scorer(self, token_budget: int = 4096) -> Scorer:
        """The model's own scorer."""
        return Scorer(self.model, token_budget, self.hidden)

    def generate(
        self,
        prompts: Sequence[str],
        max_new_tokens: int,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        stop_at_eos: bool = True,
    ) -> list[list[int]]:
        """The model's own continuations."""
        return generate(
            self.model,
            prompts,
            max_new_tokens,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            stop_at_eos=stop_at_eos,
        )
