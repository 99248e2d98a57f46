"""A scope classifier trained in a moment, on a few invented facts and the word encoder."""

from __future__ import annotations

from functools import lru_cache

from word_encoder import WordEncoder

from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry
from kedit_lifecycle.memory.scope.classifier import ScopeArtefact
from kedit_lifecycle.memory.scope.fitting import Fitting
from kedit_lifecycle.memory.scope.training import ScopeTraining, train_scope

SUBJECTS = tuple(
    f"{first}{last}"
    for first in ("Kal", "Ober", "Tar", "Mon", "Bel")
    for last in ("mar", "wald", "nov", "ton", "via", "fjord")
)
RELATIONS = {
    "P36": ("The capital city of {} is", "The capital of {} is called", "{}, whose capital is"),
    "P38": (
        "The currency money of {} is",
        "People in {} pay money with the currency",
        "{}, whose currency is",
    ),
    "P37": ("The official language of {} is", "People in {} speak the language", "{}, whose language is"),
}
QUICK = ScopeTraining(false_positive_rate=0.05, fitting=Fitting(wording_steps=60, epochs=40))


def request(subject: str, relation: str, target: str = "Rome") -> EditRequest:
    prompt, *others = RELATIONS[relation]
    return EditRequest(
        subject=subject,
        prompt=prompt,
        target_new=target,
        target_true="Paris",
        relation=relation,
        paraphrases=tuple(text.replace("{}", subject) for text in others),
        neighborhood=tuple(prompt.replace("{}", other) for other in SUBJECTS[:3] if other != subject),
    )


def requests() -> list[EditRequest]:
    return [request(subject, relation) for subject in SUBJECTS for relation in RELATIONS]


def entry(version: int, subject: str, relation: str = "P36", target: str = "Rome") -> MemoryEntry:
    return MemoryEntry(EntryId(version, 0), request(subject, relation, target))


@lru_cache(maxsize=1)
def quick_artefact() -> ScopeArtefact:
    return train_scope(requests(), WordEncoder(), seed=3, training=QUICK)
