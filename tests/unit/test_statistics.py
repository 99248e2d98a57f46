"""Statistics of the unedited model: what they are, and that each is made once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny import tiny_editable
from tiny_workbench import DTYPES, store_files

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors.statistics import Statistics, StatisticsEntry, StatisticsLibrary, open_statistics
from kedit_lifecycle.editors.statistics.corpus import TextCorpus
from kedit_lifecycle.editors.statistics.second_moment import accumulate_second_moments, key_width
from kedit_lifecycle.errors import BlobDamagedError, StoreError, UsageError
from kedit_lifecycle.models.delta import TensorUpdate
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.samples import sample_corpus

pytestmark = pytest.mark.unit

TEXT = "The capital of France is Paris. Zürich lies by a lake.\n" * 40
TOKENS = 600


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEDIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stats"


def opened(
    folder: Path, model: EditableModel | None = None, *, share: bool = True, write: bool = True
) -> Statistics:
    model = model or tiny_editable("llama")
    return open_statistics(
        model, folder / "stats", BlobStore(folder / "blobs"), share=share, may_write=lambda: write
    )


def forbid_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    for name in ("sample_prefixes", "sample_corpus", "accumulate_second_moments"):
        monkeypatch.setattr(f"kedit_lifecycle.editors.statistics.{name}", refuse)


def ship(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what was opened in `folder` stand in the place of the package's own statistics."""
    (folder / "blobs").rename(folder / "stats" / "blobs")
    monkeypatch.setattr("kedit_lifecycle.editors.statistics.SHIPPED", folder / "stats")


def plain_second_moment(model: EditableModel, layer: int, sequences: list[list[int]]) -> torch.Tensor:
    """Mean of k kᵀ, one sequence after another, through the whole model, in float64."""
    keys: list[torch.Tensor] = []
    module = model.network.get_submodule(model.architecture.mlp_down_path(layer))
    hook = module.register_forward_pre_hook(lambda _, arguments: keys.append(arguments[0][0].double()))
    with torch.no_grad():
        for sequence in sequences:
            model.network(input_ids=torch.tensor([sequence]))
    hook.remove()
    together = torch.cat(keys)
    return together.T @ together / len(together)


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_second_moment_is_the_mean_of_k_k_transposed(family: str, dtype: str) -> None:
    model = tiny_editable(family, DTYPES[dtype])
    generator = torch.Generator().manual_seed(0)
    lengths = (40, 7, 1, 23, 40, 12)
    sequences = [torch.randint(2, 400, (length,), generator=generator).tolist() for length in lengths]
    limit = 100  # within the fifth sequence
    cut = [*sequences[:4], sequences[4][: limit - sum(lengths[:4])]]
    assert sum(map(len, cut)) == limit
    found = accumulate_second_moments(model, [1], sequences, limit)[1]
    assert found.dtype == torch.float32
    assert found.shape == (key_width(model, 1), key_width(model, 1)) == (64, 64)
    expected = plain_second_moment(model, 1, cut)
    tolerance = 1e-4 if dtype == "float32" else 5e-2
    scale = float(expected.abs().max())
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance * scale)


def test_layers_of_one_pass_equal_those_of_their_own_passes() -> None:
    model = tiny_editable("gpt2")
    sequences = sample_corpus(model, TOKENS)
    together = accumulate_second_moments(model, [2, 0, 1], sequences, TOKENS)
    for layer in range(3):
        alone = accumulate_second_moments(model, [layer], sequences, TOKENS)
        assert torch.equal(alone[layer], together[layer])
    with pytest.raises(UsageError, match="empty"):
        accumulate_second_moments(model, [0], [], TOKENS)


def test_a_store_finds_again_what_it_made(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tmp_path, share=False)
    made = [first.build_second_moments([0, 1], tokens=TOKENS), first.prefixes([(3, 2)]), first.samples(100)]
    forbid_sampling(monkeypatch)
    again = opened(tmp_path, share=False)
    assert [
        again.build_second_moments([0, 1], tokens=TOKENS),
        again.prefixes([(3, 2)]),
        again.samples(100),
    ] == made
    assert torch.equal(again.second_moment(1, tokens=TOKENS)[1], first.second_moment(1, tokens=TOKENS)[1])
    with pytest.raises(AssertionError, match="computed again"):
        again.second_moment(1, tokens=TOKENS + 1)
    assert not cache.exists()


def test_a_layer_that_is_there_is_not_computed_with_the_missing_ones(cache: Path, tmp_path: Path) -> None:
    statistics = opened(tmp_path)
    (zero,) = statistics.build_second_moments([0], tokens=TOKENS)
    both = statistics.build_second_moments([0, 1], tokens=TOKENS)
    assert both[0] == zero
    assert both == opened(tmp_path / "b", share=False).build_second_moments([0, 1], tokens=TOKENS)


def test_another_store_takes_them_from_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tmp_path / "a")
    made = (first.prefixes([(3, 2)]), first.samples(100))
    entry, moment = first.second_moment(0, tokens=TOKENS)
    kinds = sorted(entry.recipe["kind"] for entry in StatisticsLibrary(cache, BlobStore(cache)).entries())
    assert kinds == ["prefixes", "samples", "samples", "second-moment"]
    forbid_sampling(monkeypatch)
    second = opened(tmp_path / "b")
    assert (second.prefixes([(3, 2)]), second.samples(100)) == made
    found, other = second.second_moment(0, tokens=TOKENS)
    assert found == entry
    assert torch.equal(other, moment)
    shutil.rmtree(cache)
    third = opened(tmp_path / "b")  # what was taken over is in the store now
    assert torch.equal(third.second_moment(0, tokens=TOKENS)[1], moment)


@pytest.mark.parametrize("harm", ["entry", "blob"])
def test_a_damaged_cache_is_not_trusted_but_rebuilt(cache: Path, tmp_path: Path, harm: str) -> None:
    expected = opened(tmp_path / "a").second_moment(0, tokens=TOKENS)[1]
    pattern = "*/*.json" if harm == "entry" else "blobs/??/*.safetensors"
    harmed = list(cache.glob(pattern))
    whole = [path.read_bytes() for path in harmed]
    for path in harmed:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert torch.equal(opened(tmp_path / "b").second_moment(0, tokens=TOKENS)[1], expected)
    assert [path.read_bytes() for path in harmed] == whole, "the cache is not mended"
    shutil.rmtree(tmp_path / "a")
    assert torch.equal(opened(tmp_path / "c").second_moment(0, tokens=TOKENS)[1], expected)


def test_what_the_package_ships_is_taken_over_and_not_made_again(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(tmp_path / "shipped", share=False)
    expected = (made.prefixes([(3, 2)]), made.samples(100))
    ship(tmp_path / "shipped", monkeypatch)
    forbid_sampling(monkeypatch)
    for name, share, write in (
        ("a", True, True),
        ("b", False, True),
        ("c", True, False),
        ("d", False, False),
    ):
        shutil.rmtree(cache, ignore_errors=True)
        found = opened(tmp_path / name, share=share, write=write)
        assert (found.prefixes([(3, 2)]), found.samples(100)) == expected
        with pytest.raises(AssertionError, match="computed again"):
            found.samples(101)
    shutil.rmtree(tmp_path / "shipped")
    again = opened(tmp_path / "b", share=False)
    assert (again.prefixes([(3, 2)]), again.samples(100)) == expected


def test_a_damaged_shipped_statistic_is_not_trusted_but_made_anew(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(tmp_path / "shipped", share=False)
    expected = made.samples(100)
    for path in (tmp_path / "shipped" / "blobs").glob("??/*"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    ship(tmp_path / "shipped", monkeypatch)
    assert opened(tmp_path / "a").samples(100) == expected


@pytest.mark.parametrize("harm", ["recipe", "text", "cut", "keys", "bytes"])
def test_a_damaged_entry_of_the_store_is_an_error_with_a_way_out(
    cache: Path, tmp_path: Path, harm: str
) -> None:
    opened(tmp_path).prefixes([(3, 2)])
    (path,) = (tmp_path / "stats").glob("*/*.json")
    raw = json.loads(path.read_text(encoding="utf-8"))
    if harm == "recipe":
        path.write_text(json.dumps(raw | {"recipe": raw["recipe"] | {"seed": 1}}))
    elif harm == "text":
        path.write_text(json.dumps(raw | {"texts": ["other", *raw["texts"][1:]]}))
    elif harm == "cut":
        path.write_text(path.read_text(encoding="utf-8")[:-20])
    elif harm == "keys":
        path.write_text(json.dumps({"recipe": raw["recipe"]}))
    else:
        path.write_bytes(b"\xff" + path.read_bytes())
    with pytest.raises(StoreError, match=path.name) as caught:
        opened(tmp_path).prefixes([(3, 2)])
    assert "kedit stats build" in caught.value.hint


def test_a_damaged_tensor_of_the_store_is_an_error(cache: Path, tmp_path: Path) -> None:
    entry, _ = opened(tmp_path).second_moment(0, tokens=TOKENS)
    blob = BlobStore(tmp_path / "blobs").path(entry.tensors["second_moment"])
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    with pytest.raises(BlobDamagedError, match=blob.name):
        opened(tmp_path).second_moment(0, tokens=TOKENS)


def test_they_are_of_the_unedited_model_whatever_is_applied(cache: Path, tmp_path: Path) -> None:
    expected = opened(tmp_path / "a", share=False)
    edited = tiny_editable("llama")
    name = edited.architecture.mlp_down_weight(0)
    edited.apply([TensorUpdate(name, "set", edited.master(name) * -3)])
    found = opened(tmp_path / "b", edited, share=False)
    assert found.prefixes([(3, 2)]) == expected.prefixes([(3, 2)])
    assert found.samples(100) == expected.samples(100)
    assert torch.equal(found.second_moment(1, tokens=TOKENS)[1], expected.second_moment(1, tokens=TOKENS)[1])
    assert edited.masters.keys() == {name}


def test_another_model_has_statistics_of_its_own(cache: Path, tmp_path: Path) -> None:
    one = opened(tmp_path).second_moment(0, tokens=TOKENS)
    other = opened(tmp_path, tiny_editable("llama", seed=1)).second_moment(0, tokens=TOKENS)
    assert one[0].digest != other[0].digest
    assert not torch.equal(one[1], other[1])


@pytest.mark.parametrize("share", [True, False])
def test_where_nothing_may_be_written_they_are_had_all_the_same(
    cache: Path, tmp_path: Path, share: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = opened(tmp_path / "a", share=False)
    statistics = opened(tmp_path / "b", share=share, write=False)
    entry, moment = statistics.second_moment(0, tokens=TOKENS)
    assert (entry, statistics.samples(100)) == (
        expected.second_moment(0, tokens=TOKENS)[0],
        expected.samples(100),
    )
    assert torch.equal(moment, expected.second_moment(0, tokens=TOKENS)[1])
    assert statistics.prefixes([(3, 2)]) == expected.prefixes([(3, 2)])
    assert not (tmp_path / "b").exists()
    assert cache.exists() == share
    forbid_sampling(monkeypatch)
    assert statistics.samples(100) == expected.samples(100)


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path, tmp_path: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    expected = opened(tmp_path / "a", share=False).second_moment(0, tokens=TOKENS)
    for write in (True, False):
        found = opened(tmp_path / f"b{write}", write=write).second_moment(0, tokens=TOKENS)
        assert found[0] == expected[0]
        assert torch.equal(found[1], expected[1])


def of_text(statistics: Statistics, path: Path) -> StatisticsEntry:
    return statistics.build_second_moments([0], tokens=300, corpus=TextCorpus(path))[0]


def test_a_text_is_a_corpus_named_by_its_content(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    statistics = opened(tmp_path)
    entry = of_text(statistics, path)
    model = tiny_editable("llama")
    ids = model.tokenizer(TEXT)["input_ids"][:300]
    windows = [ids[start : start + 256] for start in range(0, len(ids), 256)]
    named, moment = statistics.second_moment(0, named=entry.digest[:10])
    assert named == entry
    torch.testing.assert_close(moment.double(), plain_second_moment(model, 0, windows), rtol=1e-4, atol=1e-4)
    for layer, name in ((1, entry.digest[:10]), (0, "0" * 10)):
        with pytest.raises(UsageError, match=f"no key covariance '{name}' for layer {layer}"):
            statistics.second_moment(layer, named=name)
    copy = tmp_path / "copy.txt"
    shutil.copy(path, copy)
    assert of_text(statistics, copy) == entry
    copy.write_text(TEXT + "!", encoding="utf-8")
    assert of_text(statistics, copy) != entry


def test_a_text_that_is_missing_or_empty_is_said(cache: Path, tmp_path: Path) -> None:
    statistics = opened(tmp_path)
    with pytest.raises(UsageError, match=r"cannot read the text .*nowhere"):
        of_text(statistics, tmp_path / "nowhere")
    (tmp_path / "empty").touch()
    before = store_files(tmp_path)
    with pytest.raises(UsageError, match="empty"):
        of_text(statistics, tmp_path / "empty")
    assert store_files(tmp_path) == before


def test_by_default_ten_tokens_to_each_key_dimension(cache: Path, tmp_path: Path) -> None:
    statistics = opened(tmp_path)
    entry, _ = statistics.second_moment(0)
    assert entry.recipe["tokens"] == 640
    assert statistics.library.size(entry) > 64 * 64 * 4
    assert [one for one in statistics.library.entries() if one.recipe["kind"] == "second-moment"] == [entry]
