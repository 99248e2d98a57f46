"""Replay: the same bits from any number of threads, and what cannot be replayed is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kedit_lifecycle.models import delta
from kedit_lifecycle.models.delta import TensorUpdate, delta_norm, replay, touched

pytestmark = pytest.mark.unit

ROWS, COLUMNS, RANK = 37, 53, 5


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rank_update(rank: int = RANK, rows: int = ROWS, columns: int = COLUMNS, seed: int = 1) -> TensorUpdate:
    left, right = drawn(rank, rows, seed=seed), drawn(rank, columns, seed=seed + 1)
    return TensorUpdate("w", "rank", left, right)


def naive(master: Tensor, update: TensorUpdate) -> Tensor:
    """Element by element, one rounding after each product and each sum."""
    assert update.right is not None
    out, left, right = master.numpy().copy(), update.left.numpy(), update.right.numpy()
    for step in range(left.shape[0]):
        for row in range(out.shape[0]):
            for column in range(out.shape[1]):
                product = np.float32(left[step, row] * right[step, column])
                out[row, column] = np.float32(out[row, column] + product)
    return torch.from_numpy(out)


def same_bits(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one.view(torch.int32), other.view(torch.int32))


@pytest.mark.parametrize("rank", [0, 1, RANK])
def test_replay_is_the_naive_loop(rank: int) -> None:
    master, update = drawn(ROWS, COLUMNS), rank_update(rank)
    assert same_bits(replay(master, update), naive(master, update))


@pytest.mark.parametrize("block", [1, COLUMNS - 1, 3 * COLUMNS + 1, 1 << 20])
def test_blocks_of_rows_do_not_matter(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    master, update = drawn(ROWS, COLUMNS), rank_update()
    expected = replay(master, update)
    monkeypatch.setattr(delta, "_BLOCK_ELEMENTS", block)
    assert same_bits(replay(master, update), expected)


def test_threads_do_not_matter() -> None:
    master, update = drawn(1200, 900), rank_update(4, 1200, 900)
    one = replay(master, update)
    torch.set_num_threads(2)
    assert same_bits(replay(master, update), one)
    dense = TensorUpdate("w", "add", drawn(1200, 900, seed=9))
    two = replay(master, dense)
    torch.set_num_threads(1)
    assert same_bits(replay(master, dense), two)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_takes_the_same_steps() -> None:
    master, update = drawn(1200, 900), rank_update(64, 1200, 900)
    assert update.right is not None
    tiny = TensorUpdate("w", "rank", update.left * 1e-30, update.right * 1e-9)  # products below 2⁻¹²⁶
    for start in (master, torch.zeros_like(master)):
        for one in (update, tiny):
            assert same_bits(replay(start, one, torch.device("cuda")), replay(start, one))


def test_strides_do_not_matter() -> None:
    master, update = drawn(ROWS, COLUMNS), rank_update()
    assert update.right is not None
    scattered = TensorUpdate("w", "rank", update.left.T.contiguous().T, update.right.T.contiguous().T)
    assert same_bits(replay(master.T.contiguous().T, scattered), replay(master, update))


def test_replay_is_not_one_matrix_product() -> None:
    """Why the steps are taken one by one: a product sums in another order, and gives other bits."""
    master, update = drawn(400, 300), rank_update(16, 400, 300)
    assert update.right is not None
    product = master + update.left.T @ update.right
    torch.testing.assert_close(product, replay(master, update), rtol=1e-4, atol=1e-4)
    assert not same_bits(product, replay(master, update))


def test_order_matters_and_subtraction_does_not_undo() -> None:
    master = drawn(400, 300)
    first, second = rank_update(1, 400, 300, 3), rank_update(1, 400, 300, 5)
    assert second.right is not None
    forth = replay(replay(master, first), second)
    assert not same_bits(forth, replay(replay(master, second), first))
    back = replay(forth, TensorUpdate("w", "rank", -second.left, second.right))
    assert not same_bits(back, replay(master, first))


def test_add_and_set() -> None:
    master, dense = drawn(ROWS, COLUMNS), drawn(ROWS, COLUMNS, seed=4)
    assert same_bits(replay(master, TensorUpdate("w", "add", dense)), master + dense)
    put = replay(master, TensorUpdate("w", "set", dense))
    assert same_bits(put, dense)
    put.zero_()
    assert dense.abs().sum() > 0


@pytest.mark.parametrize(
    "update",
    [
        rank_update(),
        TensorUpdate("w", "add", drawn(ROWS, COLUMNS)),
        TensorUpdate("w", "set", drawn(ROWS, COLUMNS)),
    ],
    ids=lambda one: one.operation,
)
def test_the_master_is_left_alone(update: TensorUpdate) -> None:
    master = drawn(ROWS, COLUMNS, seed=8)
    kept = master.clone()
    changed = replay(master, update)
    assert same_bits(master, kept)
    assert changed.data_ptr() != master.data_ptr()


@pytest.mark.parametrize(
    "wrong",
    [
        {"left": drawn(2, 3).double()},
        {"left": drawn(2, 3).bfloat16()},
        {"right": drawn(2, 4).half()},
        {"right": None},
        {"operation": "add"},
        {"operation": "multiply", "right": None},
        {"left": drawn(3)},
        {"left": drawn(3, 3)},
        {"right": drawn(1, 4)},
        {"left": drawn(2, 3).to("meta")},
    ],
    ids=str,
)
def test_an_update_that_could_not_be_replayed_is_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"tensor": "w", "operation": "rank", "left": drawn(2, 3), "right": drawn(2, 4)}
    TensorUpdate(**right)
    with pytest.raises(ValueError, match="w: "):
        TensorUpdate(**right | wrong)


@pytest.mark.parametrize(
    ("master", "update"),
    [
        (drawn(COLUMNS, ROWS), rank_update()),
        (drawn(ROWS), rank_update()),
        (drawn(ROWS, COLUMNS), TensorUpdate("w", "add", drawn(ROWS, 1))),
        (drawn(ROWS, COLUMNS), TensorUpdate("w", "set", drawn(1))),
        (drawn(ROWS, COLUMNS).double(), rank_update()),
        (drawn(ROWS, COLUMNS).bfloat16(), TensorUpdate("w", "set", drawn(ROWS, COLUMNS))),
    ],
)
def test_a_master_that_does_not_fit_is_refused(master: Tensor, update: TensorUpdate) -> None:
    with pytest.raises(ValueError, match=r"do not fit|shape|float32 master"):
        replay(master, update)


def test_rank_norm_and_touched() -> None:
    assert rank_update().rank == RANK
    assert TensorUpdate("w", "set", drawn(2)).rank == 0
    assert delta_norm(torch.zeros(2, 2), torch.tensor([[3.0, 0.0], [0.0, 4.0]])) == 5.0
    updates = [TensorUpdate(name, "set", drawn(2)) for name in ("b", "a", "b")]
    assert touched(updates) == ["b", "a"]
