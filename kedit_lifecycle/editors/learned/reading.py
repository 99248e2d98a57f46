"""The forward passes of training: the edit's gradient, and what the edited model says to a set of rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from kedit_lifecycle.editors.learned.examples import Asked, Example, Examples
from kedit_lifecycle.editors.learned.gradients import Factors, gradient_factors, joined, updated
from kedit_lifecycle.editors.learned.network import HyperNetwork, subject_tokens
from kedit_lifecycle.editors.learned.unedited import Unedited, logprobs
from kedit_lifecycle.models.batching import Tokens, hidden_states, length_buckets
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import HiddenStates
from kedit_lifecycle.models.tokens import EncodedTarget
from kedit_lifecycle.progress import Progress, silent

_TOKENS_ON_CPU, _TOKENS_ON_GPU = 320, 16_384  # padded, in one pass: there padding costs, here each pass does
_SUBJECTS_TOGETHER = 64


@dataclass(frozen=True)
class Applied:
    """Updates in the model, by rows of a batch: of `together` rows in a row they are added."""

    updates: Mapping[str, Factors]
    together: int = 1

    @contextlib.contextmanager
    def read_by(self, model: EditableModel, owners: Sequence[int]) -> Iterator[None]:
        """Inside, the rows of a batch run with the updates of these owners' groups."""
        places = torch.tensor(owners, device=model.device) // self.together
        with updated(model, {tensor: one.rows(places) for tensor, one in self._sums.items()}):
            yield

    @cached_property
    def _sums(self) -> dict[str, Factors]:
        return {tensor: update.grouped(self.together) for tensor, update in self.updates.items()}


@dataclass(frozen=True)
class TargetNll:
    """Of each row's target: the mean of its tokens' NLL, and the largest of them; (rows,) each."""

    mean: Tensor
    worst: Tensor


Reached = Callable[[TargetNll], Tensor]
"""Which rows need no gradient, (rows,) bool."""


def edit_gradients(
    model: EditableModel,
    tensors: Sequence[str],
    targets: Sequence[EncodedTarget],
    applied: Applied | None = None,
    enough: float = 0.0,
) -> dict[str, Factors]:
    """The gradient of each row's own mean NLL of its target, at the model with what is `applied`.

    A row whose mean NLL is below `enough` has none.
    """
    return read_edits(model, tensors, targets, applied, lambda found: found.mean < enough)[0]


def read_edits(
    model: EditableModel,
    tensors: Sequence[str],
    targets: Sequence[EncodedTarget],
    applied: Applied | None = None,
    reached: Reached | None = None,
    run: HiddenStates | None = None,
) -> tuple[dict[str, Factors], TargetNll]:
    """`edit_gradients`, and the NLL that they are of; a row that is `reached` has none.

    `run` is another way of running the model, that gives the same and lets gradients through.
    """
    run = run or partial(hidden_states, model)
    width = max(len(target.ids) - 1 for target in targets)
    parts: dict[str, list[Factors]] = {tensor: [] for tensor in tensors}
    order: list[int] = []
    read: list[TargetNll] = []
    for chosen in _alike(model, [len(target.ids) for target in targets]):
        with applied.read_by(model, chosen) if applied else contextlib.nullcontext():
            found, own = _gradients_together(
                model, tensors, [targets[place] for place in chosen], reached, run
            )
        read.append(own)
        for tensor, one in found.items():
            parts[tensor].append(one.widened(width))
        order += chosen
    back = torch.tensor(order, device=model.device).argsort()
    losses = (torch.cat([getattr(one, kind) for one in read])[back] for kind in ("mean", "worst"))
    return {tensor: joined(some).rows(back) for tensor, some in parts.items()}, TargetNll(*losses)


def subject_moments(
    model: EditableModel, tensors: Sequence[str], examples: Sequence[Example], progress: Progress = silent
) -> dict[str, Tensor]:
    """E[x xᵀ] of each weight's inputs x at the last tokens of the examples' subjects, (d_in, d_in)."""
    sums: dict[str, Tensor] = {}
    for start in range(0, len(examples), _SUBJECTS_TOGETHER):
        batch = examples[start : start + _SUBJECTS_TOGETHER]
        found = edit_gradients(model, tensors, [one.edit.new for one in batch])
        for tensor, one in subject_tokens([one.text for one in batch], found).items():
            keys = one.right[:, 0].detach().cpu()
            sums[tensor] = sums.get(tensor, torch.zeros(())) + keys.T @ keys
        progress("second moments of subjects", start + len(batch), len(examples))
    return {tensor: total / len(examples) for tensor, total in sums.items()}


def _gradients_together(
    model: EditableModel,
    tensors: Sequence[str],
    targets: Sequence[EncodedTarget],
    reached: Reached | None,
    run: HiddenStates,
) -> tuple[dict[str, Factors], TargetNll]:
    rows = [target.ids[:-1] for target in targets]
    width = max(len(row) for row in rows)
    mask = torch.tensor([[place < len(row) for place in range(width)] for row in rows])
    read: list[TargetNll] = []

    def loss() -> Tensor:
        parts = _token_nlls(model, run(rows), targets)
        losses = torch.stack([part.mean() for part in parts])
        own = losses.detach()
        read.append(TargetNll(own, torch.stack([part.detach().max() for part in parts])))
        # not reached is one that is no number: its gradient is to tell
        done = torch.zeros_like(own, dtype=torch.bool) if reached is None else reached(read[0])
        return own.sum() if done.all() else torch.where(done, own, losses).sum()

    return gradient_factors(model, tensors, loss, mask.to(model.device)), read[0]


def _alike(model: EditableModel, lengths: Sequence[int]) -> Iterator[list[int]]:
    """The places of rows that run together: those of about one length, so that little of it is padding."""
    budget = _TOKENS_ON_CPU if model.device.type == "cpu" else _TOKENS_ON_GPU
    return length_buckets(range(len(lengths)), lambda place: lengths[place], budget)


def nll(model: EditableModel, hidden: Tensor, targets: Sequence[EncodedTarget]) -> Tensor:
    """Mean negative log-likelihood per token of each row's target, (rows,)."""
    return torch.stack([part.mean() for part in _token_nlls(model, hidden, targets)])


def _token_nlls(model: EditableModel, hidden: Tensor, targets: Sequence[EncodedTarget]) -> tuple[Tensor, ...]:
    places = [(row, place) for row, target in enumerate(targets) for place in answer_places(target)]
    rows, positions = (torch.tensor(part, device=hidden.device) for part in zip(*places, strict=True))
    return _by_target(logprobs(model, hidden[rows, positions]), targets)


def answer_places(target: EncodedTarget) -> list[int]:
    """The positions at which the tokens of the target are predicted."""
    return list(range(target.target_start - 1, len(target.ids) - 1))


def _mean_nll(logprobs: Tensor, targets: Sequence[EncodedTarget]) -> Tensor:
    """Of (tokens of all targets, vocabulary) to (targets,)."""
    return torch.stack([part.mean() for part in _by_target(logprobs, targets)])


def _by_target(logprobs: Tensor, targets: Sequence[EncodedTarget]) -> tuple[Tensor, ...]:
    """Of (tokens of all targets, vocabulary) to each target's NLL by token."""
    tokens = torch.tensor([token for target in targets for token in target.target], device=logprobs.device)
    lengths = [len(target.target) for target in targets]
    return torch.split(-logprobs.gather(1, tokens[:, None])[:, 0], lengths)


@dataclass(frozen=True)
class Row:
    """A text, the edit whose update it runs with, and the positions that are read."""

    ids: Tokens
    owner: int
    read: Sequence[int]

    @staticmethod
    def of(target: EncodedTarget, owner: int) -> Row:
        """Read where the target is predicted."""
        return Row(target.ids[:-1], owner, answer_places(target))


def edited_logprobs(
    model: EditableModel, updates: Mapping[str, Factors], rows: Sequence[Row], together: int = 1
) -> Tensor:
    """Log-probabilities at what is read of each row, in the rows' order, (places, vocabulary) float32.

    Each runs with its owner's update; with `together`, of so many owners in a row the updates are added.
    """
    applied = Applied(updates, together)
    states: dict[int, Tensor] = {}
    for chosen in _alike(model, [len(row.ids) for row in rows]):
        with applied.read_by(model, [rows[place].owner for place in chosen]):
            hidden = hidden_states(model, [rows[place].ids for place in chosen])
        for row, place in enumerate(chosen):
            states[place] = hidden[row, list(rows[place].read)]
    return logprobs(model, torch.cat([states[place] for place in range(len(rows))]))


@dataclass(frozen=True)
class StepLosses:
    """Of one batch: mean NLL of the new answers, mean KL(unedited ‖ edited) of what should stay."""

    nll: Tensor
    kl: Tensor


def batch_updates(
    network: HyperNetwork, model: EditableModel, tensors: Sequence[str], batch: Sequence[Example]
) -> dict[str, Factors]:
    """What the network makes of each example's gradient; in training it takes note of these too."""
    texts = [one.text for one in batch]
    gradients = edit_gradients(model, tensors, [one.edit.new for one in batch])
    if network.training:  # what is held out for validation is no statistic of training
        network.learn_sizes(texts, gradients)
    return network.updates(texts, gradients)


def further_updates(
    network: HyperNetwork,
    model: EditableModel,
    tensors: Sequence[str],
    batch: Sequence[Example],
    applied: Applied,
    enough: float,
) -> dict[str, Factors]:
    """What is applied, and beside it what the network makes of the gradient at the model with that in it.

    An example whose answer has an NLL below `enough` by now gets nothing more. No gradient of training
    goes through what was applied.
    """
    gradients = edit_gradients(model, tensors, [one.edit.new for one in batch], applied, enough)
    made = network.updates([one.text for one in batch], gradients)
    lacking = gradients[tensors[0]].left.ne(0).flatten(1).any(dim=1)[:, None, None]
    return {
        tensor: Factors(one.left.detach(), one.right.detach()).beside(
            Factors(made[tensor].left * lacking, made[tensor].right)
        )
        for tensor, one in applied.updates.items()
    }


def updates_in_rounds(
    network: HyperNetwork,
    model: EditableModel,
    tensors: Sequence[str],
    batch: Sequence[Example],
    *,
    rounds: int,
    together: int = 1,
    enough: float = 0.0,
) -> dict[str, Factors]:
    """`batch_updates`, then so many `further_updates`, with those of `together` examples in one model."""
    wanted = torch.is_grad_enabled()
    with torch.set_grad_enabled(wanted and rounds == 1):
        found = batch_updates(network, model, tensors, batch)
    for done in range(2, rounds + 1):
        with torch.set_grad_enabled(wanted and done == rounds):
            found = further_updates(network, model, tensors, batch, Applied(found, together), enough)
    return found


def step_losses(
    model: EditableModel,
    unedited: Unedited,
    updates: Mapping[str, Factors],
    examples: Examples,
    batch: Sequence[Example],
    *,
    seed: int,
    step: int,
    enough: float = 0.0,
    kept: int = 4,
    together: int = 1,
) -> StepLosses:
    """Read each example's prompts and what must stay, with the updates of its group of `together`.

    An answer whose NLL is below `enough` counts as that much, and has no gradient.
    """
    answers = _answers(batch, seed, step)
    keep = [
        Row(ids, place, read)
        for place, one in enumerate(batch)
        for ids, read in examples.to_keep(one, seed, step, kept, _group(batch, place, together))
    ]
    rows = [Row.of(target, place) for target, place in answers]
    found = edited_logprobs(model, updates, [*rows, *keep], together)
    told, left = torch.split(found, [sum(len(row.read) for row in some) for some in (rows, keep)])
    expected = unedited.logprobs([(row.ids, row.read) for row in keep])
    kl = (expected.exp() * (expected - left)).sum(dim=1).mean()
    losses = _mean_nll(told, [target for target, _ in answers])
    return StepLosses(losses.clamp(min=enough).mean(), kl)


def _group(batch: Sequence[Example], place: int, together: int) -> Sequence[Example]:
    first = place // together * together
    return batch[first : first + together]


def _answers(batch: Sequence[Example], seed: int, step: int) -> list[tuple[EncodedTarget, int]]:
    """The edit prompt and one paraphrase of each example, with the new answer, and the example's place."""
    answers = []
    for place, example in enumerate(batch):
        drawn = example.paraphrases[(seed + step + place) % len(example.paraphrases)]
        answers += [(example.edit.new, place), (drawn.new, place)]
    return answers


@torch.no_grad()
def preferences(
    model: EditableModel, updates: Mapping[str, Factors], batch: Sequence[Example], together: int = 1
) -> dict[str, list[tuple[float, float]]]:
    """(NLL of the new, NLL of the true answer) of "edit", "paraphrase", "neighbor", by each example's edit.

    Examples without a true answer are left out, as the comparison needs one.
    """
    asked: list[tuple[str, int, Asked]] = []
    for place, example in enumerate(batch):
        if example.edit.true is not None:
            asked.append(("edit", place, example.edit))
            asked += [("paraphrase", place, one) for one in example.paraphrases]
            asked += [("neighbor", place, one) for one in example.neighbors]
    if not asked:
        return {}
    targets = [(one, place) for _, place, pair in asked for one in (pair.new, pair.true) if one]
    logprobs = edited_logprobs(model, updates, [Row.of(*one) for one in targets], together)
    losses = _mean_nll(logprobs, [target for target, _ in targets]).view(-1, 2).tolist()
    found: dict[str, list[tuple[float, float]]] = {"edit": [], "paraphrase": [], "neighbor": []}
    for (kind, _, _), (new, true) in zip(asked, losses, strict=True):
        found[kind].append((new, true))
    return found
