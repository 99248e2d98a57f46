"""Make what the package ships of the default model's statistics: prefixes, its own texts, Fisher information.

    python scripts/build_shipped_statistics.py

Every editor's defaults say which; those that are there already are kept. A moment of keys is not shipped:
it is made from the texts in seconds, and is large. To make everything anew, delete the folder first.
"""

from __future__ import annotations

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.editors import editor_names, get_editor
from kedit_lifecycle.editors.locate.config import ValueSearchConfig
from kedit_lifecycle.editors.statistics import SHIPPED, Statistics, StatisticsLibrary
from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model
from kedit_lifecycle.workbench.workbench import DRIFT_SAMPLE_TOKENS


def main() -> None:
    """Fill the folder."""
    model = load_model(DEFAULT_MODEL)
    with ProgressDisplay() as progress:
        library = StatisticsLibrary(SHIPPED, BlobStore(SHIPPED / "blobs"))
        statistics = Statistics(model, library, progress)
        statistics.samples(DRIFT_SAMPLE_TOKENS, seed=1)
        for name in editor_names():
            config = get_editor(name).default_config(model)
            if isinstance(config, ValueSearchConfig):
                statistics.prefixes(config.prefix_lengths)
                statistics.samples(statistics.tokens_behind(config.second_moment_tokens))
                if config.optimiser == "natural-momentum":
                    last = get_editor(name).layers(config)[-1]
                    statistics.output_fisher(last, tokens=config.fisher_tokens)


if __name__ == "__main__":
    main()
