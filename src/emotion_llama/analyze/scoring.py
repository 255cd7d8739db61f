"""Probabilities of the asked labels, from all inputs of a clip or from some of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from emotion_llama.analyze.calibration import Calibration, Opinions, opinions_of
from emotion_llama.clip import MODALITIES, Modality
from emotion_llama.encoders.features import Features
from emotion_llama.labels import SYNONYMS
from emotion_llama.model.configuration import FeatureGroup
from emotion_llama.model.score import ClipPrefix, ClipReader, LabelLikelihoods
from emotion_llama.settings import AnalyzeSettings

OPEN_VOCABULARY = tuple(SYNONYMS)
"""The words that are scored when no label set is asked for; the model's own words are listed beside them."""

PROMPT_WORDS = 250
"""The model reads this many words of a transcript: longer prompts than it was trained on help nobody."""


@dataclass(frozen=True)
class Inputs:
    """What of one clip reaches the language model: features by group, words, and which inputs these are."""

    features: Features
    transcript: str | None
    present: tuple[Modality, ...]
    groups: tuple[FeatureGroup, ...] = ()
    opinions: Opinions = field(default_factory=dict)

    @classmethod
    def of(
        cls, features: Features, transcript: str | None, present: Collection[Modality], groups: Sequence[FeatureGroup]
    ) -> Inputs:
        """Gather them; the heads' opinions are among the features."""
        there = tuple(name for name in MODALITIES if name in present)
        return cls(features, transcript, there, tuple(groups), opinions_of(features, groups))

    def only(self, kept: Collection[Modality]) -> Inputs:
        """The same clip with nothing but some of its inputs."""
        needed = {group.name: set(group.needed()) for group in self.groups}
        features = {name: rows for name, rows in self.features.items() if needed[name] <= set(kept)}
        words = self.transcript if "text" in kept else None
        return Inputs.of(features, words, [name for name in self.present if name in kept], self.groups)


@dataclass(frozen=True)
class LabelChances:
    """Scores (log-likelihoods, raw and with the prior taken off) and probabilities of the asked labels.

    `prefix` is the clip as the model has read it, to ask more about.
    """

    prefix: ClipPrefix
    likelihoods: LabelLikelihoods
    raw: dict[str, float]
    corrected: dict[str, float]
    probabilities: dict[str, float]


def score_labels(
    reader: ClipReader, calibration: Calibration, inputs: Inputs, settings: AnalyzeSettings
) -> LabelChances:
    """Read a clip and score the asked labels; opinions of heads count beside it as much as the calibration says."""
    return score_labels_together(reader, calibration, [inputs], settings)[0]


def score_labels_together(
    reader: ClipReader, calibration: Calibration, clips: Sequence[Inputs], settings: AnalyzeSettings
) -> list[LabelChances]:
    """Do what `score_labels` does for several clips, side by side."""
    asked = settings.labels or OPEN_VOCABULARY
    prefixes = reader.read_together([(one.features, shortened(one.transcript)) for one in clips])
    orders, seed, phrasing = settings.label_orders, settings.seed, settings.phrasing
    found = reader.score_together(prefixes, asked, orders=orders, seed=seed, phrasing=phrasing)
    prior = reader.prior(asked, orders=orders, seed=seed, phrasing=phrasing)
    bias = dict(zip(asked, (float(x) for x in prior.mean), strict=True))
    return [_chances(calibration, *one, bias, asked) for one in zip(clips, prefixes, found, strict=True)]


def _chances(
    calibration: Calibration,
    inputs: Inputs,
    prefix: ClipPrefix,
    likelihoods: LabelLikelihoods,
    bias: dict[str, float],
    asked: Sequence[str],
) -> LabelChances:
    raw = dict(zip(asked, (float(x) for x in likelihoods.mean), strict=True))
    corrected = calibration.correct(raw, bias)
    return LabelChances(
        prefix, likelihoods, raw, corrected, calibration.probabilities(corrected, inputs.present, inputs.opinions)
    )


def blank_probabilities(reader: ClipReader, calibration: Calibration, settings: AnalyzeSettings) -> dict[str, float]:
    """Probabilities of the asked labels where nothing is known of a clip."""
    asked = settings.labels or OPEN_VOCABULARY
    prior = reader.prior(asked, orders=settings.label_orders, seed=settings.seed, phrasing=settings.phrasing)
    scores = dict(zip(asked, (float(x) for x in prior.mean), strict=True))
    return calibration.probabilities(calibration.correct(scores, scores), ())


def shortened(text: str | None) -> str | None:
    """Keep the first `PROMPT_WORDS` words of a transcript; `results` warns where words were left out."""
    if text is None or len(text.split()) <= PROMPT_WORDS:
        return text
    return " ".join(text.split()[:PROMPT_WORDS])
