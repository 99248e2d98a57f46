"""Attention over a prefix that stays is attention over prefix and suffix."""

from __future__ import annotations

import pytest
import torch
from tiny import CORE_FAMILIES, WIDTH, tiny_editable
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from kedit_lifecycle.editors.locate.frozen_prefix import PrefixCache, attend, attending, can_attend
from kedit_lifecycle.editors.locate.suffix_forward import SuffixForward

pytestmark = pytest.mark.unit

BATCH, SUFFIX, HEAD_WIDTH = 3, 4, 8
SEQUENCES, STARTS = ([5, 9, 40, 7, 300, 12], [11], [50, 51, 52, 53]), (2, 0, 3)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def mask_for(prefix: int) -> Tensor:
    """Each row sees another part of the prefix, none of it in the last; then causally."""
    before = torch.arange(prefix) < torch.tensor([prefix, prefix // 2, 0])[:, None]
    causal = torch.ones(SUFFIX, SUFFIX, dtype=torch.bool).tril().expand(BATCH, -1, -1)
    seen = torch.cat([before[:, None].expand(-1, SUFFIX, -1), causal], dim=2)
    return torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)[:, None]


@pytest.mark.parametrize("prefix", [0, 5])
@pytest.mark.parametrize(("heads", "groups"), [(6, 6), (6, 2), (6, 1)])
def test_it_and_its_gradients_are_those_of_the_whole(heads: int, groups: int, prefix: int) -> None:
    query = drawn(0, BATCH, heads, SUFFIX, HEAD_WIDTH).requires_grad_()
    key, value = (drawn(seed, BATCH, groups, SUFFIX, HEAD_WIDTH).requires_grad_() for seed in (1, 2))
    before = drawn(3, BATCH, groups, prefix, HEAD_WIDTH), drawn(4, BATCH, groups, prefix, HEAD_WIDTH)
    mask, weight, scale = mask_for(prefix), drawn(5, BATCH, heads, SUFFIX, HEAD_WIDTH), 0.3
    ours = attend(query, key, value, before, mask, scale)
    keys, values = (
        torch.cat([old, new], dim=2).repeat_interleave(heads // groups, dim=1)
        for old, new in zip(before, (key, value), strict=True)
    )
    plain = scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scale)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)
    found, expected = (
        torch.autograd.grad((one * weight).sum(), (query, key, value)) for one in (ours, plain)
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_its_gradients_are_those_of_finite_differences() -> None:
    parts = [drawn(seed, 1, 2, SUFFIX, 3).double().requires_grad_() for seed in range(3)]
    before = drawn(3, 1, 2, 5, 3).double(), drawn(4, 1, 2, 5, 3).double()
    mask = mask_for(5)[:1].double()
    # scores are kept in float32: differences of 1e-3 stand clear of its rounding
    assert torch.autograd.gradcheck(
        lambda q, k, v: attend(q, k, v, before, mask, 0.5), parts, eps=1e-3, atol=1e-3, rtol=1e-2
    )


@pytest.mark.parametrize("family", [*CORE_FAMILIES, "qwen3"])
def test_a_model_without_it_gives_the_same(family: str) -> None:
    """With `eager` attention the prefix is put before the suffix, as any attention expects it."""
    model = tiny_editable(family, torch.float32)
    shift = drawn(7, len(SEQUENCES), WIDTH)

    def run() -> Tensor:
        forward = SuffixForward(model, 0, SEQUENCES, STARTS)
        return forward.run(forward.stream.index_add(0, forward.first, shift))

    with torch.no_grad():
        ours = run()
        model.network.set_attn_implementation("eager")
        assert not can_attend(model.network)
        torch.testing.assert_close(run(), ours, rtol=1e-4, atol=1e-5)


def test_a_model_attends_as_before_after_an_error() -> None:
    network = tiny_editable("llama", torch.float32).network

    def broken() -> None:
        with attending(network, PrefixCache({}, network)):
            assert not can_attend(network)
            raise KeyError

    assert can_attend(network)
    with pytest.raises(KeyError):
        broken()
    assert can_attend(network)
