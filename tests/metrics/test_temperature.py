"""Temperature scaling finds back a temperature that was put in."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from emotion_llama.errors import UsageError
from emotion_llama.metrics.temperature import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    apply_temperature,
    fit_temperature,
)


def calibrated(n: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    p = np.exp(log_softmax(1.5 * rng.normal(size=(n, 5)), axis=1))
    y = (rng.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, 4)
    return p, y


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_recovered(true: float) -> None:
    p, y = calibrated(20_000)
    # a system too sure by `true` needs just that temperature to be calibrated again
    too_sure = apply_temperature(p, 1 / true)
    assert fit_temperature(too_sure, y) == pytest.approx(true, rel=0.03)
    assert log_loss(y, apply_temperature(too_sure, true)) == pytest.approx(log_loss(y, p))


def test_against_scipy() -> None:
    p, _ = calibrated(300, seed=4)
    y = np.random.default_rng(4).integers(0, 5, 300)
    y[:150] = p[:150].argmax(axis=1)

    def loss(temperature: float) -> float:
        return float(-log_softmax(np.log(p) / temperature, axis=1)[np.arange(300), y].mean())

    best = minimize_scalar(loss, bounds=(MIN_TEMPERATURE, MAX_TEMPERATURE), method="bounded", options={"xatol": 1e-9})
    assert fit_temperature(p, y) == pytest.approx(best.x, rel=1e-5)


def test_bounds_are_kept() -> None:
    p = np.array([[0.6, 0.4], [0.3, 0.7]])
    assert fit_temperature(p, [0, 1]) == pytest.approx(MIN_TEMPERATURE)
    assert fit_temperature(p, [1, 0]) == pytest.approx(MAX_TEMPERATURE)
    assert fit_temperature([[0.5, 0.5], [0.5, 0.5]], [0, 1]) == 1.0


def test_order_of_clips_and_classes_does_not_matter() -> None:
    p, y = calibrated(400, seed=2)
    expected = fit_temperature(p, y)
    rng = np.random.default_rng(0)
    clips, classes = rng.permutation(400), rng.permutation(5)
    assert fit_temperature(p[clips], y[clips]) == pytest.approx(expected)
    assert fit_temperature(p[:, classes], np.argsort(classes)[y]) == pytest.approx(expected)


def test_apply() -> None:
    p = np.array([[0.8, 0.2], [0.0, 1.0]])
    assert apply_temperature(p, 1.0) == pytest.approx(p, abs=1e-11)
    assert apply_temperature(p, 2.0)[0] == pytest.approx([2 / 3, 1 / 3])
    assert apply_temperature(p, 0.5)[0] == pytest.approx([16 / 17, 1 / 17])
    assert np.isfinite(apply_temperature(p, MIN_TEMPERATURE)).all()
    assert apply_temperature(p, 20.0).sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_none(temperature: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        apply_temperature([[0.5, 0.5]], temperature)


def test_nothing_to_fit_on() -> None:
    with pytest.raises(UsageError, match="at least one validation clip"):
        fit_temperature(np.zeros((0, 3)), [])
