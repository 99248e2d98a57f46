"""What a hyper-network is: it turns a fine-tuning gradient into the update of each edited weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from kedit_lifecycle.editors.learned.gradients import Factors


@dataclass(frozen=True)
class EditText:
    """What an edit says, as tokens of the model: the prompt, its present answer, the new one.

    `subject_last` is the place of the subject's last token among those of the prompt.
    """

    prompt: tuple[int, ...]
    old: tuple[int, ...]
    new: tuple[int, ...]
    subject_last: int = -1


def subject_tokens(texts: Sequence[EditText], gradients: Mapping[str, Factors]) -> dict[str, Factors]:
    """The factors of each subject's last token alone, (rows, 1, width)."""
    places = [text.subject_last for text in texts]
    rows = list(range(len(places)))
    return {
        name: Factors(one.left[rows, places][:, None], one.right[rows, places][:, None])
        for name, one in gradients.items()
    }


class HyperNetwork(nn.Module, ABC):
    """Trained by `training.train`. Its parameters and buffers are the artefact's tensors."""

    @abstractmethod
    def forward(self, texts: Sequence[EditText], gradients: Mapping[str, Factors]) -> dict[str, Factors]:
        """The update of each tensor, by the rows of the gradients: W' = W + Σ_r left_r right_rᵀ."""

    def selected(self, texts: Sequence[EditText], gradients: Mapping[str, Factors]) -> Mapping[str, Factors]:
        """The tokens whose factors this network takes; all of them unless it says otherwise."""
        return gradients

    def observe(self, gradients: Mapping[str, Factors]) -> None:
        """Take note of a training batch's gradients, before they are used."""

    def groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """The parameters as an optimiser takes them."""
        return [{"params": list(self.parameters()), "lr": learning_rate}]

    def objective(self, nll: Tensor, kl: Tensor) -> Tensor:
        """What is minimised, of the mean NLL of the answers and the mean KL on what should stay."""
        return nll + kl

    def stepped(self, kl: float) -> None:
        """After a step, with the step's KL."""

    def validated(self, scores: Mapping[str, float]) -> None:
        """After a validation, with its scores (`es`, `ps`, `ns` where there are true answers)."""

    def validation_loss(self, nll: Tensor, kl: Tensor) -> Tensor:
        """What the best validation has least of: the objective, unless that changes as training goes on."""
        return self.objective(nll, kl)
