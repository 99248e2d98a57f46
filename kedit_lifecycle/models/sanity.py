"""Is the model loaded right? Asked once, when it is added, not after a week of editing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import encode

Verdict = Literal["pass", "warn", "fail"]

FIXED_TEXT = (
    "The Moon goes around the Earth once in about twenty-seven days. It shines by the light of the Sun, "
    "and the same side of it always faces us. Because its pull on the near side of the oceans is stronger "
    "than on the far side, the water rises and falls twice a day. Fishermen and sailors have known these "
    "tides for thousands of years, long before anyone could explain them. In the seventeenth century "
    "Isaac Newton showed that the force which holds the Moon in its path is the same one that makes an "
    "apple fall to the ground."
)
_WARN_ABOVE, _FAIL_ABOVE = 1.2, 3.0  # nats per token above the expected loss
_GUESSING = (
    0.9  # of ln(vocabulary), the loss of one who knows nothing: the scaling law says more for tiny models
)


@dataclass(frozen=True, slots=True)
class SanityCheck:
    """One question about the loaded model and its answer."""

    name: str
    verdict: Verdict
    found: str


@dataclass(frozen=True, slots=True)
class SanityReport:
    """All checks of one model."""

    model: str
    checks: tuple[SanityCheck, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        found = {check.verdict for check in self.checks}
        return "fail" if "fail" in found else "warn" if "warn" in found else "pass"


def expected_loss(parameters: int) -> float:
    """Loss in nats per token of a well-trained model of this size.

    L(N, D) = 1.69 + 406.4 / N^0.34 + 410.7 / D^0.28   # Hoffmann et al. 2022, eq. 10
    with D = 300 billion tokens, common to the model families of 2019 to 2023.
    """
    return float(1.69 + 406.4 / parameters**0.34 + 410.7 / 3e11**0.28)


def check_sanity(model: EditableModel) -> SanityReport:
    """Run every check."""
    checks = (_finite(model), _perplexity(model), _ties(model), _first_token(model), _rotary(model))
    return SanityReport(model.name, checks)


def _finite(model: EditableModel) -> SanityCheck:
    bad = [name for name, p in model.network.named_parameters() if not torch.isfinite(p).all()]
    return SanityCheck("finite weights", "fail" if bad else "pass", ", ".join(bad[:3]) or "all finite")


@torch.no_grad()
def _perplexity(model: EditableModel) -> SanityCheck:
    ids = torch.tensor([encode(model.tokenizer, FIXED_TEXT)], device=model.device)
    if int(ids.max()) >= model.network.config.vocab_size:
        return SanityCheck("perplexity", "fail", "the tokenizer has ids that the model has not: not its own")
    hidden = model.hidden_states(ids, torch.ones_like(ids)).last_hidden_state[0, :-1]
    log_probabilities = model.logits(hidden).log_softmax(-1)
    loss = -float(log_probabilities.gather(1, ids[0, 1:, None]).mean())
    expected = expected_loss(sum(p.numel() for p in model.network.parameters()))
    excess = loss - expected
    found = f"{_exp(loss):.1f} on a fixed text; about {_exp(expected):.0f} is usual for its size"
    guessing = loss > _GUESSING * math.log(model.network.config.vocab_size)
    if not math.isfinite(loss) or guessing or excess > _FAIL_ABOVE:
        return SanityCheck("perplexity", "fail", f"{found}: untrained, or loaded wrongly")
    return SanityCheck("perplexity", "warn" if excess > _WARN_ABOVE else "pass", found)


def _exp(value: float) -> float:
    return math.exp(min(value, 50.0)) if not math.isnan(value) else math.nan


def _ties(model: EditableModel) -> SanityCheck:
    wanted = bool(getattr(model.network.config.get_text_config(), "tie_word_embeddings", False))
    head, embedding = model.network.get_output_embeddings(), model.network.get_input_embeddings()
    tied = head is not None and head.weight.data_ptr() == embedding.weight.data_ptr()
    found = f"config says {'tied' if wanted else 'untied'}, weights are {'tied' if tied else 'untied'}"
    return SanityCheck("tied embeddings", "pass" if wanted == tied else "fail", found)


def _first_token(model: EditableModel) -> SanityCheck:
    tokenizer = model.tokenizer
    ids, plain = encode(tokenizer, "word"), tokenizer("word", add_special_tokens=False)["input_ids"]
    front = ids[: len(ids) - len(plain)]
    if not front:
        return SanityCheck("BOS", "pass", "this tokenizer puts none")
    right = front == [tokenizer.bos_token_id]
    return SanityCheck("BOS", "pass" if right else "warn", f"texts begin with {tokenizer.decode(front)!r}")


def _rotary(model: EditableModel) -> SanityCheck:
    """The rotary frequencies in use are those that the config's θ and width ask for."""
    backbone = model.network.get_submodule(model.architecture.backbone)
    rotary, config = getattr(backbone, "rotary_emb", None), model.network.config
    parameters = getattr(config, "rope_parameters", None) or {}
    if rotary is None or parameters.get("rope_type", "default") != "default":
        kind = parameters.get("rope_type")
        return SanityCheck(
            "rotary", "pass", f"type {kind}, as in the config" if kind else "none at the backbone"
        )
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    width = int(width * parameters.get("partial_rotary_factor", 1.0))
    theta = float(parameters["rope_theta"])
    wanted = 1.0 / theta ** (torch.arange(0, width, 2, dtype=torch.float32) / width)
    frequencies = rotary.inv_freq.float().cpu()
    right = frequencies.shape == wanted.shape and torch.allclose(frequencies, wanted, rtol=1e-3)
    return SanityCheck("rotary", "pass" if right else "fail", f"θ = {theta:g}, {width} of each head's width")
