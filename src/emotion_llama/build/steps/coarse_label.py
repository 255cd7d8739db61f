"""coarse_label: an emotion from the rule table of action units, held against an opinion from elsewhere.

The paper takes a pseudo-label first and keeps the clip if the action units agree; `agreement: required` does that.
Without a pseudo-label the rule that fires most gives the label. Rule tables: `rules.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pydantic import Field

from emotion_llama.build.entry import CoarseLabel, Entry
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings
from emotion_llama.build.steps.peak_frame import place_of
from emotion_llama.clip import PeakFrame
from emotion_llama.errors import UsageError
from emotion_llama.labels import canonical, is_known, parse_label_set, translate
from emotion_llama.measurements import EXPRESSIONS
from emotion_llama.settings import AnalyzeSettings

Opinion = Literal["none", "given", "expression", "model"]

NEAR_PEAK_S = 0.5
"""The expression net is averaged over so much time on either side of the peak frame."""


class CoarseLabelSettings(StepSettings):
    """How a clip gets its label.

    `labels`: the label set (a name or words). `rules`: a table of `rules.yaml`; a rule fires when at least `share` of
    its units reach `threshold` (0–5) and their mean does. `pseudo_label`: "given" (the manifest's emotion),
    "expression" (the face-expression net), "model" (`model`, with everything it sees and hears), or "none".
    `agreement` "required": a clip whose pseudo-label has a rule that does not fire is rejected; "noted": it is written
    down. `nothing`: what becomes of a clip without a pseudo-label in which no rule fires.
    `min_probability`: a pseudo-label that is less sure is none (0–1).
    """

    labels: str = "mer9"
    rules: Literal["merr", "mer-factory", "docs"] = "merr"
    threshold: float = Field(default=0.8, ge=0.0, le=5.0)
    share: float = Field(default=0.5, gt=0.0, le=1.0)
    pseudo_label: Opinion = "model"
    model: str = "nano"
    min_probability: float = Field(default=0.0, ge=0.0, le=1.0)
    agreement: Literal["required", "noted"] = "noted"
    nothing: Literal["neutral", "reject"] = "neutral"


def label_clip(entry: Entry, settings: CoarseLabelSettings, look: Look) -> Found | Reject:
    """Give the clip its label, or reject it. Raises `UsageError` for an unknown label set or a label outside it."""
    labels = parse_label_set(settings.labels)
    scores, fired = fire(entry.action_units, settings)
    opinion, source = _opinion(entry, settings, labels, look)
    emotion = opinion or next((name for name in (_in(label, labels) for label in fired) if name), None)
    if emotion is None and settings.nothing == "neutral":
        emotion = _in("neutral", labels)
    if emotion is None:
        return Reject(reason=f"no rule of table {settings.rules} fires, and there is no pseudo-label ({source})")
    own = canonical(emotion) if is_known(emotion) else emotion
    agrees = own in fired if own in scores else None
    told = f"fired: {', '.join(fired) or 'none'}"
    if settings.agreement == "required" and opinion is not None and agrees is False:
        return Reject(reason=f"the pseudo-label is {emotion} ({source}), but its action units do not show it; {told}")
    coarse = CoarseLabel(
        emotion=emotion, scores=scores, fired=fired, pseudo_label=opinion, pseudo_source=source if opinion else None,
        rule_agrees=agrees,
    )  # fmt: skip
    agreed = {True: "the rule agrees", False: "the rule does not agree", None: "no rule for it"}[agrees]
    return Found(words=f"{emotion} ({source if opinion else 'by rule'}; {agreed}); {told}", coarse=coarse)


def fire(units: Mapping[str, float], settings: CoarseLabelSettings) -> tuple[dict[str, float], tuple[str, ...]]:
    """Give how far each rule of the table fires (mean intensity, 0–5), and the names of those that do, strongest first.

    No measured unit at all (no face): nothing fires and nothing is scored.
    """
    if not units:
        return {}, ()
    scores, fired = {}, []
    for emotion, rule in rule_tables()[settings.rules].items():
        levels = np.array([units.get(f"AU{unit:02d}", 0.0) for unit in rule])
        scores[emotion] = round(float(levels.mean()), 3)
        if (levels >= settings.threshold).mean() >= settings.share and levels.mean() >= settings.threshold:
            fired.append(emotion)
    return scores, tuple(sorted(fired, key=lambda name: -scores[name]))


@cache
def rule_tables() -> dict[str, dict[str, list[int]]]:
    """Give the tables by name: emotion (canonical) → action units."""
    text = Path(__file__).with_name("rules.yaml").read_text(encoding="utf-8")
    tables: dict[str, dict[str, list[int]]] = yaml.safe_load(text)
    return tables


def _opinion(
    entry: Entry, settings: CoarseLabelSettings, labels: tuple[str, ...], look: Look
) -> tuple[str | None, str]:
    """Give the pseudo-label (`None`: there is none) and where it comes from."""
    if settings.pseudo_label == "none":
        return None, "not asked for"
    if settings.pseudo_label == "given":
        given = entry.clip.emotion
        if given is None:
            return None, "the list of clips names no emotion"
        label = _in(given, labels)
        if label is None:
            raise UsageError(f"{entry.name}: emotion {given!r} is not among the labels {', '.join(labels)}; widen them")
        return label, "given"
    sure = _faces_opinion(entry, look) if settings.pseudo_label == "expression" else _models(entry, settings, look)
    known = {name: p for name, p in ((_in(word, labels), p) for word, p in sure.items()) if name is not None}
    source = "face-expression" if settings.pseudo_label == "expression" else settings.model
    if not known:
        return None, f"{source} has no opinion"
    best = max(known, key=lambda name: known[name])
    if known[best] < settings.min_probability:
        return None, f"{source} is unsure: {best} {known[best]:.2f}"
    return best, f"{source} {known[best]:.2f}"


def _faces_opinion(entry: Entry, look: Look) -> dict[str, float]:
    measures = look.faces
    if measures is None or measures.main is None or measures.expressions is None:
        return {}
    samples = measures.tracks[measures.main].samples
    place = place_of(measures, entry.peak) or 0
    near = [abs(sample.time_s - samples[place].time_s) <= NEAR_PEAK_S for sample in samples]
    mean = measures.expressions[np.array(near)].mean(axis=0)
    return {name: float(p) for name, p in zip(EXPRESSIONS, mean, strict=True)}


def _models(entry: Entry, settings: CoarseLabelSettings, look: Look) -> dict[str, float]:
    peak = entry.peak
    frame = None
    if peak is not None and peak.time_s is not None:
        frame = PeakFrame(index=peak.index, time_s=peak.time_s, policy="middle" if peak.rule == "middle" else "peak")
    asked = AnalyzeSettings(labels=parse_label_set(settings.labels), tasks=("emotion",))
    return look.tools.model(settings.model).probabilities(look.percept(frame), asked)


def _in(word: str, labels: tuple[str, ...]) -> str | None:
    """The label set's word for an emotion; `None` where it has none."""
    if word in labels:
        return word
    try:
        return translate(word, labels)
    except UsageError:
        return None


def _models_used(settings: CoarseLabelSettings) -> tuple[str, ...]:
    if settings.pseudo_label == "expression":
        return ("face-expression",)
    if settings.pseudo_label != "model":
        return ()
    from emotion_llama.analyze.analyzer import load
    from emotion_llama.analyze.preset import provenance

    origin = provenance(load(settings.model, device="cpu").preset, AnalyzeSettings())
    return (f"{settings.model}:{(origin.weights_sha256 or '')[:16]}",)


COARSE = Step(
    "coarse_label", "1", CoarseLabelSettings, label_clip, reads=("probe", "faces", "peak_frame"), models=_models_used
)
