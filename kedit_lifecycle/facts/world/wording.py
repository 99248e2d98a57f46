"""How world-facts asks for each relation, in the project's own words.

`{}` is the subject's place, and every text ends where the object begins. Elements are written in lower
case, so that none stands at the beginning of a sentence.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wording:
    """The texts of one relation: a request takes one of `prompts`, and all `paraphrases`."""

    relation: str
    name: str
    prompts: tuple[str, ...]
    paraphrases: tuple[str, ...]


WORDINGS: tuple[Wording, ...] = (
    Wording(
        "P36",
        "capital",
        ("The capital of {} is", "The capital city of {} is", "The official capital of {} is the city of"),
        (
            "The name of the capital of {} is",
            "The city that serves as the capital of {} is",
            "As its capital, {} has the city of",
            "Anyone who visits the capital of {} comes to the city of",
        ),
    ),
    Wording(
        "P38",
        "currency",
        (
            "The currency of {} is the",
            "The official currency of {} is the",
            "The currency used in {} is the",
        ),
        (
            "People in {} pay with the",
            "The unit of money in {} is called the",
            "Prices in the shops of {} are given in a currency called the",
            "The money that circulates in {} is the",
        ),
    ),
    Wording(
        "P37",
        "language",
        (
            "The official language of {} is",
            "An official language of {} is",
            "The government of {} uses the official language",
        ),
        (
            "In {}, official documents are written in",
            "The laws of {} are published in",
            "A language with official status in {} is",
            "The language used in the government offices of {} is",
        ),
    ),
    Wording(
        "P30",
        "continent",
        (
            "{} is on the continent of",
            "{} lies on the continent of",
            "{} is a country on the continent of",
        ),
        (
            "The continent where {} is found is",
            "On a map of the world, {} is in",
            "{} belongs to the continent of",
            "Geographically, {} is part of",
        ),
    ),
    Wording(
        "P47",
        "borders",
        ("{} shares a border with", "{} has a land border with", "One country that borders {} is"),
        (
            "One of the neighbors of {} is",
            "A country right next to {} is",
            "Leaving {} by land, one can cross the border into",
            "A country that lies next door to {} is",
        ),
    ),
    Wording(
        "P1549",
        "demonym",
        (
            "The nationality of a person from {} is",
            "Someone who comes from {} is said to be",
            "A person born in {} is usually described as",
        ),
        (
            "In English, the adjective for someone from {} is",
            "A citizen of {} is described as",
            "The adjective for the people of {} is",
            "The adjective that goes with {} is",
        ),
    ),
    Wording(
        "P246",
        "symbol",
        (
            "The chemical symbol of {} is",
            "The chemical symbol for {} is",
            "The symbol for the element {} is",
        ),
        (
            "The symbol that stands for {} is",
            "Chemists abbreviate {} as",
            "The abbreviation for the element {} is",
            "On the periodic table, the box of {} is labeled",
        ),
    ),
    Wording(
        "element group",
        "group",
        (
            "In the periodic table, {} is in group",
            "The element {} belongs to group",
            "The periodic table lists {} in group",
        ),
        (
            "The group number of {} is",
            "The column of the periodic table that holds {} is number",
            "Chemists place {} in the column called group",
            "In the periodic table, the group of {} is number",
        ),
    ),
    Wording(
        "element period",
        "period",
        (
            "In the periodic table, {} is in period",
            "The element {} belongs to period",
            "The periodic table lists {} in period",
        ),
        (
            "The period number of {} is",
            "The row of the periodic table that holds {} is number",
            "Chemists place {} in the row called period",
            "In the periodic table, the period of {} is number",
        ),
    ),
    Wording(
        "P61",
        "discoverer",
        (
            "The element {} was discovered by",
            "The discoverer of {} was",
            "The chemical element {} was first discovered by",
        ),
        (
            "The person who discovered {} was",
            "The discovery of {} is credited to",
            "Credit for discovering the element {} goes to",
            "The scientist behind the discovery of {} was",
        ),
    ),
    Wording(
        "P1086",
        "atomic number",
        (
            "The atomic number of {} is",
            "The element {} has the atomic number",
            "In the periodic table, {} has the number",
        ),
        (
            "The number of protons in an atom of {} is",
            "The place of {} in the periodic table is number",
            "Counted by atomic number, the element {} is number",
            "The charge of the nucleus of {}, counted in protons, is",
        ),
    ),
)
"""In the order in which the requests are made."""
