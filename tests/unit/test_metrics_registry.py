"""The registry names every metric, and loads without a model's libraries."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import get_args

import pytest

from kedit_lifecycle.evaluation.registry import METRICS, measured
from kedit_lifecycle.evaluation.scores import ScorerKind

IDS = {
    "efficacy",
    "efficacy_magnitude",
    "paraphrase",
    "paraphrase_magnitude",
    "neighborhood",
    "neighborhood_magnitude",
    "score",
    "neighborhood_unchanged",
    "exact_match",
    "paraphrase_exact_match",
    "generated_exact_match",
    "fluency",
    "perplexity",
    "drift_kl",
    "retention",
    "retention_exact_match",
    "forgotten",
    "weight_change",
    "distinct_predictions",
    "repeated_predictions",
    "repeated_trigrams",
    "distinct_2",
    "trigram_entropy",
    "logical_generalization",
    "compositionality_1",
    "compositionality_2",
    "subject_aliasing",
    "preservation",
    "relation_specificity",
    "multi_hop",
}


def test_every_metric_is_defined_once() -> None:
    assert set(METRICS) == IDS
    assert all(metric == definition.metric for metric, definition in METRICS.items())
    assert len({definition.short for definition in METRICS.values()}) == len(IDS)


@pytest.mark.parametrize("metric", sorted(IDS))
def test_a_definition_says_what_where_from_and_by_which_protocol(metric: str) -> None:
    definition = METRICS[metric]
    assert re.fullmatch(r"[a-z]+/[a-z-]+@\d+", definition.protocol)
    assert definition.definition
    assert definition.source
    assert definition.scorer in get_args(ScorerKind)


def test_settings_become_part_of_the_protocol() -> None:
    value = measured("perplexity", 12.5, 99, window=512, text="abc")
    assert value.protocol == "kedit/sliding-window@1:window=512,text=abc"
    assert (value.metric, value.scorer, value.value, value.count) == (
        "perplexity",
        "teacher-forced",
        12.5,
        99,
    )
    assert value.request is None


def test_a_value_without_settings_has_the_plain_protocol_and_its_request() -> None:
    value = measured("efficacy", 1.0, 1, 3)
    assert (value.protocol, value.request) == ("counterfact/mean-nll@1", 3)


def test_the_registry_and_the_metrics_load_without_torch() -> None:
    code = (
        "import sys, kedit_lifecycle.evaluation.registry, kedit_lifecycle.evaluation.metrics\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
