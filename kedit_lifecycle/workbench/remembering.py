"""The memory of a store: which facts it holds at a version, and the system that answers with them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.facts.world import world_aliases
from kedit_lifecycle.ledger.line import kept_requests, line_edits
from kedit_lifecycle.ledger.records import Supersession, VersionRow
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.memory.counterfactual import Conditioning, CounterfactualModel
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry, memory_fingerprint
from kedit_lifecycle.memory.index import MemoryIndex, open_or_rebuild, save_index
from kedit_lifecycle.memory.routing import ScopeRouter
from kedit_lifecycle.memory.scope.classifier import ScopeArtefact, ScopeClassifier, default_artefact
from kedit_lifecycle.memory.scope.mention import folded
from kedit_lifecycle.memory.system import RoutedModel
from kedit_lifecycle.memory.vectors_of_texts import TextVectors
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.sentence_encoder import SentenceEncoder
from kedit_lifecycle.progress import Progress, silent
from kedit_lifecycle.workbench.serac import IN_CONTEXT_ANSWERS, MEMORY, SeracConfig

INDEX_FOLDER = "index"
SCOPE_FOLDER = "scope"
COUNTERFACTUAL_FOLDER = "counterfactual"


class Memory:
    """The memory side of a workbench. Entries come from the ledger; the index is a cache of their vectors.

    Without a model it lists, searches and routes; answering needs one.
    """

    def __init__(self, store: Store, model: EditableModel | None, progress: Progress = silent) -> None:
        self.notes: list[str] = []
        self._store, self._model, self._progress = store, model, progress
        self._vectors = TextVectors(SentenceEncoder())
        self._index: MemoryIndex | None = None
        self._systems: dict[tuple[str, str], RoutedModel | None] = {}
        self._trained: dict[str, CounterfactualModel] = {}

    # What is kept

    def entries(self, version: VersionRow) -> list[MemoryEntry]:
        """The facts in memory at a version, oldest first; of them the superseded are left out."""
        if not version.memory:
            return []
        return [
            MemoryEntry(
                EntryId(edit.version, edit.position), EditRequest.model_validate(edit.request.payload)
            )
            for edit in line_edits(self._store.reader, version)
            if edit.operation == MEMORY and not edit.superseded
        ]

    def entries_after(
        self,
        head: VersionRow,
        added: Sequence[EditRequest],
        supersedes: Sequence[Supersession],
    ) -> list[MemoryEntry]:
        """The facts in memory once a version on top of `head` has added some and superseded others."""
        gone = {(one.earlier_version, one.earlier_position) for one in supersedes}
        kept = [entry for entry in self.entries(head) if tuple(entry.id) not in gone]
        number = self._store.reader.last_number() + 1
        return kept + [MemoryEntry(EntryId(number, place), request) for place, request in enumerate(added)]

    def fingerprint(self, entries: Sequence[MemoryEntry], config: SeracConfig) -> str:
        """What a version records of its memory; empty for an empty one."""
        if not entries:
            return ""
        answers = "" if config.counterfactual == IN_CONTEXT_ANSWERS else config.counterfactual
        return memory_fingerprint(
            entries, self._vectors.encoder.digest, self.artefact(config).digest + answers
        )

    def config_at(self, version: VersionRow) -> SeracConfig:
        """How the memory of a version is answered: as the last version says that put something into it."""
        for one in self._store.reader.log(version.id, limit=version.depth + 1):
            if one.operation == MEMORY:
                known = {name: one.config[name] for name in SeracConfig.model_fields if name in one.config}
                return SeracConfig.model_validate(known)
        return SeracConfig()

    # What answers

    def system_at(self, version: VersionRow) -> RoutedModel | None:
        """The model with the memory of a version; None where that holds nothing."""
        if not version.memory:
            return None
        known = (version.id, version.memory)
        if known not in self._systems:
            self._systems = {known: self.system(self.entries(version), self.config_at(version))}
        return self._systems[known]

    def system(self, entries: Sequence[MemoryEntry], config: SeracConfig) -> RoutedModel | None:
        """The model with these entries in memory, those of a version that is not committed yet among them."""
        if not entries:
            return None
        assert self._model is not None
        return RoutedModel(self._model, self.router(entries, config), self._counterfactual(config))

    def _counterfactual(self, config: SeracConfig) -> CounterfactualModel:
        """Who answers what is in scope; a LoRA is merged into a copy of the unedited model once."""
        assert self._model is not None
        digest = config.counterfactual
        if digest == IN_CONTEXT_ANSWERS:
            return CounterfactualModel(self._model, Conditioning(config.template))
        if digest not in self._trained:
            from kedit_lifecycle.memory.counterfactual_training import (  # PEFT is slow to import
                CounterfactualArtefact,
                counterfactual_with,
            )

            place = self._store.path / MEMORY / COUNTERFACTUAL_FOLDER / digest
            artefact = CounterfactualArtefact.load(place, digest)
            self._trained = {digest: counterfactual_with(self._model, artefact)}
        return self._trained[digest]

    def router(self, entries: Sequence[MemoryEntry], config: SeracConfig) -> ScopeRouter:
        """What decides which of these entries answers a query, if any."""
        index = self.index()
        lacking = [entry for entry in entries if entry.id not in index]
        if lacking:
            index.add(lacking)
        aliases = {folded(name): others for name, others in world_aliases().items()}
        scope = ScopeClassifier(self.artefact(config), self._vectors, aliases)
        return ScopeRouter(entries, index, scope)

    @property
    def encoder(self) -> SentenceEncoder:
        """What embeds entries and queries."""
        encoder = self._vectors.encoder
        assert isinstance(encoder, SentenceEncoder)
        return encoder

    def artefact(self, config: SeracConfig) -> ScopeArtefact:
        """The scope classifier that a memory goes by.

        Raises:
            StoreError: it is not in this store, or is damaged.
        """
        if config.scope == "default":
            return default_artefact()
        return ScopeArtefact.load(self._store.path / MEMORY / SCOPE_FOLDER / config.scope, config.scope)

    # The index

    def index(self) -> MemoryIndex:
        """The index of every entry that the ledger knows, on whatever line; made anew if it is not that."""
        if self._index is None:
            self._index = self._open()
        return self._index

    def rebuild(self) -> int:
        """Make the index anew from the ledger, in the foreground; returns how many entries it holds."""
        folder = self._store.path / MEMORY / INDEX_FOLDER
        with self._store.writing():
            shutil.rmtree(folder, ignore_errors=True)
            self._index, self._systems = None, {}
            save_index(self.index(), folder)
        return len(self.index())

    def _open(self) -> MemoryIndex:
        opened = open_or_rebuild(
            self._store.path / MEMORY / INDEX_FOLDER,
            self.all_entries(),
            self._vectors.encoder,
            save=not self._store.readonly,
            progress=self._progress,
        )
        self.notes += [note for note in opened.notes if "anew" in note]
        return opened.index

    def all_entries(self) -> list[MemoryEntry]:
        """Every entry that the ledger knows."""
        return [
            MemoryEntry(EntryId(number, position), EditRequest.model_validate(request.payload))
            for number, position, request in kept_requests(self._store.reader, MEMORY)
        ]

    def take_notes(self) -> list[str]:
        """What had to be said of the index, once."""
        notes, self.notes = self.notes, []
        return notes

    def committed(self) -> None:
        """A version was added: the entries tried for it are real now, and the index is saved."""
        save_index(self.index(), self._store.path / MEMORY / INDEX_FOLDER)

    def forget_tried(self) -> None:
        """A candidate was not committed: its entries are not to be found, and the index is read anew."""
        self._index, self._systems = None, {}
