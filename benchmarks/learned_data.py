"""What learned editors are trained on, and the facts that are kept from them."""

from __future__ import annotations

from benchmark_files import shared_file

from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest

HELD_OUT_OF_STREAM = 100
"""The last so many records of the stream are kept for evaluation."""


def counterfact_held_out() -> list[EditRequest]:
    """200 CounterFact records: counterfact_100.json, and the last 100 of the stream."""
    full = load_requests(shared_file("counterfact_100.json")).requests
    stream = load_requests(shared_file("counterfact_stream_1500.jsonl")).requests
    return [*full, *stream[-HELD_OUT_OF_STREAM:]]


def zsre_held_out() -> list[EditRequest]:
    """The 40 zsRE records of KnowEdit."""
    return list(load_requests(shared_file("knowedit_zsre_40.json")).requests)


def training_facts(*, world_facts: bool = True) -> list[EditRequest]:
    """The rest of the stream, and the built-in facts; no subject of them is one of those held out."""
    stream = load_requests(shared_file("counterfact_stream_1500.jsonl")).requests[:-HELD_OUT_OF_STREAM]
    built_in = load_requests("world-facts").requests if world_facts else []
    held = {one.subject for one in [*counterfact_held_out(), *zsre_held_out()]}
    return [one for one in [*stream, *built_in] if one.subject not in held]
