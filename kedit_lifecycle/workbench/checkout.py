"""Bring a model to a version: keep what is right, replay the rest, compare every fingerprint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from kedit_lifecycle.errors import BlobDamagedError, BlobMissingError, StoreError
from kedit_lifecycle.ledger.records import TensorState, UpdateDraft, VersionRow
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.models.delta import TensorUpdate
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.fingerprints import from_canonical, tensor_fingerprint


def check_out(model: EditableModel, store: Store, version: VersionRow) -> list[str]:
    """Give `model` the exact bytes of `version`; returns what had to be said on the way.

    A tensor that is right already is kept. Any other is replayed in order from the nearest state that
    is known: the one in memory, a checkpoint, or the base.

    Raises:
        StoreError: if the bytes cannot be had; the model is then as it was.
    """
    notes: list[str] = []
    saved = model.masters
    masters: dict[str, Tensor] = {}
    for tensor, state in version.tensors.items():
        masters[tensor] = _master_at(model, store, version, tensor, state, notes)
    try:
        model.restore(masters)
        _compare(model, version)
    except BaseException:
        model.restore(saved)
        raise
    return list(dict.fromkeys(notes))


def _compare(model: EditableModel, version: VersionRow) -> None:
    for tensor, state in version.tensors.items():
        found = model.fingerprints(tensor)
        if (found.master, found.served) != (state.master, state.served):
            raise StoreError(
                f"{tensor} at v{version.number} came out as {found.served[:10]}, "
                f"recorded {state.served[:10]}",
                hint="kedit verify --deep",
            )


def _master_at(
    model: EditableModel, store: Store, version: VersionRow, tensor: str, state: TensorState, notes: list[str]
) -> Tensor:
    in_memory = {
        tensor_fingerprint(master): master for name, master in model.masters.items() if name == tensor
    }
    if state.master in in_memory:
        return in_memory[state.master]
    for known in [in_memory, {}] if in_memory else [{}]:
        rebuilt = _rebuild(model, store, version, tensor, known, notes)
        if tensor_fingerprint(rebuilt) == state.master:
            return rebuilt
    if store.blobs.has(state.master):
        notes.append(
            f"{tensor} at v{version.number}: replaying its factors gave other bits than recorded; "
            "its bytes were restored from a checkpoint"
        )
        return from_canonical(store.blobs.get(state.master))
    raise StoreError(
        f"{tensor} at v{version.number} cannot be rebuilt: replaying its factors gives other bits "
        "than recorded",
        hint="kedit verify --deep",
    )


def _rebuild(
    model: EditableModel,
    store: Store,
    version: VersionRow,
    tensor: str,
    known: Mapping[str, Tensor],
    notes: list[str],
) -> Tensor:
    """Replay the tensor's updates from the nearest known state: `known`, a checkpoint, or the base."""
    pending: list[UpdateDraft] = []
    for ancestor in _ancestry(store, version):
        master = _known_master(model, store, ancestor, tensor, known, notes)
        if master is not None:
            break
        pending += reversed([u for u in store.reader.updates(ancestor.number) if u.tensor == tensor])
    assert master is not None  # the root's tensors are the base's
    for update in reversed(pending):
        master = model.replayed(master, stored_update(store, update))
    return master


def _known_master(
    model: EditableModel,
    store: Store,
    version: VersionRow,
    tensor: str,
    known: Mapping[str, Tensor],
    notes: list[str],
) -> Tensor | None:
    state = version.tensors.get(tensor)
    if state is None:
        return _base_master(model, tensor)
    if state.master in known:
        return known[state.master]
    if tensor in store.reader.checkpoint(version.number):
        try:
            return from_canonical(store.blobs.get(state.master))
        except (BlobMissingError, BlobDamagedError) as error:
            notes.append(
                f"the checkpoint of {tensor} at v{version.number} is lost, its factors are not: {error}"
            )
    return None


def _ancestry(store: Store, version: VersionRow) -> Iterator[VersionRow]:
    yield version
    while version.parent is not None:
        version = store.reader.by_id(version.parent)
        yield version


def _base_master(model: EditableModel, tensor: str) -> Tensor:
    with model.unedited():
        return model.master(tensor)


def stored_update(store: Store, update: UpdateDraft) -> TensorUpdate:
    """The update with its factors read from the blobs, checked."""
    left = from_canonical(store.blobs.get(update.left))
    right = None if update.right is None else from_canonical(store.blobs.get(update.right))
    return TensorUpdate(update.tensor, update.operation, left, right)
