"""What a learned editor's updates have in common, and what comes of it when several stand in one model.

    python benchmarks/bench_learned_updates.py [FOLDER …] [--count 64] [--together 1,4,16] [--rounds 1]
    python benchmarks/bench_learned_updates.py --keys 4,6,8,10,12 [--whiten 0,64,256]

FOLDER is a trained artefact; otherwise those that come along. For each weight: the share of the mean over
edits in the mean square of the update's value (left) and key (right), on training facts; then ES, PS, NS and
NLL of held-out edits, each alone and in groups whose updates are added, from the unedited model's gradients;
with `--rounds`, those whose target is not probable by then get another, from the gradients at the model with
their group's updates. `--keys`: how much of another subject's key, and of its own in a paraphrase, a key has
at some layers: uᵀ C⁻¹ x / uᵀ C⁻¹ u, with C of text, and of text and other subjects.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from learned_data import artefacts_that_come_along, counterfact_held_out, training_facts
from single_edits import statistics_in
from torch import Tensor

from kedit_lifecycle.editors.learned.artefact import LearnedArtefact
from kedit_lifecycle.editors.learned.examples import Example, encode_example, make_examples
from kedit_lifecycle.editors.learned.gradients import Factors
from kedit_lifecycle.editors.learned.network import HyperNetwork, subject_tokens
from kedit_lifecycle.editors.learned.reading import (
    edit_gradients,
    preferences,
    subject_moments,
    updates_in_rounds,
)
from kedit_lifecycle.editors.learned.whitening import Whitening, balanced
from kedit_lifecycle.editors.statistics.second_moment import accumulate_second_moments
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model
from kedit_lifecycle.workbench.editor_training import learned_editor

BATCH = 16
ENOUGH = 0.7
"""NLL of a target that gets no further round: about the editors' stop_probability of one half."""


def network_of(model: EditableModel, artefact: LearnedArtefact) -> HyperNetwork:
    editor = learned_editor(artefact.recipe["method"])
    network = editor.network(model, artefact.recipe["tensors"], artefact.recipe["settings"])
    network.load_state_dict(dict(artefact.tensors))
    return network.eval()


@torch.no_grad()
def common(values: Tensor) -> float:
    """‖mean‖² / mean ‖·‖² of (edits, rank, width), each edit's parts taken together."""
    flat = values.flatten(1)
    return float(flat.mean(dim=0).square().sum() / flat.square().sum(dim=1).mean())


def updates_of(
    model: EditableModel,
    network: HyperNetwork,
    tensors: Sequence[str],
    examples: Sequence[Example],
    together: int = 1,
    rounds: int = 1,
) -> list[dict[str, Factors]]:
    with torch.no_grad():
        return [
            updates_in_rounds(
                network,
                model,
                tensors,
                examples[start : start + BATCH],
                rounds=rounds,
                together=together,
                enough=ENOUGH,
            )
            for start in range(0, len(examples), BATCH)
        ]


def in_common(
    model: EditableModel, artefact: LearnedArtefact, count: int, sizes: Sequence[int], rounds: int
) -> None:
    if artefact.recipe["settings"]["tokens"] != "subject":
        raise SystemExit("what updates have in common is compared at one token of each: tokens=subject")
    network, tensors = network_of(model, artefact), tuple(artefact.recipe["tensors"])
    facts = [encode_example(model, one) for one in training_facts(world_facts=False)[:count]]
    found = updates_of(model, network, tensors, facts)
    for tensor in tensors:
        left = torch.cat([batch[tensor].left for batch in found])
        right = torch.cat([batch[tensor].right for batch in found])
        print(f"  {tensor}: in common, of the value {common(left):.3f}, of the key {common(right):.3f}")
    held = [encode_example(model, one) for one in counterfact_held_out()[:count]]
    alone = updates_of(model, network, tensors, held)
    for size in sizes:
        made = alone if rounds == 1 else updates_of(model, network, tensors, held, size, rounds)
        pairs: dict[str, list[tuple[float, float]]] = {"edit": [], "paraphrase": [], "neighbor": []}
        for place, updates in enumerate(made):
            batch = held[place * BATCH : (place + 1) * BATCH]
            for kind, some in preferences(model, updates, batch, size).items():
                pairs[kind] += some
        shares = {
            kind: sum((new < true) == (kind != "neighbor") for new, true in some) / len(some)
            for kind, some in pairs.items()
        }
        loss = sum(new for new, _ in pairs["edit"]) / len(pairs["edit"])
        print(
            f"  {size:>3} together: ES {shares['edit']:.3f}  PS {shares['paraphrase']:.3f}  "
            f"NS {shares['neighbor']:.3f}  NLL {loss:.2f}",
            flush=True,
        )


@torch.no_grad()
def keys(model: EditableModel, layers: Sequence[int], ranks: Sequence[int], count: int) -> None:
    """How much of another key a key has, by layer, for C⁻¹ of so many of the strongest directions."""
    with tempfile.TemporaryDirectory() as folder:
        texts = statistics_in(model, folder).samples(16_384)
    found = accumulate_second_moments(model, layers, texts, sum(map(len, texts)))
    facts = training_facts(world_facts=False, questions=False)[:count]
    examples = [one for one in make_examples(model, facts, unrelated=[]).training if one.wordings]
    tensors = [model.architecture.mlp_down_weight(layer) for layer in layers]
    asked = [one.asked_by(one.wordings[0]) for one in examples]
    of_edit, of_paraphrase = (
        subject_tokens(
            [one.text for one in some], edit_gradients(model, tensors, [one.edit.new for one in some])
        )
        for some in (examples, asked)
    )
    rest = [encode_example(model, one) for one in training_facts(world_facts=False)[count : count + 1024]]
    subjects = subject_moments(model, tensors, rest)
    print(f"{len(examples)} facts; of another subject's key (mean, root mean square), of a paraphrase's")
    for layer, tensor in zip(layers, tensors, strict=True):
        own, other = of_edit[tensor].right[:, 0], of_paraphrase[tensor].right[:, 0]
        for name, second_moment in {
            "text": found[layer],
            "text and subjects": balanced(found[layer], subjects[tensor]),
        }.items():
            cells = [f"{rank:>5} directions {_shares(own, other, second_moment, rank)}" for rank in ranks]
            print(f"  layer {layer:>2}, {name:<17}: " + " | ".join(cells), flush=True)


def _shares(own: Tensor, other: Tensor, second_moment: Tensor, rank: int) -> str:
    solved = own
    if rank:
        white = Whitening(own.shape[1], rank)
        white.measure(second_moment)
        solved = white(white(own))
    size = (solved * own).sum(dim=1, keepdim=True)
    shares = (solved @ own.T / size).fill_diagonal_(0)
    pairs = len(own) * (len(own) - 1)
    mean, square = shares.sum() / pairs, (shares.square().sum() / pairs).sqrt()
    paraphrase = ((solved * other).sum(dim=1) / size[:, 0]).mean()
    return f"{mean:.4f} {square:.4f} {paraphrase:.2f}"


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artefacts", type=Path, nargs="*")
    parser.add_argument("--count", type=int, default=64, help="facts of each kind")
    parser.add_argument("--together", default="1,4,16")
    parser.add_argument("--rounds", type=int, default=1, help="updates of an edit at most")
    parser.add_argument("--keys", default="", help="layers")
    parser.add_argument("--whiten", default="0,64,256")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    for place in arguments.artefacts or ([] if arguments.keys else artefacts_that_come_along()):
        artefact = LearnedArtefact.load(place)
        print(f"{artefact.recipe['method']} {artefact.digest[:8]}")
        sizes = [int(size) for size in arguments.together.split(",")]
        in_common(model, artefact, arguments.count, sizes, arguments.rounds)
    if arguments.keys:
        layers = [int(layer) for layer in arguments.keys.split(",")]
        keys(model, layers, [int(rank) for rank in arguments.whiten.split(",")], arguments.count)


if __name__ == "__main__":
    main()
