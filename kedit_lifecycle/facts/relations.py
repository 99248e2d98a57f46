"""What is known of relations: which hold several values, which turn around, what follows from two.

Ids are Wikidata properties, as CounterFact, MQuAKE, RippleEdits and ConflictEdit use them; a relation that
Wikidata has no property for has a name of the project's own. Prompts are the project's own wording.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation. `prompt` holds `{}` for the subject and ends where the object begins.

    `many`: a subject may have several objects at once, so that another object is no contradiction.
    `inverse`: the relation from object to subject; the relation itself where it is symmetric.
    """

    id: str
    name: str
    prompt: str
    many: bool = False
    inverse: str | None = None

    @property
    def symmetric(self) -> bool:
        """Whether it holds from object to subject as well."""
        return self.inverse == self.id


@dataclass(frozen=True, slots=True)
class Composition:
    """If s —first→ m and m —second→ o, then s —result→ o (relation ids)."""

    first: str
    second: str
    result: str


def _one(id: str, name: str, prompt: str, inverse: str | None = None) -> Relation:
    return Relation(id, name, prompt, inverse=inverse)


def _many(id: str, name: str, prompt: str, inverse: str | None = None) -> Relation:
    return Relation(id, name, prompt, many=True, inverse=inverse)


_RELATIONS = (
    # places and countries
    _one("P36", "capital", "The capital of {} is", "P1376"),
    _one("P1376", "capital of", "{} is the capital of", "P36"),
    _one("P17", "country", "{} is located in the country of"),
    _one("P30", "continent", "{} is on the continent of"),
    _many("P37", "official language", "An official language of {} is"),
    _many("P38", "currency", "The currency of {} is"),
    _many("P47", "shares border with", "{} shares a border with", "P47"),
    _one("P1549", "demonym", "A person from {} is called"),
    _one("P131", "located in", "{} is located in"),
    _many("P276", "location", "{} takes place in"),
    _many("P190", "twin city", "A twin city of {} is", "P190"),
    _one("P35", "head of state", "The head of state of {} is"),
    _one("P6", "head of government", "The head of government of {} is"),
    _many("P463", "member of", "{} is a member of"),
    _many("P138", "named after", "{} is named after"),
    # people
    _one("P19", "place of birth", "{} was born in"),
    _one("P20", "place of death", "{} died in"),
    _one("P21", "sex or gender", "The gender of {} is"),
    _one("P22", "father", "The father of {} is", "P40"),
    _one("P25", "mother", "The mother of {} is", "P40"),
    _one("P26", "spouse", "The spouse of {} is", "P26"),
    _many("P40", "child", "A child of {} is"),
    _many("P3373", "sibling", "A sibling of {} is", "P3373"),
    _many("P27", "country of citizenship", "{} is a citizen of"),
    _one("P103", "native language", "The native language of {} is"),
    _many("P1412", "languages spoken", "{} speaks"),
    _many("P69", "educated at", "{} was educated at"),
    _many("P101", "field of work", "{} works in the field of"),
    _many("P106", "occupation", "The occupation of {} is"),
    _many("P108", "employer", "{} is employed by"),
    _many("P39", "position held", "{} holds the position of"),
    _many("P937", "work location", "{} works in the city of"),
    _one("P140", "religion", "The religion of {} is"),
    _many("P166", "award received", "{} received the award"),
    _many("P800", "notable work", "A notable work of {} is", "P170"),
    _many("P1303", "instrument", "{} plays the instrument"),
    _one("P413", "position played", "{} plays in the position of"),
    _one("P641", "sport", "{} plays the sport of"),
    _many("P54", "member of sports team", "{} plays for the team"),
    _one("P184", "doctoral advisor", "The doctoral advisor of {} is", "P185"),
    _many("P185", "doctoral student", "A doctoral student of {} is", "P184"),
    # works and things
    _many("P50", "author", "{} was written by"),
    _many("P57", "director", "{} was directed by"),
    _many("P61", "discoverer or inventor", "{} was discovered by"),
    _many("P136", "genre", "The genre of {} is"),
    _many("P162", "producer", "{} was produced by"),
    _many("P170", "creator", "{} was created by"),
    _many("P175", "performer", "{} was performed by"),
    _many("P176", "manufacturer", "{} is manufactured by"),
    _many("P178", "developer", "{} was developed by"),
    _many("P264", "record label", "{} is signed to the label"),
    _one("P364", "original language", "The original language of {} is"),
    _many("P407", "language of work", "{} was written in the language"),
    _one("P449", "original network", "{} was first shown on"),
    _many("P495", "country of origin", "{} comes from the country of"),
    _many("P366", "use", "{} is used for"),
    # organisations
    _many("P112", "founder", "{} was founded by"),
    _many("P127", "owner", "{} is owned by"),
    _one("P159", "headquarters", "The headquarters of {} is in"),
    _one("P169", "chief executive officer", "The chief executive officer of {} is"),
    _one("P286", "head coach", "The head coach of {} is"),
    _one("P740", "place of formation", "{} was founded in"),
    # elements
    _one("P246", "element symbol", "The chemical symbol of {} is", "element of symbol"),
    _one("element of symbol", "element of symbol", "The chemical element with the symbol {} is", "P246"),
    _one("P1086", "atomic number", "The atomic number of {} is"),
    _one("element group", "element group", "In the periodic table, {} is in group"),
    _one("element period", "element period", "In the periodic table, {} is in period"),
)  # fmt: skip

RELATIONS: dict[str, Relation] = {relation.id: relation for relation in _RELATIONS}
"""Every declared relation by its id."""

_BY_NAME = {relation.name: relation for relation in _RELATIONS}

COMPOSITIONS: tuple[Composition, ...] = (
    Composition("P40", "P22", "P26"),  # my child's father is my spouse
    Composition("P40", "P25", "P26"),
    Composition("P22", "P26", "P25"),  # my father's spouse is my mother
    Composition("P25", "P26", "P22"),
    Composition("P22", "P40", "P3373"),  # my father's other child is my sibling
    Composition("P25", "P40", "P3373"),
    Composition("P800", "P407", "P1412"),  # who writes in a language speaks it
    Composition("P1376", "P30", "P30"),
    Composition("P17", "P30", "P30"),
    Composition("P131", "P17", "P17"),
    Composition("P19", "P17", "P27"),
)
"""What follows from two facts, as the composite edits of ConflictEdit (Li et al., ICLR 2024) declare it."""


def relation_of(name: str | None) -> Relation | None:
    """The declared relation of an id or a name; None for an unknown one, which counts as one-valued."""
    if name is None:
        return None
    key = name.strip()
    return RELATIONS.get(key) or RELATIONS.get(key.upper()) or _BY_NAME.get(key.casefold())
