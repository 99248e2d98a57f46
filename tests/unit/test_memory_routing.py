"""The router: who answers, by which edit, and what it does with odd queries and entries."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from scope_samples import SUBJECTS, entry, quick_artefact
from word_encoder import WordEncoder

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry
from kedit_lifecycle.memory.index import MemoryIndex
from kedit_lifecycle.memory.routing import WINDOW, ScopeRouter
from kedit_lifecycle.memory.scope.classifier import ScopeClassifier

pytestmark = pytest.mark.unit


def router(entries: Sequence[MemoryEntry], indexed: Sequence[MemoryEntry] | None = None) -> ScopeRouter:
    encoder = WordEncoder()
    index = MemoryIndex(encoder)
    index.add(entries if indexed is None else indexed)
    return ScopeRouter(entries, index, ScopeClassifier(quick_artefact(), encoder))


CAPITALS = [entry(version, subject) for version, subject in enumerate(SUBJECTS, start=1)]


def test_each_question_goes_to_its_own_edit_and_others_to_the_model() -> None:
    routed = router(CAPITALS)
    queries = [text for one in CAPITALS for text in (one.text, f"Rain fell. {one.request.paraphrases[0]}")]
    routes = routed.route(queries)
    assert [route.entry for route in routes] == [one for one in CAPITALS for _ in range(2)]
    for route in routes:
        assert route.answered_by == "memory"
        assert route.score >= route.threshold
        assert route.candidates[0].entry == route.entry
        assert list(route.candidates) == sorted(route.candidates, key=lambda one: -one.score)
    for route in routed.route(
        ["The capital city of Elsewhere is", "The currency money of Kalmar is", "Rain fell."]
    ):
        assert (route.answered_by, route.entry) == ("model", None)
        assert route.score < route.threshold
        assert route.candidates


def test_routes_do_not_depend_on_the_company() -> None:
    routed = router(CAPITALS)
    queries = [one.text for one in CAPITALS]
    together = routed.route(queries)
    alone = [routed.route([query])[0] for query in queries]
    assert [route.entry for route in alone] == [route.entry for route in together]
    assert [r.score for r in alone] == pytest.approx([r.score for r in together], abs=1e-6)


def test_an_empty_memory_leaves_everything_to_the_model() -> None:
    (route,) = router([]).route(["The capital city of Kalmar is"])
    assert (route.answered_by, route.entry, route.score, route.candidates) == ("model", None, 0.0, ())
    assert router(CAPITALS).route([]) == []


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_is_refused(query: str) -> None:
    with pytest.raises(UsageError, match="empty"):
        router(CAPITALS).route(["Kalmar", query])


def test_of_a_very_long_query_the_end_decides_and_that_is_said() -> None:
    one = CAPITALS[3]
    long = "word " * 100_000 + "ends. " + one.text
    (route, short) = router(CAPITALS).route([long, one.text])
    assert route.entry == one
    assert route.note is not None
    assert route.note.startswith("the query has 100,00")
    assert f"the last {WINDOW}" in route.note
    assert short.note is None
    (buried,) = router(CAPITALS).route([one.text + ". " + "word " * 100_000])
    assert buried.answered_by == "model"
    (unbroken,) = router(CAPITALS).route(["x" * 1_000_000])
    assert unbroken.note is not None


def test_of_two_edits_of_one_slot_the_newest_answers() -> None:
    old, new = entry(1, "Kalmar", target="Rome"), entry(5, "Kalmar", target="Oslo")
    for entries in ([old, new], [new, old]):
        (route,) = router(entries).route([old.text])
        assert route.entry == new
        assert len(route.candidates) == 1


def test_an_older_version_is_routed_by_its_own_entries() -> None:
    old, new = entry(1, "Kalmar", target="Rome"), entry(5, "Kalmar", target="Oslo")
    unrelated = entry(6, "Tarnov")
    (route,) = router([old], indexed=[old, new, unrelated]).route([old.text])
    assert route.entry == old
    (gone,) = router([old], indexed=[old, new, unrelated]).route([unrelated.text])
    assert gone.answered_by == "model"


def test_an_index_without_an_entry_or_of_another_encoder_is_refused() -> None:
    with pytest.raises(UsageError, match=r"lacks the entry 6\.0"):
        router([entry(1, "Kalmar"), entry(6, "Tarnov")], indexed=[entry(1, "Kalmar")])
    foreign = MemoryIndex(WordEncoder(name="other"))
    with pytest.raises(UsageError, match="different encoders"):
        ScopeRouter([], foreign, ScopeClassifier(quick_artefact(), WordEncoder()))
    assert EntryId(1, 0) not in foreign
