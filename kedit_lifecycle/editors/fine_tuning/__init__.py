"""FT and FT-L: fine-tuning of one layer, plain and constrained."""

from kedit_lifecycle.editors.fine_tuning.config import FineTuningConfig
from kedit_lifecycle.editors.fine_tuning.editor import ConstrainedFineTuning, FineTuning

__all__ = ["ConstrainedFineTuning", "FineTuning", "FineTuningConfig"]
