"""Ripple effects of an edit: what else should have changed with it, and what should not.

The criteria are those of RippleEdits (Cohen et al. 2024, TACL, "Evaluating the Ripple Effects of Knowledge
Editing in Language Models") and the multi-hop accuracy of MQuAKE (Zhong et al. 2023). Probes come with
the request, or are derived from a graph of facts (`FactGraph`, `with_probes`).
"""

from kedit_lifecycle.checks.ripple.derive import derive_probes, with_probes, world_graph
from kedit_lifecycle.checks.ripple.graph import Fact, FactGraph
from kedit_lifecycle.checks.ripple.reading import ProbeReadings, read_probes
from kedit_lifecycle.checks.ripple.report import (
    ProbeOutcome,
    RippleReport,
    RippleTest,
    ripple_check,
    ripple_report,
)

__all__ = [
    "Fact",
    "FactGraph",
    "ProbeOutcome",
    "ProbeReadings",
    "RippleReport",
    "RippleTest",
    "derive_probes",
    "read_probes",
    "ripple_check",
    "ripple_report",
    "with_probes",
    "world_graph",
]
