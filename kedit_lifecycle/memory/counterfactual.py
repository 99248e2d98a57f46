"""`CounterfactualModel`: a language model that answers with one edit before its eyes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.evaluation.scores import TargetScore
from kedit_lifecycle.evaluation.scoring import Scorer
from kedit_lifecycle.memory.entry import MemoryEntry
from kedit_lifecycle.memory.scope.mention import asking
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.generation import generate


@dataclass(frozen=True, slots=True)
class Conditioning:
    """How an edit is put before a query.

    `template` holds {fact} (the edit prompt with its target), may hold {target}, and ends with {query}, the
    query from its last sentence on: what stands before that would come between fact and question.

    Raises:
        UsageError: for a template that lacks {fact}, or does not end with {query}.
    """

    template: str

    def __post_init__(self) -> None:
        if "{fact}" not in self.template or not self.template.endswith("{query}"):
            raise UsageError("a conditioning template holds {fact} and ends with {query}")

    def prompt(self, entry: MemoryEntry, query: str) -> str:
        """The query with the edit before it; braces in either are text."""
        request, target = entry.request, entry.request.target_new.strip()
        asked = asking(query, request.subject).focus or query.strip()
        values = {"fact": f"{request.question.rstrip()} {target}", "target": target, "query": asked}
        end = query[len(query.rstrip()) :]  # a space at the end decides how the next token begins
        return _PLACE.sub(lambda place: values[place[1]], self.template) + end


_PLACE = re.compile(r"\{(fact|target|query)\}")

IN_CONTEXT = Conditioning(
    "Answer: {target}.\nRemember: {fact}. So the answer is {target}.\n"
    "Answer: {target}.\n{query} {target}.\nOnce more: {query}"
)
"""Without training. Of 21 wordings tried with SmolLM2-135M on up to 40 records, the one with the best PS.

It answers the query in advance, as a rewording of the edit, which is what the scope classifier lets pass.
"""


class CounterfactualModel:
    """Any causal language model, conditioned on the retrieved edit (Mitchell et al. 2022, §3.1).

    Weight edits of the same model are set aside while it answers: base weights, and the edit in the text.
    """

    def __init__(self, model: EditableModel, conditioning: Conditioning = IN_CONTEXT) -> None:
        self.model = model
        self.conditioning = conditioning

    def prompt_for(self, entry: MemoryEntry, query: str) -> str:
        """What the model reads for this query."""
        return self.conditioning.prompt(entry, query)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Base weights answer inside."""
        with self.model.unedited():
            yield

    def generate(
        self,
        asked: Sequence[tuple[MemoryEntry, str]],
        max_new_tokens: int,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        stop_at_eos: bool = True,
    ) -> list[list[int]]:
        """Continue each query with its edit in view; token ids as of `models.generation.generate`."""
        prompts = [self.prompt_for(entry, query) for entry, query in asked]
        with self.answering():
            return generate(
                self.model,
                prompts,
                max_new_tokens,
                seed=seed,
                temperature=temperature,
                top_k=top_k,
                stop_at_eos=stop_at_eos,
            )

    def score_targets(self, asked: Sequence[tuple[MemoryEntry, str, str]]) -> list[TargetScore]:
        """Score (entry, query, target): the target after the query with its edit in view."""
        pairs = [(self.prompt_for(entry, query), target) for entry, query, target in asked]
        with self.answering():
            return Scorer(self.model).score_targets(pairs)
