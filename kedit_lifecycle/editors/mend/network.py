"""MEND's networks: factors of a gradient in, factors of an update out (Mitchell et al. 2022, §3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kedit_lifecycle.editors.learned.gradients import Factors
from kedit_lifecycle.editors.learned.network import EditText, HyperNetwork
from kedit_lifecycle.editors.learned.whitening import evened, sizes_of
from kedit_lifecycle.editors.mend.config import MendNetworkConfig

_SMALLEST_DEVIATION = 1e-7


class LowRankLayer(nn.Module):
    """x + max(0, s_ℓ ⊙ (U V x + b) + o_ℓ), with U = 0 at the start: the identity (eq. 3).

    `max` passes its gradient at 0, as the clamp it is; a ReLU would never leave the identity. A
    `linear` layer is without it: one that can take away as well as add.
    """

    def __init__(self, width: int, rank: int, tensors: int, *, linear: bool = False) -> None:
        super().__init__()
        self._linear = linear
        self.down = nn.Parameter(torch.empty(rank, width))  # V
        self.up = nn.Parameter(torch.zeros(width, rank))  # U
        self.bias = nn.Parameter(torch.zeros(width))
        self.scale = nn.Parameter(torch.ones(tensors, width))  # s
        self.shift = nn.Parameter(torch.zeros(tensors, width))  # o
        nn.init.xavier_uniform_(self.down)

    def forward(self, values: Tensor) -> Tensor:
        """Of all tensors' factors together, (tensors, rows, tokens, width): the matrices are read once."""
        inner = (values @ self.down.T) @ self.up.T + self.bias
        added = self.scale[:, None, None] * inner + self.shift[:, None, None]
        return values + (added if self._linear else added.clamp(min=0))


class RunningNorm(nn.Module):
    """Mean and standard deviation by dimension, over every token observed so far (Welford's update).

    Until something was observed it changes nothing.
    """

    count: Tensor
    mean: Tensor
    squares: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("squares", torch.zeros(width))

    @torch.no_grad()
    def observe(self, values: Tensor) -> None:
        """Take in values (tokens, width)."""
        count = self.count + len(values)
        mean = values.mean(dim=0)
        delta = mean - self.mean
        own = (values - mean).square().sum(dim=0)
        self.squares += own + delta.square() * self.count * len(values) / count
        self.mean += delta * len(values) / count
        self.count.copy_(count)

    def of_own_size(self, values: Tensor) -> Tensor:
        """Values each with a mean square of 1, but for the very small (`whitening.sizes_of`)."""
        if self.count < 2:
            return values
        typical = (self.squares.sum() / self.count + self.mean.square().sum()).sqrt()
        return evened(values, sizes_of(values, typical))

    def forward(self, values: Tensor) -> Tensor:
        """Values with mean 0 and deviation 1."""
        if self.count < 2:
            return values
        deviation = (self.squares / (self.count - 1)).sqrt()
        normed: Tensor = (values - self.mean) / (deviation + _SMALLEST_DEVIATION)
        return normed


class MendNetwork(HyperNetwork):
    """A stack of layers for all weights of one shape, told apart by scale and shift; an α for each."""

    def __init__(
        self, shapes: Mapping[str, tuple[int, int]], config: MendNetworkConfig, seed: int = 0
    ) -> None:
        super().__init__(shapes, config)
        self._config = config
        self._shapes = dict(shapes)  # tensor -> (d_in, d_out)
        self._tensors = list(shapes)
        by_shape: dict[tuple[int, int], list[str]] = {}
        for tensor, shape in shapes.items():
            by_shape.setdefault(shape, []).append(tensor)
        self._alike = list(by_shape.values())
        self._place = {tensor: place for place, tensor in enumerate(shapes)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = {
                shape: self._layers(self._width(shape), len(names)) for shape, names in by_shape.items()
            }
        self._layers_of = {name: layers[shape] for name, shape in shapes.items()}
        self._norms = [(RunningNorm(d_in), RunningNorm(d_out)) for d_in, d_out in shapes.values()]
        self.stacks = nn.ModuleDict({_key(shape): nn.ModuleList(some) for shape, some in layers.items()})
        self.norms = nn.ModuleList([nn.ModuleList(pair) for pair in self._norms])
        self.rates = nn.Parameter(torch.full((len(self._tensors),), config.edit_learning_rate))

    def _width(self, shape: tuple[int, int]) -> int:
        return sum(shape) + (shape[1] if self._config.answer_gradient else 0)

    def _layers(self, width: int, tensors: int) -> list[LowRankLayer]:
        rank = min(self._config.rank, max(1, width // 2))
        hidden = [LowRankLayer(width, rank, tensors) for _ in range(self._config.hidden_layers)]
        return [*hidden, LowRankLayer(width, rank, tensors, linear=self._config.last_layer == "linear")]

    def observe(self, gradients: Mapping[str, Factors]) -> None:
        """Take the factors of every token that has a gradient into the running statistics.

        Inputs that are white already stay as they are.
        """
        for place, tensor in enumerate(self._tensors):
            factors = gradients[tensor]
            live = factors.left.ne(0).any(dim=2)  # (rows, tokens)
            if live.any():
                if not self.whitens:
                    self._norms[place][0].observe(factors.right[live])
                self._norms[place][1].observe(factors.left[live])

    def forward(
        self,
        texts: Sequence[EditText],
        gradients: Mapping[str, Factors],
        answers: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Factors]:
        """W' = W − α_ℓ Σ_t δ̃_t ũ_tᵀ: left −α δ̃ (rows, tokens, d_out), right ũ (rows, tokens, d_in)."""
        given = (answers or {}) if self._config.answer_gradient else {}
        found: dict[str, Factors] = {}
        for names in self._alike:
            entering = [self._normed(name, gradients[name], given.get(name)) for name in names]
            values = torch.stack(entering)  # (tensors, rows, tokens, width)
            for layer in self._layers_of[names[0]]:
                values = layer(values)
            for name, own in zip(names, values, strict=True):
                found[name] = self._update(name, gradients[name], own)
        return {name: found[name] for name in self._tensors}

    def _normed(self, tensor: str, gradient: Factors, answer: Tensor | None) -> Tensor:
        """What the layers are given of one tensor, (rows, tokens, width)."""
        normed_in, normed_out = self._norms[self._place[tensor]]
        if self._config.normalise == "own":
            right, left = normed_in.of_own_size(gradient.right), normed_out.of_own_size(gradient.left)
        else:
            right, left = normed_in(gradient.right), normed_out(gradient.left)
        parts = [right, left]
        if answer is not None:
            direction = nn.functional.normalize(answer, dim=1) * self._shapes[tensor][1] ** 0.5
            parts.append(direction[:, None].expand_as(left))
        return torch.cat(parts, dim=2)

    def _update(self, tensor: str, gradient: Factors, values: Tensor) -> Factors:
        """What the layers gave, as the update of one tensor."""
        width_in, width_out = self._shapes[tensor]
        live = gradient.left.ne(0).any(dim=2, keepdim=True)  # a token without a gradient gets no update
        right, left = values[..., :width_in], values[..., width_in : width_in + width_out]
        rate = self.rates[self._place[tensor]]
        return Factors(torch.where(live, -rate * left, 0.0), torch.where(live, right, 0.0))

    def groups(self, learning_rate: float) -> list[dict[str, Any]]:
        """The α have their own learning rate."""
        rest = [one for name, one in self.named_parameters() if name != "rates"]
        return [
            {"params": rest, "lr": learning_rate},
            {"params": [self.rates], "lr": self._config.rate_learning_rate},
        ]

    def objective(self, nll: Tensor, kl: Tensor) -> Tensor:
        """c_edit L_edit + L_loc (eq. 4)."""
        return self._config.edit_weight * nll + self._config.keep_weight * kl


def _key(shape: tuple[int, int]) -> str:
    return f"{shape[0]}x{shape[1]}"
