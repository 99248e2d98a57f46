"""Text sampled from the unedited model: context prefixes, and the corpus behind statistics and drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from kedit_lifecycle.errors import ModelError
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.generation import Sampling, continue_ids
from kedit_lifecycle.models.tokens import encode

PREFIX_STARTS = ("The", "Therefore", "Because", "I", "You")  # as in the ROME authors' code
_BATCH = 32


def sample_prefixes(model: EditableModel, lengths: Sequence[tuple[int, int]], seed: int = 0) -> list[str]:
    """Context prefixes for each (tokens, how many), sampled with top-5 from the unedited model.

    Starts and top-k are those of the ROME authors' code.
    """
    texts: list[str] = []
    for position, (length, count) in enumerate(lengths):
        starts = [encode(model.tokenizer, PREFIX_STARTS[i % len(PREFIX_STARTS)]) for i in range(count)]
        sampled = sample_continuations(model, starts, length, seed=seed + position, top_k=5)
        for start, ids in zip(starts, sampled, strict=True):
            text = model.tokenizer.decode([*start, *ids], skip_special_tokens=True)
            texts.append(" ".join(text.split()))
    return texts


def sample_corpus(
    model: EditableModel,
    tokens: int,
    *,
    length: int = 64,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> list[list[int]]:
    """Sequences of `length` tokens from the unedited model, at least `tokens` in all.

    Each begins with a word of the vocabulary drawn at random, so that the corpus covers many topics.
    """
    words = _word_tokens(model)
    generator = torch.Generator().manual_seed(seed)
    count = -(-tokens // length)
    picks = torch.randint(len(words), (count,), generator=generator).tolist()
    front = encode(model.tokenizer, "")
    starts = [[*front, words[pick]] for pick in picks]
    corpus: list[list[int]] = []
    for begin in range(0, count, _BATCH):
        batch = starts[begin : begin + _BATCH]
        sampled = sample_continuations(model, batch, length - len(batch[0]), seed=seed + 1 + begin)
        corpus += [[*start, *ids] for start, ids in zip(batch, sampled, strict=True)]
        progress("sampling text from the base model", len(corpus), count)
    return corpus


def _word_tokens(model: EditableModel) -> list[int]:
    """Ids of tokens that begin a word: letters only, after decoding and stripping one space."""
    special = set(model.tokenizer.all_special_ids)
    limit = model.network.config.vocab_size
    texts = ((i, model.tokenizer.decode([i])) for i in range(min(len(model.tokenizer), limit)))
    words = [i for i, text in texts if i not in special and text[:1] == " " and text[1:].isalpha()]
    return words or [i for i in range(limit) if i not in special]


def sample_continuations(
    model: EditableModel, starts: Sequence[Sequence[int]], length: int, *, seed: int, top_k: int = 0
) -> list[list[int]]:
    """Sample `length` tokens behind each start, at temperature 1, from the unedited model.

    Special tokens are never drawn, so that every sample is running text.

    Raises:
        ModelError: if the model's logits are not finite.
    """
    vocabulary = model.network.config.vocab_size
    never = frozenset(i for i in model.tokenizer.all_special_ids if i < vocabulary)
    sampling = Sampling(seed, top_k=top_k, never=never)
    with model.unedited():
        _refuse_broken(model, starts[0])
        return continue_ids(model, [tuple(start) for start in starts], length, sampling)


@torch.no_grad()
def _refuse_broken(model: EditableModel, ids: Sequence[int]) -> None:
    input_ids = torch.tensor([list(ids)], device=model.device)
    hidden = model.hidden_states(input_ids, torch.ones_like(input_ids)).last_hidden_state
    if not torch.isfinite(model.logits(hidden)).all():
        raise ModelError(
            "the unedited model gives logits that are not finite", hint="kedit models check NAME"
        )
