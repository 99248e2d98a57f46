"""Every version comes back bit for bit, from whatever is left of it, or not at all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from tiny_workbench import QUICK, all_fingerprints, requests, tiny_workbench
from torch import Tensor

from kedit_lifecycle.blobs import BlobStore, CanonicalTensor
from kedit_lifecycle.errors import BlobDamagedError, BlobMissingError, StoreError
from kedit_lifecycle.models.delta import TensorUpdate, replay
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.fingerprints import to_canonical
from kedit_lifecycle.workbench import Workbench

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("kedit_cache")]

ROME = QUICK["rome"]


def edited(folder: Path, count: int, dtype: str = "float32", every: int = 4) -> list[dict[str, str]]:
    """A store of `count` edits on two layers in turn; fingerprints of all parameters at each version."""
    with tiny_workbench(folder, dtype=dtype, checkpoint_every=every) as workbench:
        recorded = [all_fingerprints(workbench.checkout_model())]
        for index, request in enumerate(requests(count)):
            workbench.edit(request, config=ROME | {"layer": index % 2}, measure="none")
            recorded.append(all_fingerprints(workbench.model))
    return recorded


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_any_version_of_forty_is_exact_in_a_fresh_workbench_and_costs_a_bounded_replay(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = edited(tmp_path, 40, dtype, every=8)
    reads: list[str] = []
    get = BlobStore.get

    def counted(self: BlobStore, blob: str) -> CanonicalTensor:
        reads.append(blob)
        return get(self, blob)

    monkeypatch.setattr(BlobStore, "get", counted)
    for number in random.Random(5).sample(range(41), 6):
        with Workbench.open(tmp_path / "store", readonly=True) as workbench:
            reads.clear()
            assert all_fingerprints(workbench.checkout_model(str(number))) == recorded[number]
            assert workbench.notes == []
            # 2 tensors' checkpoints, and the two factors of at most 7 updates behind them
            assert len(reads) <= 2 + 2 * 7
    with Workbench.open(tmp_path / "store", readonly=True) as workbench:
        for number in random.Random(6).choices(range(41), k=12):
            assert all_fingerprints(workbench.checkout_model(str(number))) == recorded[number]


def test_a_step_forward_reads_only_the_new_factors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited(tmp_path, 3, every=32)
    with Workbench.open(tmp_path / "store", readonly=True) as workbench:
        workbench.checkout_model("2")
        wanted = {blob for one in workbench.store.reader.updates(3) for blob in (one.left, one.right)}
        read: set[str | None] = set()
        get = BlobStore.get

        def noted(self: BlobStore, blob: str) -> CanonicalTensor:
            read.add(blob)
            return get(self, blob)

        monkeypatch.setattr(BlobStore, "get", noted)
        workbench.checkout_model("3")
        assert read == wanted


def test_versions_of_another_branch_are_exact_too(tmp_path: Path) -> None:
    recorded = edited(tmp_path, 5)
    with Workbench.open(tmp_path / "store") as workbench:
        workbench.rollback("2")
        for request in requests(8)[5:]:
            workbench.edit(request, config=ROME, measure="none")
            recorded.append(all_fingerprints(workbench.model))
        for number in (5, 8, 3, 7, 1, 6, 0, 8):
            assert all_fingerprints(workbench.checkout_model(str(number))) == recorded[number]


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_a_lost_factor_is_named_and_the_model_stays_where_it_was(tmp_path: Path, harm: str) -> None:
    recorded = edited(tmp_path, 3, every=32)
    with Workbench.open(tmp_path / "store", readonly=True) as workbench:
        workbench.checkout_model("1")
        (update,) = workbench.store.reader.updates(2)
        path = workbench.store.blobs.path(update.left)
        flip(path) if harm == "damaged" else path.unlink()
        error = BlobDamagedError if harm == "damaged" else BlobMissingError
        for ref in ("2", "HEAD"):
            with pytest.raises(error, match=path.name) as caught:
                workbench.checkout_model(ref)
            assert "verify" in caught.value.hint
            assert all_fingerprints(workbench.model) == recorded[1]
        with pytest.raises(StoreError):
            workbench.ask("Paris is in", ref="3")
        assert all_fingerprints(workbench.checkout_model("0")) == recorded[0]


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_a_lost_checkpoint_is_replayed_around_and_said(tmp_path: Path, harm: str) -> None:
    recorded = edited(tmp_path, 6)
    with Workbench.open(tmp_path / "store", readonly=True) as workbench:
        for blob in workbench.store.reader.checkpoint(4).values():
            path = workbench.store.blobs.path(blob)
            flip(path) if harm == "damaged" else path.unlink()
        assert all_fingerprints(workbench.checkout_model("5")) == recorded[5]
        assert len(workbench.notes) == 2
        assert all("checkpoint" in note and "v4" in note for note in workbench.notes)


def tampered(_: EditableModel, master: Tensor, update: TensorUpdate) -> Tensor:
    return torch.nextafter(replay(master, update), torch.tensor(torch.inf))


def test_a_replay_that_gives_other_bits_falls_back_to_kept_bytes_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = edited(tmp_path, 2, every=32)
    with Workbench.open(tmp_path / "store") as workbench:
        master = workbench.checkout_model("1").masters
        kept = {name: to_canonical(tensor) for name, tensor in master.items()}
    monkeypatch.setattr(EditableModel, "replayed", tampered)
    with Workbench.open(tmp_path / "store") as workbench:
        with pytest.raises(StoreError, match=r"at v1 cannot be rebuilt: .*other bits"):
            workbench.checkout_model("1")
        assert all_fingerprints(workbench.model) == recorded[0]
        for tensor in kept.values():
            workbench.store.blobs.put(tensor)
        assert all_fingerprints(workbench.checkout_model("1")) == recorded[1]
        (note,) = workbench.notes
        assert "other bits than recorded" in note
        assert "restored from a checkpoint" in note


def test_a_served_copy_that_comes_out_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cast to the model's dtype is compared as well, not only the master."""
    recorded = edited(tmp_path, 1, "bfloat16")
    with Workbench.open(tmp_path / "store", readonly=True) as workbench:
        model = workbench.checkout_model("0")
        install = model._install

        def careless(tensor: str, master: Tensor) -> None:
            install(tensor, master)
            model.parameter(tensor).data = torch.nextafter(
                model.parameter(tensor).data, torch.tensor(1.0).bfloat16()
            )

        monkeypatch.setattr(model, "_install", careless)
        with pytest.raises(StoreError, match="came out as"):
            workbench.checkout_model("1")
        assert all_fingerprints(model) == recorded[0]
