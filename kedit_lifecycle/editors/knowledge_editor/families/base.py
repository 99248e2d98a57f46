"""What KnowledgeEditor must know of a model family that is not a causal language model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from kedit_lifecycle.editors.learned.network import EditText
from kedit_lifecycle.errors import BadRecordError, UnknownArchitectureError

Blocks = tuple[str, tuple[str, ...]]
"""Path of a list of transformer blocks, and the two or three matrices of a block's MLP."""


@dataclass(frozen=True)
class Fact:
    """An input, what the model answers now, and what it shall answer to it and to its other forms."""

    text: str
    old: str
    new: str
    paraphrases: tuple[str, ...] = ()


class Family(ABC):
    """An adapter: a model in eval mode whose parameters are frozen, and its tokenizer."""

    blocks: ClassVar[Mapping[str, tuple[Blocks, ...]]]
    """By the model type of the Hugging Face config."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        kind = network.config.model_type
        if kind not in self.blocks:
            known = ", ".join(sorted(self.blocks))
            raise UnknownArchitectureError(
                f"{type(self).__name__} has no adapter for {kind!r}; supported: {known}"
            )
        self.network = network.eval().requires_grad_(False)
        self.tokenizer = tokenizer

    def tensors(self, count: int) -> tuple[str, ...]:
        """Names of the MLP matrices of the last `count` blocks, of each stack of blocks."""
        found = []
        for path, names in self.blocks[self.network.config.model_type]:
            last = len(self.network.get_submodule(path))
            for number in range(max(0, last - count), last):
                block = self.network.get_submodule(f"{path}.{number}")
                present = {name for name, _ in block.named_parameters()}
                found += [f"{path}.{number}.{name}" for name in names if name in present]
        return tuple(found)

    def edit_text(self, fact: Fact) -> EditText:
        """What the LSTM reads.

        Raises:
            BadRecordError: an input or a new answer without tokens.
        """
        made = EditText(self._tokens(fact.text), self._tokens(fact.old), self._tokens(fact.new))
        if not (made.prompt and made.new):
            raise BadRecordError(f"{fact.text!r} or {fact.new!r} has no tokens in this model's vocabulary")
        return made

    def _tokens(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _inputs(self, texts: Sequence[str]) -> dict[str, Tensor]:
        encoded = self.tokenizer(list(texts), padding=True, return_tensors="pt")
        names = ("input_ids", "attention_mask")
        return {name: encoded[name].to(self.network.device) for name in names}

    @abstractmethod
    def log_distributions(self, texts: Sequence[str], answers: Sequence[str]) -> list[Tensor]:
        """Of each row, at each place of its answer: (places, classes or vocabulary), float32."""

    @abstractmethod
    def places(self, answer: str) -> list[int]:
        """The class or the tokens that an answer is, as `log_distributions` has them.

        Raises:
            BadRecordError: there is no such answer for this model.
        """

    @abstractmethod
    def answers(self, texts: Sequence[str]) -> list[str]:
        """What the model answers."""

    def nll(self, texts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """Mean negative log-likelihood of each row's answer per place, (rows,)."""
        found = []
        for row, answer in zip(self.log_distributions(texts, answers), answers, strict=True):
            wanted = torch.tensor(self.places(answer), device=row.device)
            found.append(-row.gather(1, wanted[:, None]).mean())
        return torch.stack(found)
