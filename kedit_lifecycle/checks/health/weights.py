"""How far the edited tensors are from the unedited model's."""

from __future__ import annotations

from kedit_lifecycle.models.delta import delta_norm
from kedit_lifecycle.models.editable import EditableModel


def weight_changes(model: EditableModel) -> dict[str, float]:
    """‖W′ − W‖ / ‖W‖ by the name of each tensor that is edited now, in the Frobenius norm and float64.

    W′ is the float32 master, W the unedited tensor; of a W of zeros the change is infinite.
    """
    changes = {}
    for tensor, master in model.masters.items():
        base = model.base_parameter(tensor).detach().to("cpu")
        norm = float(base.double().norm())
        changes[tensor] = delta_norm(base, master) / norm if norm else float("inf")
    return changes
