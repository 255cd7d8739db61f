"""From label log-likelihoods and the heads' opinions to calibrated probabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emotion_llama.clip import MODALITIES, Modality
from emotion_llama.errors import ModelError, UsageError
from emotion_llama.labels import canonical, is_known
from emotion_llama.model.configuration import FeatureGroup
from emotion_llama.settings import AnalyzeSettings

Opinions = Mapping[str, Mapping[str, float]]
"""Head → emotion (canonical name) → its chance."""

Setting = TypeVar("Setting")

LEAST_CHANCE = 1e-4
"""A head that was wrong once must not rule an emotion out."""


def inputs_key(present: Iterable[Modality], heads: Iterable[str] = ()) -> str:
    """Name a combination of present inputs, in a fixed order ("video+audio"), and of the heads that have an opinion."""
    kept = set(present)
    name = "+".join(name for name in MODALITIES if name in kept) or "none"
    return " ".join([name, *(f"({head})" for head in sorted(heads))])


def opinions_of(
    features: Mapping[str, NDArray[np.float32]], groups: Iterable[FeatureGroup]
) -> dict[str, dict[str, float]]:
    """Give the heads' opinions that are among a clip's features."""
    return {
        group.name: dict(zip(group.labels, map(float, features[group.name][0]), strict=True))
        for group in groups
        if group.labels and group.name in features
    }


class RiskPoint(BaseModel):
    """Of validation people, those answers that were at least so sure: their share, how many of them were wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: float
    share: float
    error: float
    n: int


class Calibration(BaseModel):
    """Fitted on validation people only: how much blank-clip prior is taken off, what heads count, and temperatures.

    Weights and temperatures are by combination of present inputs and heads (`inputs_key`), because a model that hears
    and sees is sure in another way than one that only reads, and on a moving face, of which fewer heads have an
    opinion, in another way than on a still one: `opinion_weight` says by head how much its log-chances count beside the
    language model's log-likelihoods, `temperature` is that of the language model, `pooled_temperature` that of its pool
    with the heads. A combination that was not fitted has those of its inputs, or else the default ones.
    `risk`, by combination of present inputs, says how often answers were wrong that were at least so sure.
    `fitted_on` says with what (data, n, date), for the report.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prior_weight: float = 1.0
    default_opinion_weight: dict[str, float] = {}
    opinion_weight: dict[str, dict[str, float]] = {}
    default_temperature: float = Field(default=1.0, gt=0.0)
    temperature: dict[str, float] = {}
    default_pooled_temperature: float = Field(default=1.0, gt=0.0)
    pooled_temperature: dict[str, float] = {}
    risk: dict[str, tuple[RiskPoint, ...]] = {}
    fitted_on: str = "not fitted"

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Read `calibration.json` of a checkpoint. Raises `ModelError` naming the file and the key."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ModelError(f"{path}: not a calibration file: {error}") from error

    def correct(self, raw: Mapping[str, float], prior: Mapping[str, float]) -> dict[str, float]:
        """Take the blank-clip prior off the log-likelihoods."""
        return {label: score - self.prior_weight * prior[label] for label, score in raw.items()}

    def probabilities(
        self, corrected: Mapping[str, float], present: Iterable[Modality], opinions: Opinions | None = None
    ) -> dict[str, float]:
        """Give chances of the labels, which sum to 1, from scores without prior and from the heads' opinions.

        The language model's chances are those of its scores at its own temperature. Labels that no head knows keep
        them; the others share what is left as the pool says, at the temperature of the pool. Without words, such a
        label gets at most the chance of a blind guess: heads know every label that voices and faces were taught with,
        and of another one the language model can know from words alone (docs/log.md).
        """
        there, heads = tuple(present), opinions or {}
        chances = softmax(np.array(list(corrected.values())) / self.own_temperature(there, heads))
        pooled, known = self.pooled(tuple(corrected), chances, heads, there)
        if known.any():
            of_pool = _of(self.pooled_temperature, there, heads, self.default_pooled_temperature)
            if "text" not in there:
                chances[~known] = np.minimum(chances[~known], 1 / len(chances))
            chances[known] = (1 - chances[~known].sum()) * softmax(pooled / of_pool)
        return {label: float(p) for label, p in zip(corrected, chances / chances.sum(), strict=True)}

    def least_confidence(self, settings: AnalyzeSettings, present: Iterable[Modality]) -> float:
        """How sure an answer has to be, as settings ask; 0 where they ask for nothing.

        Of a risk: the least confidence from which no more than so many validation answers with the same inputs were
        wrong; 1 where even the surest were. Raises `UsageError` if these inputs have no curve.
        """
        if settings.max_risk is None:
            return settings.min_confidence or 0.0
        key = inputs_key(present)
        if not self.risk.get(key):
            known = ", ".join(sorted(self.risk)) or "none"
            raise UsageError(
                f"max_risk: this checkpoint has no curve of risk for {key} (there are: {known}); use min_confidence, "
                "or `emotion-llama calibrate` with validation clips that have these inputs"
            )
        enough = [point.confidence for point in self.risk[key] if point.error <= settings.max_risk]
        return min(enough, default=1.0)

    def own_temperature(self, present: Iterable[Modality], heads: Iterable[str]) -> float:
        """Temperature of the language model where these inputs are present and these heads have an opinion."""
        return _of(self.temperature, tuple(present), heads, self.default_temperature)

    def pooled(
        self, labels: Sequence[str], chances: NDArray[np.float64], opinions: Opinions, present: Iterable[Modality]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Pool the language model's chances (L,) with the heads' opinions: log-chances (K,) of the labels heads know.

        A weighted geometric mean (logarithmic opinion pool, Genest & Zidek 1986) in which the language model weighs 1.
        A label that one head knows and another does not: there the other thinks as the language model. Several asked
        words of one emotion share the chance that a head gives it. Beside it stands which labels (L,) any head knows.
        """
        weight_of = _of(self.opinion_weight, tuple(present), opinions, self.default_opinion_weight)
        names = [_name(label) for label in labels]
        model = np.log(np.maximum(chances, LEAST_CHANCE))
        total, weights, known = model.copy(), 1.0, np.zeros(len(names), dtype=bool)
        sharing = Counter(names)
        for head, given in opinions.items():
            weight = weight_of.get(head, 0.0)
            mine = np.array([name in given for name in names])
            if not weight or mine.sum() < 2:
                continue
            opinion = np.array([max(given[name], LEAST_CHANCE) / sharing[name] for name in names if name in given])
            whole = model.copy()
            whole[mine] = np.log(opinion / opinion.sum() * chances[mine].sum())
            total, weights, known = total + weight * whole, weights + weight, known | mine
        return total[known] / weights, known


def _name(label: str) -> str:
    return canonical(label) if is_known(label) else label


def _of(fitted: Mapping[str, Setting], present: Iterable[Modality], heads: Iterable[str], default: Setting) -> Setting:
    there = tuple(present)
    return fitted.get(inputs_key(there, heads), fitted.get(inputs_key(there), default))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chances (L,) of scores (L,)."""
    weights = np.exp(scores - scores.max())
    found: NDArray[np.float64] = weights / weights.sum()
    return found
