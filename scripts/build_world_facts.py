"""Make the data of world-facts from the packages countryinfo and mendeleev.

    python scripts/build_world_facts.py COUNTRIES.json ELEMENTS.json [--to FOLDER]

COUNTRIES.json is a list of countryinfo's country files, ELEMENTS.json a list of rows of mendeleev's table
of elements (atomic_number, symbol, name, period, group_id). The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import country_corrections as corrections
import element_corrections
from code_names import CURRENCY_NAMES, LANGUAGE_NAMES

PACKAGE_DATA = Path(__file__).resolve().parents[1] / "kedit_lifecycle" / "facts" / "world"
NAME_OF_CURRENCY = {code: name for name, codes in CURRENCY_NAMES.items() for code in codes.split()}
CONTINENTS = {"Africa", "Asia", "Europe", "Oceania"}


def main() -> None:
    """Read both files, write countries.json and elements.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("countries", type=Path)
    parser.add_argument("elements", type=Path)
    parser.add_argument("--to", type=Path, default=PACKAGE_DATA)
    arguments = parser.parse_args()
    countries = country_subjects(json.loads(arguments.countries.read_text("utf-8")))
    elements = element_subjects(json.loads(arguments.elements.read_text("utf-8")))
    _drop_shared_aliases({**countries, **elements})
    for name, subjects in (("countries", countries), ("elements", elements)):
        _write(arguments.to / f"{name}.json", subjects)


def country_subjects(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The countries by name, each with its true `facts` by relation id, best known value first."""
    kept = {row["name"]: row for row in rows if row["name"] not in corrections.DEPENDENT_OR_DEFUNCT}
    borders, possible = _borders(kept)
    subjects = {}
    for name, row in sorted(kept.items(), key=lambda item: _name(item[0])):
        facts = {**_country_facts(name, row), "P47": borders[name]}
        also = {relation: list(values) for relation, values in corrections.ALSO.get(_name(name), {}).items()}
        also["P47"] = [one for one in possible[name] if one not in borders[name]]
        also["P38"] = [*also.get("P38", []), *_same_words(facts["P38"])]
        subjects[_name(name)] = _subject(
            {relation: values for relation, values in facts.items() if not _left_out(name, relation)},
            also,
            _country_aliases(name, row),
            article=_name(name) in corrections.WITH_ARTICLE,
        )
    return subjects


def element_subjects(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The elements by name in lower case, in the order of the periodic table."""
    subjects = {}
    for row in sorted(rows, key=lambda row: int(row["atomic_number"])):
        name = row["name"].lower()
        facts = {
            "P246": [row["symbol"]],
            "P1086": [str(row["atomic_number"])],
            "element group": [str(row["group_id"])] if row["group_id"] else [],
            "element period": [str(row["period"])],
            "P61": element_corrections.DISCOVERERS.get(row["name"], []),
        }
        also = {"P61": element_corrections.ALSO_DISCOVERED.get(row["name"], [])}
        subjects[name] = _subject(
            facts, also, [row["symbol"], *element_corrections.MORE_ALIASES.get(name, [])]
        )
    return subjects


def _subject(
    facts: Mapping[str, list[str]], also: Mapping[str, list[str]], aliases: list[str], article: bool = False
) -> dict[str, Any]:
    """One entry; what is empty is not written."""
    entry = {"facts": _not_empty(facts), "also": _not_empty(also), "aliases": aliases, "article": article}
    return {name: value for name, value in entry.items() if value}


def _not_empty(lists: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {relation: values for relation, values in lists.items() if values}


def _country_facts(name: str, row: Mapping[str, Any]) -> dict[str, list[str]]:
    capital = corrections.CAPITALS.get(name, row["capital"])
    codes = corrections.CURRENCIES.get(name, row["currencies"] or [])
    languages = corrections.LANGUAGES.get(name, row["languages"] or [])
    demonym = corrections.DEMONYMS.get(name, row["demonym"])
    return {
        "P36": [] if _is_in(capital, name) else [capital],
        "P38": _unique(NAME_OF_CURRENCY[code] for code in codes if code in NAME_OF_CURRENCY),
        "P37": _unique(LANGUAGE_NAMES[code] for code in languages),
        "P30": [_continent(name, row["region"])],
        "P1549": [demonym] if demonym else [],
    }


def _is_in(capital: str, name: str) -> bool:
    """Whether the country's name gives its capital away."""
    return re.search(rf"\b{re.escape(capital)}\b", name) is not None


def _same_words(currencies: list[str]) -> list[str]:
    families = [set(family) for family in corrections.SAME_WORD["P38"] if set(family) & set(currencies)]
    return sorted(set().union(*families) - set(currencies))


def _continent(name: str, region: str) -> str:
    if region in CONTINENTS:
        return region
    return "South America" if name in corrections.SOUTH_AMERICA else "North America"


def _borders(kept: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """What both sides state, most people first; and what at least one side states."""
    by_code = {row["ISO"]["alpha3"]: name for name, row in kept.items()}
    stated = {
        (name, by_code[code])
        for name, row in kept.items()
        for code in row["borders"] or []
        if code in by_code
    }
    stated -= {pair for ends in corrections.NO_BORDER for pair in (ends, ends[::-1])}
    stated |= {pair for ends in corrections.MISSING_BORDERS for pair in (ends, ends[::-1])}
    people = {name: row["population"] or 0 for name, row in kept.items()}
    borders, possible = {}, {}
    for name in kept:
        others = sorted(kept, key=lambda other: (-people[other], other))
        borders[name] = [_name(one) for one in others if {(name, one), (one, name)} <= stated]
        possible[name] = [_name(one) for one in others if {(name, one), (one, name)} & stated]
    return borders, possible


def _country_aliases(name: str, row: Mapping[str, Any]) -> list[str]:
    """Other names in Latin letters; country codes are no names."""
    codes = {row["ISO"]["alpha2"], row["ISO"]["alpha3"]}
    given = (*corrections.MORE_ALIASES.get(_name(name), []), *row["altSpellings"])
    cleaned = _unique(alias.strip() for alias in given)
    return [
        alias
        for alias in cleaned
        if alias != _name(name)
        and (alias not in codes or alias == "USA")
        and alias not in corrections.NO_ALIASES
        and ", " not in alias  # a name turned around for sorting
        and not alias.startswith("the ")
        and _is_latin(alias)
    ]


def _is_latin(text: str) -> bool:
    """Whether it is a name as people write it: other scripts are not, nor is phonetic notation."""
    names = [unicodedata.name(letter, "") for letter in text if letter.isalpha()]
    if not names or any(letter in "ɛɔʁ" for letter in text):
        return False
    return all(name.startswith(("LATIN ", "MODIFIER LETTER")) for name in names)


def _drop_shared_aliases(subjects: Mapping[str, dict[str, Any]]) -> None:
    """An alias that is also another subject's name or alias names neither."""
    uses: dict[str, set[str]] = {}
    for name, subject in subjects.items():
        for text in (name, *subject.get("aliases", [])):
            uses.setdefault(text.casefold(), set()).add(name)
    for subject in subjects.values():
        aliases = [alias for alias in subject.get("aliases", []) if len(uses[alias.casefold()]) == 1]
        if aliases:
            subject["aliases"] = aliases
        else:
            subject.pop("aliases", None)


def _name(name: str) -> str:
    return corrections.RENAMED.get(name, name)


def _left_out(name: str, relation: str) -> bool:
    return name in corrections.LEFT_OUT.get(relation, "").split("|")


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _write(path: Path, subjects: Mapping[str, Any]) -> None:
    """One subject a line, so that a change shows as one."""
    lines = [
        f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(subject, ensure_ascii=False)}"
        for name, subject in subjects.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8", newline="\n")
    print(f"{path}: {len(subjects)} subjects, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
