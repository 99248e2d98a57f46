"""The texts behind an edit."""

from __future__ import annotations

import pytest
import torch
from tiny import CORE_FAMILIES, tiny_editable

from kedit_lifecycle.editors.locate.contexts import EditContexts, encode_contexts
from kedit_lifecycle.facts.request import make_request
from kedit_lifecycle.models.editable import EditableModel

pytestmark = pytest.mark.unit

PREFIXES = ("The river", "A king of old")


@pytest.fixture(params=CORE_FAMILIES)
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable(str(request.param), torch.float32)


def encoded(model: EditableModel, subject: str, prompt: str) -> EditContexts:
    return encode_contexts(model, make_request(subject=subject, prompt=prompt, target_new="Rome"), PREFIXES)


@pytest.mark.parametrize("prompt", ["{} lives in", "The mother tongue of {} is"])
def test_last_tokens_stand_in_the_subjects_place_behind_each_prefix(
    model: EditableModel, prompt: str
) -> None:
    contexts = encoded(model, "Charles Two of Spain", prompt)
    before = prompt.partition("{}")[0]
    assert len(contexts.last_tokens) == len(PREFIXES)
    for prefix, ids, fact in zip(PREFIXES, contexts.last_tokens, contexts.prompts[1:], strict=True):
        assert ids[-1] == fact.ids[fact.subject_last]
        text = model.tokenizer.decode(ids[:-1], skip_special_tokens=True)
        assert text.rstrip() == f"{prefix}. {before}".rstrip()
        assert len(ids) < len(fact.ids[: fact.subject_last + 1])


def test_a_subject_of_one_token_has_none(model: EditableModel) -> None:
    contexts = encoded(model, "a", "See {} here")
    fact = contexts.prompts[1]
    assert fact.subject_first == fact.subject_last
    assert contexts.last_tokens == ()
