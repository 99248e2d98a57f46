"""The texts behind one edit: the prompt alone, the prompt behind each context prefix, the essence prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import EncodedFact, encode_fact

ESSENCE_PROMPT = "{} is a"


@dataclass(frozen=True)
class EditContexts:
    """A request encoded: `prompts[0]` stands alone, the others behind a prefix; all with the target."""

    request: EditRequest
    prompts: tuple[EncodedFact, ...]
    essence: EncodedFact


def encode_contexts(model: EditableModel, request: EditRequest, prefixes: Sequence[str]) -> EditContexts:
    """Encode a request behind every prefix.

    Raises:
        BadRecordError: if the subject or the target comes out as no token.
    """
    tokenizer, subject = model.tokenizer, request.subject
    prompts = tuple(
        encode_fact(tokenizer, request.prompt, subject, request.target_new, prefix)
        for prefix in ("", *(f"{text}. " for text in prefixes))
    )
    return EditContexts(request, prompts, encode_fact(tokenizer, ESSENCE_PROMPT, subject))


def context_average(values: Tensor, unprefixed_weight: float) -> Tensor:
    """Mean over contexts, (…, contexts, width) -> (…, width); the first is the prompt without a prefix."""
    weights = torch.ones(values.shape[-2], 1, device=values.device, dtype=values.dtype)
    weights[0] = unprefixed_weight
    return (weights * values).sum(-2) / weights.sum()
