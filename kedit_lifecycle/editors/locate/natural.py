"""The metric that `natural-momentum` steps in, from the model's statistics."""

from __future__ import annotations

from torch import Tensor

from kedit_lifecycle.editors.locate.config import ValueSearchConfig
from kedit_lifecycle.editors.locate.optimiser import natural_metric
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.errors import EditFailedError


def search_metric(config: ValueSearchConfig, layer: int, statistics: Statistics) -> Tensor | None:
    """What a search at this layer's MLP output steps in, (d_model, d_model); None for other optimisers.

    Raises:
        EditFailedError: the model's gradients on its own samples are not finite.
    """
    if config.optimiser != "natural-momentum":
        return None
    entry, fisher = statistics.output_fisher(layer, tokens=config.fisher_tokens)

    def make() -> Tensor:
        if not bool(fisher.isfinite().all()):
            raise EditFailedError(
                f"the Fisher information of layer {layer} is not finite: the model's gradients are not, on "
                "texts of its own",
                hint="--set optimiser=normalized-momentum, or the model in float32",
            )
        return natural_metric(fisher, config.fisher_damping)

    return statistics.remember(("natural metric", entry.digest, config.fisher_damping), make)


def named_fisher(config: ValueSearchConfig, layer: int, statistics: Statistics) -> dict[str, str]:
    """The Fisher information that was used, by blob, as an edit names it."""
    if config.optimiser != "natural-momentum":
        return {}
    entry, _ = statistics.output_fisher(layer, tokens=config.fisher_tokens)
    return {"output_fisher": entry.tensors["output_fisher"]}
