"""Where the subject ends and the target begins, in tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import BOS, EOS, tiny_tokenizer
from tokenizers import Tokenizer, processors

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.models.tokens import (
    EncodedFact,
    encode,
    encode_fact,
    encode_with_target,
    pad_batch,
    pad_id_of,
)

pytestmark = pytest.mark.unit

TOKENIZERS = {family: tiny_tokenizer(family) for family in ("gpt2", "llama")}  # without and with BOS


@pytest.fixture(params=list(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return TOKENIZERS[request.param]


def head(tokenizer: Any, fact: EncodedFact) -> bytes:
    """The bytes of the text up to and with the subject's last token."""
    return decoded(tokenizer, fact.ids[: fact.subject_last + 1])


def decoded(tokenizer: Any, ids: Any) -> bytes:
    """The text of tokens as bytes: a token may be a part of a character."""
    table = {character: byte for byte, character in byte_alphabet().items()}
    tokens = [token for token in tokenizer.convert_ids_to_tokens(list(ids)) if token not in ("<s>", "</s>")]
    return bytes(table[character] for token in tokens for character in token)


def byte_alphabet() -> dict[int, str]:
    """GPT-2's byte to character table, written out independently."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {byte: chr(byte) for byte in shown} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}


@pytest.mark.parametrize(
    ("prompt", "subject", "expected"),
    [
        ("{} is in", "Paris", "Paris"),
        ("The capital of {} is", "France", "The capital of France"),
        ("Where is {}", "the Eiffel Tower", "Where is the Eiffel Tower"),
        ("{}", "Rome", "Rome"),
        ("{}'s river is", "Paris", "Paris"),
        ("(see {}), it", "Big Ben", "(see Big Ben"),
        ("Paris, I mean {}, is Paris", "Paris", "Paris, I mean Paris"),
        ("In Rome or {} or Rome", "Rome", "In Rome or Rome"),
        ("The city of {} is", "Zürich", "The city of Zürich"),
        ("{} is", "東京", "東京"),
        ("{}? It is", "naïve café ☕", "naïve café ☕"),
        ("About {}: what", "Mozart  ", "About Mozart"),
        ("Before\n{}\nafter", "Ben", "Before\nBen"),
    ],
)
def test_the_subjects_last_token_ends_where_the_subject_ends(
    tokenizer: Any, prompt: str, subject: str, expected: str
) -> None:
    fact = encode_fact(tokenizer, prompt, subject, "Rome")
    reached = head(tokenizer, fact)
    assert reached.startswith(expected.encode())
    before = decoded(tokenizer, fact.ids[: fact.subject_last])
    assert len(before) < len(expected.encode()), "an earlier token is the last"
    assert decoded(tokenizer, fact.ids[fact.target_start :]) == b" Rome"


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0{}"), max_size=12)
words = texts.filter(lambda text: text.strip() and "</s>" not in text and "<s>" not in text)


@given(st.sampled_from(sorted(TOKENIZERS)), texts, words, texts, words, texts)
def test_for_any_text_the_head_covers_the_subject_and_the_tail_is_the_target(
    family: str, before: str, subject: str, after: str, target: str, prefix: str
) -> None:
    tokenizer = TOKENIZERS[family]
    fact = encode_fact(tokenizer, f"{before}{{}}{after}", subject, target, prefix)
    end = (prefix + before + subject.rstrip()).encode()
    stem = (prefix + before + subject + after).rstrip()
    whole = f"{stem} {target.strip()}".encode()
    assert decoded(tokenizer, fact.ids) == whole
    assert len(decoded(tokenizer, fact.ids[: fact.subject_last + 1])) >= len(end)
    assert len(decoded(tokenizer, fact.ids[: fact.subject_last])) < len(end)
    assert len(decoded(tokenizer, fact.ids[: fact.target_start])) <= len(stem.encode()) + 1
    assert len(decoded(tokenizer, fact.ids[: fact.target_start + 1])) > len(stem.encode())


def test_braces_in_a_prefix_or_a_subject_are_text(tokenizer: Any) -> None:
    fact = encode_fact(tokenizer, "{} is in", "Paris", "Rome", prefix="A {} and {x}. ")
    assert head(tokenizer, fact) == b"A {} and {x}. Paris"
    curly = encode_fact(tokenizer, "Of {} is", "a{}b", "Rome")
    assert head(tokenizer, curly) == b"Of a{}b"


@pytest.mark.parametrize("target", ["Rome", " Rome", "  Rome \n"])
@pytest.mark.parametrize("prompt", ["The city of {} is", "The city of {} is ", "The city of {} is\n "])
def test_one_space_stands_before_the_target(tokenizer: Any, prompt: str, target: str) -> None:
    fact = encode_fact(tokenizer, prompt, "Paris", target)
    assert decoded(tokenizer, fact.ids) == b"The city of Paris is Rome"
    pair = encode_with_target(tokenizer, prompt.replace("{}", "Paris"), target)
    assert pair.ids == fact.ids
    assert pair.target_start == fact.target_start
    assert decoded(tokenizer, pair.target) == b" Rome"


@pytest.mark.parametrize("target", ["", " ", "\n\t "])
def test_a_target_of_nothing_but_space_is_no_target(tokenizer: Any, target: str) -> None:
    with pytest.raises(BadRecordError, match="has no tokens"):
        encode_with_target(tokenizer, "Paris is in", target)
    if target:
        with pytest.raises(BadRecordError, match="has no tokens"):
            encode_fact(tokenizer, "{} is in", "Paris", target)
    else:  # none was asked for
        fact = encode_fact(tokenizer, "{} is in", "Paris")
        assert fact.target_start == len(fact.ids)


def test_a_subject_without_tokens_is_refused(tokenizer: Any) -> None:
    with pytest.raises(BadRecordError, match="subject '' has no tokens"):
        encode_fact(tokenizer, "{}", "", "Rome")


def test_bos_stands_in_front_where_the_tokenizer_puts_one() -> None:
    with_bos, without = (
        encode_fact(TOKENIZERS[family], "{} is in", "Paris", "Rome") for family in ("llama", "gpt2")
    )
    assert with_bos.ids == (BOS, *without.ids)
    assert with_bos.subject_last == without.subject_last + 1
    assert with_bos.target_start == without.target_start + 1
    assert encode(TOKENIZERS["llama"], "") == [BOS]
    assert encode(TOKENIZERS["gpt2"], "") == []


def test_a_prompt_stays_open_where_the_tokenizer_closes_texts() -> None:
    closing = tiny_tokenizer("llama")
    backend: Tokenizer = closing.backend_tokenizer
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    assert closing("Rome")["input_ids"][-1] == EOS
    assert encode(closing, "Rome") == encode(TOKENIZERS["llama"], "Rome")
    assert encode(closing, "Rome</s>")[-1] == EOS  # one that is written out is text


def test_padding_is_on_the_right_and_masks_no_real_end_of_text() -> None:
    tokenizer = TOKENIZERS["gpt2"]
    assert pad_id_of(tokenizer) == EOS
    ended = [*encode(tokenizer, "Rome"), EOS]
    longer = encode(tokenizer, "Rome and Paris and Tokyo")
    input_ids, mask = pad_batch([ended, longer], EOS)
    assert input_ids.shape == mask.shape == (2, len(longer))
    assert input_ids[0, : len(ended)].tolist() == ended
    assert mask[0].tolist() == [1] * len(ended) + [0] * (len(longer) - len(ended))
    assert mask[1].tolist() == [1] * len(longer)
    assert input_ids.dtype == mask.dtype == torch.long


def test_a_tokenizer_without_a_pad_token_pads_with_its_end_or_with_zero() -> None:
    class Bare:
        pad_token_id: int | None = None
        eos_token_id: int | None = 7

    bare = Bare()
    assert pad_id_of(bare) == 7
    bare.eos_token_id = None
    assert pad_id_of(bare) == 0
    bare.pad_token_id = 0
    bare.eos_token_id = 7
    assert pad_id_of(bare) == 0
