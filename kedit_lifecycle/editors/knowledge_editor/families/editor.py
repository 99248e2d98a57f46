"""The gates on another family: trained on facts, then one forward and backward pass to an edit."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kedit_lifecycle.editors.knowledge_editor.config import GateConfig
from kedit_lifecycle.editors.knowledge_editor.families.base import Fact, Family
from kedit_lifecycle.editors.knowledge_editor.network import GateNetwork
from kedit_lifecycle.editors.learned.editor import merged_update
from kedit_lifecycle.editors.learned.gradients import Factors, gradient_factors, sizes, updated
from kedit_lifecycle.editors.learned.reading import StepLosses
from kedit_lifecycle.editors.learned.settings import NetworkConfig
from kedit_lifecycle.errors import EditFailedError, UsageError
from kedit_lifecycle.models.delta import TensorUpdate, replay
from kedit_lifecycle.progress import Progress, silent, tell

_CAUSAL = NetworkConfig.model_fields.keys() - {"blocks"}


class FamilyEditor:
    """KnowledgeEditor for one classifier or sequence-to-sequence model.

    Attributes:
        tensors: names of the weights it edits.
        gates: the hyper-network.
    """

    def __init__(self, family: Family, config: GateConfig, seed: int = 0) -> None:
        """Fresh gates for a family's weights.

        Raises:
            UsageError: a setting that only `kedit train` knows.
        """
        causal = [
            name for name in sorted(_CAUSAL) if getattr(config, name) != GateConfig.model_fields[name].default
        ]
        if causal:
            raise UsageError(f"{', '.join(causal)}: only for causal models, by `kedit train`")
        self.family = family
        self.tensors = family.tensors(config.blocks)
        embedding = family.network.get_input_embeddings()
        shapes = {tensor: sizes(family, tensor) for tensor in self.tensors}
        network = GateNetwork(shapes, embedding, embedding.weight, config, seed)
        self.gates = network.to(family.network.device)

    def train(
        self,
        facts: Sequence[Fact],
        *,
        steps: int,
        batch: int = 4,
        learning_rate: float = 3e-4,
        clip: float = 1.0,
        seed: int = 0,
        progress: Progress = silent,
    ) -> list[dict[str, float]]:
        """Constrained training: the new answer to a fact and its other forms, the old one to other facts.

        Returns each step's NLL, KL, multiplier and margin.

        Raises:
            UsageError: fewer than two facts, or one of them has no other form.
            EditFailedError: the loss became no number.
        """
        if len(facts) < 2 or not all(fact.paraphrases for fact in facts):
            raise UsageError("training needs two facts or more, each with a paraphrase")
        optimiser = torch.optim.Adam(self.gates.groups(learning_rate))
        history = []
        for step in range(steps):
            draw = random.Random(f"{seed}:{step}")
            drawn = draw.sample(list(facts), min(batch, len(facts)))
            losses = self.losses(drawn, [draw.choice(fact.paraphrases) for fact in drawn])
            objective = self.gates.objective(losses.nll, losses.kl)
            if not torch.isfinite(objective):
                raise EditFailedError(f"the loss became {float(objective)}", hint="a smaller learning_rate")
            optimiser.zero_grad()
            torch.autograd.backward(objective)
            nn.utils.clip_grad_norm_(self.gates.parameters(), clip)
            optimiser.step()
            self.gates.stepped(float(losses.kl.detach()))
            history.append(self._reading(losses))
            tell(progress, "loss", step=step + 1, **history[-1])
            progress("training", step + 1, steps)
        return history

    def _reading(self, losses: StepLosses) -> dict[str, float]:
        constraint = self.gates.constraint
        return {
            "nll": float(losses.nll.detach()),
            "kl": float(losses.kl.detach()),
            "multiplier": float(constraint.multiplier),
            "margin": float(constraint.margin),
        }

    def losses(self, facts: Sequence[Fact], paraphrases: Sequence[str]) -> StepLosses:
        """Each fact edited on its own: NLL of its new answer in both forms, KL on the next fact's input."""
        updates = self._updates(facts, observe=True)
        texts, new = [fact.text for fact in facts], [fact.new for fact in facts]
        others = [*facts[1:], facts[0]]
        kept, old = [other.text for other in others], [other.old for other in others]
        with torch.no_grad():
            expected = self.family.log_distributions(kept, old)
        answers = self._edited_nll(updates, [*texts, *paraphrases], [*new, *new])
        with updated(self.family, updates):
            found = self.family.log_distributions(kept, old)
        return StepLosses(answers.mean(), _divergence(expected, found))

    def _edited_nll(
        self, updates: Mapping[str, Factors], texts: Sequence[str], answers: Sequence[str]
    ) -> Tensor:
        count = len(next(iter(updates.values())).left)
        owner = torch.arange(len(texts), device=self.family.network.device) % count
        with updated(self.family, {tensor: update.rows(owner) for tensor, update in updates.items()}):
            return self.family.nll(texts, answers)

    def _updates(self, facts: Sequence[Fact], *, observe: bool = False) -> dict[str, Factors]:
        texts, new = [fact.text for fact in facts], [fact.new for fact in facts]
        gradients = gradient_factors(
            self.family, self.tensors, lambda: self.family.nll(texts, new).sum(), mask=None
        )
        if observe:
            self.gates.observe(gradients)
        made: dict[str, Factors] = self.gates([self.family.edit_text(fact) for fact in facts], gradients)
        return made

    def plan(self, fact: Fact) -> list[TensorUpdate]:
        """The updates of one edit, as factors, at the model as it stands.

        Raises:
            EditFailedError: the gradient is not finite.
        """
        with torch.no_grad():
            found = self._updates([fact])
        updates = [merged_update(self.family, tensor, [found]) for tensor in self.tensors]
        if not all(bool(torch.isfinite(update.left).all()) for update in updates):
            raise EditFailedError(f"the gradient of {fact.text!r} is not finite")
        return updates

    @contextlib.contextmanager
    def edited(self, updates: Sequence[TensorUpdate]) -> Iterator[None]:
        """Inside, the model has these updates; afterwards its very bytes of before."""
        saved: dict[str, Tensor] = {}
        network: Any = self.family.network
        try:
            for update in updates:
                parameter = network.get_parameter(update.tensor)
                saved.setdefault(update.tensor, parameter.data)
                changed = replay(parameter.data.to("cpu", torch.float32), update)
                parameter.data = changed.to(parameter.device, parameter.dtype)
            yield
        finally:
            for tensor, before in saved.items():
                network.get_parameter(tensor).data = before


def _divergence(expected: Sequence[Tensor], found: Sequence[Tensor]) -> Tensor:
    """Mean KL(unedited ‖ edited) over all places of all rows."""
    before, after = torch.cat(list(expected)), torch.cat(list(found))
    return (before.exp() * (before - after)).sum(dim=1).mean()
