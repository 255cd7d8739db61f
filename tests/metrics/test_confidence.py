"""Calibration scores against torchmetrics, scikit-learn and tables worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from emotion_llama.errors import UsageError
from emotion_llama.metrics.confidence import (
    calibrated_ece_bias,
    check_probabilities,
    confidence_statistic,
    half_open_ece,
    mass_bins,
    null_ece,
    reliability,
    stated_reliability,
    stated_statistic,
    top,
    width_bins,
)
from emotion_llama.metrics.statistic import Statistic


def made(n: int = 500, k: int = 6, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n, k))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return p, rng.integers(0, k, n)


def finished(statistic: Statistic, weights: NDArray[np.float64] | None = None) -> dict[str, float]:
    w = np.ones(len(statistic.cells)) if weights is None else weights
    kept = statistic.cells >= 0
    counts = np.bincount(statistic.cells[kept], weights=w[kept], minlength=statistic.n_cells)
    sums = w @ statistic.columns.astype(np.float64)
    return {name: float(values[0]) for name, values in statistic.finish(counts[None], sums[None]).items()}


def test_against_torchmetrics_and_scikit_learn() -> None:
    p, y = made()
    scores = finished(confidence_statistic(p, y))
    theirs = multiclass_calibration_error(torch.tensor(p), torch.tensor(y), num_classes=6, n_bins=15, norm="l1")
    assert scores["ece"] == pytest.approx(float(theirs), abs=1e-6)
    classes = [binary_calibration_error(torch.tensor(p[:, c]), torch.tensor(y == c).int(), n_bins=15) for c in range(6)]
    assert scores["ece_class"] == pytest.approx(float(torch.stack(classes).mean()), abs=1e-6)
    assert scores["nll"] == pytest.approx(log_loss(y, p, labels=range(6)), rel=1e-6)
    assert scores["brier"] == pytest.approx(brier_score_loss(y, p, labels=range(6), scale_by_half=False), rel=1e-6)
    assert scores["accuracy_top"] == pytest.approx((p.argmax(1) == y).mean())
    assert scores["mean_confidence"] == pytest.approx(p.max(1).mean(), abs=1e-6)


def test_numbers_on_an_edge_differ_from_torchmetrics_as_stated() -> None:
    # .4 = 6/15 lies on an edge: ours is with .38 in (5/15, 6/15], theirs with .43 in [6/15, 7/15)
    c, k = np.array([0.38, 0.4, 0.43]), np.array([True, False, True])
    scores = finished(stated_statistic(c, k))
    assert scores["ece"] == pytest.approx((abs(1 - 0.38 - 0.4) + 0.57) / 3, abs=1e-6)
    theirs = binary_calibration_error(torch.tensor(c), torch.tensor(k).int(), n_bins=15)
    assert float(theirs) == pytest.approx((0.62 + abs(1 - 0.4 - 0.43)) / 3, abs=1e-6)


def test_worked_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.92, 0.08], [0.3, 0.7], [0.5, 0.5], [1.0, 0.0]])
    y = np.array([0, 1, 1, 0, 0])
    scores = finished(confidence_statistic(p, y))
    # bins of 1/15: .9 and .92 share (13/15, 14/15]; .7, .5 and 1 stand alone; the .5 tie names the first class
    assert scores["ece"] == pytest.approx((abs(1 - 1.82) + 0.3 + 0.5 + 0.0) / 5, abs=1e-6)
    # five clips, five bins of one
    assert scores["ece_mass"] == pytest.approx((0.1 + 0.92 + 0.3 + 0.5 + 0.0) / 5, abs=1e-6)
    # two classes: the second mirrors the first (.08 and .1 share (1/15, 2/15])
    assert scores["ece_class"] == pytest.approx((0.82 + 0.3 + 0.5) / 5, abs=1e-6)
    assert scores["brier"] == pytest.approx(2 * (0.01 + 0.92**2 + 0.09 + 0.25) / 5, rel=1e-6)
    assert scores["nll"] == pytest.approx(-np.log([0.9, 0.08, 0.7, 0.5, 1.0]).mean(), rel=1e-6)
    assert scores["accuracy_top"] == 0.8


def test_a_truth_of_probability_zero_costs_the_stated_clip() -> None:
    scores = finished(confidence_statistic([[1.0, 0.0]], [1]))
    assert scores["nll"] == pytest.approx(-math.log(1e-12), rel=1e-6)
    assert scores["brier"] == 2.0 and scores["ece"] == 1.0


@pytest.mark.parametrize("bins", [10, 15])
def test_bins_are_closed_on_the_right_at_every_edge(bins: int) -> None:
    edges = np.array([float(f"{b / bins:.17g}") for b in range(bins + 1)])
    assert width_bins(edges, bins).tolist() == [0, *range(bins)]
    assert width_bins(np.nextafter(edges[:-1], 1), bins).tolist() == list(range(bins))


def test_equal_mass_bins_keep_ties_together() -> None:
    values = np.array([0.9] * 6 + [0.1, 0.2, 0.3, 0.95])
    assert mass_bins(values, 5).tolist() == [1] * 6 + [0, 0, 1, 4]
    assert np.bincount(mass_bins(np.random.default_rng(0).random(45), 15)).tolist() == [3] * 15


def test_reliability_bars() -> None:
    rows = stated_reliability([0.0, 0.05, 0.95, 1.0], [False, True, True, False], bins=10)
    assert rows[0] == (0.0, 0.1, 2, pytest.approx(0.025), 0.5)
    assert rows[5] == (0.5, 0.6, 0, None, None)
    assert rows[9] == (0.9, 1.0, 2, pytest.approx(0.975), 0.5)
    p, y = made()
    bars = [(n, c, a) for _, _, n, c, a in reliability(p, y) if c is not None and a is not None]
    assert sum(n for n, _, _ in bars) == len(y)
    ece = sum(n * abs(c - a) for n, c, a in bars) / len(y)
    assert finished(confidence_statistic(p, y))["ece"] == pytest.approx(ece, abs=1e-6)


def test_vecbench_code_drops_a_confidence_of_one() -> None:
    assert half_open_ece([1.0, 1.0, 1.0], [True, False, False]) == (0.0, 3)
    ece, dropped = half_open_ece([0.95, 1.0, 0.35, 0.3], [False, False, False, True])
    # its edge of .3 is 0.30000000000000004, so that .3 stands in [.2, .3) and .35 in [.3, .4)
    assert (ece, dropped) == (pytest.approx((0.95 + 0.35 + 0.7) / 4), 1)
    scores = finished(stated_statistic([0.95, 1.0, 0.35, 0.3], [False, False, False, True]))
    assert scores["ece_vec"] == pytest.approx(ece, abs=1e-6)
    assert scores["ece_vec_dropped_rate"] == 0.25
    assert scores["brier_binary"] == pytest.approx((0.95**2 + 1 + 0.35**2 + 0.7**2) / 4, rel=1e-6)


def test_stated_confidence_of_the_top_class_gives_the_same_ece() -> None:
    p, y = made(seed=3)
    stated = finished(stated_statistic(*top(p, y), prefix="s_"))
    assert stated["s_ece"] == pytest.approx(finished(confidence_statistic(p, y))["ece"])


@pytest.mark.parametrize(("n", "expected"), [(100, 0.087), (10_000, 0.0088)])
def test_a_calibrated_system_has_the_known_bias(n: int, expected: float) -> None:
    median, low, high = calibrated_ece_bias(n)
    assert median == pytest.approx(expected, rel=0.08)
    assert 0 < low < median < high < 2 * median
    assert calibrated_ece_bias(n, least=0.0)[0] > 1.25 * median


def test_null_ece_covers_a_calibrated_system_and_not_one_that_is_too_sure() -> None:
    p, _ = made(n=2000)
    rng = np.random.default_rng(5)
    y = (rng.random(2000)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, 5)
    median, low, high = null_ece(p, seed=1)
    assert low < median < high
    assert low * 0.8 < finished(confidence_statistic(p, y))["ece"] < high * 1.2
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert finished(confidence_statistic(sharp, y))["ece"] > 3 * null_ece(sharp, seed=1)[2]
    assert null_ece(p, seed=1) == (median, low, high)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=12, max_size=12).filter(any), st.integers(0, 50))
def test_a_weight_is_a_repetition(weights: list[int], seed: int) -> None:
    p, y = made(n=12, k=3, seed=seed)
    w = np.array(weights)
    again = np.repeat(np.arange(12), w)
    drawn = finished(confidence_statistic(p, y), w.astype(float))
    listed = finished(confidence_statistic(p[again], y[again]))
    # equal-mass edges stay those of the whole sample in a draw, and move in a new sample
    del drawn["ece_mass"], listed["ece_mass"]
    assert drawn == pytest.approx(listed, abs=1e-6)
    c, k = top(p, y)
    assert finished(stated_statistic(c, k), w.astype(float)) == pytest.approx(
        finished(stated_statistic(c[again], k[again])), abs=1e-6
    )


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(10)), st.permutations(range(4)))
def test_order_of_clips_and_classes_does_not_matter(clips: list[int], classes: list[int]) -> None:
    p, y = made(n=10, k=4, seed=7)
    expected = finished(confidence_statistic(p, y))
    assert finished(confidence_statistic(p[clips], y[clips])) == pytest.approx(expected, abs=1e-6)
    renamed = np.argsort(classes)[y]
    assert finished(confidence_statistic(p[:, classes], renamed)) == pytest.approx(expected, abs=1e-6)


def test_no_clips_give_no_score() -> None:
    empty = finished(confidence_statistic(np.zeros((0, 3)), []))
    assert all(math.isnan(value) for value in empty.values())
    assert math.isnan(half_open_ece([], [])[0]) and math.isnan(null_ece(np.zeros((0, 3)), seed=0)[0])


def test_a_hundred_thousand_clips_stay_small() -> None:
    p, y = made(n=1000, k=8)
    statistic = confidence_statistic(p, y, prefix="x_")
    assert statistic.columns.dtype == np.float32
    assert statistic.columns.nbytes * 100 < 200e6
    assert set(finished(statistic)) == {
        f"x_{name}" for name in ("ece", "ece_mass", "ece_class", "brier", "nll", "mean_confidence", "accuracy_top")
    }


@pytest.mark.parametrize(
    ("probabilities", "truth", "words"),
    [
        ([[0.5, 0.5], [0.9, 0.3]], [0, 1], "row 1 of the probabilities"),
        ([[1.5, -0.5]], [0], "row 0 of the probabilities"),
        ([[float("nan"), 1.0]], [0], "row 0 of the probabilities"),
        ([[0.5, 0.5]], [2], "row 0 of the truth: expected a class index from 0 to 1, found 2"),
        ([[0.5, 0.5]], [-1], "row 0 of the truth"),
        ([[0.5, 0.5]], [0, 1], "found \\(1, 2\\) and \\(2,\\)"),
        ([[1.0]], [0], "two or more classes"),
    ],
)
def test_bad_input_is_named(probabilities: list[list[float]], truth: list[int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_probabilities(probabilities, truth)


@pytest.mark.parametrize("value", [1.2, -0.1, float("nan")])
def test_a_bad_stated_confidence_is_named(value: float) -> None:
    with pytest.raises(UsageError, match="row 1 of the confidences"):
        stated_statistic([0.5, value], [True, True])
