"""What the checks of one edit may cost."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CheckBudget(BaseModel):
    """How much is read after each edit, and how much more after every so many.

    The defaults are chosen for an edit by ROME: 10 steps × 6 contexts × 12 positions, forward and
    backward. Series stay comparable while `monitor_tokens`, `drift_positions` and `drift_length` do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    monitor_tokens: int = Field(default=192, ge=2, description="tokens of the monitor text for perplexity")
    drift_positions: int = Field(
        default=48, ge=1, description="positions of the unedited model's samples at which drift is read"
    )
    drift_length: int = Field(
        default=32, ge=1, description="samples are cut to so many tokens, so that drift sees several topics"
    )
    retention: int = Field(
        default=4, ge=0, description="earlier edits asked again after each edit, drawn over all ages"
    )
    related: int = Field(
        default=3, ge=0, description="at most so many more with the same subject or the same relation"
    )
    probes: int = Field(
        default=8, ge=0, description="ripple probes of a version that are asked, before and after"
    )
    every: int = Field(default=20, ge=1, description="a full evaluation at every so many versions")
    full_retention: int = Field(default=32, ge=0, description="earlier edits asked at a full evaluation")
    generated_tokens: int = Field(
        default=16, ge=4, description="tokens that each neutral prompt is continued by at a full evaluation"
    )
    memory_mib: float = Field(
        default=64.0, ge=0, description="for hidden states below the lowest edited layer, in MiB"
    )
    seed: int = Field(default=0, description="of the samples of earlier edits and of generation")
