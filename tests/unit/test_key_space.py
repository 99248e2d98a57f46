"""The solves of all locate-then-edit methods, against the textbook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from kedit_lifecycle.editors.locate.key_space import (
    CovarianceSpace,
    KeySpace,
    NullSpace,
    constrained_directions,
    covariance_space,
    null_space,
    update_directions,
)
from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.errors import EditFailedError
from kedit_lifecycle.models.delta import TensorUpdate

pytestmark = pytest.mark.unit

WIDTH = 24
TENSOR = "layers.0.mlp.down.weight"
IDENTITY = torch.eye(WIDTH, dtype=torch.float64)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moment(seed: int = 1) -> Tensor:
    """E[k kᵀ] of keys with very different variances."""
    keys = draw(200, WIDTH, seed=seed) * torch.logspace(-1, 1, WIDTH)
    return keys.T @ keys / len(keys)


def past_keys(*blocks: Tensor) -> PastKeys:
    return PastKeys(lambda: {TENSOR: blocks})


def memit_space(weight: float = 2.0, identity: float = 0.0) -> CovarianceSpace:
    return covariance_space(moment(), weight, ("memit", weight, identity), identity)


def alphaedit_space(fraction: float = 0.75) -> NullSpace:
    return null_space(moment(), ("alphaedit", fraction), fraction=fraction, threshold=None)


def memit_rows(keys: Tensor, past: Tensor, identity: float = 0.0) -> Tensor:
    """Kᵀ (λ C + μ I + K Kᵀ + Kp Kpᵀ)⁻¹, keys as rows."""
    A = 2.0 * moment().double() + identity * IDENTITY + keys.T @ keys + past.T @ past
    rows: Tensor = keys @ torch.linalg.inv(A)
    return rows


def alphaedit_rows(keys: Tensor, past: Tensor, ridge: float) -> Tensor:
    """Kᵀ P (Kp Kpᵀ P + K Kᵀ P + L2 I)⁻¹, keys as rows."""
    U = torch.linalg.eigh(moment().double())[1][:, : round(0.75 * WIDTH)]
    P = U @ U.T
    rows: Tensor = keys @ P @ torch.linalg.inv((past.T @ past + keys.T @ keys) @ P + ridge * IDENTITY)
    return rows


def emmet_rows(keys: Tensor, damping: float, past: Tensor | None = None) -> Tensor:
    """(Kᵀ C⁻¹ K + ε I)⁻¹ Kᵀ C⁻¹, keys as rows; Kp Kpᵀ added to C."""
    inverse = torch.linalg.inv(2.0 * moment().double() + (0 if past is None else past.T @ past))
    middle = keys @ inverse @ keys.T + damping * torch.eye(len(keys), dtype=torch.float64)
    rows: Tensor = torch.linalg.inv(middle) @ keys @ inverse
    return rows


NONE = torch.zeros(0, WIDTH, dtype=torch.float64)
COUNTS = [1, 5, WIDTH, 40]  # 40 keys make the smaller system dimension × dimension


@pytest.mark.parametrize("identity", [0.0, 3.0])
@pytest.mark.parametrize("count", COUNTS)
def test_memit_is_the_textbook_formula(count: int, identity: float) -> None:
    keys = draw(count, WIDTH)
    found = update_directions(memit_space(identity=identity), keys, 1.0)
    assert found.added_ridge == 0
    torch.testing.assert_close(found.rows, memit_rows(keys.double(), NONE, identity), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("count", COUNTS)
def test_alphaedit_is_the_textbook_formula(count: int) -> None:
    keys = draw(count, WIDTH)
    found = update_directions(alphaedit_space(), keys, 0.3)
    torch.testing.assert_close(found.rows, alphaedit_rows(keys.double(), NONE, 0.3), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("damping", [0.0, 0.2])
@pytest.mark.parametrize("count", [1, 5, 12])
def test_emmet_is_the_textbook_formula(count: int, damping: float) -> None:
    keys = draw(count, WIDTH)
    found = constrained_directions(memit_space(), keys, damping)
    torch.testing.assert_close(found.rows, emmet_rows(keys.double(), damping), rtol=1e-7, atol=1e-9)


def test_emmet_with_more_keys_than_dimensions_is_the_textbook_formula() -> None:
    keys = draw(40, WIDTH)
    found = constrained_directions(memit_space(), keys, 0.2)
    torch.testing.assert_close(found.rows, emmet_rows(keys.double(), 0.2), rtol=1e-7, atol=1e-9)


def test_emmet_without_damping_meets_every_key_exactly() -> None:
    keys = draw(6, WIDTH)
    rows = constrained_directions(memit_space(), keys, 0.0).rows  # (n, d_ff)
    torch.testing.assert_close(rows @ keys.double().T, torch.eye(6, dtype=torch.float64))


def test_nothing_is_written_outside_the_null_space() -> None:
    space = alphaedit_space()
    rows = update_directions(space, draw(5, WIDTH), 0.3).rows
    used = torch.linalg.eigh(moment().double())[1][:, round(0.75 * WIDTH) :]
    torch.testing.assert_close(rows @ used, torch.zeros(5, used.shape[1], dtype=torch.float64))


HISTORIES = [(2, 1), (10, 1, 9), (30, 25)]  # with 3 keys of its own: n × n, then dimension × dimension


@pytest.mark.parametrize("sizes", HISTORIES)
def test_past_keys_are_kept_in_place_as_the_textbook_has_it(sizes: Sequence[int]) -> None:
    keys, blocks = draw(3, WIDTH), [draw(size, WIDTH, seed=9 + i) for i, size in enumerate(sizes)]
    past, own = torch.cat(blocks).double(), keys.double()
    memit = update_directions(memit_space(), keys, 1.0, tensor=TENSOR, past=past_keys(*blocks))
    torch.testing.assert_close(memit.rows, memit_rows(own, past), rtol=1e-8, atol=1e-10)
    alpha = update_directions(alphaedit_space(), keys, 0.3, tensor=TENSOR, past=past_keys(*blocks))
    torch.testing.assert_close(alpha.rows, alphaedit_rows(own, past, 0.3), rtol=1e-8, atol=1e-10)
    for damping in (0.0, 0.2):
        emmet = constrained_directions(memit_space(), keys, damping, tensor=TENSOR, past=past_keys(*blocks))
        torch.testing.assert_close(emmet.rows, emmet_rows(own, damping, past), rtol=1e-7, atol=1e-9)


def test_emmet_meets_its_own_keys_whatever_the_past_ones_say() -> None:
    keys = draw(4, WIDTH)
    near = keys + 0.1 * draw(4, WIDTH, seed=3)
    found = constrained_directions(memit_space(), keys, 0.0, tensor=TENSOR, past=past_keys(near, near, near))
    torch.testing.assert_close(found.rows @ keys.double().T, torch.eye(4, dtype=torch.float64))


def test_emmet_that_is_damped_by_one_is_memit() -> None:
    keys, past = draw(5, WIDTH), past_keys(draw(7, WIDTH, seed=9))
    emmet = constrained_directions(memit_space(), keys, 1.0, tensor=TENSOR, past=past)
    memit = update_directions(memit_space(), keys, 1.0, tensor=TENSOR, past=past)
    torch.testing.assert_close(emmet.rows, memit.rows)


@pytest.mark.parametrize("space", [memit_space(), alphaedit_space()], ids=["memit", "alphaedit"])
def test_both_forms_of_the_system_give_the_same(space: KeySpace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past keys of zeros add nothing but their number, which decides on the form."""
    keys, block, zeros = draw(2, WIDTH), draw(2, WIDTH, seed=9), torch.zeros(50, WIDTH)
    sizes = watch_systems(monkeypatch)
    small = update_directions(space, keys, 0.5, tensor=TENSOR, past=past_keys(block))
    large = update_directions(space, keys, 0.5, tensor=TENSOR, past=past_keys(block, zeros))
    assert sizes == [4, space.dimension]
    torch.testing.assert_close(small.rows, large.rows, rtol=1e-9, atol=1e-12)


def watch_systems(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of every matrix that is factorised from here on."""
    sizes: list[int] = []
    factorise: Any = torch.linalg.cholesky_ex

    def watched(matrix: Tensor) -> Any:
        sizes.append(len(matrix))
        return factorise(matrix)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", watched)
    return sizes


def test_past_keys_of_another_tensor_do_not_count() -> None:
    keys = draw(3, WIDTH)
    found = update_directions(
        memit_space(), keys, 1.0, tensor="another", past=past_keys(draw(30, WIDTH, seed=9))
    )
    assert torch.equal(found.rows, update_directions(memit_space(), keys, 1.0).rows)


def test_a_sound_covariance_gets_no_ridge() -> None:
    space = covariance_space(moment(), 2.0, "C", identity=0.5)
    assert (space.name, space.ridge, space.dimension) == ("C", 0.0, WIDTH)
    factor = space.factor
    torch.testing.assert_close(factor @ factor.T, 2.0 * moment().double() + 0.5 * IDENTITY)


def test_whitening_goes_there_and_back() -> None:
    """T Tᵀ = C⁻¹, and T Tᵀ = P."""
    keys = draw(4, WIDTH)
    space = memit_space()
    solved = torch.linalg.solve(2.0 * moment().double(), keys.double().T).T
    torch.testing.assert_close(space.unwhiten(space.whiten(keys)), solved)
    null = alphaedit_space()
    projected = keys.double() @ null.basis @ null.basis.T
    torch.testing.assert_close(null.unwhiten(null.whiten(keys)), projected)


def test_a_singular_covariance_gets_the_smallest_ridge_that_works() -> None:
    singular = torch.diag(torch.tensor([2.0] * (WIDTH - 2) + [0.0, 0.0]))
    space = covariance_space(singular, 3.0, "C")
    mean = 3.0 * float(singular.diagonal().mean())
    assert space.ridge == pytest.approx(1e-10 * mean)
    expected = 3.0 * singular.double() + space.ridge * IDENTITY
    torch.testing.assert_close(space.factor @ space.factor.T, expected, rtol=1e-9, atol=1e-15)


def test_a_covariance_that_is_a_little_indefinite_gets_a_larger_ridge() -> None:
    spoilt = torch.eye(WIDTH)
    spoilt[0, 0] = -1e-4
    space = covariance_space(spoilt, 1.0, "C")
    assert 1e-4 < space.ridge < 2e-3


@pytest.mark.parametrize("matrix", [-torch.eye(WIDTH), torch.full((WIDTH, WIDTH), torch.nan)])
def test_a_covariance_beyond_repair_is_refused(matrix: Tensor) -> None:
    with pytest.raises(EditFailedError, match="singular beyond repair"):
        covariance_space(matrix, 1.0, "C")


@pytest.mark.parametrize(("fraction", "dimension"), [(0.5, 12), (0.9, 22), (1.0, 24)])
def test_a_null_space_by_fraction_has_the_smallest_eigenvalues(fraction: float, dimension: int) -> None:
    space = null_space(moment(), "N", fraction=fraction, threshold=None)
    U, C = space.basis, moment().double()
    assert (space.name, space.dimension, U.shape) == ("N", dimension, (WIDTH, dimension))
    torch.testing.assert_close(U.T @ U, torch.eye(dimension, dtype=torch.float64))
    torch.testing.assert_close(U.T @ C @ U, torch.diag(torch.linalg.eigvalsh(C)[:dimension]))


def test_a_null_space_by_threshold_has_the_eigenvalues_below() -> None:
    values = torch.linalg.eigvalsh(moment().double())
    space = null_space(moment(), "N", fraction=None, threshold=float(values[6] + values[7]) / 2)
    assert space.dimension == 7
    assert torch.equal(space.basis, null_space(moment(), "N", fraction=7 / WIDTH, threshold=None).basis)


def test_an_eigenvalue_at_the_threshold_stays_out() -> None:
    diagonal = torch.diag(torch.arange(1.0, WIDTH + 1))
    assert null_space(diagonal, "N", fraction=None, threshold=5.0).dimension == 4


def test_no_eigenvalue_below_the_threshold_is_refused_with_a_hint() -> None:
    with pytest.raises(EditFailedError, match=r"below 1e-09: the least is 0\.5") as caught:
        null_space(0.5 * torch.eye(WIDTH), "N", fraction=None, threshold=1e-9)
    assert "null_space_fraction" in str(caught.value.hint)


@pytest.mark.parametrize("count", [4, 40])
def test_duplicates_without_a_ridge_are_repaired_and_the_repair_is_reported(count: int) -> None:
    keys = draw(2, WIDTH).repeat(count // 2, 1)
    found = update_directions(memit_space(), keys, 0.0)
    assert found.added_ridge > 0
    assert torch.isfinite(found.rows).all()
    torch.testing.assert_close(found.rows, emmet_rows(keys.double(), found.added_ridge), rtol=1e-2, atol=1e-5)


def test_keys_that_differ_by_rounding_are_repaired_although_they_can_be_factorised() -> None:
    space, keys = memit_space(), draw(2, WIDTH).double()
    keys[1] = keys[0] + 5e-8 * keys[1]
    whitened = space.whiten(keys)
    assert not torch.linalg.cholesky_ex(whitened @ whitened.T).info
    found = update_directions(space, keys, 0.0)
    assert found.added_ridge > 0
    torch.testing.assert_close(found.rows, emmet_rows(keys, found.added_ridge), rtol=1e-3, atol=1e-3)


def test_duplicates_share_what_is_written() -> None:
    """With R equal for equal keys, the written values are those of the two keys alone."""
    keys = draw(2, WIDTH)
    rows = update_directions(memit_space(), keys.repeat(2, 1), 0.0).rows
    alone = update_directions(memit_space(), keys, 0.0).rows
    torch.testing.assert_close(rows[:2] + rows[2:], alone, rtol=1e-5, atol=1e-5)


def test_near_duplicates_need_no_repair_with_a_ridge() -> None:
    keys = draw(2, WIDTH).repeat(2, 1)
    assert update_directions(memit_space(), keys, 0.1).added_ridge == 0


def test_keys_of_zeros_are_beyond_repair() -> None:
    with pytest.raises(EditFailedError, match="no ridge repairs"):
        update_directions(memit_space(), torch.zeros(2, WIDTH), 0.0)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("make", [memit_space, alphaedit_space])
def test_keys_that_are_not_finite_are_refused(make: Callable[[], KeySpace], value: float) -> None:
    keys = draw(3, WIDTH)
    keys[1, 4] = value
    with pytest.raises(EditFailedError, match="not finite"):
        update_directions(make(), keys, 1.0)


def added(block: Tensor) -> list[TensorUpdate]:
    return [TensorUpdate(TENSOR, "add", torch.zeros(1, 1), keys=block)]


def test_sums_grown_edit_by_edit_are_those_of_a_history_read_anew_bit_by_bit() -> None:
    space = memit_space()
    blocks = [draw(size, WIDTH, seed=20 + size) for size in (3, 1, 7, 2)]
    grown = past_keys(blocks[0])
    for end in range(1, len(blocks) + 1):
        kept = grown.gram(TENSOR, space.name, space.whiten)
        anew = past_keys(*blocks[:end]).gram(TENSOR, space.name, space.whiten)
        assert kept is not None
        assert anew is not None
        assert torch.equal(kept, anew)
        grown.add(added(blocks[end]) if end < len(blocks) else [])
    whitened = space.whiten(torch.cat(blocks))
    torch.testing.assert_close(kept, whitened.T @ whitened)


def test_directions_after_a_grown_history_are_those_after_one_read_anew_bit_by_bit() -> None:
    blocks = [draw(size, WIDTH, seed=20 + size) for size in (12, 9)]
    grown, keys = past_keys(blocks[0]), draw(3, WIDTH)
    update_directions(memit_space(), keys, 1.0, tensor=TENSOR, past=grown)
    grown.add(added(blocks[1]))
    found = update_directions(memit_space(), keys, 1.0, tensor=TENSOR, past=grown)
    anew = update_directions(memit_space(), keys, 1.0, tensor=TENSOR, past=past_keys(*blocks))
    assert torch.equal(found.rows, anew.rows)


def test_sums_of_two_spaces_and_two_tensors_are_kept_apart() -> None:
    block, other = draw(30, WIDTH, seed=5), draw(30, WIDTH, seed=6)
    past = PastKeys(lambda: {TENSOR: [block], "other": [other]})
    for space in (memit_space(), memit_space(7.0), alphaedit_space()):
        for tensor, keys in ((TENSOR, block), ("other", other)):
            whitened = space.whiten(keys)
            assert torch.equal(past.gram(tensor, space.name, space.whiten), whitened.T @ whitened)  # type: ignore[arg-type]


def test_a_history_is_read_when_it_is_first_asked_for_and_once() -> None:
    reads: list[None] = []

    def load() -> dict[str, list[Tensor]]:
        reads.append(None)
        return {}

    past = PastKeys(load)
    assert not past.loaded
    assert past.gram(TENSOR, "C", Tensor.double) is None
    past.add(added(draw(2, WIDTH)))
    assert [block.tolist() for block in past.blocks(TENSOR)] == [draw(2, WIDTH).tolist()]
    assert past.loaded
    assert len(reads) == 1


def test_adding_keys_leaves_what_was_loaded_as_it_was() -> None:
    loaded = {TENSOR: [draw(2, WIDTH)]}
    past = PastKeys(lambda: loaded)
    past.add(added(draw(1, WIDTH)))
    assert len(past.blocks(TENSOR)) == 2
    assert len(loaded[TENSOR]) == 1


def test_an_update_without_keys_adds_none() -> None:
    past = past_keys(draw(2, WIDTH))
    past.add([TensorUpdate(TENSOR, "add", torch.zeros(1, 1))])
    assert len(past.blocks(TENSOR)) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_finds_the_same_directions_and_gives_them_back_on_the_cpu() -> None:
    gpu = torch.device("cuda")
    covariance = covariance_space(moment(), 2.0, "C", device=gpu)
    null = null_space(moment(), "N", fraction=0.75, threshold=None, device=gpu)
    assert covariance.factor.device.type == null.basis.device.type == "cuda"
    keys, blocks = draw(3, WIDTH), [draw(30, WIDTH, seed=9), draw(25, WIDTH, seed=10)]
    pairs: list[tuple[KeySpace, KeySpace]] = [(covariance, memit_space()), (null, alphaedit_space())]
    for past in (past_keys(), past_keys(draw(2, WIDTH, seed=9)), past_keys(*blocks)):
        for there, here in pairs:
            found = update_directions(there, keys, 0.5, tensor=TENSOR, past=past.copy())
            expected = update_directions(here, keys, 0.5, tensor=TENSOR, past=past.copy())
            torch.testing.assert_close(found.rows, expected.rows, rtol=1e-8, atol=1e-10)
