"""world-facts: true facts, false targets that are never true, neighbors that share the true one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from benchmark_files import shared_path

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.relations import RELATIONS
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.facts.world import Triple, world_aliases, world_facts, world_triples
from kedit_lifecycle.facts.world.subjects import FILES, world_subjects
from kedit_lifecycle.facts.world.wording import WORDINGS, Wording

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
WORDING = {wording.relation: wording for wording in WORDINGS}
COUNTS = {
    "P36": 180,
    "P38": 192,
    "P37": 187,
    "P30": 183,
    "P47": 152,
    "P1549": 184,
    "P246": 118,
    "P1086": 118,
    "element group": 90,
    "element period": 118,
    "P61": 74,
}


@pytest.fixture(scope="module", params=[0, 7])
def requests(request: pytest.FixtureRequest) -> list[EditRequest]:
    return world_facts(request.param)


@pytest.fixture(scope="module")
def true_values() -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for triple in world_triples():
        found.setdefault((triple.subject, triple.relation), set()).add(triple.object)
    return found


def _asked_subject(prompt: str, wording: Wording) -> str:
    """The subject a whole prompt is about, found by the wording alone."""
    for text in (*wording.prompts, *wording.paraphrases):
        before, after = (re.escape(part) for part in text.split("{}"))
        match = re.fullmatch(f"{before}(?:[Tt]he )?(.+?){after}", prompt)
        if match and match[1] in world_subjects():
            return match[1]
    raise AssertionError(f"no wording asks {prompt!r}")


def test_every_relation_has_as_many_requests_as_facts_to_ask(requests: list[EditRequest]) -> None:
    assert Counter(str(request.relation) for request in requests) == COUNTS
    assert len({(request.subject, request.relation) for request in requests}) == len(requests)
    assert len(world_subjects()) == 195 + 118


def test_every_relation_is_declared() -> None:
    assert {triple.relation for triple in world_triples()} == set(COUNTS)
    assert set(COUNTS) <= set(RELATIONS)
    for triple, others in Counter((triple.subject, triple.relation) for triple in world_triples()).items():
        assert others == 1 or RELATIONS[triple[1]].many, triple


def test_the_true_target_is_true_and_the_new_one_is_not(
    requests: list[EditRequest], true_values: dict[tuple[str, str], set[str]]
) -> None:
    for request in requests:
        true = true_values[request.subject, str(request.relation)]
        assert request.target_true in true
        assert request.target_new not in true
        assert request.target_new not in world_subjects()[request.subject].also.get(str(request.relation), ())


def test_the_new_target_is_one_of_the_relations_values(requests: list[EditRequest]) -> None:
    values: dict[str, set[str]] = {}
    for triple in world_triples():
        values.setdefault(triple.relation, set()).add(triple.object)
    assert all(request.target_new in values[str(request.relation)] for request in requests)


def test_a_false_neighbor_lies_on_the_same_continent(
    requests: list[EditRequest], true_values: dict[tuple[str, str], set[str]]
) -> None:
    borders = [request for request in requests if request.relation == "P47"]
    told = [request for request in borders if (request.subject, "P30") in true_values]
    apart = [
        request
        for request in told
        if true_values[request.subject, "P30"] != true_values.get((request.target_new, "P30"))
    ]
    assert len(told) > 130
    assert [request.subject for request in apart] == ["Papua New Guinea"] * len(apart)


def test_four_paraphrases_each_unlike_the_prompt_and_about_the_subject(requests: list[EditRequest]) -> None:
    for request in requests:
        wording = WORDING[str(request.relation)]
        assert len(set(request.paraphrases)) == 4
        assert request.question not in request.paraphrases
        assert all(_asked_subject(text, wording) == request.subject for text in request.paraphrases)
        assert _asked_subject(request.question, wording) == request.subject


def test_no_prompt_gives_an_answer_away_or_ends_with_a_space(requests: list[EditRequest]) -> None:
    for request in requests:
        for prompt in (request.question, *request.paraphrases):
            assert prompt == prompt.strip()
            for target in (request.target_new, str(request.target_true)):
                assert not re.search(rf"(?<!\w){re.escape(target)}(?!\w)", prompt), (prompt, target)


def test_no_target_is_the_beginning_of_the_other(requests: list[EditRequest]) -> None:
    for request in requests:
        new, true = request.target_new.casefold(), str(request.target_true).casefold()
        assert not new.startswith(true)
        assert not true.startswith(new)


def test_every_neighbor_shares_the_true_target_and_not_the_new_one(
    requests: list[EditRequest], true_values: dict[tuple[str, str], set[str]]
) -> None:
    seen = 0
    for request in requests:
        wording = WORDING[str(request.relation)]
        assert len(set(request.neighborhood)) == len(request.neighborhood) <= 5
        for prompt in request.neighborhood:
            other = _asked_subject(prompt, wording)
            assert other != request.subject
            assert request.target_true in true_values[other, wording.relation]
            assert request.target_new not in true_values[other, wording.relation]
            seen += 1
    assert seen > 2500


def test_fewer_than_two_neighbors_are_made_up_for_by_probes(
    requests: list[EditRequest], true_values: dict[tuple[str, str], set[str]]
) -> None:
    for request in requests:
        assert bool(request.probes) == (len(request.neighborhood) < 2)
        for probe in request.probes:
            other = _asked_subject(probe.prompt, WORDING[str(request.relation)])
            assert other != request.subject
            assert probe.category == "neighborhood"
            assert set(probe.answers) == true_values[other, str(request.relation)]
            assert request.target_new not in probe.answers


def test_a_seed_gives_the_same_requests_and_another_seed_others() -> None:
    first, again, other = world_facts(3), world_facts(3), world_facts(4)
    assert first == again
    new = {(request.subject, request.relation): request.target_new for request in other}
    changed = [one for one in first if new[one.subject, one.relation] != one.target_new]
    assert len(changed) > len(first) * 0.8
    assert [one.subject for one in first] != [one.subject for one in other]


def test_a_seed_gives_the_same_requests_in_another_process() -> None:
    code = (
        "from kedit_lifecycle.facts.world import world_facts; print([one.digest for one in world_facts(3)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5"}
    )
    assert done.stdout.strip() == str([one.digest for one in world_facts(3)])


@pytest.mark.parametrize("name", ["capital", "p36", " Capital"])
def test_one_relation_alone_is_what_it_is_among_all(name: str) -> None:
    alone = world_facts(2, [name])
    assert {request.relation for request in alone} == {"P36"}
    among = {request.subject: request for request in world_facts(2) if request.relation == "P36"}
    assert {request.subject: request for request in alone} == among


def test_every_wording_goes_by_its_name_and_an_unknown_one_is_refused() -> None:
    for wording in WORDINGS:
        assert {request.relation for request in world_facts(0, [wording.name])} == {wording.relation}
    assert len(world_facts(0, ["group", "element group"])) == COUNTS["element group"]
    with pytest.raises(UsageError, match="no relation 'mayor'") as caught:
        world_facts(0, ["capital", "mayor"])
    assert "atomic number" in caught.value.hint


@pytest.mark.parametrize(
    "triple",
    [
        Triple("France", "P36", "Paris"),
        Triple("United States", "P36", "Washington, D.C."),
        Triple("Kazakhstan", "P36", "Astana"),
        Triple("Japan", "P38", "yen"),
        Triple("Croatia", "P38", "euro"),
        Triple("Canada", "P37", "French"),
        Triple("Serbia", "P37", "Serbian"),
        Triple("Brazil", "P30", "South America"),
        Triple("Mexico", "P30", "North America"),
        Triple("India", "P47", "Myanmar"),
        Triple("Spain", "P1549", "Spanish"),
        Triple("gold", "P246", "Au"),
        Triple("carbon", "P1086", "6"),
        Triple("neon", "element group", "18"),
        Triple("iron", "element period", "4"),
        Triple("radium", "P61", "Marie Curie"),
    ],
)
def test_facts_that_anyone_can_check(triple: Triple) -> None:
    assert triple in world_triples()


@pytest.mark.parametrize(
    ("subject", "relation", "value"),
    [
        ("India", "P47", "Sri Lanka"),
        ("Cyprus", "P47", "United Kingdom"),
        ("Azerbaijan", "P37", "Armenian"),
        ("Turkey", "P30", "Asia"),
        ("helium", "P61", "William Ramsey"),
    ],
)
def test_what_was_wrong_or_disputed_is_gone(subject: str, relation: str, value: str) -> None:
    assert Triple(subject, relation, value) not in world_triples()


def test_borders_are_mutual() -> None:
    borders = {(one.subject, one.object) for one in world_triples() if one.relation == "P47"}
    assert len(borders) > 500
    assert {(second, first) for first, second in borders} == borders
    assert {name for pair in borders for name in pair} <= set(world_subjects())


def test_triples_are_unique() -> None:
    assert len(set(world_triples())) == len(world_triples()) == 2195


def test_an_alias_names_one_subject() -> None:
    aliases = world_aliases()
    uses = Counter(alias.casefold() for names in aliases.values() for alias in names)
    assert not [alias for alias, count in uses.items() if count > 1]
    assert uses.keys().isdisjoint(name.casefold() for name in world_subjects())
    assert "Holland" in aliases["Netherlands"]
    assert {"USA", "United States of America"} <= set(aliases["United States"])
    assert aliases["gold"] == ("Au",)
    assert "FR" not in aliases["France"]


def test_nothing_is_read_before_it_is_asked_for() -> None:
    code = (
        "from kedit_lifecycle.facts.world import subjects\n"
        "import kedit_lifecycle.facts.readers\n"
        "assert subjects.world_subjects.cache_info().currsize == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_script_makes_the_very_files_that_are_shipped(tmp_path: Path) -> None:
    sources = [shared_path("countryinfo_countries.json"), shared_path("mendeleev_elements.json")]
    if not all(path.exists() for path in sources):
        pytest.skip("the packages' data is not in ../shared/data")
    script = ROOT / "scripts" / "build_world_facts.py"
    command = [sys.executable, str(script), *map(str, sources), "--to", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    for name in FILES:
        shipped = ROOT / "kedit_lifecycle" / "facts" / "world" / name
        assert (tmp_path / name).read_bytes() == shipped.read_bytes()
        assert json.loads(shipped.read_text("utf-8"))
