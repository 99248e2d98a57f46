"""What a model says to the prompts of probes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kedit_lifecycle.checks.ripple.answers import ANSWER_TOKENS, answer_given
from kedit_lifecycle.checks.ripple.criteria import conditions_of
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.evaluation.answering import AnsweringSystem, PlainModel
from kedit_lifecycle.facts.request import EditRequest, Probe
from kedit_lifecycle.models.editable import EditableModel


@dataclass(frozen=True, slots=True)
class ProbeReadings:
    """Greedy continuations by prompt, of one version of a model."""

    continuations: Mapping[str, str]

    def said(self, prompt: str) -> str:
        """The continuation of a prompt.

        Raises:
            UsageError: if the prompt was not read.
        """
        if prompt not in self.continuations:
            raise UsageError(
                f"the probe {prompt!r} was not read on this version",
                hint="read the same requests before the edit and after it",
            )
        return self.continuations[prompt]

    def gives(self, prompt: str, answers: Sequence[str]) -> bool:
        """Whether the continuation of a prompt has one of the answers."""
        return answer_given(self.said(prompt), answers)

    def counts(self, probe: Probe, request: EditRequest) -> bool:
        """Whether every condition of a probe holds on this version."""
        return all(self.gives(known.prompt, known.answers) for known in conditions_of(probe, request))


def read_probes(
    model: EditableModel,
    requests: Sequence[EditRequest],
    *,
    parent: ProbeReadings | None = None,
    system: AnsweringSystem | None = None,
) -> ProbeReadings:
    """Continue the probes' prompts greedily on the model as it is now, all in one call.

    On the parent, before the edit, conditions are read too. After it, given the readings of the parent,
    only what counts is: the probes whose conditions held there. `system`, if given, answers for the model.

    Raises:
        BadRecordError: for a prompt of no tokens, or one that leaves no room for the answer.
        UsageError: if `parent` has not read these requests.
    """
    prompts = sorted(set(_prompts(requests, parent)))
    answering = system or PlainModel(model)
    rows = answering.generate([prompt.rstrip() for prompt in prompts], ANSWER_TOKENS)
    texts = (
        model.tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        for row in rows
    )
    return ProbeReadings(dict(zip(prompts, texts, strict=True)))


def _prompts(requests: Sequence[EditRequest], parent: ProbeReadings | None) -> Iterator[str]:
    for request in requests:
        for probe in request.probes:
            if parent is None:
                yield from (known.prompt for known in conditions_of(probe, request))
            if parent is None or parent.counts(probe, request):
                yield probe.prompt
