"""The fast ROME equals the plain one: v*, loss curve and ΔW, on every architecture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plain_rome import plain_rome
from tiny import CORE_FAMILIES, tiny_editable

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors.locate.contexts import encode_contexts
from kedit_lifecycle.editors.locate.value_search import FoundValue, ValueSearch
from kedit_lifecycle.editors.rome import Rome, RomeConfig
from kedit_lifecycle.editors.statistics import Statistics, StatisticsLibrary
from kedit_lifecycle.facts.request import EditRequest, make_request
from kedit_lifecycle.models.delta import replay
from kedit_lifecycle.models.editable import EditableModel

REQUESTS = (
    make_request(subject="The Eiffel Tower", prompt="{} is in the city of", target_new="Rome"),
    make_request(
        subject="Mozart", prompt="What did the famous {} write? He", target_new="played water music"
    ),
    make_request(subject="Italy", prompt="{}", target_new="Tokyo"),
)
PREFIXES = ["The river runs", "Because water boils at a hundred", "I"]


def search_value(
    model: EditableModel, request: EditRequest, config: RomeConfig, prefixes: list[str]
) -> FoundValue:
    search = ValueSearch(
        model, config.layer, config, "value", "subject" if config.variant == "original" else "end"
    )
    return search.find([encode_contexts(model, request, prefixes)])[0]


def statistics_of(model: EditableModel, folder: Path) -> Statistics:
    return Statistics(model, StatisticsLibrary(folder / "stats", BlobStore(folder / "blobs")))


@pytest.mark.parametrize(
    ("variant", "unprefixed_weight"), [("averaged-key", 1), ("averaged-key", 2.5), ("original", 1)]
)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r.subject)
@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_value_and_change_equal_the_plain_reference(
    family: str, request_: EditRequest, variant: str, unprefixed_weight: float, tmp_path: Path
) -> None:
    model = tiny_editable(family, torch.float32)
    config = RomeConfig.model_validate(
        {"layer": 1, "steps": 8, "variant": variant, "learning_rate": 0.1, "clamp_norm": 3.0,
         "prefix_lengths": [[4, 3]], "second_moment_tokens": 400, "unprefixed_weight": unprefixed_weight}
    )  # fmt: skip
    statistics = statistics_of(model, tmp_path)
    _, prefixes = statistics.prefixes(config.prefix_lengths)
    _, moment = statistics.second_moment(1, tokens=400)
    delta = Rome().plan(model, [request_], config, statistics=statistics)
    search = search_value(model, request_, config, prefixes)

    model.network.double()
    plain = plain_rome(model, request_, config, prefixes, moment)

    assert search.losses == pytest.approx(plain.losses, rel=1e-4, abs=1e-5)
    torch.testing.assert_close(search.delta.double(), plain.delta, rtol=2e-3, atol=2e-4)
    weight = delta.updates[0]
    change = replay(torch.zeros(weight.left.shape[1], weight.right.shape[1]), weight)  # type: ignore[union-attr]
    if model.architecture.transposed:
        change = change.T
    torch.testing.assert_close(
        change.double(), plain.change, rtol=5e-3, atol=5e-4 * float(plain.change.abs().max())
    )


def test_prefixes_of_different_lengths_and_a_stop_before_the_last_step(tmp_path: Path) -> None:
    model = tiny_editable("llama", torch.float32)
    config = RomeConfig(layer=0, steps=12, learning_rate=0.3, stop_loss=7.1, clamp_norm=None)
    moment = torch.eye(64)
    search = search_value(model, REQUESTS[0], config, PREFIXES)
    model.network.double()
    plain = plain_rome(model, REQUESTS[0], config, PREFIXES, moment)
    assert len(search.losses) == len(plain.losses) < config.steps
    torch.testing.assert_close(search.delta.double(), plain.delta, rtol=2e-3, atol=2e-4)
