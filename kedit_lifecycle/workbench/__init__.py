"""The use-cases: the only door for the command line, the engine and scenarios."""

from kedit_lifecycle.workbench.outcomes import Answer, ApplySummary, EditOutcome, Evaluation
from kedit_lifecycle.workbench.workbench import Workbench

__all__ = ["Answer", "ApplySummary", "EditOutcome", "Evaluation", "Workbench"]
