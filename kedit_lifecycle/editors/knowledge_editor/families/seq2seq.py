"""BART- and T5-type models: closed-book question answering (De Cao et al. 2021, §5: zsRE)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from kedit_lifecycle.editors.knowledge_editor.families.base import Blocks, Family
from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.models.tokens import pad_batch

_BART_MLP = ("fc1.weight", "fc2.weight")
_NOT_A_LABEL = -100
_LONGEST_ANSWER = 16  # tokens


def _t5_mlp(place: int) -> tuple[str, ...]:
    """The MLP is a block's last sub-layer; a gated one has wi_0 and wi_1 for wi."""
    return tuple(f"layer.{place}.DenseReluDense.{name}.weight" for name in ("wi", "wi_0", "wi_1", "wo"))


_T5 = (("encoder.block", _t5_mlp(1)), ("decoder.block", _t5_mlp(2)))


class Seq2Seq(Family):
    """An `AutoModelForSeq2SeqLM`; an answer is a text, closed by the model's end of sequence."""

    blocks: ClassVar[Mapping[str, tuple[Blocks, ...]]] = {
        "bart": (("model.encoder.layers", _BART_MLP), ("model.decoder.layers", _BART_MLP)),
        "t5": _T5,
        "mt5": _T5,
    }

    def log_distributions(self, texts: Sequence[str], answers: Sequence[str]) -> list[Tensor]:
        """Over the vocabulary at each token of the answer, teacher-forced: (tokens, vocabulary)."""
        rows = [self.places(answer) for answer in answers]
        labels, mask = pad_batch(rows, self.network.config.pad_token_id, self.network.device)
        labels = labels.masked_fill(mask == 0, _NOT_A_LABEL)
        logits = self.network(**self._inputs(texts), labels=labels, use_cache=False).logits.float()
        found = torch.log_softmax(logits, dim=2)
        return [found[number, : len(row)] for number, row in enumerate(rows)]

    def places(self, answer: str) -> list[int]:
        """The answer's tokens and the end of sequence."""
        tokens = self._tokens(answer)
        if not tokens:
            raise BadRecordError(f"the answer {answer!r} has no tokens in this model's vocabulary")
        return [*tokens, int(self.network.config.eos_token_id)]

    @torch.no_grad()
    def answers(self, texts: Sequence[str]) -> list[str]:
        """Greedy generation."""
        found = self.network.generate(
            **self._inputs(texts), max_new_tokens=_LONGEST_ANSWER, num_beams=1, do_sample=False
        )
        return [text.strip() for text in self.tokenizer.batch_decode(found, skip_special_tokens=True)]
