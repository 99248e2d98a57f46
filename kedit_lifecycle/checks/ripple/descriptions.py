"""Noun phrases for what stands at the other end of a relation: "the capital of France" for Paris."""

from __future__ import annotations

from kedit_lifecycle.facts.request import SUBJECT_SLOT

DESCRIPTIONS: dict[str, str] = {
    # places and countries
    "P36": "the capital of {}",
    "P1376": "the country whose capital is {}",
    "P17": "the country where {} is located",
    "P30": "the continent on which {} lies",
    "P37": "the official language of {}",
    "P38": "the currency of {}",
    "P131": "the place where {} is located",
    "P276": "the place where {} happens",
    "P35": "the head of state of {}",
    "P6": "the head of government of {}",
    "P463": "the organization that {} is a member of",
    "P138": "the namesake of {}",
    # people
    "P19": "the place where {} was born",
    "P20": "the place where {} died",
    "P22": "the father of {}",
    "P25": "the mother of {}",
    "P26": "the spouse of {}",
    "P40": "the child of {}",
    "P3373": "the sibling of {}",
    "P27": "the country of citizenship of {}",
    "P103": "the native language of {}",
    "P1412": "the language spoken by {}",
    "P69": "the school that {} attended",
    "P101": "the field of work of {}",
    "P106": "the occupation of {}",
    "P108": "the employer of {}",
    "P39": "the position held by {}",
    "P937": "the city where {} works",
    "P140": "the religion of {}",
    "P166": "the award received by {}",
    "P800": "the most notable work of {}",
    "P1303": "the instrument played by {}",
    "P641": "the sport played by {}",
    "P54": "the team of {}",
    "P184": "the doctoral advisor of {}",
    "P185": "the doctoral student of {}",
    # works and things
    "P50": "the author of {}",
    "P57": "the director of {}",
    "P61": "the discoverer of {}",
    "P136": "the genre of {}",
    "P162": "the producer of {}",
    "P170": "the creator of {}",
    "P175": "the performer of {}",
    "P176": "the manufacturer of {}",
    "P178": "the developer of {}",
    "P264": "the record label of {}",
    "P364": "the original language of {}",
    "P407": "the language in which {} was written",
    "P449": "the original network of {}",
    "P495": "the country of origin of {}",
    # organisations
    "P112": "the founder of {}",
    "P127": "the owner of {}",
    "P159": "the city where the headquarters of {} is",
    "P169": "the chief executive officer of {}",
    "P286": "the head coach of {}",
    "P740": "the place where {} was founded",
    # elements
    "P246": "the chemical symbol of {}",
    "element of symbol": "the element with the symbol {}",
}
"""By relation id; none where the object is a mere value (a demonym) or seldom the only one (a border)."""


def describe(relation: str, subject: str) -> str | None:
    """The object of (subject, relation) as a noun phrase; None where the relation has no such phrase."""
    template = DESCRIPTIONS.get(relation)
    return None if template is None else template.replace(SUBJECT_SLOT, subject)
