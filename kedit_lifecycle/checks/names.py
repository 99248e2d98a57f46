"""The checks there are, in the order in which they are shown."""

from __future__ import annotations

EVERY_CHECK = "*"

CHECKS: dict[str, str] = {
    "conflict": "what earlier edits it contradicts",
    "efficacy": "whether the model now says it",
    "neighborhood": "whether prompts about other subjects are answered as before",
    "perplexity": "perplexity on the monitor text, times the unedited model's",
    "perplexity_step": "perplexity times the parent's: what this edit alone cost",
    "drift": "KL from the unedited model on its own samples",
    "retention": "how many of the earlier edits that held hold no more",
    "weight_change": "‖ΔW‖/‖W‖ of the edited tensors since the unedited model",
    "diversity": "how many of its distinct most probable tokens the model has lost",
    "degeneracy": "whether generated text repeats itself",
    "ripple": "whether what follows from the edit follows, and the rest stays",
    "collapse": "whether the series of these measurements shows the model degrading",
}
"""By name, what each asks."""
