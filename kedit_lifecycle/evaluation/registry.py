"""Every metric: what it is, where it comes from, which protocol makes it, which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kedit_lifecycle.evaluation.scores import MetricValue, ScorerKind

MENG = (
    "Meng et al. 2022, Locating and Editing Factual Associations in GPT, section 3.3 and its evaluation code"
)
NLL_CONTRAST = "counterfact/mean-nll@1"
WELLECK = "Welleck et al. 2020, Neural Text Generation With Unlikelihood Training, section 6"
EDIT_RETAIN_RATE = "edit retain rate, Huang et al. 2023, Transformer-Patcher, section 3"
COHEN = "Cohen et al. 2024, Evaluating the Ripple Effects of Knowledge Editing in Language Models, section 3"
RIPPLE_PROTOCOL = "kedit/probe-contains@1"


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric. `short` is its column heading; `protocol` may be followed by `:key=value,…`."""

    metric: str
    short: str
    definition: str
    source: str
    protocol: str
    scorer: ScorerKind
    better: Literal["higher", "lower"] = "higher"
    unit: str = "share"


_FORCED: ScorerKind = "teacher-forced"


def _ripple(metric: str, short: str, what: str, source: str = COHEN) -> MetricDefinition:
    definition = (
        f"share of tests that hold after the edit, of those whose conditions held before it: {what}; one "
        "holds if an answer or an alias is in the 20 greedy tokens after its prompt, at word boundaries"
    )
    return MetricDefinition(metric, short, definition, source, RIPPLE_PROTOCOL, "greedy-generation")


_DEFINITIONS = (
    MetricDefinition(
        "efficacy",
        "ES",
        "share of requests whose edit prompt gives the new target a lower mean NLL per token than the true",
        MENG,
        NLL_CONTRAST,
        _FORCED,
    ),
    MetricDefinition(
        "efficacy_magnitude",
        "EM",
        "exp(−mean NLL) of the new target minus that of the true one, at the edit prompt",
        MENG,
        NLL_CONTRAST,
        _FORCED,
        unit="probability",
    ),
    MetricDefinition(
        "paraphrase",
        "PS",
        "efficacy at the paraphrases: mean over a request's prompts, then over requests",
        MENG,
        NLL_CONTRAST,
        _FORCED,
    ),
    MetricDefinition(
        "paraphrase_magnitude",
        "PM",
        "efficacy magnitude at the paraphrases: mean over a request's prompts, then over requests",
        MENG,
        NLL_CONTRAST,
        _FORCED,
        unit="probability",
    ),
    MetricDefinition(
        "neighborhood",
        "NS",
        "share of neighborhood prompts that give the true target a lower mean NLL per token than the new: "
        "mean over a request's prompts, then over requests",
        MENG,
        NLL_CONTRAST,
        _FORCED,
    ),
    MetricDefinition(
        "neighborhood_magnitude",
        "NM",
        "exp(−mean NLL) of the true target minus that of the new one, at the neighborhood prompts",
        MENG,
        NLL_CONTRAST,
        _FORCED,
        unit="probability",
    ),
    MetricDefinition(
        "score",
        "S",
        "harmonic mean of ES, PS and NS as averaged over the requests",
        MENG,
        "counterfact/harmonic-mean@1",
        _FORCED,
    ),
    MetricDefinition(
        "neighborhood_unchanged",
        "N=",
        "share of neighborhood prompts whose most probable next token is the one before the edit; `against` "
        "says whether before means the unedited base model or the parent version",
        "kedit",
        "kedit/next-token-unchanged@1",
        _FORCED,
    ),
    MetricDefinition(
        "exact_match",
        "XM",
        "share of requests with every token of the new target the argmax at the edit prompt",
        "teacher-forced accuracy over the whole target, after De Cao et al. 2021 and Mitchell et al. 2022",
        "kedit/argmax-whole-target@1",
        _FORCED,
    ),
    MetricDefinition(
        "paraphrase_exact_match",
        "PXM",
        "exact match at the paraphrases: mean over a request's prompts, then over requests",
        "teacher-forced accuracy over the whole target, after De Cao et al. 2021 and Mitchell et al. 2022",
        "kedit/argmax-whole-target@1",
        _FORCED,
    ),
    MetricDefinition(
        "generated_exact_match",
        "GXM",
        "share of requests whose greedy continuation of the edit prompt, 4 tokens longer than the target, "
        "begins with the target, ending at a word's end; white space collapsed, case-sensitive",
        "kedit",
        "kedit/greedy-prefix@1",
        "greedy-generation",
    ),
    MetricDefinition(
        "fluency",
        "GE",
        "mean of 2/3 × bigram and 4/3 × trigram entropy of prompt and continuation, 100 tokens together, "
        "sampled from the 5 most probable, past any EOS; words split by pattern, not by NLTK",
        MENG + "; Zhang et al. 2018",
        "kedit/ngram-entropy@1",
        "sampled-generation",
        unit="bits",
    ),
    MetricDefinition(
        "perplexity",
        "PPL",
        "exp of the mean NLL per token of the model's own tokenizer on a text, in overlapping windows; every "
        "token but the first is scored once",
        "sliding window, as in the Hugging Face guide to perplexity",
        "kedit/sliding-window@1",
        _FORCED,
        better="lower",
        unit="perplexity",
    ),
    MetricDefinition(
        "drift_kl",
        "KL",
        "mean KL(base ‖ edited) of the next-token distributions at positions of the base model's own samples",
        "kedit",
        "kedit/kl-base-edited@1",
        _FORCED,
        better="lower",
        unit="nats per token",
    ),
    MetricDefinition(
        "retention",
        "RET",
        "efficacy now of the earlier edits that were asked again (a stratified sample by age, and those with "
        "the same subject or relation)",
        EDIT_RETAIN_RATE,
        "kedit/earlier-mean-nll@1",
        _FORCED,
    ),
    MetricDefinition(
        "retention_exact_match",
        "RXM",
        "exact match now of the earlier edits that were asked again",
        EDIT_RETAIN_RATE,
        "kedit/earlier-argmax-whole-target@1",
        _FORCED,
    ),
    MetricDefinition(
        "forgotten",
        "FGT",
        "of the earlier edits asked again that held when they were made, the share that holds no more; an "
        "edit holds if its whole target is the argmax and, where it has a true target, beats that one",
        "kedit, after the " + EDIT_RETAIN_RATE,
        "kedit/held-then-not-now@1",
        _FORCED,
        better="lower",
    ),
    MetricDefinition(
        "weight_change",
        "ΔW",
        "largest ‖W′ − W‖ / ‖W‖ (Frobenius) of the edited tensors, W the unedited model's",
        "norm growth, Gupta et al. 2024, Model Editing at Scale leads to Gradual and Catastrophic Forgetting",
        "kedit/relative-frobenius@1",
        "weights",
        better="lower",
        unit="ratio",
    ),
    MetricDefinition(
        "distinct_predictions",
        "UNQ",
        "number of distinct most probable next tokens on a text, divided by the number of positions",
        WELLECK + ' ("uniq", there not divided)',
        "welleck/uniq-share@1",
        _FORCED,
    ),
    MetricDefinition(
        "repeated_predictions",
        "REP",
        "rep/128: share of the most probable next tokens on a text that stand among the 128 before them",
        WELLECK,
        "welleck/rep@1",
        _FORCED,
        better="lower",
    ),
    MetricDefinition(
        "repeated_trigrams",
        "REP3",
        "seq-rep-3: 1 − distinct / all trigrams of tokens, mean over sampled continuations of neutral "
        "prompts",
        WELLECK,
        "welleck/seq-rep@1",
        "sampled-generation",
        better="lower",
    ),
    MetricDefinition(
        "distinct_2",
        "D2",
        "distinct / all bigrams of tokens, mean over sampled continuations of neutral prompts",
        "Li et al. 2016, A Diversity-Promoting Objective Function (there divided by the words)",
        "li/distinct@1",
        "sampled-generation",
    ),
    MetricDefinition(
        "trigram_entropy",
        "H3",
        "entropy of the trigrams of tokens, mean over sampled continuations of neutral prompts",
        "Zhang et al. 2018, Generating Informative and Diverse Conversational Responses",
        "zhang/entropy@1",
        "sampled-generation",
        unit="bits",
    ),
    _ripple("logical_generalization", "LG", "what follows from the edit by symmetry, inverse or composition"),
    _ripple("compositionality_1", "CI", "what is known of the new object, reached through the subject"),
    _ripple("compositionality_2", "CII", "the new object, reached through what leads to the subject"),
    _ripple("subject_aliasing", "SA", "the edited fact under another name of the subject"),
    _ripple("preservation", "PV", "the other objects of a many-valued relation, which must stay"),
    _ripple("relation_specificity", "RSp", "the subject's other relations, which must stay"),
    _ripple(
        "multi_hop",
        "MH",
        "what follows over several facts, asked in three wordings of which any may succeed",
        "Zhong et al. 2023 (EMNLP), MQuAKE, section 3; there with few-shot prompts",
    ),
)

METRICS: dict[str, MetricDefinition] = {definition.metric: definition for definition in _DEFINITIONS}


def measured(
    metric: str, value: float, count: int, request: int | None = None, /, **settings: str | int
) -> MetricValue:
    """The value with the protocol and scorer of its definition; settings become part of the protocol."""
    definition = METRICS[metric]
    suffix = ",".join(f"{name}={setting}" for name, setting in settings.items())
    protocol = f"{definition.protocol}:{suffix}" if suffix else definition.protocol
    return MetricValue(metric, protocol, definition.scorer, value, count, request)
