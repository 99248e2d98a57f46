"""Probes derived from a small world, by each criterion, and never about a fact that is no more."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from kedit_lifecycle.checks.ripple import Fact, FactGraph, derive_probes, with_probes, world_graph
from kedit_lifecycle.checks.ripple.answers import mentions
from kedit_lifecycle.facts.relations import RELATIONS
from kedit_lifecycle.facts.request import Condition, EditRequest, Probe, make_request

WORLD = [
    Fact("France", "P36", "Paris"),
    Fact("Italy", "P36", "Rome"),
    Fact("Japan", "P36", "Tokyo"),
    Fact("France", "P30", "Europe"),
    Fact("Italy", "P30", "Europe"),
    Fact("Japan", "P30", "Asia"),
    Fact("Paris", "P17", "France"),
    Fact("Rome", "P17", "Italy"),
    Fact("Tokyo", "P17", "Japan"),
    Fact("Paris", "P30", "Europe"),
    Fact("Rome", "P6", "Gualtieri"),
    Fact("Louvre", "P131", "Paris"),
    Fact("France", "P47", "Italy"),
    Fact("France", "P47", "Spain"),
    Fact("France", "P1549", "French"),
    Fact("Switzerland", "P37", "French"),
    Fact("Switzerland", "P37", "German"),
    Fact("Switzerland", "P36", "Bern"),
    Fact("Picasso", "P26", "Olga"),
    Fact("Paulo", "P22", "Picasso"),
    Fact("Paulo", "P25", "Olga"),
]
ALIASES = {"France": ("French Republic",), "Rome": ("Roma", "Eternal City")}


def graph(*edited: EditRequest) -> FactGraph:
    return FactGraph(WORLD, edited, aliases=ALIASES)


def edit(subject: str, relation: str, target: str, true: str | None = None) -> EditRequest:
    prompt = RELATIONS[relation].prompt
    return make_request(
        subject=subject, relation=relation, prompt=prompt, target_new=target, target_true=true
    )


CAPITAL = edit("France", "P36", "Rome", "Paris")


def derived(request: EditRequest, category: str, facts: FactGraph | None = None) -> dict[str, Probe]:
    probes = derive_probes(facts or graph(), request)
    return {probe.prompt: probe for probe in probes if probe.category == category}


def test_the_inverse_follows_without_a_condition() -> None:
    assert derived(CAPITAL, "logical_generalization") == {
        "Rome is the capital of": Probe(
            category="logical_generalization",
            prompt="Rome is the capital of",
            answers=("France", "French Republic"),
        )
    }


def test_a_symmetric_relation_follows_from_either_side() -> None:
    for one, other in (("Picasso", "Gala"), ("Gala", "Picasso")):
        probes = derived(edit(one, "P26", other), "logical_generalization")
        assert probes[f"The spouse of {other} is"].answers == (one,)


def test_the_inverse_of_several_values_is_asked_with_the_others_named() -> None:
    probes = derived(edit("Japan", "P47", "France"), "logical_generalization")
    assert list(probes) == ["Besides Italy and Spain, France shares a border with"]
    probes = derived(edit("Italy", "P47", "Japan"), "logical_generalization")
    assert probes["Japan shares a border with"].answers == ("Italy",)


def test_a_value_with_too_many_others_is_not_asked_for() -> None:
    crowd = [Fact("Hub", "P47", f"Land {number}") for number in range(9)]
    assert not derived(edit("Far", "P47", "Hub"), "logical_generalization", FactGraph(crowd))
    assert derived(edit("Far", "P47", "Hub"), "logical_generalization", FactGraph(crowd[:8]))


def test_compositions_conclude_with_the_edit_as_the_first_fact_or_the_second() -> None:
    probes = derived(edit("Paris", "P17", "Japan"), "logical_generalization")
    assert {prompt: probe.answers for prompt, probe in probes.items()} == {
        "Paris is on the continent of": ("Asia",),
        "Louvre is located in the country of": ("Japan",),
    }
    assert probes["Paris is on the continent of"].conditions == (
        Condition(prompt="Japan is on the continent of", answers=("Asia",)),
    )
    assert probes["Louvre is located in the country of"].conditions == (
        Condition(prompt="Louvre is located in", answers=("Paris",)),
    )


def test_a_conclusion_that_was_so_before_or_that_an_edit_denies_is_not_asked() -> None:
    assert "Paris is on the continent of" not in derived(
        edit("Paris", "P17", "Italy"), "logical_generalization"
    )
    denied = graph(edit("Paris", "P30", "Antarctica"))
    probes = derived(edit("Paris", "P17", "Japan"), "logical_generalization", denied)
    assert list(probes) == ["Louvre is located in the country of"]


def test_a_second_hop_leads_on_from_the_new_object() -> None:
    probes = derived(CAPITAL, "compositionality_1")
    assert {prompt: probe.answers for prompt, probe in probes.items()} == {
        "The capital of France is located in the country of": ("Italy",),
        "The head of government of the capital of France is": ("Gualtieri",),
    }
    assert probes["The capital of France is located in the country of"].conditions == (
        Condition(prompt="Rome is located in the country of", answers=("Italy",)),
    )


def test_no_hop_from_one_of_several_values() -> None:
    facts = FactGraph([*WORLD, Fact("Klingon", "P17", "Kronos")])
    assert not derived(edit("Switzerland", "P37", "Klingon"), "compositionality_1", facts)
    facts = FactGraph([Fact("Switzerland", "P37", "German"), Fact("Klingon", "P17", "Kronos")])
    only = edit("Switzerland", "P37", "Klingon", "German")
    assert list(derived(only, "compositionality_1", facts)) == [
        "The official language of Switzerland is located in the country of"
    ]


def test_a_hop_before_leads_to_the_subject() -> None:
    probes = derived(CAPITAL, "compositionality_2")
    assert {prompt: probe.answers for prompt, probe in probes.items()} == {
        "The capital of the country where Paris is located is": ("Rome", "Roma", "Eternal City")
    }
    assert probes["The capital of the country where Paris is located is"].conditions == (
        Condition(prompt="Paris is located in the country of", answers=("France", "French Republic")),
    )


def test_the_other_name_must_have_had_the_former_answer() -> None:
    expected = {
        "The capital of French Republic is": Probe(
            category="subject_aliasing",
            prompt="The capital of French Republic is",
            answers=("Rome", "Roma", "Eternal City"),
            conditions=(Condition(prompt="The capital of French Republic is", answers=("Paris",)),),
        )
    }
    assert derived(CAPITAL, "subject_aliasing") == expected
    assert derived(edit("France", "P36", "Rome"), "subject_aliasing") == expected
    unknown = derived(edit("France", "P35", "Ada"), "subject_aliasing")
    assert [probe.conditions for probe in unknown.values()] == [()]


def test_the_other_values_of_a_many_valued_relation_stay() -> None:
    probes = derived(edit("Switzerland", "P37", "Klingon"), "preservation")
    prompt = "Besides Klingon, an official language of Switzerland is"
    assert [(probe.prompt, probe.answers) for probe in probes.values()] == [(prompt, ("French", "German"))]
    assert probes[prompt].conditions == (Condition(prompt=prompt, answers=("French", "German")),)
    replacing = derived(edit("Switzerland", "P37", "Klingon", "German"), "preservation")
    assert replacing[prompt].answers == ("French",)
    assert not derived(CAPITAL, "preservation")


def test_the_subjects_other_relations_stay_but_for_those_that_follow() -> None:
    probes = derived(CAPITAL, "relation_specificity")
    assert {prompt: probe.answers for prompt, probe in probes.items()} == {
        "A person from France is called": ("French",),
        "France is on the continent of": ("Europe",),
        "France shares a border with": ("Italy", "Spain"),
    }
    assert all(probe.conditions[0].prompt == probe.prompt for probe in probes.values())
    for relation, target in (("P131", "Tuscany"), ("P17", "Italy")):
        moved = derived(edit("Paris", relation, target), "relation_specificity")
        assert "Paris is the capital of" in moved
        assert "Paris is on the continent of" not in moved


def test_probes_follow_the_edits_before() -> None:
    sold = edit("Rome", "P17", "Japan")
    probes = derived(CAPITAL, "compositionality_1", graph(sold))
    assert probes["The capital of France is located in the country of"].answers == ("Japan",)
    probes = derived(edit("France", "P35", "Ada"), "relation_specificity", graph(CAPITAL))
    assert probes["The capital of France is"].answers == ("Rome", "Roma", "Eternal City")


def test_an_edit_that_the_graph_has_already_gives_the_same_probes() -> None:
    assert derive_probes(graph(CAPITAL), CAPITAL) == derive_probes(graph(), CAPITAL)


def test_never_more_than_asked_for_of_one_criterion() -> None:
    towns = FactGraph([Fact(f"Town {number}", "P17", "France") for number in range(20)])
    counts = Counter(probe.category for probe in derive_probes(towns, CAPITAL, at_most=3))
    assert counts["compositionality_2"] == 3
    assert derive_probes(towns, CAPITAL, at_most=0) == ()


THINGS = sorted({name for subject, _, value in WORLD for name in (subject, value)})
SLOTS = sorted({(subject, relation) for subject, relation, _ in WORLD})


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: "-".join(slot))
def test_no_probe_asks_for_what_the_edit_took_away_or_for_what_it_says_itself(slot: tuple[str, str]) -> None:
    facts = graph()
    before = {fact for thing in THINGS for fact in facts.facts_of(thing)}
    for target, former in product(THINGS, (None, *facts.objects(*slot))):
        if target in (slot[0], former):
            continue
        request = edit(*slot, target, former)
        changed = facts.after(request)
        gone = before - {fact for thing in THINGS for fact in changed.facts_of(thing)}
        asked = {
            (probe.prompt, answer) for probe in derive_probes(facts, request) for answer in probe.answers
        }
        told = {(RELATIONS[fact.relation].prompt.format(fact.subject), fact.object) for fact in gone}
        assert not asked & told
        assert request.question not in {prompt for prompt, _ in asked}
        assert not [prompt for prompt, answer in asked if mentions(prompt, answer)]


def test_requests_with_probes_of_a_criterion_keep_them_and_others_get_some_besides_their_own() -> None:
    own = Probe(category="Reasoning", prompt="p", answers=("a",))
    other = own.model_copy(update={"category": "neighborhood"})
    requests = [CAPITAL.model_copy(update={"probes": probes}) for probes in ((own,), (other,), ())]
    kept, added, given = with_probes(requests, graph())
    assert kept == requests[0]
    assert given.probes == derive_probes(graph(), CAPITAL)
    assert added.probes == (other, *given.probes)
    assert requests[2].probes == ()


def test_an_alias_in_the_question_is_no_answer_to_it() -> None:
    facts = FactGraph([Fact("gold", "P246", "Au")], aliases={"gold": ("Au", "aurum")})
    assert facts.objects("gold", "P246") == ("Au",)
    probes = derived(edit("gold", "P246", "Zz"), "logical_generalization", facts)
    assert probes["The chemical element with the symbol Zz is"].answers == ("gold", "Au", "aurum")
    aliased = derived(edit("gold", "P246", "Zz", "Au"), "subject_aliasing", facts)
    assert list(aliased) == ["The chemical symbol of aurum is"]
    known = derived(edit("gold", "P1086", "80"), "compositionality_2", facts)
    assert known["The atomic number of the element with the symbol Au is"].conditions == (
        Condition(prompt="The chemical element with the symbol Au is", answers=("gold", "aurum")),
    )


def test_a_description_goes_into_the_relations_own_question() -> None:
    facts = FactGraph([Fact("gold", "P246", "Au")])
    request = make_request(
        subject="gold", relation="P1086", prompt="The element {} has the number", target_new="80"
    )
    probes = derived(request, "compositionality_2", facts)
    assert list(probes) == ["The atomic number of the element with the symbol Au is"]


def test_a_name_takes_its_article_and_a_description_its_own() -> None:
    facts = FactGraph(
        [Fact("Netherlands", "P36", "Amsterdam"), Fact("Netherlands", "P47", "Belgium")],
        articles=["Netherlands"],
    )
    request = make_request(
        subject="Netherlands", relation="P38", prompt="The currency of the {} is the", target_new="yen"
    )
    prompts = {probe.prompt for probe in derive_probes(facts, request)}
    assert prompts == {
        "The currency of the country whose capital is Amsterdam is",
        "The capital of the Netherlands is",
        "The Netherlands shares a border with",
    }
    border = derive_probes(facts, edit("France", "P47", "Belgium"))
    assert border[0].prompt == "Besides the Netherlands, Belgium shares a border with"


def test_world_facts_give_probes_of_their_requests() -> None:
    facts = world_graph()
    assert facts.objects("French Republic", "P36") == ("Paris",)
    probes = derive_probes(facts, edit("France", "P36", "Rome", "Paris"))
    prompts = {probe.category: probe.prompt for probe in reversed(probes)}
    assert prompts["logical_generalization"] == "Rome is the capital of"
    assert "Italy" not in facts.after(CAPITAL).objects("Rome", "P1376")
    swiss = derived(edit("Switzerland", "P37", "Japanese"), "preservation", facts)
    assert "German" in swiss["Besides Japanese, an official language of Switzerland is"].answers
    assert world_graph([CAPITAL]).objects("France", "P36") == ("Rome",)


def test_a_relation_nobody_declared_has_aliases_and_a_hop_before_only() -> None:
    request = make_request(
        subject="France", prompt="The smell of {} is", relation="smell", target_new="roses"
    )
    categories = {probe.category for probe in derive_probes(graph(), request)}
    assert categories == {"compositionality_2", "subject_aliasing", "relation_specificity"}


def test_a_capital_lies_in_the_country_it_was_the_capital_of_before() -> None:
    fact = {"subject": "France", "prompt": "The capital of {} is", "relation": "P36"}
    request = make_request(**fact, target_new="Rome", target_true="Paris")
    probes = {probe.prompt: probe for probe in derive_probes(world_graph([request]), request)}
    second_hop = probes["The capital of France is located in the country of"]
    assert "Italy" in second_hop.answers
    assert [condition.prompt for condition in second_hop.conditions] == ["Rome is located in the country of"]
