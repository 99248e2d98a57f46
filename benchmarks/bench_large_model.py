"""A MEMIT batch on a model of GPT-J's size with random weights: how long each stage takes.

    python benchmarks/bench_large_model.py --device cuda [--count 1000] [--set token_budget=4096]

Such a model knows nothing, so nothing is said of quality: every request takes all of the published 25 steps.
C comes from fewer tokens than published (`--set second_moment_tokens=…`), which changes the time of the
statistics and of nothing else. The search's products are told as a share of what the device reaches in one
large product. `--width` and `--layers` make it smaller, for a CPU.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from bench_value_search import matmul_peak, search_flops
from benchmark_files import add_data_file, setting
from transformers import AutoTokenizer, GPTJConfig, GPTJForCausalLM

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.editors.locate.contexts import encode_contexts
from kedit_lifecycle.editors.locate.suffix_groups import suffix_tokens
from kedit_lifecycle.editors.statistics import open_statistics
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.sources import DEFAULT_MODEL, resolve
from kedit_lifecycle.workbench.editing import configure

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def random_gptj(tokenizer: Any, width: int, layers: int, dtype: str, device: str) -> EditableModel:
    """GPT-J's shapes (Wang & Komatsuzaki 2021): 6 billion parameters at width 4096 and 28 layers."""
    heads = max(1, width // 256)
    config = GPTJConfig(
        vocab_size=50400, n_embd=width, n_layer=layers, n_head=heads, rotary_dim=min(64, width // heads)
    )
    torch.manual_seed(0)
    with torch.device(device):
        torch.set_default_dtype(DTYPES[dtype])
        try:
            network = GPTJForCausalLM(config)
        finally:
            torch.set_default_dtype(torch.float32)
    return EditableModel(network, tokenizer, name="random GPT-J", source="")


class Stages:
    """A progress that says of each stage how long it took, when the next one begins."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}
        self._stage = ""
        self._since = time.perf_counter()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Heard while `stage` goes on."""
        if stage != self._stage:
            self.begin(stage)

    def begin(self, stage: str) -> None:
        """What has passed was the stage before."""
        if self.device != "cpu":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
            print(f"{self._stage:<40}{now - self._since:8.1f} s", flush=True)
        self._stage, self._since = stage, now


def main() -> None:
    """Plan the batch; print the stages, the memory and the share of the device's peak."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_file(parser, "--records", "counterfact_stream_1500.jsonl")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--method", default="memit")
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="bfloat16")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tokenizer", default=None, help="a folder; otherwise the default model's")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="FIELD=VALUE")
    arguments = parser.parse_args()
    requests = load_requests(arguments.records).requests[: arguments.count]
    stages = Stages(arguments.device)
    stages.begin("making the model, and its digest")
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer or resolve(DEFAULT_MODEL))
    model = random_gptj(tokenizer, arguments.width, arguments.layers, arguments.dtype, arguments.device)
    parameters = sum(p.numel() for p in model.network.parameters())
    print(f"{parameters / 1e9:.2f} billion parameters, {arguments.dtype}, {arguments.device}", flush=True)
    editor = get_editor(arguments.method)
    config: Any = configure(editor, model, dict(arguments.set))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        statistics = open_statistics(model, place / "stats", BlobStore(place / "blobs"), stages, share=False)
        statistics.build_second_moments(editor.layers(config), tokens=config.second_moment_tokens)
        stages.begin("prefixes, tokens, the device's peak")
        _, prefixes = statistics.prefixes(config.prefix_lengths)
        contexts = [encode_contexts(model, request, prefixes) for request in requests]
        steps = [config.steps] * len(requests)
        asked = search_flops(model, config.layers[-1], contexts, steps)
        asked /= matmul_peak(model.device, model.dtype)
        stages.begin("v*")
        delta = editor.plan(model, requests, config, statistics=statistics, progress=stages)
    stages.begin("")
    tokens = sum(suffix_tokens(one) for one in contexts)
    print(f"{len(requests)} requests, {len(delta.failures)} failed; {tokens} suffix tokens a step")
    print(f"share of the matrix-multiply peak in the search: {asked / stages.seconds['v*']:.0%}")
    if model.device.type == "cuda":
        print(f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB on the device at the most")


if __name__ == "__main__":
    main()
