"""Fit the temperatures on validation people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.calibration import Calibration, inputs_key
from emotion_llama.clip import Modality
from emotion_llama.labels import canonical
from emotion_llama.model.processing import TrainSample
from emotion_llama.model.score import ClipReader

TEMPERATURES = np.geomspace(0.3, 6.0, 61)
LEAST = 30
"""A combination of inputs with fewer validation samples uses the default temperature."""


def inputs_of(sample: TrainSample) -> tuple[Modality, ...]:
    """Which inputs a sample has."""
    groups = {"global": "video", "local": "video", "face_emotion": "video", "audio": "audio", "voice_emotion": "audio"}
    found = {groups[name] for name in sample.features if name in groups} | ({"text"} if sample.transcript else set())
    return tuple(name for name in ("video", "audio", "text") if name in found)


def calibrate(reader: ClipReader, samples: Sequence[TrainSample], about: str) -> tuple[Calibration, dict[str, float]]:
    """Fit a temperature for each combination of inputs; gives it with accuracies by combination."""
    scored: dict[str, list[tuple[NDArray[np.float64], int]]] = defaultdict(list)
    for sample in samples:
        found = reader.score(reader.read(sample.features, sample.transcript), sample.labels, orders=4)
        prior = reader.prior(sample.labels, orders=4)
        right = [canonical(label) for label in sample.labels].index(canonical(sample.answer))
        scored[inputs_key(inputs_of(sample))].append((found.mean - prior.mean, right))
    everything = [pair for pairs in scored.values() for pair in pairs]
    temperature = {key: best_temperature(pairs) for key, pairs in scored.items() if len(pairs) >= LEAST}
    accuracy = {key: float(np.mean([row.argmax() == right for row, right in pairs])) for key, pairs in scored.items()}
    fitted = Calibration(
        default_temperature=best_temperature(everything),
        temperature=temperature,
        fitted_on=f"{about}; n = {len(everything)}",
    )
    return fitted, accuracy


def best_temperature(pairs: Sequence[tuple[NDArray[np.float64], int]]) -> float:
    """Give the temperature with the least mean negative log-likelihood on (scores (L,), right label) pairs."""

    def loss(temperature: float) -> float:
        return float(np.mean([_nll(row / temperature, right) for row, right in pairs]))

    return round(float(min(TEMPERATURES, key=loss)), 3)


def _nll(row: NDArray[np.float64], right: int) -> float:
    shifted = row - row.max()
    return float(np.log(np.exp(shifted).sum()) - shifted[right])
