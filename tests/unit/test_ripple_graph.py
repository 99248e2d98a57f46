"""The graph of facts: what an edit puts in, and what it takes away."""

from __future__ import annotations

from typing import Any

import pytest

from kedit_lifecycle.checks.ripple.graph import Fact, FactGraph
from kedit_lifecycle.facts.request import EditRequest, make_request

WORLD = [
    Fact("France", "P36", "Paris"),
    Fact("Italy", "P36", "Rome"),
    Fact("Paris", "P17", "France"),
    Fact("France", "P30", "Europe"),
    Fact("Japan", "P30", "Asia"),
    Fact("Paris", "P30", "Europe"),
    Fact("France", "P47", "Italy"),
    Fact("Switzerland", "P37", "German"),
    Fact("Switzerland", "P37", "French"),
]


def edit(subject: str, relation: str | None, target: str, **more: Any) -> EditRequest:
    return make_request(
        subject=subject, relation=relation, prompt="{} has as " + str(relation), target_new=target, **more
    )


def test_an_edit_takes_the_place_of_the_one_value() -> None:
    graph = FactGraph(WORLD, [edit("France", "P36", "Lyon")])
    assert graph.objects("France", "P36") == ("Lyon",)
    assert graph.objects("Lyon", "P1376") == ("France",)
    assert graph.objects("Paris", "P1376") == ()


def test_a_place_that_becomes_the_capital_of_another_is_of_no_other() -> None:
    graph = FactGraph(WORLD, [edit("France", "P36", "Rome")])
    assert graph.objects("Rome", "P1376") == ("France",)
    assert graph.objects("Italy", "P36") == ()


def test_an_edit_joins_the_values_of_a_many_valued_relation() -> None:
    graph = FactGraph(WORLD, [edit("Switzerland", "P37", "Klingon")])
    assert graph.objects("Switzerland", "P37") == ("French", "German", "Klingon")


def test_the_value_that_an_edit_replaces_goes_from_a_many_valued_relation_too() -> None:
    graph = FactGraph(WORLD, [edit("Switzerland", "P37", "Klingon", target_true="German")])
    assert graph.objects("Switzerland", "P37") == ("French", "Klingon")


def test_symmetric_facts_hold_both_ways_and_go_both_ways() -> None:
    graph = FactGraph([Fact("Ann", "P26", "Bob"), Fact("Eve", "P26", "Dan"), *WORLD])
    assert (graph.objects("France", "P47"), graph.objects("Italy", "P47")) == (("Italy",), ("France",))
    married = graph.after(edit("Ann", "P26", "Dan"))
    assert [married.objects(name, "P26") for name in ("Ann", "Dan", "Bob", "Eve")] == [
        ("Dan",),
        ("Ann",),
        (),
        (),
    ]


def test_a_fact_goes_with_one_whose_declared_inverse_it_is() -> None:
    graph = FactGraph([Fact("Picasso", "P800", "Guernica")])
    assert graph.objects("Guernica", "P170") == ("Picasso",)
    changed = graph.after(edit("Guernica", "P170", "Dali", target_true="Picasso"))
    assert changed.objects("Guernica", "P170") == ("Dali",)
    assert changed.objects("Picasso", "P800") == ()


def test_a_fact_stays_that_another_fact_says_too() -> None:
    graph = FactGraph(
        [Fact("Paulo", "P25", "Kim")], [edit("Paulo", "P22", "Kim"), edit("Paulo", "P25", "Lee")]
    )
    assert graph.objects("Kim", "P40") == ("Paulo",)
    assert graph.after(edit("Paulo", "P22", "Lou")).objects("Kim", "P40") == ()


def test_what_followed_from_a_former_fact_goes_with_it() -> None:
    abroad = FactGraph(WORLD, [edit("Paris", "P17", "Japan")])
    assert abroad.objects("Paris", "P30") == ()
    at_home = FactGraph([*WORLD, Fact("Italy", "P30", "Europe")], [edit("Paris", "P17", "Italy")])
    assert at_home.objects("Paris", "P30") == ("Europe",)


def test_what_followed_over_two_rules_goes_too() -> None:
    world = [
        *WORLD,
        Fact("Paris", "P131", "Seine"),
        Fact("Seine", "P17", "France"),
        Fact("Kanto", "P17", "Japan"),
    ]
    graph = FactGraph(world, [edit("Paris", "P131", "Kanto")])
    assert (graph.objects("Paris", "P17"), graph.objects("Paris", "P30")) == ((), ())
    below = FactGraph([*world, Fact("Louvre", "P131", "Paris"), Fact("Louvre", "P17", "France")])
    assert below.after(edit("Paris", "P17", "Japan")).objects("Louvre", "P17") == ()


def test_an_edited_fact_stays_whatever_would_follow_from_another() -> None:
    edits = [edit("Paris", "P30", "Antarctica"), edit("Paris", "P17", "Japan")]
    graph = FactGraph(WORLD, edits)
    assert graph.objects("Paris", "P30") == ("Antarctica",)
    assert graph.edited_otherwise("Paris", "P30", ["Asia"])
    assert not graph.edited_otherwise("Paris", "P30", ["antarctica"])
    assert not graph.edited_otherwise("France", "P30", ["Asia"])


def test_the_later_edit_wins() -> None:
    graph = FactGraph(WORLD, [edit("France", "P36", "Lyon"), edit("France", "P36", "Nice")])
    assert graph.objects("France", "P36") == ("Nice",)
    assert graph.objects("Lyon", "P1376") == ()


def test_the_graph_after_an_edit_is_another() -> None:
    graph = FactGraph(WORLD)
    after = graph.after(edit("France", "P36", "Lyon"))
    assert (graph.objects("France", "P36"), after.objects("France", "P36")) == (("Paris",), ("Lyon",))


def test_names_are_told_apart_without_case_or_space_and_by_aliases() -> None:
    graph = FactGraph(WORLD, aliases={"France": ["French Republic", "Gaul"], "Wales": ["Gaul"]})
    assert graph.objects("  FRANCE", "P36") == ("Paris",)
    assert graph.objects("french republic", "P36") == ("Paris",)
    assert graph.objects("Gaul", "P36") == ()
    assert graph.same("France", "French  Republic")
    assert not graph.same("France", "Gaul")
    assert graph.names("French Republic") == ("French Republic", "France", "Gaul")
    assert graph.names("nowhere") == ("nowhere",)


@pytest.mark.parametrize("relation", ["capital", "P36", "p36"])
def test_a_relation_is_known_by_name_or_id(relation: str) -> None:
    graph = FactGraph([Fact("France", relation, "Paris")], [edit("Italy", relation, "Milan")])
    assert graph.facts_of("France") == [Fact("France", "P36", "Paris")]
    assert graph.facts_about("Milan") == [Fact("Italy", "P36", "Milan")]


def test_an_undeclared_relation_is_one_valued_under_its_own_name_or_its_prompt() -> None:
    edits = [edit("France", "smell", "roses"), edit("France", "smell", "hay"), edit("France", None, "red")]
    assert FactGraph((), edits).facts_of("France") == [
        Fact("France", "smell", "hay"),
        Fact("France", "{} has as None", "red"),
    ]
