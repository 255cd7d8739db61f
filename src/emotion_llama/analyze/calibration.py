"""From label log-likelihoods and the heads' opinions to calibrated probabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emotion_llama.clip import MODALITIES, Modality
from emotion_llama.errors import ModelError
from emotion_llama.labels import canonical, is_known
from emotion_llama.model.configuration import FeatureGroup

Opinions = Mapping[str, Mapping[str, float]]
"""Head → emotion (canonical name) → its chance."""

LEAST_CHANCE = 1e-4
"""A head that was wrong once must not rule an emotion out."""


def inputs_key(present: Iterable[Modality]) -> str:
    """Name a combination of present inputs, in a fixed order ("video+audio")."""
    kept = set(present)
    return "+".join(name for name in MODALITIES if name in kept) or "none"


def opinions_of(
    features: Mapping[str, NDArray[np.float32]], groups: Iterable[FeatureGroup]
) -> dict[str, dict[str, float]]:
    """Give the heads' opinions that are among a clip's features."""
    return {
        group.name: dict(zip(group.labels, map(float, features[group.name][0]), strict=True))
        for group in groups
        if group.labels and group.name in features
    }


class Calibration(BaseModel):
    """Fitted on validation people only: how much blank-clip prior is taken off, what heads count, and temperatures.

    `opinion_weight`: by head, how much its log-chances count beside the language model's log-likelihoods.
    `temperature` is by combination of present inputs (`inputs_key`), because a model that hears and sees is sure in
    another way than one that only reads; `default_temperature` serves combinations that were not fitted.
    `fitted_on` says with what (data, n, date), for the report.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prior_weight: float = 1.0
    opinion_weight: dict[str, float] = {}
    default_temperature: float = Field(default=1.0, gt=0.0)
    temperature: dict[str, float] = {}
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

    def weighed(self, scores: Mapping[str, float], opinions: Opinions) -> dict[str, float]:
        """Pool the scores of the labels with the heads' opinions: log-chances, the same sharpness however many heads.

        A weighted geometric mean (logarithmic opinion pool, Genest & Zidek 1986) in which the language model weighs 1.
        Where a head does not know a label it thinks as the language model does: the labels it knows have together the
        language model's chance, which it shares out among them. Several asked words of one emotion share its chance.
        """
        model = np.array(list(scores.values()), dtype=np.float64)
        model = model - np.logaddexp.reduce(model)
        total, weights = model.copy(), 1.0
        names = [canonical(label) if is_known(label) else None for label in scores]
        for head, chances in opinions.items():
            weight = self.opinion_weight.get(head, 0.0)
            known = [place for place, name in enumerate(names) if name in chances]
            if not weight or len(known) < 2:
                continue
            sharing = Counter(names)
            chance = np.array([max(chances[str(names[at])], LEAST_CHANCE) / sharing[names[at]] for at in known])
            opinion = model.copy()
            opinion[known] = np.log(chance / chance.sum()) + np.logaddexp.reduce(model[known])
            total, weights = total + weight * opinion, weights + weight
        return dict(zip(scores, (float(x) for x in total / weights), strict=True))

    def probabilities(self, corrected: Mapping[str, float], present: Iterable[Modality]) -> dict[str, float]:
        """Softmax of the scores at the fitted temperature; sums to 1 over the asked labels."""
        temperature = self.temperature.get(inputs_key(present), self.default_temperature)
        scores = np.array(list(corrected.values()), dtype=np.float64) / temperature
        weights = np.exp(scores - scores.max())
        return {label: float(p) for label, p in zip(corrected, weights / weights.sum(), strict=True)}
