"""KnowledgeEditor's hyper-network: one condition per edit, one gate per weight, one constraint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from kedit_lifecycle.editors.knowledge_editor.conditioner import Conditioner, Embed
from kedit_lifecycle.editors.knowledge_editor.config import GateConfig
from kedit_lifecycle.editors.knowledge_editor.constraint import KlConstraint
from kedit_lifecycle.editors.knowledge_editor.gates import GateHead
from kedit_lifecycle.editors.learned.gradients import Factors
from kedit_lifecycle.editors.learned.network import EditText, HyperNetwork, module_key


class GateNetwork(HyperNetwork):
    """De Cao et al. 2021, §3: ΔW from the gradient, gated and shifted by what the edit says.

    `shapes` are (d_in, d_out) of each edited weight; `embed` and its `table` are the base model's own.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        embed: Embed,
        table: Tensor,
        config: GateConfig,
        seed: int = 0,
    ) -> None:
        super().__init__(shapes, config)
        self._validation_keep_weight = config.validation_keep_weight
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.conditioner = Conditioner(
                embed, table.shape[1], lstm_width=config.lstm_width, width=config.condition_width
            )
            heads = {module_key(tensor): GateHead(*shape, config) for tensor, shape in shapes.items()}
        self.conditioner.measure(table)
        self.heads = nn.ModuleDict(heads)
        self.constraint = KlConstraint(config)

    def head(self, tensor: str) -> GateHead:
        """The gate of one weight."""
        head = self.heads[module_key(tensor)]
        assert isinstance(head, GateHead)
        return head

    def forward(
        self,
        texts: Sequence[EditText],
        gradients: Mapping[str, Factors],
        answers: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Factors]:
        """The update of each tensor, by rows, of rank tokens + 1."""
        condition = self.conditioner(texts)
        return {tensor: self.head(tensor)(condition, gradient) for tensor, gradient in gradients.items()}

    def observe(self, gradients: Mapping[str, Factors]) -> None:
        """Take the size of the gradients' entries."""
        for tensor, gradient in gradients.items():
            self.head(tensor).observe(gradient)

    def objective(self, nll: Tensor, kl: Tensor) -> Tensor:
        """The Lagrangian at the present multiplier and margin."""
        return self.constraint.lagrangian(nll, kl)

    def validation_loss(self, nll: Tensor, kl: Tensor) -> Tensor:
        """NLL and KL at a weight that stays the same."""
        return nll + self._validation_keep_weight * kl

    def stepped(self, kl: float) -> None:
        """Ascend on the multiplier."""
        self.constraint.ascend(kl)

    def validated(self, scores: Mapping[str, float]) -> None:
        """Anneal the margin while edits succeed, in their own words and in others."""
        found = [scores[name] for name in ("es", "ps") if name in scores]
        self.constraint.anneal(sum(found) / len(found) if found else 0.0)
