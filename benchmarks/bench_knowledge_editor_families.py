"""KnowledgeEditor on a real BERT: all-MiniLM-L6-v2 taught to check facts, then edited.

    python benchmarks/bench_knowledge_editor_families.py [--relation P36] [--facts 80] [--steps 240]

The claims are built-in facts of one relation, half of them true, in five wordings each; a classifier is
taught them all. The gates are trained on three quarters of the facts; printed is, on the rest, how often an
edit flips the label of the claim and of its other wordings, and how many of 40 other claims keep theirs.
Beside it: the untrained network, a plain gradient step, at several step sizes.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from kedit_lifecycle.editors.knowledge_editor import GateConfig
from kedit_lifecycle.editors.knowledge_editor.families import Classifier, Fact, FamilyEditor
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.models.sentence_encoder import packaged_encoder

REFUTES, SUPPORTS = "REFUTES", "SUPPORTS"
GATES = GateConfig(
    blocks=2,
    lstm_width=64,
    condition_width=64,
    gate_width=64,
    edit_learning_rate=2.0,
    margin_start=0.15,
    multiplier_rate=0.3,
)
OTHERS = 40


def claims(relation: str, count: int) -> list[Fact]:
    """True and false claims in turn; an edit makes the model say the opposite."""
    facts = [one for one in load_requests("world-facts").requests if one.relation == relation][:count]
    made = []
    for place, fact in enumerate(facts):
        said = fact.target_true if place % 2 == 0 else fact.target_new
        old, new = (SUPPORTS, REFUTES) if place % 2 == 0 else (REFUTES, SUPPORTS)
        forms = [f"{prompt} {said}." for prompt in (fact.question, *fact.paraphrases)]
        made.append(Fact(forms[0], old, new, tuple(forms[1:])))
    random.Random(0).shuffle(made)
    return made


def checker(facts: Sequence[Fact], steps: int = 200) -> Classifier:
    """all-MiniLM-L6-v2 with a head, taught until a batch's NLL is below 0.03."""
    folder = str(packaged_encoder())
    config: Any = AutoConfig.from_pretrained(folder, id2label={0: REFUTES, 1: SUPPORTS}, num_labels=2)
    model_class: Any = AutoModelForSequenceClassification
    tokenizer_class: Any = AutoTokenizer
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = model_class.from_pretrained(folder, config=config)
    family = Classifier(network, tokenizer_class.from_pretrained(folder))
    known = [(text, fact.old) for fact in facts for text in (fact.text, *fact.paraphrases)]
    adam = torch.optim.Adam(network.requires_grad_(True).parameters(), lr=2e-4)
    for step in range(steps):
        texts, answers = zip(*random.Random(step).sample(known, min(32, len(known))), strict=True)
        loss = family.nll(texts, answers).mean()
        if float(loss.detach()) < 0.03:
            break
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
    network.requires_grad_(False)
    right = sum(family.answers([text])[0] == answer for text, answer in known)
    print(f"claims it answers as taught: {right} of {len(known)}")
    return family


def shares(editor: FamilyEditor, edited: Sequence[Fact], facts: Sequence[Fact]) -> tuple[float, float, float]:
    """Shares of flipped claims, of flipped other wordings, and of other claims that keep their label."""
    flipped, forms, kept = [], [], []
    for fact in edited:
        others = [one for one in facts if one is not fact][:OTHERS]
        with editor.edited(editor.plan(fact)):
            flipped += [editor.family.answers([fact.text]) == [fact.new]]
            forms += [answer == fact.new for answer in editor.family.answers(fact.paraphrases)]
            found = editor.family.answers([one.text for one in others])
            kept += [answer == one.old for answer, one in zip(found, others, strict=True)]
    first, second, third = (sum(part) / len(part) for part in (flipped, forms, kept))
    return first, second, third


def row(name: str, found: tuple[float, float, float]) -> str:
    """A line of the table."""
    return f"{name:<30}" + "".join(f"{share:12.3f}" for share in found)


def main() -> None:
    """Teach, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--relation", default="P36")
    parser.add_argument("--facts", type=int, default=80)
    parser.add_argument("--steps", type=int, default=240)
    arguments = parser.parse_args()
    facts = claims(arguments.relation, arguments.facts)
    family, cut = checker(facts), len(facts) * 3 // 4
    print(f"{len(facts) - cut} facts that the gates were not trained on")
    print(f"{'':<30}{'flipped':>12}{'in others':>12}{'kept':>12}")
    for rate in (0.5, 1.0, 2.0, 3.0):
        untrained = FamilyEditor(family, GATES.model_copy(update={"edit_learning_rate": rate}))
        print(row(f"untrained, step {rate:g}", shares(untrained, facts[cut:], facts)), flush=True)
    editor = FamilyEditor(family, GATES)
    history = editor.train(facts[:cut], steps=arguments.steps, batch=8, learning_rate=1e-3)
    print(row(f"trained, {len(history)} steps", shares(editor, facts[cut:], facts)))
    last = history[-1]
    print("last step: " + ", ".join(f"{name} {value:.3f}" for name, value in last.items()))


if __name__ == "__main__":
    main()
