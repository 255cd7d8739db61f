"""Temperatures on scores whose right temperature is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from emotion_llama.model.processing import TrainSample
from emotion_llama.model.score import ClipReader
from emotion_llama.train.calibrate import TEMPERATURES, best_temperature, calibrate, inputs_of
from emotion_llama.train.fit import Trainee

ROW = np.zeros((1, 3), np.float32)


def simulated(temperature: float, count: int, seed: int = 0) -> list[tuple[np.ndarray, int]]:
    """Scores of a model that is `temperature` times too sure: the right label is drawn from softmax(score / T)."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 1.5, (count, 6))
    chances = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
    return [(row * temperature, int(rng.choice(6, p=p))) for row, p in zip(rows, chances, strict=True)]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    assert best_temperature(simulated(temperature, 3000)) == pytest.approx(temperature, rel=0.12)


def test_the_best_of_the_grid_agrees_with_a_continuous_search() -> None:
    pairs = simulated(1.7, 400, seed=2)
    rows, right = np.stack([row for row, _ in pairs]), np.array([label for _, label in pairs])

    def loss(log_temperature: float) -> float:
        scaled = rows / np.exp(log_temperature)
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(right)), right]).mean())

    exact = float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))
    step = TEMPERATURES[1] / TEMPERATURES[0]
    assert exact / step <= best_temperature(pairs) <= exact * step


def test_large_scores_stay_finite() -> None:
    sure = [(np.array([1e4, 0.0, -1e4]), 0)] * 3
    assert best_temperature(sure) == pytest.approx(TEMPERATURES[0], abs=1e-3)
    wrong = [(np.array([1e4, 0.0, -1e4]), 2)] * 3
    assert best_temperature(wrong) == pytest.approx(TEMPERATURES[-1], abs=1e-3)


@pytest.mark.parametrize(
    ("names", "transcript", "inputs"),
    [
        (("global", "local", "temporal", "face_emotion"), None, ("video",)),
        (("audio",), "Kids are talking.", ("audio", "text")),
        (("voice_emotion", "audio", "local"), "Dogs.", ("video", "audio", "text")),
        ((), "Dogs.", ("text",)),
        ((), None, ()),
    ],
)
def test_inputs_are_named_in_a_fixed_order(
    names: Sequence[str], transcript: str | None, inputs: tuple[str, ...]
) -> None:
    features: Mapping[str, np.ndarray] = {name: ROW for name in names}
    assert inputs_of(TrainSample("c", "emotion", ("happy", "sad"), transcript, "sad", features)) == inputs


def test_combinations_with_few_samples_fall_back(trainee: Trainee) -> None:
    voice = {"audio": np.ones((3, 5), np.float32)}
    heard = TrainSample("heard", "emotion", ("happy", "sad"), None, "sad", voice)
    read = TrainSample("read", "emotion", ("joy", "sadness"), "What a day", "joy")
    reader = ClipReader(trainee.model, trainee.processor)
    calibration, accuracy = calibrate(reader, [heard] * 30 + [read] * 29, "made samples")
    assert set(calibration.temperature) == {"audio"}
    assert set(accuracy) == {"audio", "text"} and all(share in (0.0, 1.0) for share in accuracy.values())
    assert calibration.fitted_on == "made samples; n = 59"
    assert TEMPERATURES[0] - 0.01 <= calibration.default_temperature <= TEMPERATURES[-1] + 0.01


def test_the_answer_is_found_by_its_meaning_in_any_order(trainee: Trainee) -> None:
    """Accuracy must not depend on where in the list the right label stands."""
    voice = {"audio": np.ones((3, 5), np.float32)}
    reader = ClipReader(trainee.model, trainee.processor)
    labels = ("happy", "sad", "angry")
    shares = []
    for answer in labels:
        sample = TrainSample("heard", "emotion", labels, None, answer, voice)
        shares.append(calibrate(reader, [sample], "one")[1]["audio"])
    assert sorted(shares) == [0.0, 0.0, 1.0]  # exactly one label is the likeliest
