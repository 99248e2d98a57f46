"""Streams of edits with injected conflicts, for `bench_conflicts.py`; every pair is made by rule."""

from __future__ import annotations

import json
import random
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark_files import shared_file

from kedit_lifecycle.checks.conflict import KnownFact
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest

PEOPLE = {
    "P27",
    "P103",
    "P106",
    "P20",
    "P19",
    "P1412",
    "P937",
    "P101",
    "P1303",
    "P413",
    "P140",
    "P39",
    "P108",
}
COMPANIES = {"P159", "P740", "P176", "P178", "P127"}
HALF_FROM_SAMPLE = 15  # of 25 reverse, and of 25 composite, pairs


@dataclass(frozen=True)
class Pair:
    """Two edits that clash, and the kind of clash that was built."""

    kind: str
    first: EditRequest
    second: EditRequest
    rule: str


def stream_records(begin: int, end: int) -> list[EditRequest]:
    return list(load_requests(shared_file("counterfact_stream_1500.jsonl")).requests[begin:end])


def countries() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(shared_file("countryinfo_countries.json").read_text())
    return [c for c in found if c["region"] and isinstance(c["capital"], str) and c["capital"]]


def request(
    subject: str, relation: str, prompt: str, true: str | None, new: str, source: str = "made by rule"
) -> EditRequest:
    return EditRequest(
        subject=subject, relation=relation, prompt=prompt, target_true=true, target_new=new, source=source
    )


def same_slot_pairs(records: Sequence[EditRequest], count: int, chance: random.Random) -> list[Pair]:
    """Another prompt of the relation, another target; half replace the true value again, half the new one."""
    by_relation: defaultdict[str, list[EditRequest]] = defaultdict(list)
    for one in records:
        if one.relation:
            by_relation[one.relation].append(one)
    pairs: list[Pair] = []
    labelled = [r for r in records if r.relation]
    for first in chance.sample(labelled, len(labelled)):
        assert first.relation is not None
        family = by_relation[first.relation]
        targets = sorted({r.target_new for r in family} - {first.target_new, first.target_true})
        if not targets or len(pairs) == count:
            continue
        overwrites = len(pairs) % 2 == 1
        true = first.target_new if overwrites else first.target_true
        prompt = chance.choice(family).prompt
        second = request(first.subject, first.relation, prompt, true, chance.choice(targets))
        pairs.append(Pair("same slot", first, second, "overwrite" if overwrites else "contradiction"))
    return pairs


def paraphrased_pairs(
    records: Sequence[EditRequest], count: int, chance: random.Random
) -> tuple[list[Pair], dict[str, list[str]]]:
    """The same slot under another spelling of the subject; with the alias table that one rule looks up."""
    aliases: dict[str, list[str]] = {}
    pairs: list[Pair] = []
    targets: defaultdict[str | None, set[str]] = defaultdict(set)
    for one in records:
        targets[one.relation].add(one.target_new)
    pool = [r for r in records if r.relation and len(targets[r.relation]) > 2]
    chance.shuffle(pool)
    names = list(SPELLINGS)
    for number in range(count):
        name = names[number % len(names)]
        first, spelled = _first_spelled(pool, SPELLINGS[name])
        pool.remove(first)
        if name == "alias":
            aliases[first.subject] = [spelled]
        target = chance.choice(sorted(targets[first.relation] - {first.target_new, first.target_true}))
        second = first.model_copy(update={"subject": spelled, "target_new": target, "source": "made by rule"})
        pairs.append(Pair("paraphrased subject", first, second, name))
    return pairs, aliases


def _first_spelled(
    pool: Sequence[EditRequest], spell: Callable[[EditRequest], str | None]
) -> tuple[EditRequest, str]:
    """The first record whose subject this rule can spell otherwise."""
    for one in pool:
        spelled = spell(one)
        if spelled is not None and spelled != one.subject:
            return one, spelled
    raise ValueError("no record is left that this rule can spell otherwise")


def _titled(one: EditRequest) -> str | None:
    if one.relation in PEOPLE:
        return f"Mr. {one.subject}"
    return f"{one.subject} Inc." if one.relation in COMPANIES else None


def _initials(one: EditRequest) -> str | None:
    words = one.subject.split()
    if one.relation not in PEOPLE or len(words) < 2 or any(not w[0].isupper() for w in words):
        return None
    return " ".join([*(f"{word[0]}." for word in words[:-1]), words[-1]])


def _last_name_first(one: EditRequest) -> str | None:
    words = one.subject.split()
    if one.relation not in PEOPLE or len(words) < 2:
        return None
    return f"{words[-1]}, {' '.join(words[:-1])}"


def _other_letters(one: EditRequest) -> str | None:
    """Diacritics left out where the name has some, else put on its first small e, o or a."""
    letters = unicodedata.normalize("NFKD", one.subject)
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    if plain != one.subject:
        return plain
    return next((plain.replace(c, m, 1) for c, m in ("eé", "oö", "aá") if c in plain), None)


def _alias(one: EditRequest) -> str | None:
    return f"{one.subject[:2].title()}{len(one.subject)} ({one.relation})"  # a name only the table can know


SPELLINGS: dict[str, Callable[[EditRequest], str | None]] = {
    "title": _titled,
    "initials": _initials,
    "the": lambda one: f"the {one.subject}",
    "case": lambda one: one.subject.upper(),
    "word order": _last_name_first,
    "diacritics": _other_letters,
    "alias": _alias,
}


def _edit(record: dict[str, Any]) -> EditRequest:
    """An edit of ConflictEdit's files (Li et al., ICLR 2024)."""
    relation = record["relation"]
    labels = (record["object"]["label"], record["new_object"]["label"])
    return request(record["subject"]["label"], relation["id"], relation["prompt"], *labels, "ConflictEdit")


def sample_pairs(kind: str) -> tuple[list[Pair], list[KnownFact]]:
    """The pairs of ConflictEdit's sample, and the true facts that composite ones start from."""
    records = json.loads(shared_file(f"conflict_{kind}_edit_25.json").read_text())
    facts = [
        (t["subject"]["label"], t["relation"]["id"], t["object"]["label"])
        for record in records
        for t in (record["triples"][i] for i in record["prerequisites"])
    ]
    pairs = [Pair(kind, _edit(r["edits"][0]), _edit(r["edits"][1]), r["rule"]) for r in records]
    return pairs, facts


def made_reverse(chance: random.Random) -> Iterator[Pair]:
    """Capitals both ways (one-valued both ways) and spouses (symmetric)."""
    places = chance.sample(countries(), 15)
    for a, b, c in zip(places[:5], places[5:10], places[10:], strict=True):
        first = request(a["name"], "P36", "The capital of {} is", a["capital"], b["capital"])
        second = request(b["capital"], "P1376", "{} is the capital of", b["name"], c["name"])
        yield Pair("reverse", first, second, "P36>P1376")
    people = [r.subject for r in stream_records(1000, 1500) if r.relation == "P103"][:15]
    for one, other, third in zip(people[:5], people[5:10], people[10:], strict=True):
        first = request(one, "P26", "The spouse of {} is", None, other)
        second = request(other, "P26", "{} is married to", None, third)
        yield Pair("reverse", first, second, "P26>P26")


def made_composite(chance: random.Random) -> Iterator[Pair]:
    """A city's country and its continent; a place's region and its country. World facts are the premises."""
    places = chance.sample([c for c in countries() if c["region"] in ("Africa", "Asia", "Europe")], 20)
    towns = [r for r in stream_records(1000, 1500) if r.relation == "P17"][:10]
    for town, place in zip(towns[:5], places[:5], strict=True):
        assert town.target_true is not None
        first = request(town.subject, "P17", town.prompt, town.target_true, place["name"])
        elsewhere = next(c for c in ("Africa", "Asia", "Europe") if c != place["region"])
        second = request(town.subject, "P30", "{} is a part of the continent of", None, elsewhere)
        yield Pair("composite", first, second, "P17&P30>P30")
    for town, region, country in zip(towns[5:], places[10:15], places[15:], strict=True):
        first = request(town.subject, "P131", "{} is within", None, region["capital"])
        second = request(town.subject, "P17", "{} is located in the country of", None, country["name"])
        yield Pair("composite", first, second, "P131&P17>P17")


def world_facts() -> list[KnownFact]:
    """Capitals, continents, and the countries of capitals."""
    facts: list[KnownFact] = []
    for country in countries():
        name, capital, region = country["name"], country["capital"], country["region"]
        facts += [
            (name, "P36", capital),
            (capital, "P1376", name),
            (capital, "P17", name),
            (name, "P30", region),
        ]
    return facts


def injected(
    records: Sequence[EditRequest], seed: int
) -> tuple[list[Pair], dict[str, list[str]], list[KnownFact]]:
    """100 pairs, 25 of a kind, with the alias table and the known facts that the index is given."""
    chance = random.Random(seed)
    slots = same_slot_pairs(records, 25, chance)
    taken = {pair.first.subject for pair in slots}
    spelled, aliases = paraphrased_pairs([r for r in records if r.subject not in taken], 25, chance)
    reverse, _ = sample_pairs("reverse")
    composite, known = sample_pairs("composite")
    pairs = [
        *slots,
        *spelled,
        *reverse[:HALF_FROM_SAMPLE],
        *made_reverse(chance),
        *composite[:HALF_FROM_SAMPLE],
        *made_composite(chance),
    ]
    return pairs, aliases, known + world_facts()


def woven(
    records: Sequence[EditRequest], pairs: Sequence[Pair], seed: int
) -> list[tuple[EditRequest, Pair | None]]:
    """The stream in a random order, each pair's first edit before its second.

    The second half of a pair comes with its pair, any other edit with None.
    """
    chance = random.Random(seed)
    extra = [pair.first for pair in pairs if pair.kind in ("reverse", "composite")]
    stream: list[tuple[EditRequest, Pair | None]] = [(one, None) for one in (*records, *extra)]
    chance.shuffle(stream)
    for pair in pairs:
        begin = next(i for i, (one, _) in enumerate(stream) if one is pair.first)
        stream.insert(chance.randint(begin + 1, len(stream)), (pair.second, pair))
    return stream
