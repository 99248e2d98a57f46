"""Hyper-parameters of the search for v*, shared by every locate-then-edit method."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kedit_lifecycle.editors.base import EditorConfig


class ValueSearchConfig(EditorConfig):
    """How v* is found (Meng et al. 2022, appendix E.5; the authors' hparams files)."""

    steps: int = Field(default=20, description="optimisation steps for v*", ge=1, le=500)
    learning_rate: float = Field(
        default=0.5, description="step size for v*: what a coordinate of δ moves by, about", gt=0
    )
    optimiser: Literal["adam", "normalized-momentum", "natural-momentum"] = Field(
        default="adam",
        description="adam, as published; normalized-momentum: steps of one length along the averaged "
        "gradient, which reach the target in fewer steps and with a smaller δ; natural-momentum: the same "
        "along the natural gradient, whose δ costs least where the model does not speak of the subject",
    )
    momentum: float = Field(default=0.5, description="share of the average kept by each step", ge=0, lt=1)
    fisher_damping: float = Field(
        default=0.03,
        description="natural-momentum: added to the Fisher information, as a share of its mean eigenvalue; "
        "large: the gradient itself",
        gt=0,
    )
    fisher_tokens: int | None = Field(
        default=None,
        description="natural-momentum: tokens behind the Fisher information; null: 10 × d_ff",
        ge=1,
    )
    weight_decay: float = Field(default=0.5, description="weight of ‖δ‖/‖v‖² in the loss", ge=0)
    kl_factor: float = Field(
        default=0.0625, description="weight of the KL on '{subject} is a' (essence drift)", ge=0
    )
    clamp_norm: float | None = Field(
        default=4.0, description="‖δ‖ is kept within this multiple of ‖v‖; null: unclamped", gt=0
    )
    clamp_floor: float = Field(
        default=0.0,
        description="the least ‖v‖ that clamp_norm is taken of, as a share of the root mean square norm of "
        "the unedited layer's MLP output: some subjects have a value so small that no multiple of it reaches "
        "a target; 0: each request's own ‖v‖, as published",
        ge=0,
    )
    stop_loss: float = Field(default=0.05, description="stop when the whole loss falls below", ge=0)
    stop_probability: float | None = Field(
        default=None,
        description="stop when the target's probability exceeds this in every context; null: never",
        gt=0,
        lt=1,
    )
    stop_at_argmax: bool = Field(
        default=False,
        description="stop when every target token is the most probable one in every context "
        "(most-probable early stopping of ENCORE, Gupta et al. 2025)",
    )
    prefix_lengths: tuple[tuple[int, int], ...] = Field(
        default=((5, 10), (10, 10)),
        description="context prefixes as (tokens, how many): sampled once from the unedited model",
    )
    unprefixed_weight: float = Field(
        default=1.0,
        description="weight of the prompt without a prefix in the averaged key, each prefixed one having 1; "
        "as many as there are prefixes gives it half: a short subject at the very beginning of a text has a "
        "key far from its prefixed ones, and a uniform average leaves the bare prompt poorly edited",
        gt=0,
    )
    rounds: int = Field(
        default=1,
        description="searches and writes of one request at most: what is written layer by layer, at a "
        "subject's averaged key, can fall short of what the search reached; then the value is searched for "
        "again, at the model as it is by then; 1: as published",
        ge=1,
    )
    enough_probability: float = Field(
        default=0.5,
        description="a target as probable as this at its prompt, once written, gets no further round (the "
        "geometric mean over its tokens)",
        gt=0,
        lt=1,
    )
    second_moment_tokens: int | None = Field(
        default=None, description="tokens behind C; more of them spare what is rare; null: 10 × d_ff", ge=1
    )
    token_budget: int = Field(
        default=1024,
        description="padded suffix tokens in one pass of the optimisation: what bounds its memory",
        ge=16,
    )


EssencePlace = Literal["end", "subject"]
