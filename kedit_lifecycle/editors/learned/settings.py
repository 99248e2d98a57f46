"""How a hyper-network is trained, whatever its kind."""

from __future__ import annotations

from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from kedit_lifecycle.editors.base import EditorConfig

Matrices: TypeAlias = Literal["all", "output"]


class NetworkConfig(EditorConfig):
    """What every trained network is set to: which matrices, and which tokens' gradients."""

    blocks: int = Field(default=3, ge=1, description="the last so many blocks, whose MLP matrices are edited")
    above: int = Field(default=0, ge=0, description="blocks above those, which stay as they are")
    matrices: Matrices = Field(
        default="all",
        description="of each block's MLP: all, as published, or its output's (as ROME)",
    )
    whiten: int = Field(
        default=0,
        ge=0,
        description="so many of the strongest directions of each matrix's inputs are evened out, so that one "
        "edit's input has little of another's (as ROME's C⁻¹); with matrices=output; 0: none, as published. "
        "C is that of text, with keys=own half of it that of the training facts' subjects",
    )
    tokens: Literal["all", "subject"] = Field(
        default="all",
        description="whose part of the gradient makes the update: all tokens of prompt and answer, as "
        "published, or the subject's last one, where the key is its own and not its neighbors' (as in ROME)",
    )

    @field_validator("whiten")
    @classmethod
    def _needs_keys(cls, whiten: int, info: ValidationInfo) -> int:
        if whiten and info.data.get("matrices") != "output":
            raise ValueError("C is that of the output matrices' inputs: matrices=output")
        return whiten

    keys: Literal["learned", "own"] = Field(
        default="learned",
        description="what of an input an update answers to: learned, as published, or the edit's own, as it "
        "is (whitened; as ROME's C⁻¹k): then only the value behind it is learned, and nothing that is common "
        "to all edits grows with their number; with tokens=subject",
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.keys == "own" and self.tokens != "subject":
            raise ValueError("an own key is that of the subject's last token: tokens=subject")
        return self


class TrainingSettings(BaseModel):
    """The loop's settings; those of the network are its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=3000, ge=1, description="optimiser steps at most")
    batch: int = Field(default=8, ge=1, description="edits in one pass, each made on its own")
    accumulate: int = Field(default=1, ge=1, description="passes whose gradients make one step")
    learning_rate: float = Field(default=3e-4, gt=0, description="Adam's")
    decay: Literal["none", "cosine"] = Field(
        default="none", description="of the learning rates, over `steps`: they stay, or fall to 0 as a cosine"
    )
    keep: int = Field(
        default=4,
        ge=1,
        le=4,
        description="texts in one pass that an edit must leave alone, of the four kinds: a neighbor, the "
        "same relation of another subject, any other fact, unrelated text",
    )
    redraw: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of a pass's edits whose new answer is drawn anew, from those that other facts of "
        "the relation get: of few facts, many edits",
    )
    foreign: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of a pass's edits whose new answer is any name the facts hold, an answer's or a "
        "subject's: edits to what no training answer is",
    )
    reword: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of a pass's edits that are asked by one of their paraphrases instead",
    )
    together: int = Field(
        default=1,
        ge=1,
        description="edits that stand in one model, at most: each pass draws 1, 2, 4 … up to so many, and "
        "what it reads is read with all of a group's updates added, as after a batch or a sequence",
    )
    rounds: int = Field(
        default=1,
        ge=1,
        description="updates of one edit, at most: each pass draws 1 to so many, each but the first from the "
        "gradient at the model as those before it, and the rest of the group's, left it",
    )
    enough: float = Field(
        default=0.0,
        ge=0,
        description="nats per token: an answer with less NLL than this is pushed no further; past the point "
        "where it is preferred, more certainty only costs what should stay",
    )
    clip: float = Field(default=1.0, gt=0, description="the gradient's norm is cut to this")
    warm_up: int = Field(default=20, ge=0, description="passes that only gather statistics")
    validate_every: int = Field(default=250, ge=1, description="steps between two validations")
    validation_edits: int = Field(default=100, ge=1, description="edits of a validation at most")
    patience: int = Field(default=6, ge=1, description="validations without a better one that end it")
    checkpoint_every: int = Field(default=250, ge=1, description="steps between two checkpoints")
    mixed_precision: Literal["no", "bf16"] = Field(
        default="no",
        description="of the passes: on a GPU by accelerate; on a CPU of the matrix products alone, which is "
        "faster where it multiplies bfloat16 (AMX)",
    )
    seed: int = Field(default=0, description="of the split, of every draw, and of the network's start")

    @model_validator(mode="after")
    def _shares(self) -> TrainingSettings:
        if self.redraw + self.foreign > 1:
            raise ValueError("redraw and foreign are shares of the same edits: together at most 1")
        return self


ON_SMOLLM2_135M = TrainingSettings(
    batch=32,
    learning_rate=1e-3,
    decay="cosine",
    redraw=0.35,
    foreign=0.1,
    reword=0.25,
    together=8,
    rounds=2,
    enough=0.3,
    validate_every=30,
    validation_edits=48,
    checkpoint_every=30,
    mixed_precision="bf16",
)
"""What the trainings on the default model have in common; measured in benchmarks/results/learned.md."""
