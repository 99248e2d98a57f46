"""The forward passes of training: the edit's gradient, and what the edited model says to a set of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kedit_lifecycle.editors.learned.examples import Asked, Example, Examples
from kedit_lifecycle.editors.learned.gradients import Factors, gradient_factors, updated
from kedit_lifecycle.editors.learned.network import HyperNetwork
from kedit_lifecycle.editors.learned.upper import Place, UpperLayers
from kedit_lifecycle.models.tokens import EncodedTarget


def edit_gradients(
    upper: UpperLayers, tensors: Sequence[str], targets: Sequence[EncodedTarget]
) -> dict[str, Factors]:
    """The gradient of each row's own mean NLL of its target."""
    rows = [target.ids[:-1] for target in targets]
    width = max(len(row) for row in rows)
    mask = torch.tensor([[place < len(row) for place in range(width)] for row in rows])

    def loss() -> Tensor:
        hidden, _ = upper.hidden(rows)
        return nll(upper, hidden, targets).sum()

    return gradient_factors(upper.model, tensors, loss, mask.to(upper.model.device))


def nll(upper: UpperLayers, hidden: Tensor, targets: Sequence[EncodedTarget]) -> Tensor:
    """Mean negative log-likelihood per token of each row's target, (rows,)."""
    places: list[Place] = []
    tokens: list[int] = []
    for row, target in enumerate(targets):
        for offset, token in enumerate(target.target):
            places.append((row, target.target_start - 1 + offset))
            tokens.append(token)
    logprobs = upper.logprobs(hidden, places)
    chosen = logprobs[torch.arange(len(tokens)), torch.tensor(tokens, device=logprobs.device)]
    parts = torch.split(-chosen, [len(target.target) for target in targets])
    return torch.stack([part.mean() for part in parts])


@dataclass(frozen=True)
class StepLosses:
    """Of one batch: mean NLL of the new answers, mean KL(unedited ‖ edited) of what should stay."""

    nll: Tensor
    kl: Tensor


def step_losses(
    network: HyperNetwork,
    upper: UpperLayers,
    tensors: Sequence[str],
    examples: Examples,
    batch: Sequence[Example],
    seed: int,
    step: int,
    enough: float = 0.0,
    kept: int = 4,
) -> StepLosses:
    """Edit each example of a batch on its own, and read its prompts and what must stay.

    An answer whose NLL is below `enough` counts as that much, and has no gradient.
    """
    texts = [one.text for one in batch]
    gradients = edit_gradients(upper, tensors, [one.edit.new for one in batch])
    if network.training:  # what is held out for validation is no statistic of training
        network.learn_sizes(texts, gradients)
    updates = network.updates(texts, gradients)
    answers, answer_of = _answers(batch, seed, step)
    keep = [
        (place, *row) for place, one in enumerate(batch) for row in examples.to_keep(one, seed, step, kept)
    ]
    rows = [answer.ids[:-1] for answer in answers] + [ids for _, ids, _ in keep]
    owner = torch.tensor(answer_of + [place for place, _, _ in keep], device=upper.model.device)
    with updated(upper.model, _of_rows(updates, owner)):
        hidden, _ = upper.hidden(rows)
    places = [(row, position) for row, (_, _, read) in enumerate(keep) for position in read]
    expected = upper.unedited_logprobs([(ids, read) for _, ids, read in keep])
    found = upper.logprobs(hidden[len(answers) :], places)
    kl = (expected.exp() * (expected - found)).sum(dim=1).mean()
    return StepLosses(nll(upper, hidden[: len(answers)], answers).clamp(min=enough).mean(), kl)


def _answers(batch: Sequence[Example], seed: int, step: int) -> tuple[list[EncodedTarget], list[int]]:
    """The edit prompt and one paraphrase of each example, with the new answer."""
    answers, owner = [], []
    for place, example in enumerate(batch):
        drawn = example.paraphrases[(seed + step + place) % len(example.paraphrases)]
        answers += [example.edit.new, drawn.new]
        owner += [place, place]
    return answers, owner


def _of_rows(updates: Mapping[str, Factors], owner: Tensor) -> dict[str, Factors]:
    return {tensor: update.rows(owner) for tensor, update in updates.items()}


@torch.no_grad()
def preferences(
    network: HyperNetwork, upper: UpperLayers, tensors: Sequence[str], batch: Sequence[Example]
) -> dict[str, list[tuple[float, float]]]:
    """(NLL of the new, NLL of the true answer) with each example's edit: of "edit", "paraphrase", "neighbor".

    Examples without a true answer are left out, as the comparison needs one.
    """
    kept = [one for one in batch if one.edit.true is not None]
    if not kept:
        return {}
    texts = [one.text for one in kept]
    gradients = edit_gradients(upper, tensors, [one.edit.new for one in kept])
    updates = network.updates(texts, gradients)
    asked: list[tuple[str, int, Asked]] = []
    for place, example in enumerate(kept):
        asked.append(("edit", place, example.edit))
        asked += [("paraphrase", place, one) for one in example.paraphrases]
        asked += [("neighbor", place, one) for one in example.neighbors]
    targets = [one for _, _, pair in asked for one in (pair.new, pair.true) if one]
    owner = torch.tensor([place for _, place, _ in asked for _ in range(2)], device=upper.model.device)
    with updated(upper.model, _of_rows(updates, owner)):
        hidden, _ = upper.hidden([target.ids[:-1] for target in targets])
    losses = nll(upper, hidden, targets).view(-1, 2).tolist()
    found: dict[str, list[tuple[float, float]]] = {"edit": [], "paraphrase": [], "neighbor": []}
    for (kind, _, _), (new, true) in zip(asked, losses, strict=True):
        found[kind].append((new, true))
    return found
