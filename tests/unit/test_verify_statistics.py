"""Statistics files are part of what `verify --deep` reads."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tiny_workbench import QUICK, requests, tiny_workbench

from kedit_lifecycle.ledger.verify import VerifyReport, verify


@pytest.fixture(scope="module")
def edited_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("statistics")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEDIT_CACHE", str(folder / "cache"))
        with tiny_workbench(folder) as bench:
            bench.edit(requests(1)[0], config=QUICK["rome"])
    return folder / "store"


def statistics_files(store: Path) -> list[Path]:
    return sorted((store / "stats").glob("*/*.json"))


def findings_about(report: VerifyReport, path: Path, store: Path) -> list[str]:
    return [f.problem for f in report.findings if f.where == str(path.relative_to(store))]


def test_statistics_name_their_blobs_and_a_clean_store_has_nothing_to_say(edited_store: Path) -> None:
    report = verify(edited_store, "deep")
    assert len(statistics_files(edited_store)) >= 3  # samples, prefixes, second moment
    assert report.findings == []


def test_any_flipped_byte_of_a_statistics_file_is_named(edited_store: Path) -> None:
    chance = random.Random(0)
    for path in statistics_files(edited_store):
        whole = path.read_bytes()
        for place in chance.sample(range(len(whole)), 12):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert findings_about(verify(edited_store, "deep"), path, edited_store), place
        path.write_bytes(whole)
    assert verify(edited_store, "deep").findings == []
