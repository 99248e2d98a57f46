"""Train the scope classifier that comes with kedit: `python -m kedit_lifecycle.memory.scope.make_default`."""

from __future__ import annotations

import sys
from pathlib import Path

from kedit_lifecycle.memory.scope.builtin import builtin_requests
from kedit_lifecycle.memory.scope.classifier import ScopeArtefact
from kedit_lifecycle.memory.scope.training import train_scope
from kedit_lifecycle.models.sentence_encoder import SentenceEncoder

SEED = 0


def train_default() -> ScopeArtefact:
    """The default artefact, from built-in requests alone; about a minute on one core."""
    return train_scope(builtin_requests(SEED), SentenceEncoder(), SEED)


if __name__ == "__main__":
    made = train_default()
    made.write(Path(__file__).parent / "default")
    sys.stdout.write(f"{made.digest} {made.recipe['passed']}\n")
