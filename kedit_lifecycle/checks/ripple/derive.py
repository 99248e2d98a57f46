"""Probes of an edit that brings none, derived from the facts around it by declared rules.

Each has the condition that must hold before: what its criterion takes as known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from kedit_lifecycle.checks.ripple.criteria import CRITERIA, criterion_of
from kedit_lifecycle.checks.ripple.derivations import DERIVATIONS, EditInGraph
from kedit_lifecycle.checks.ripple.graph import Fact, FactGraph, slot_of
from kedit_lifecycle.facts.request import EditRequest, Probe
from kedit_lifecycle.facts.world.subjects import world_aliases, world_subjects, world_triples

AT_MOST = 4
"""Probes of each criterion for one edit."""


def derive_probes(graph: FactGraph, request: EditRequest, *, at_most: int = AT_MOST) -> tuple[Probe, ...]:
    """What follows from an edit by the facts of the graph, and what must stay.

    Up to `at_most` probes of each criterion of RippleEdits, in alphabetical order of their facts.
    The request counts as the newest edit, whether or not the graph has it already. Nothing is asked whose
    answer is a fact that an edit took away, is not unique where it should be, or stands in the question.
    """
    slot = slot_of(request)
    known = () if request.target_true is None else (request.target_true.strip(),)
    former = known or tuple(
        value for value in graph.objects(request.subject, slot) if not graph.same(value, request.target_new)
    )
    edit = EditInGraph(request, former, graph.after(request))
    asked = (request.question, *request.paraphrases)
    probes: dict[str, Probe] = {}
    for derivation in DERIVATIONS:
        fit = (probe for probe in derivation(edit) if probe.prompt not in {*asked, *probes})
        probes |= {probe.prompt: probe for probe in islice(fit, at_most)}
    return tuple(probes.values())


def with_probes(
    requests: Sequence[EditRequest], graph: FactGraph, *, at_most: int = AT_MOST
) -> list[EditRequest]:
    """The requests, those that bring no probe of any criterion with derived ones besides their own.

    For measuring only: a request with derived probes has another digest than the one the ledger keeps.
    """
    return [
        request
        if any(criterion_of(probe, request) in CRITERIA for probe in request.probes)
        else request.model_copy(
            update={"probes": request.probes + derive_probes(graph, request, at_most=at_most)}
        )
        for request in requests
    ]


def world_graph(edited: Iterable[EditRequest] = ()) -> FactGraph:
    """The graph of world-facts as live edits changed it, with the countries that capitals lie in."""
    subjects = world_subjects()
    triples = world_triples()
    places = [
        Fact(one.object, "P17", one.subject)
        for one in triples
        if one.relation == "P36" and one.object not in subjects  # Singapore lies in no other country
    ]
    articles = [name for name, subject in subjects.items() if subject.article]
    return FactGraph([*triples, *places], edited, aliases=world_aliases(), articles=articles)
