"""From facts to token ids: where the subject ends, where the target begins, how a batch is padded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kedit_lifecycle.errors import BadRecordError

SUBJECT_SLOT = "{}"


@dataclass(frozen=True, slots=True)
class EncodedTarget:
    """`prompt` and `target` as one sequence; `ids[target_start:]` are the target's tokens."""

    ids: tuple[int, ...]
    target_start: int

    @property
    def target(self) -> tuple[int, ...]:
        """The target's token ids."""
        return self.ids[self.target_start :]

    def with_target(self, target: Sequence[int]) -> EncodedTarget:
        """The same prompt with another target's tokens."""
        return EncodedTarget((*self.ids[: self.target_start], *target), self.target_start)


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of `text`, with the special tokens this tokenizer puts around it at the front."""
    return _encode_with_offsets(tokenizer, text)[0]


def _encode_with_offsets(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    encoding = tokenizer(text, return_offsets_mapping=True)
    ids, offsets = list(encoding["input_ids"]), [tuple(pair) for pair in encoding["offset_mapping"]]
    if ids and ids[-1] == tokenizer.eos_token_id and offsets[-1][0] == offsets[-1][1]:
        ids, offsets = ids[:-1], offsets[:-1]  # some tokenizers close a text; a prompt stays open
    return ids, offsets


def encode_with_target(tokenizer: Any, prompt: str, target: str) -> EncodedTarget:
    """Encode `prompt` and `target` with exactly one space between them, as one text.

    Raises:
        BadRecordError: if the target comes out as no token at all.
    """
    stem, wanted = prompt.rstrip(), target.strip()
    ids, offsets = _encode_with_offsets(tokenizer, f"{stem} {wanted}" if wanted else stem)
    start = next((i for i, (_, end) in enumerate(offsets) if end > len(stem)), len(ids))
    if start == len(ids):
        raise BadRecordError(f"the target {target!r} has no tokens in this model's vocabulary")
    return EncodedTarget(tuple(ids), start)


@dataclass(frozen=True, slots=True)
class EncodedFact:
    """A prompt with its subject in place, and a target behind it if one was given.

    `ids[subject_last]` is the subject's last token; `ids[target_start:]` the target (empty without one).
    """

    ids: tuple[int, ...]
    subject_last: int
    target_start: int


def encode_fact(tokenizer: Any, prompt: str, subject: str, target: str = "", prefix: str = "") -> EncodedFact:
    """Encode prefix, prompt (its `{}` is the subject's place), and target as one text.

    The subject's last token is found by character offsets: a beginning that is encoded alone can be
    cut into other tokens than the same beginning of a longer text.

    Raises:
        BadRecordError: if the subject or the target comes out as no token.
    """
    before, _, after = prompt.partition(SUBJECT_SLOT)
    subject_end = len(prefix + before) + len(subject.rstrip())
    stem = (prefix + before + subject + after).rstrip()
    wanted = target.strip()
    ids, offsets = _encode_with_offsets(tokenizer, f"{stem} {wanted}" if wanted else stem)
    # one character may be several tokens, all with its offsets: the subject ends with the last of them
    ends = [i for i, (start, end) in enumerate(offsets) if start < subject_end <= end]
    if not ends:
        raise BadRecordError(f"the subject {subject!r} has no tokens in this model's vocabulary")
    begin = next((i for i, (_, end) in enumerate(offsets) if end > len(stem)), len(ids))
    if target and begin == len(ids):
        raise BadRecordError(f"the target {target!r} has no tokens in this model's vocabulary")
    return EncodedFact(tuple(ids), ends[-1], begin)


def pad_batch(
    sequences: Sequence[Sequence[int]], pad_id: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Right-pad to (batch, positions); the mask comes from lengths, so a pad id may be a real token too."""
    width = max(len(sequence) for sequence in sequences)
    input_ids = torch.full((len(sequences), width), pad_id, dtype=torch.long)
    attention_mask = torch.zeros((len(sequences), width), dtype=torch.long)
    for row, sequence in enumerate(sequences):
        input_ids[row, : len(sequence)] = torch.tensor(sequence, dtype=torch.long)
        attention_mask[row, : len(sequence)] = 1
    return input_ids.to(device), attention_mask.to(device)


def pad_id_of(tokenizer: Any) -> int:
    """An id to pad with; attention masks make its value irrelevant."""
    for candidate in (tokenizer.pad_token_id, tokenizer.eos_token_id, 0):
        if candidate is not None:
            return int(candidate)
    raise AssertionError("unreachable")
