"""What learned editors are trained on, and the facts that are kept from them."""

from __future__ import annotations

import json
from pathlib import Path

from benchmark_files import shared_file

from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.editors.learned.editor import LearnedEditor
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest

_QUESTIONS: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "relation_questions.json").read_text("utf-8")
)

HELD_OUT_OF_STREAM = 100
"""The last so many records of the stream are kept for evaluation."""


def artefacts_that_come_along() -> list[Path]:
    """Folders of the trained networks that come with the methods."""
    editors = [get_editor(name) for name in ("mend", "knowledge-editor")]
    folders = [one.packaged for one in editors if isinstance(one, LearnedEditor)]
    return [place for folder in folders for place in sorted(folder.iterdir()) if place.is_dir()]


def counterfact_held_out() -> list[EditRequest]:
    """200 CounterFact records: counterfact_100.json, and the last 100 of the stream."""
    full = load_requests(shared_file("counterfact_100.json")).requests
    stream = load_requests(shared_file("counterfact_stream_1500.jsonl")).requests
    return [*full, *stream[-HELD_OUT_OF_STREAM:]]


def zsre_held_out() -> list[EditRequest]:
    """The 40 zsRE records of KnowEdit."""
    return list(load_requests(shared_file("knowedit_zsre_40.json")).requests)


def training_facts(*, world_facts: bool = True, questions: bool = True) -> list[EditRequest]:
    """The rest of the stream, and the built-in facts; no subject of them is one of those held out.

    With `questions`, each fact of a known relation is asked by two questions as well, among its
    paraphrases, in words of our own, for the relations of these facts.
    """
    stream = load_requests(shared_file("counterfact_stream_1500.jsonl")).requests[:-HELD_OUT_OF_STREAM]
    built_in = load_requests("world-facts").requests if world_facts else []
    held = {one.subject for one in [*counterfact_held_out(), *zsre_held_out()]}
    kept = [one for one in [*stream, *built_in] if one.subject not in held]
    return [_with_questions(one) for one in kept] if questions else kept


def _with_questions(request: EditRequest) -> EditRequest:
    asked = [one.replace("{}", request.subject) for one in _QUESTIONS.get(request.relation or "", ())]
    return request.model_copy(update={"paraphrases": (*request.paraphrases, *asked)})
