"""Every editor on every architecture and dtype: what any of them must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CORE_FAMILIES, tiny_editable
from tiny_workbench import DTYPES, QUICK, all_fingerprints, requests, tiny_workbench

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors import editor_names, get_editor
from kedit_lifecycle.editors.base import Editor, EditorConfig
from kedit_lifecycle.editors.statistics import Statistics, open_statistics
from kedit_lifecycle.errors import EditFailedError
from kedit_lifecycle.evaluation.suite import evaluate_requests
from kedit_lifecycle.models.delta import TensorUpdate, WeightDelta, touched
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.workbench.editing import configure

pytestmark = [pytest.mark.conformance, pytest.mark.usefixtures("kedit_cache")]

TWO = requests(2)
STRONG: dict[str, Any] = {
    "steps": 40,
    "learning_rate": 0.5,
    "clamp_norm": None,
    "kl_factor": 0,
    "prefix_lengths": [],
}
EFFECTIVE: dict[str, dict[str, Any]] = {
    "rome": QUICK["rome"] | STRONG | {"layer": 0},
    "memit": QUICK["memit"] | STRONG | {"layers": [0], "covariance_weight": 1e-3},
    "emmet": QUICK["emmet"] | STRONG | {"layers": [0], "covariance_weight": 1e-3},
    "alphaedit": QUICK["alphaedit"] | STRONG | {"layers": [0], "null_space_fraction": 0.85, "ridge": 1e-4},
    "ft": QUICK["ft"] | {"steps": 40},
    "ft-l": QUICK["ft-l"] | {"steps": 40, "norm_constraint": 0.1},
    "mend": QUICK["mend"],
    "knowledge-editor": QUICK["knowledge-editor"],
}


@pytest.fixture(params=editor_names())
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=CORE_FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=list(DTYPES))
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Setting:
    """An editor, a model of its own, and what the editor may know of it."""

    def __init__(
        self, method: str, family: str, dtype: str, folder: Path, settings: dict[str, Any] | None = None
    ) -> None:
        self.editor: Editor[Any] = get_editor(method)
        self.model: EditableModel = tiny_editable(family, DTYPES[dtype])
        self.config: EditorConfig = configure(self.editor, self.model, settings or QUICK.get(method))
        self.statistics: Statistics = open_statistics(
            self.model, folder / "stats", BlobStore(folder / "blobs")
        )

    def plan(self, count: int = 2) -> WeightDelta:
        return self.editor.plan(self.model, TWO[:count], self.config, statistics=self.statistics)


@pytest.fixture
def setting(method: str, family: str, dtype: str, tmp_path: Path) -> Setting:
    made = Setting(method, family, dtype, tmp_path)
    made.plan(1)  # statistics are there
    return made


def factors(delta: WeightDelta) -> list[tuple[str, str, bytes, bytes]]:
    def raw(part: torch.Tensor | None) -> bytes:
        return b"" if part is None else part.numpy().tobytes()

    return [(one.tensor, one.operation, raw(one.left), raw(one.right)) for one in delta.updates]


def test_plan_leaves_the_model_as_it_was(setting: Setting) -> None:
    setting.model.apply(setting.plan(1).updates)
    before, masters = all_fingerprints(setting.model), setting.model.masters
    random_state = torch.get_rng_state()
    setting.plan()
    assert all_fingerprints(setting.model) == before
    assert setting.model.masters.keys() == masters.keys()
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not any(parameter.requires_grad for parameter in setting.model.network.parameters())


def test_the_same_requests_give_the_same_bits(setting: Setting, method: str, family: str, dtype: str) -> None:
    first = factors(setting.plan())
    torch.manual_seed(17)
    assert factors(setting.plan()) == first
    elsewhere = Setting(method, family, dtype, setting.statistics.library.folder.parent)
    assert factors(elsewhere.plan()) == first


def test_only_declared_tensors_change_and_each_of_them_does(setting: Setting) -> None:
    before = all_fingerprints(setting.model)
    delta = setting.plan()
    setting.model.apply(delta.updates)
    after = all_fingerprints(setting.model)
    assert {name for name in before if after[name] != before[name]} == set(touched(delta.updates))
    assert setting.model.masters.keys() == set(touched(delta.updates))


def test_dtypes_are_kept(setting: Setting, dtype: str) -> None:
    setting.model.apply(setting.plan().updates)
    assert {parameter.dtype for parameter in setting.model.network.parameters()} == {DTYPES[dtype]}
    assert {master.dtype for master in setting.model.masters.values()} == {torch.float32}


def test_each_request_leaves_a_key(setting: Setting) -> None:
    delta = setting.plan()
    for tensor in touched(delta.updates):
        keys = [one.keys for one in delta.updates if one.tensor == tensor and one.keys is not None]
        if keys:
            assert sum(len(block) for block in keys) == len(TWO)


def test_an_edit_makes_its_target_likelier(method: str, family: str, tmp_path: Path) -> None:
    setting = Setting(method, family, "float32", tmp_path, EFFECTIVE.get(method))

    def probability() -> float:
        return evaluate_requests(setting.model, TWO[:1], generate=False)[0].target_probability

    before = probability()
    setting.model.apply(setting.plan(1).updates)
    assert probability() > 3 * before


def test_a_model_gone_infinite_is_refused_by_name_and_left_alone(setting: Setting) -> None:
    tensor = setting.model.architecture.mlp_down_weight(setting.model.layer_count - 1)
    broken = setting.model.master(tensor)
    broken[0, 0] = torch.inf
    setting.model.apply([TensorUpdate(tensor, "set", broken)])
    before = all_fingerprints(setting.model)
    with pytest.raises(EditFailedError, match=TWO[0].question):
        setting.plan()
    assert all_fingerprints(setting.model) == before


def test_rollback_through_a_store_is_exact(method: str, family: str, dtype: str, tmp_path: Path) -> None:
    with tiny_workbench(tmp_path, family, dtype) as workbench:
        recorded = {0: all_fingerprints(workbench.checkout_model("0"))}
        for number, request in enumerate(TWO, start=1):
            workbench.edit(request, method=method, config=QUICK.get(method), measure="none")
            recorded[number] = all_fingerprints(workbench.model)
        assert len({str(sorted(one.items())) for one in recorded.values()}) == 3
        for number in (0, 2, 1, 0, 1, 2):
            assert all_fingerprints(workbench.checkout_model(str(number))) == recorded[number]
        assert workbench.notes == []


def test_rome_plans_each_request_on_what_the_one_before_left(tmp_path: Path) -> None:
    together, apart = (Setting("rome", "gpt2", "float32", tmp_path) for _ in range(2))
    planned = factors(together.plan())
    assert len(planned) == 2
    first = apart.plan(1)
    apart.model.apply(first.updates)
    second = apart.editor.plan(apart.model, TWO[1:], apart.config, statistics=apart.statistics)
    assert planned == factors(first) + factors(second)
