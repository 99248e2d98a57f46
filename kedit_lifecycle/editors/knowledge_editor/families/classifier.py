"""BERT-type sequence classifiers: fact checking (De Cao et al. 2021, §5: FEVER)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from kedit_lifecycle.editors.knowledge_editor.families.base import Blocks, Family
from kedit_lifecycle.errors import BadRecordError

_BERT_MLP = ("intermediate.dense.weight", "output.dense.weight")


class Classifier(Family):
    """An `AutoModelForSequenceClassification`; an answer is one of its labels (`config.id2label`)."""

    blocks: ClassVar[Mapping[str, tuple[Blocks, ...]]] = {
        "bert": (("bert.encoder.layer", _BERT_MLP),),
        "roberta": (("roberta.encoder.layer", _BERT_MLP),),
        "distilbert": (("distilbert.transformer.layer", ("ffn.lin1.weight", "ffn.lin2.weight")),),
    }

    def log_distributions(self, texts: Sequence[str], answers: Sequence[str]) -> list[Tensor]:
        """Over the labels, one place each: (1, labels)."""
        logits = self.network(**self._inputs(texts)).logits.float()
        return list(torch.log_softmax(logits, dim=1)[:, None])

    def places(self, answer: str) -> list[int]:
        """The label's number."""
        numbers = {label: number for number, label in self.network.config.id2label.items()}
        if answer not in numbers:
            raise BadRecordError(f"this model has no label {answer!r}; it has: {', '.join(numbers)}")
        return [int(numbers[answer])]

    @torch.no_grad()
    def answers(self, texts: Sequence[str]) -> list[str]:
        """The likeliest labels."""
        found = self.network(**self._inputs(texts)).logits.argmax(dim=1).tolist()
        return [str(self.network.config.id2label[number]) for number in found]
