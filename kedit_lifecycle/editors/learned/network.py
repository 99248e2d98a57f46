"""What a hyper-network is: it turns a fine-tuning gradient into the update of each edited weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from kedit_lifecycle.editors.learned.gradients import Factors
from kedit_lifecycle.editors.learned.settings import NetworkConfig
from kedit_lifecycle.editors.learned.whitening import Entered, Whitening


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


def answer_gradients(texts: Sequence[EditText], gradients: Mapping[str, Factors]) -> dict[str, Tensor]:
    """δ at the token that predicts the answer's first one, the prompt's last, (rows, d_out)."""
    places = [len(text.prompt) - 1 for text in texts]
    rows = list(range(len(places)))
    return {name: one.left[rows, places] for name, one in gradients.items()}


class HyperNetwork(nn.Module, ABC):
    """Trained by `training.train`. Its parameters and buffers are the artefact's tensors.

    `shapes` are (d_in, d_out) of each edited weight. What a subclass is given and gives is of the tokens,
    and in the coordinates, that the settings name; `updates` brings it back to the weights'.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, int]], config: NetworkConfig) -> None:
        super().__init__()
        self._tokens, self._keys = config.tokens, config.keys
        self.whitenings = nn.ModuleDict(
            {module_key(tensor): Whitening(width, config.whiten) for tensor, (width, _) in shapes.items()}
            if config.whiten
            else {}
        )

    @property
    def whitens(self) -> bool:
        """Whether the second moments of the weights' inputs are to be measured before training."""
        return len(self.whitenings) > 0

    @property
    def own_keys(self) -> bool:
        """Whether an update answers its own subject's key, as it is."""
        return self._keys == "own"

    def whitening(self, tensor: str) -> Whitening:
        """That of one weight's inputs."""
        return cast("Whitening", self.whitenings[module_key(tensor)])

    def updates(self, texts: Sequence[EditText], gradients: Mapping[str, Factors]) -> dict[str, Factors]:
        """The update of each tensor, by the rows of the gradients: W' = W + Σ_r left_r right_rᵀ."""
        entered = self._entered(texts, gradients)
        given = {name: one.factors for name, one in entered.items()}
        found: dict[str, Factors] = self(texts, given, answer_gradients(texts, gradients))
        if self.own_keys:
            found = {
                name: Factors(one.left.sum(dim=1, keepdim=True), given[name].right)
                for name, one in found.items()
            }
        if not self.whitens:
            return found
        return {name: self.whitening(name).leave(one, entered[name].sizes) for name, one in found.items()}

    def learn_sizes(self, texts: Sequence[EditText], gradients: Mapping[str, Factors]) -> None:
        """Take note of a training batch's gradients, before they are used."""
        entered = self._entered(texts, gradients)
        self.observe({name: one.factors for name, one in entered.items()})

    def _entered(self, texts: Sequence[EditText], gradients: Mapping[str, Factors]) -> dict[str, Entered]:
        """Of the tokens, and in the coordinates, that the settings name."""
        chosen = gradients if self._tokens == "all" else subject_tokens(texts, gradients)
        if not self.whitens:
            return {name: Entered(one, None) for name, one in chosen.items()}
        return {name: self.whitening(name).enter(one) for name, one in chosen.items()}

    @abstractmethod
    def forward(
        self,
        texts: Sequence[EditText],
        gradients: Mapping[str, Factors],
        answers: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Factors]:
        """The update of each tensor: row r answers to token r of the gradients, rows beyond them to none.

        `answers` are the `answer_gradients`, for a network that reads them.
        """

    def observe(self, gradients: Mapping[str, Factors]) -> None:
        """Take in the statistics of a batch, as `forward` is given it."""

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


def module_key(tensor: str) -> str:
    """A tensor's name, as that of a module, which may have no dots."""
    return tensor.replace(".", "/")
