"""From facts to what a hyper-network learns from: the edit, its paraphrases, and what must stay."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from kedit_lifecycle.editors.learned.network import EditText
from kedit_lifecycle.editors.learned.settings import TrainingSettings
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.batching import position_limit
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import (
    SUBJECT_SLOT,
    EncodedTarget,
    encode,
    encode_fact,
    encode_with_target,
)

CHUNK = 20  # tokens of unrelated text in one row
READ = 2  # of them, the last so many are compared: about as many as an answer has tokens


@dataclass(frozen=True)
class Asked:
    """A prompt with the new answer behind it, and with the true one where it is known."""

    new: EncodedTarget
    true: EncodedTarget | None = None

    def to(self, target: Sequence[int]) -> Asked:
        """The same prompt with another new answer."""
        return Asked(self.new.with_target(target), self.true)


@dataclass(frozen=True)
class Example:
    """One edit. `neighbors` are prompts that keep their true answer.

    `subject_lasts` are the places of the subject's last token in the paraphrases that name it.
    """

    request: EditRequest
    edit: Asked
    paraphrases: tuple[Asked, ...]
    neighbors: tuple[Asked, ...]
    text: EditText
    subject_lasts: tuple[int | None, ...] = ()

    def to(self, target: tuple[int, ...]) -> Example:
        """The same fact, edited to another answer."""
        return replace(
            self,
            edit=self.edit.to(target),
            paraphrases=tuple(one.to(target) for one in self.paraphrases),
            text=replace(self.text, new=target),
        )

    @property
    def wordings(self) -> list[int]:
        """The paraphrases that the fact can be asked by as well."""
        return [place for place, last in enumerate(self.subject_lasts) if last is not None]

    def asked_by(self, paraphrase: int) -> Example:
        """The same fact, edited in the words of a paraphrase, which its prompt takes the place of."""
        chosen, last = self.paraphrases[paraphrase], self.subject_lasts[paraphrase]
        assert last is not None
        others = list(self.paraphrases)
        others[paraphrase] = self.edit
        prompt = chosen.new.ids[: chosen.new.target_start]
        text = replace(self.text, prompt=prompt, subject_last=last)
        return replace(self, edit=chosen, paraphrases=tuple(others), text=text, subject_lasts=())


@dataclass(frozen=True)
class Examples:
    """Facts as examples, split by subject, with the unedited model's own text beside them."""

    training: tuple[Example, ...]
    validation: tuple[Example, ...]
    unrelated: tuple[tuple[int, ...], ...]
    left_out: int  # facts without a paraphrase
    digest: str
    names: tuple[tuple[int, ...], ...] = ()  # the subjects, as the model reads them behind a prompt
    _by_relation: dict[str, list[Example]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for example in self.training:
            self._by_relation[_relation(example.request)].append(example)

    @cached_property
    def _any_answer(self) -> list[tuple[int, ...]]:
        answers = (one.text.new for one in self.training)
        return list(dict.fromkeys([*answers, *self.names]))

    def kept_texts(self) -> list[tuple[int, ...]]:
        """Every text that `to_keep` gives, as the model reads it."""
        rows = [one.edit.true or one.edit.new for one in self.training]
        for example in (*self.validation, *self.training):
            rows += [pair.true for pair in example.neighbors if pair.true]
        found = dict.fromkeys(row.ids[:-1] for row in rows)
        found.update(dict.fromkeys(chunk for text in self.unrelated for chunk in _chunks(text)))
        return list(found)

    def batch(self, settings: TrainingSettings, step: int) -> list[Example]:
        """The examples of one pass: the same for the same seed and step, whatever was drawn before.

        Some are edited to another answer (`redraw`, `foreign`), some in other words (`reword`).
        """
        seed = settings.seed
        drawn = random.Random(f"{seed}:{step}").sample(self.training, min(settings.batch, len(self.training)))
        answers, words = random.Random(f"redraw:{seed}:{step}"), random.Random(f"reword:{seed}:{step}")
        answered = [self._answered(one, settings, answers) for one in drawn]
        return [_reworded(one, words) if words.random() < settings.reword else one for one in answered]

    def _answered(self, example: Example, settings: TrainingSettings, draw: random.Random) -> Example:
        kind = draw.random()
        if kind < settings.foreign:
            return self._redrawn(example, self._any_answer, draw)
        if kind < settings.foreign + settings.redraw:
            alike = self._by_relation.get(_relation(example.request), ())
            return self._redrawn(example, list(dict.fromkeys(other.text.new for other in alike)), draw)
        return example

    @staticmethod
    def _redrawn(example: Example, answers: Sequence[tuple[int, ...]], draw: random.Random) -> Example:
        own = (example.text.new, example.text.old)
        others = [one for one in answers if one not in own]
        return example.to(draw.choice(others)) if others else example

    def to_keep(
        self,
        example: Example,
        seed: int,
        step: int,
        at_most: int = 4,
        beside: Sequence[Example] = (),
    ) -> list[tuple[tuple[int, ...], list[int]]]:
        """Rows that an edit must leave alone, and the positions at which each is compared.

        One is a neighbor with the same true answer, one the same relation of another subject (the hard
        negative), one any other fact, one unrelated text; if these are too many, some are drawn. None is
        of a subject that is edited `beside` it.
        """
        edited = {example.request.subject, *(one.request.subject for one in beside)}
        draw = random.Random(f"{seed}:{step}:{example.request.digest}")
        rows = []
        if example.neighbors:
            rows.append(draw.choice(example.neighbors).true)
        alike = self._by_relation.get(_relation(example.request), ())  # of a validation's, there may be none
        for others in filter(None, (alike, self.training)):
            other = draw.choice(others)
            if other.request.subject not in edited:
                rows.append(other.edit.true or other.edit.new)
        found = [(row.ids[:-1], list(range(row.target_start - 1, len(row.ids) - 1))) for row in rows if row]
        if self.unrelated:
            text = draw.choice(self.unrelated)
            chunk = draw.choice(_chunks(text))
            found.append((chunk, list(range(max(0, len(chunk) - READ), len(chunk)))))
        return found if len(found) <= at_most else draw.sample(found, at_most)


def _chunks(text: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Whole ones only: few texts, each of which is often asked for."""
    return [text[start : start + CHUNK] for start in range(0, max(1, len(text) // CHUNK) * CHUNK, CHUNK)]


def _reworded(example: Example, draw: random.Random) -> Example:
    return example.asked_by(draw.choice(example.wordings)) if example.wordings else example


def _relation(request: EditRequest) -> str:
    return request.relation or request.prompt


def make_examples(
    model: EditableModel,
    requests: Sequence[EditRequest],
    *,
    unrelated: Sequence[Sequence[int]],
    validation_share: float = 0.1,
    seed: int = 0,
) -> Examples:
    """Encode facts; a share of their subjects, drawn under the seed, is held out for validation.

    Raises:
        UsageError: no fact has a paraphrase, or there are too few for a validation split.
    """
    made = list(_encoded(model, requests))
    if not made:
        raise UsageError(
            "none of these facts has a paraphrase: a learned editor is taught by them to generalise",
            hint="give facts with `paraphrases`, for example world-facts or a CounterFact file",
        )
    subjects = sorted({example.request.subject for example in made})
    random.Random(f"validation:{seed}").shuffle(subjects)
    held = set(subjects[: max(1, round(len(subjects) * validation_share))])
    training = tuple(one for one in made if one.request.subject not in held)
    if not training:
        raise UsageError("one subject is too little: some are held out for validation")
    return Examples(
        training=training,
        validation=tuple(one for one in made if one.request.subject in held),
        unrelated=tuple(tuple(ids) for ids in unrelated),
        left_out=len(requests) - len(made),
        digest=hashlib.sha256("".join(one.request.digest for one in made).encode()).hexdigest(),
        names=tuple(dict.fromkeys(_name(model, one.request) for one in training)),
    )


def _name(model: EditableModel, request: EditRequest) -> tuple[int, ...]:
    return encode_with_target(model.tokenizer, request.prompt, request.subject).target


def _encoded(model: EditableModel, requests: Sequence[EditRequest]) -> Iterator[Example]:
    limit = position_limit(model)
    for request in requests:
        if not request.paraphrases:
            continue
        example = encode_example(model, request)
        longest = max(len(one.new.ids) for one in (example.edit, *example.paraphrases))
        if limit is None or longest <= limit:
            lasts = tuple(_subject_last(model, request, text) for text in request.paraphrases)
            yield replace(example, subject_lasts=lasts)


def _subject_last(model: EditableModel, request: EditRequest, paraphrase: str) -> int | None:
    if SUBJECT_SLOT in paraphrase or request.subject not in paraphrase:
        return None
    prompt = paraphrase.replace(request.subject, SUBJECT_SLOT, 1)
    return encode_fact(model.tokenizer, prompt, request.subject, request.target_new).subject_last


def encode_example(model: EditableModel, request: EditRequest) -> Example:
    """A request as tokens.

    Raises:
        BadRecordError: a target without tokens.
    """

    def asked(prompt: str) -> Asked:
        true = request.target_true
        return Asked(
            encode_with_target(model.tokenizer, prompt, request.target_new),
            encode_with_target(model.tokenizer, prompt, true) if true else None,
        )

    edit = asked(request.question)
    place = encode_fact(model.tokenizer, request.prompt, request.subject, request.target_new).subject_last
    text = EditText(
        prompt=edit.new.ids[: edit.new.target_start],
        old=edit.true.target if edit.true else (),
        new=edit.new.target,
        subject_last=place,
    )
    return Example(
        request=request,
        edit=edit,
        paraphrases=tuple(asked(prompt) for prompt in request.paraphrases),
        neighbors=tuple(asked(prompt) for prompt in request.neighborhood) if request.target_true else (),
        text=text if text.prompt else replace(text, prompt=tuple(encode(model.tokenizer, " "))),
    )


def overlap(training: Sequence[EditRequest], evaluation: Sequence[EditRequest]) -> int:
    """How many facts of an evaluation set are trained on: same subject and prompt."""
    seen = {(one.subject, one.prompt) for one in training}
    return sum((one.subject, one.prompt) in seen for one in evaluation)
