"""From label log-likelihoods to calibrated probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emotion_llama.clip import MODALITIES, Modality
from emotion_llama.errors import ModelError


def inputs_key(present: Iterable[Modality]) -> str:
    """Name a combination of present inputs, in a fixed order ("video+audio")."""
    kept = set(present)
    return "+".join(name for name in MODALITIES if name in kept) or "none"


class Calibration(BaseModel):
    """Fitted on validation people only: how much blank-clip prior is taken off, and temperatures.

    `temperature` is by combination of present inputs (`inputs_key`), because a model that hears and sees is sure in
    another way than one that only reads; `default_temperature` serves combinations that were not fitted.
    `fitted_on` says with what (data, n, date), for the report.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prior_weight: float = 1.0
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

    def probabilities(self, corrected: Mapping[str, float], present: Iterable[Modality]) -> dict[str, float]:
        """Softmax of the corrected scores at the fitted temperature; sums to 1 over the asked labels."""
        temperature = self.temperature.get(inputs_key(present), self.default_temperature)
        scores = np.array(list(corrected.values()), dtype=np.float64) / temperature
        weights = np.exp(scores - scores.max())
        return {label: float(p) for label, p in zip(corrected, weights / weights.sum(), strict=True)}
