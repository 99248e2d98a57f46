"""The per-edit checks of a model's health. `checks` holds the model; this much loads without torch."""

from kedit_lifecycle.checks.health.budget import CheckBudget
from kedit_lifecycle.checks.health.sampling import EarlierEdit

__all__ = ["CheckBudget", "EarlierEdit"]
