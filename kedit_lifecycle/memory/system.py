"""`RoutedModel`: model and memory as one system, which every metric can ask like a plain model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kedit_lifecycle.evaluation.scores import TokenProbability
from kedit_lifecycle.evaluation.scoring import Reading, Readout, Scorer
from kedit_lifecycle.memory.counterfactual import CounterfactualModel
from kedit_lifecycle.memory.entry import MemoryEntry
from kedit_lifecycle.memory.routing import Route, ScopeRouter
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.generation import generate
from kedit_lifecycle.models.tokens import encode

ROUTES_KEPT = 50_000  # prompts


class RoutedModel:
    """Answers from memory what is in an edit's scope, and everything else exactly as `model` does.

    Pass it as `system` to `evaluate_requests` and `read_neighborhood`.
    """

    def __init__(
        self, model: EditableModel, router: ScopeRouter, counterfactual: CounterfactualModel
    ) -> None:
        self.model, self.router, self.counterfactual = model, router, counterfactual
        self._routes: OrderedDict[str, Route] = OrderedDict()

    def routes(self, prompts: Sequence[str]) -> list[Route]:
        """The route of each prompt; prompts without text, which no edit can be about, go to the model."""
        asked = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._routes and prompt.strip()]
        self._routes.update(zip(asked, self.router.route(asked), strict=True))
        to_model = Route("model", None, 0.0, self.router.scope.threshold)
        found = [self._routes.get(prompt, to_model) for prompt in prompts]
        while len(self._routes) > ROUTES_KEPT:
            self._routes.popitem(last=False)
        return found

    def scorer(self, token_budget: int = 4096) -> Scorer:
        """Scores targets and next tokens of the whole system."""
        return RoutedScorer(self, token_budget)

    def generate(
        self,
        prompts: Sequence[str],
        max_new_tokens: int,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        stop_at_eos: bool = True,
    ) -> list[list[int]]:
        """Continue each prompt from memory or model; token ids of the model's tokenizer."""
        entries = [route.entry for route in self.routes(prompts)]
        in_scope = [(entry, prompt) for entry, prompt in zip(entries, prompts, strict=True) if entry]
        others = [prompt for entry, prompt in zip(entries, prompts, strict=True) if not entry]
        plain: Iterator[list[int]] = iter(
            generate(
                self.model,
                others,
                max_new_tokens,
                seed=seed,
                temperature=temperature,
                top_k=top_k,
                stop_at_eos=stop_at_eos,
            )
        )
        remembered = iter(
            self.counterfactual.generate(
                in_scope,
                max_new_tokens,
                seed=seed,
                temperature=temperature,
                top_k=top_k,
                stop_at_eos=stop_at_eos,
            )
        )
        return [self.own_tokens(next(remembered)) if entry else next(plain) for entry in entries]

    @property
    def has_own_tokens(self) -> bool:
        """Whether model and counterfactual model share their tokens."""
        return self.counterfactual.model.tokenizer is self.model.tokenizer

    def own_tokens(self, ids: Sequence[int]) -> list[int]:
        """Tokens of the counterfactual model as the model's own."""
        if self.has_own_tokens:
            return list(ids)
        text = self.counterfactual.model.tokenizer.decode(ids, skip_special_tokens=True)
        special = set(self.model.tokenizer.all_special_ids)
        return [token for token in encode(self.model.tokenizer, text) if token not in special]


@dataclass(frozen=True, slots=True)
class RoutedReading(Reading):
    """A reading of the counterfactual model, in its tokens; `plain` is the same question to the model."""

    plain: Reading | None = None


class RoutedScorer(Scorer):
    """Routes each prompt when its reading is made.

    The model reads every question, those in scope too, so that what company a prompt has, and with it
    every bit of a plain answer, does not depend on the memory.
    """

    def __init__(self, system: RoutedModel, token_budget: int = 4096) -> None:
        super().__init__(system.model, token_budget)
        self.system = system
        self._remembering = Scorer(system.counterfactual.model, token_budget)

    def prepare(self, prompts: Sequence[str]) -> None:
        """Route the prompts in one batch."""
        self.system.routes(prompts)

    def target_reading(self, prompt: str, target: str) -> Reading:
        """The reading of the target after the prompt, with the edit before it where one is in scope."""
        plain = super().target_reading(prompt, target)
        entry = self._entry(prompt)
        if entry is None:
            return plain
        conditioned = self.system.counterfactual.prompt_for(entry, prompt)
        own = self._remembering.target_reading(conditioned, target)
        return RoutedReading(own.ids, own.start, own.targets, plain)

    def prompt_reading(self, prompt: str) -> Reading:
        """The reading of the next token, with the edit before the prompt where one is in scope."""
        plain = super().prompt_reading(prompt)
        entry = self._entry(prompt)
        if entry is None:
            return plain
        own = self._remembering.prompt_reading(self.system.counterfactual.prompt_for(entry, prompt))
        return RoutedReading(own.ids, own.start, own.targets, plain)

    def read(self, readings: Sequence[Reading], top_k: int = 0) -> list[Readout]:
        """Answers of the model, and of the counterfactual model where a reading is in scope."""
        answers = super().read([_plain(reading) for reading in readings], top_k)
        places = [place for place, reading in enumerate(readings) if isinstance(reading, RoutedReading)]
        if places:
            with self.system.counterfactual.answering():
                remembered = self._remembering.read([readings[place] for place in places], top_k)
            for place, answer in zip(places, remembered, strict=True):
                answers[place] = answer if readings[place].targets else self._in_own_tokens(answer)
        return answers

    def _entry(self, prompt: str) -> MemoryEntry | None:
        return self.system.routes([prompt])[0].entry

    def _in_own_tokens(self, answer: Readout) -> Readout:
        """Next tokens of a model with another vocabulary, each as the first of ours that it begins with."""
        if self.system.has_own_tokens:
            return answer
        own = [self.system.own_tokens([token])[:1] for token in answer.argmax]
        top = tuple(
            TokenProbability(token, one.probability)
            for one in answer.top
            for token in self.system.own_tokens([one.token])[:1]
        )
        return replace(
            answer, argmax=tuple(token for first in own for token in first) or answer.argmax, top=top
        )


def _plain(reading: Reading) -> Reading:
    return reading.plain if isinstance(reading, RoutedReading) and reading.plain is not None else reading
