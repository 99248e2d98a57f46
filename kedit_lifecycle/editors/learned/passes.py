"""One pass of the model as it stands, with or without a gradient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kedit_lifecycle.models.batching import Tokens
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import pad_batch


def hidden_states(model: EditableModel, sequences: Sequence[Tokens]) -> Tensor:
    """Final-normed states (batch, positions, d_model) of right-padded sequences.

    A gradient goes through it from wherever something asks for one; the layers below keep nothing for it.
    """
    input_ids, mask = pad_batch(sequences, model.pad_id, model.device)
    found: Tensor = model.hidden_states(input_ids, mask).last_hidden_state
    return found


def logprobs(model: EditableModel, states: Tensor) -> Tensor:
    """Log-probabilities of the next token after final-normed states, (places, vocabulary), float32."""
    return torch.log_softmax(model.logits(states), dim=-1)
