"""A LoRA (Hu et al. 2022) that teaches a language model to answer by the edit it is shown."""

from __future__ import annotations

import copy
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.relations import RELATIONS, relation_of
from kedit_lifecycle.facts.request import SUBJECT_SLOT, EditRequest
from kedit_lifecycle.memory.counterfactual import Conditioning, CounterfactualModel
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry
from kedit_lifecycle.models.artefact import TrainedArtefact
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import EncodedTarget, encode_with_target, pad_batch

FORMAT = "kedit/counterfactual@1"
SHOWN = Conditioning("Edit: {fact}.\nQuery: {query}")

Progress = Callable[[str, int, int], None]


class CounterfactualArtefact(TrainedArtefact):
    """A LoRA's tensors, and the recipe with the base model it belongs to."""

    kind = "counterfactual model"
    required = ("base", "conditioning", "training")


@dataclass(frozen=True, slots=True)
class CounterfactualTraining:
    """How the LoRA is trained."""

    rank: int = 8
    alpha: int = 16
    steps: int = 300
    batch_size: int = 8
    learning_rate: float = 5e-4


@dataclass(frozen=True, slots=True)
class Lesson:
    """A query in the scope of an edit, and what the edited fact makes the answer."""

    entry: MemoryEntry
    query: str
    answer: str


def lessons_of(request: EditRequest) -> Iterator[Lesson]:
    """What an edit answers: its question, its paraphrases, and what it entails.

    Entailed are the yes and no to a statement of the new and of the old fact, and the question of the
    inverse relation where one is declared.
    """
    entry = MemoryEntry(EntryId(0, 0), request)
    for query in (request.question, *request.paraphrases):
        yield Lesson(entry, query, request.target_new)
    statement = "Is it true that {} {}? Answer yes or no:"
    yield Lesson(entry, statement.format(request.question.strip(), request.target_new), "yes")
    if request.target_true:
        yield Lesson(entry, statement.format(request.question.strip(), request.target_true), "no")
    declared = relation_of(request.relation)
    if declared and declared.inverse:
        inverse = RELATIONS[declared.inverse].prompt
        yield Lesson(entry, inverse.replace(SUBJECT_SLOT, request.target_new), request.subject)


def train_counterfactual(
    model: EditableModel,
    requests: Sequence[EditRequest],
    seed: int = 0,
    training: CounterfactualTraining | None = None,
    *,
    progress: Progress = lambda stage, done, total: None,
) -> CounterfactualArtefact:
    """Train a LoRA on a copy of the unedited model: NLL of the answers, Mitchell et al. 2022, §3.2.

    Raises:
        UsageError: without requests.
    """
    how = training or CounterfactualTraining()
    lessons = [lesson for request in requests for lesson in lessons_of(request)]
    if not lessons:
        raise UsageError("a counterfactual model needs requests to learn from")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        adapted = _adapted(model, how)
        losses = _fit(model, adapted, lessons, seed, how, progress)
    found: Any = get_peft_model_state_dict(adapted)
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in found.items()}
    digests = "".join(request.digest for request in requests)
    recipe = {
        "format": FORMAT,
        "base": model.base_digest,
        "conditioning": SHOWN.template,
        "training": asdict(how),
        "seed": seed,
        "requests": {"digest": hashlib.sha256(digests.encode()).hexdigest(), "count": len(requests)},
        "lessons": len(lessons),
        "nll": {"first": round(losses[0], 6), "last": round(losses[-1], 6)},
    }
    return CounterfactualArtefact(tensors, recipe)


def counterfactual_with(model: EditableModel, artefact: CounterfactualArtefact) -> CounterfactualModel:
    """The model that an artefact makes of the unedited `model`; the LoRA is merged into a copy.

    Raises:
        UsageError: an artefact of another model.
    """
    if artefact.recipe["base"] != model.base_digest:
        raise UsageError(
            "this counterfactual model was trained on another base model", hint="kedit train serac"
        )
    adapted = _adapted(model, CounterfactualTraining(**artefact.recipe["training"]))
    set_peft_model_state_dict(adapted, dict(artefact.tensors))
    merged = EditableModel(adapted.merge_and_unload(), model.tokenizer, name=model.name, source=model.source)
    return CounterfactualModel(merged, Conditioning(artefact.recipe["conditioning"]))


def _adapted(model: EditableModel, how: CounterfactualTraining) -> Any:
    """A copy of the base model with a fresh LoRA on the modules that PEFT adapts in this family."""
    with model.unedited():
        network = copy.deepcopy(model.network)
    return get_peft_model(network, LoraConfig(r=how.rank, lora_alpha=how.alpha, task_type="CAUSAL_LM"))


def _fit(
    model: EditableModel,
    adapted: Any,
    lessons: Sequence[Lesson],
    seed: int,
    how: CounterfactualTraining,
    progress: Progress,
) -> list[float]:
    """The mean NLL (nats per answer token) of each step's batch."""
    encoded = [
        encode_with_target(model.tokenizer, SHOWN.prompt(one.entry, one.query), one.answer) for one in lessons
    ]
    draw = random.Random(f"counterfactual:{seed}")
    optimiser = torch.optim.AdamW(
        [parameter for parameter in adapted.parameters() if parameter.requires_grad], lr=how.learning_rate
    )
    losses = []
    for step in range(how.steps):
        progress("training the counterfactual model", step, how.steps)
        loss = _answer_nll(model, adapted, [draw.choice(encoded) for _ in range(how.batch_size)])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def _answer_nll(model: EditableModel, adapted: Any, batch: Sequence[EncodedTarget]) -> Tensor:
    """Mean over the tokens of the answers alone."""
    ids, mask = pad_batch([one.ids for one in batch], model.pad_id, model.device)
    logprobs = torch.log_softmax(adapted(input_ids=ids, attention_mask=mask).logits.float(), dim=-1)
    rows = [row for row, one in enumerate(batch) for _ in one.target]
    places = [place for one in batch for place in range(one.target_start, len(one.ids))]
    before = [place - 1 for place in places]
    return -logprobs[rows, before, ids[rows, places]].mean()
