"""Evaluate requests on a model: all their prompts in one scoring pass, then what must be generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kedit_lifecycle.evaluation.answering import AnsweringSystem, PlainModel
from kedit_lifecycle.evaluation.request_evaluation import Against, RequestEvaluation, aggregate
from kedit_lifecycle.evaluation.scores import PromptScore, TargetScore
from kedit_lifecycle.evaluation.scoring import Reading, Readout, Scorer, score_of
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import HiddenStates
from kedit_lifecycle.models.tokens import encode

__all__ = ["BaselineReadings", "RequestEvaluation", "aggregate", "evaluate_requests", "read_neighborhood"]

GENERATED_BEYOND_TARGET = 4  # tokens; part of "kedit/greedy-prefix@1"
FLUENCY_TOKENS, FLUENCY_TOP_K = 100, 5  # prompt and continuation together; part of "kedit/ngram-entropy@1"


@dataclass(frozen=True, slots=True)
class BaselineReadings:
    """Most probable next tokens at neighborhood prompts, of the unedited base or of the parent version."""

    next_tokens: Mapping[str, int]
    against: Against = "base"


class _Questions:
    """Readings collected from all requests, answered at once, then looked up by the index given out."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._readings: list[Reading] = []
        self._answers: list[Readout] = []

    def prepare(self, requests: Sequence[EditRequest]) -> None:
        asked = [(request.question, *request.paraphrases, *request.neighborhood) for request in requests]
        self._scorer.prepare([prompt for prompts in asked for prompt in prompts])

    def ask_target(self, prompt: str, target: str) -> int:
        return self._ask(self._scorer.target_reading(prompt, target))

    def ask_next(self, prompt: str) -> int:
        return self._ask(self._scorer.prompt_reading(prompt))

    def _ask(self, reading: Reading) -> int:
        self._readings.append(reading)
        return len(self._readings) - 1

    def answer(self) -> None:
        self._answers = self._scorer.read(self._readings)

    def score(self, index: int) -> TargetScore:
        return score_of(self._readings[index], self._answers[index])

    def next_token(self, index: int) -> int:
        return self._answers[index].argmax[-1]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request's questions: (new, true) by prompt, and next tokens at neighborhood prompts."""

    edit: tuple[int, int | None]
    paraphrases: list[tuple[int, int | None]]
    neighborhood: list[tuple[int, int | None]]
    neighborhood_next: list[int]


def _ask(questions: _Questions, request: EditRequest) -> _Asked:
    true = request.target_true

    def both(prompt: str) -> tuple[int, int | None]:
        new = questions.ask_target(prompt, request.target_new)
        return new, None if true is None else questions.ask_target(prompt, true)

    return _Asked(
        edit=both(request.question),
        paraphrases=[both(prompt) for prompt in request.paraphrases],
        neighborhood=[both(prompt) for prompt in request.neighborhood] if true is not None else [],
        neighborhood_next=[questions.ask_next(prompt) for prompt in request.neighborhood],
    )


def _collect(questions: _Questions, asked: _Asked, position: int, target: str) -> RequestEvaluation:
    def scored(pair: tuple[int, int | None]) -> PromptScore:
        new, true = pair
        return PromptScore(questions.score(new), None if true is None else questions.score(true))

    return RequestEvaluation(
        request=position,
        target=target,
        edit=scored(asked.edit),
        paraphrases=tuple(map(scored, asked.paraphrases)),
        neighborhood=tuple(map(scored, asked.neighborhood)),
        neighborhood_next=tuple(map(questions.next_token, asked.neighborhood_next)),
    )


def evaluate_requests(
    model: EditableModel,
    requests: Sequence[EditRequest],
    *,
    before: BaselineReadings | None = None,
    generate: bool = True,
    fluency: bool = True,
    seed: int = 0,
    token_budget: int = 4096,
    hidden: HiddenStates | None = None,
    system: AnsweringSystem | None = None,
) -> list[RequestEvaluation]:
    """Evaluate each request on the model as it is now, in order; on `system`, if given, as a whole.

    All prompts of all requests are scored in one bucketed pass. With `generate`, the edit prompt is
    continued greedily, and with `fluency` the request's generation prompts are sampled under `seed`.
    `hidden` runs the model for the scores, by default from its embeddings up.

    Raises:
        BadRecordError: for a prompt or target the tokenizer or the model cannot take.
    """
    answering = system or PlainModel(model, hidden)
    questions = _Questions(answering.scorer(token_budget))
    questions.prepare(requests)
    asked = [_ask(questions, request) for request in requests]
    questions.answer()
    evaluations = [
        _collect(questions, own, position, request.target_new)
        for position, (own, request) in enumerate(zip(asked, requests, strict=True))
    ]
    if before is not None:
        evaluations = [_compared(*pair, before) for pair in zip(evaluations, requests, strict=True)]
    if generate:
        evaluations = _with_completions(model, answering, evaluations, requests)
    if generate and fluency:
        evaluations = _with_fluency(model, answering, evaluations, requests, seed)
    return evaluations


def read_neighborhood(
    model: EditableModel,
    requests: Sequence[EditRequest],
    *,
    against: Against = "base",
    token_budget: int = 4096,
    hidden: HiddenStates | None = None,
    system: AnsweringSystem | None = None,
) -> BaselineReadings:
    """The most probable next token at every neighborhood prompt, to compare with after an edit."""
    prompts = sorted({prompt for request in requests for prompt in request.neighborhood})
    tokens = (system or PlainModel(model, hidden)).scorer(token_budget).next_tokens(prompts)
    return BaselineReadings(dict(zip(prompts, tokens, strict=True)), against)


def _compared(
    evaluation: RequestEvaluation, request: EditRequest, before: BaselineReadings
) -> RequestEvaluation:
    known = [before.next_tokens.get(prompt) for prompt in request.neighborhood]
    tokens = tuple(token for token in known if token is not None)
    whole = tokens if len(tokens) == len(known) else None
    return replace(evaluation, neighborhood_before=whole, against=before.against)


def _with_completions(
    model: EditableModel,
    answering: AnsweringSystem,
    evaluations: Sequence[RequestEvaluation],
    requests: Sequence[EditRequest],
) -> list[RequestEvaluation]:
    lengths = [evaluation.edit.new.token_count + GENERATED_BEYOND_TARGET for evaluation in evaluations]
    prompts = [request.question.rstrip() for request in requests]
    continuations = answering.generate(prompts, max(lengths, default=0))
    return [
        replace(evaluation, completion=_text(model, tokens[:length]))
        for evaluation, tokens, length in zip(evaluations, continuations, lengths, strict=True)
    ]


def _with_fluency(
    model: EditableModel,
    answering: AnsweringSystem,
    evaluations: Sequence[RequestEvaluation],
    requests: Sequence[EditRequest],
    seed: int,
) -> list[RequestEvaluation]:
    prompts = [prompt for request in requests for prompt in request.generation_prompts]
    texts = iter(sample_fluency_texts(model, prompts, seed, answering))
    return [
        replace(
            evaluation,
            fluency_texts=tuple(next(texts) for _ in request.generation_prompts),
            fluency_seed=seed,
        )
        for evaluation, request in zip(evaluations, requests, strict=True)
    ]


def sample_fluency_texts(
    model: EditableModel, prompts: Sequence[str], seed: int, system: AnsweringSystem | None = None
) -> list[str]:
    """Each prompt with its sampled continuation, up to FLUENCY_TOKENS tokens together, past any EOS."""
    encoded = [encode(model.tokenizer, prompt) for prompt in prompts]
    rooms = [max(FLUENCY_TOKENS - len(ids), 0) for ids in encoded]
    continuations = (system or PlainModel(model)).generate(
        prompts, max(rooms, default=0), seed=seed, top_k=FLUENCY_TOP_K, stop_at_eos=False
    )
    return [
        _text(model, ids + tokens[:room])
        for ids, tokens, room in zip(encoded, continuations, rooms, strict=True)
    ]


def _text(model: EditableModel, ids: Sequence[int]) -> str:
    text: str = model.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text
