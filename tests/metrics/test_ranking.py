"""AUROC against scikit-learn, AURC against a plain loop over thresholds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from emotion_llama.errors import UsageError
from emotion_llama.metrics.ranking import rank_statistic, risk_coverage

# few different numbers, so that ties are common
ANSWERS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30)


def scores(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> dict[str, float]:
    statistic = rank_statistic(confidence, correct)
    return statistic.finish(np.ones(statistic.n))


def arrays(answers: list[tuple[int, bool]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.array([c / 6 for c, _ in answers]), np.array([k for _, k in answers])


def naive_aurc(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> float:
    return float(np.mean([1 - correct[confidence >= threshold].mean() for threshold in confidence]))


@settings(max_examples=50, deadline=None)
@given(ANSWERS)
def test_against_scikit_learn_and_a_loop(answers: list[tuple[int, bool]]) -> None:
    c, k = arrays(answers)
    found = scores(c, k)
    assert found["aurc"] == pytest.approx(naive_aurc(c, k))
    if 0 < k.sum() < len(k):
        assert found["auroc"] == pytest.approx(roc_auc_score(k, c))
    else:
        assert math.isnan(found["auroc"])
    assert found["e_aurc"] >= -1e-12


@settings(max_examples=50, deadline=None)
@given(ANSWERS, st.data())
def test_a_weight_is_a_repetition_and_order_does_not_matter(
    answers: list[tuple[int, bool]], data: st.DataObject
) -> None:
    c, k = arrays(answers)
    n = len(c)
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any)))
    again = np.random.default_rng(0).permutation(np.repeat(np.arange(n), weights))
    drawn = rank_statistic(c, k).finish(weights.astype(np.float64))
    assert drawn == pytest.approx(scores(c[again], k[again]), nan_ok=True)


def test_large_sample_against_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    c = rng.random(20_000)
    k = rng.random(20_000) < c
    assert scores(c, k)["auroc"] == pytest.approx(roc_auc_score(k, c), abs=1e-12)
    # risk at coverage t is t/2 for this system, so that the area is 1/4
    assert scores(c, k)["aurc"] == pytest.approx(0.25, abs=0.01)


def test_worked_by_hand() -> None:
    c, k = np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False])
    found = scores(c, k)
    # pairs: .9 beats both wrong ones, .8 beats .1 and ties with .8
    assert found["auroc"] == pytest.approx(3.5 / 4)
    assert found["aurc"] == pytest.approx((0 + 1 / 3 + 1 / 3 + 1 / 2) / 4)
    assert found["e_aurc"] == pytest.approx(found["aurc"] - (0.5 + 0.5 * math.log(0.5)))
    assert risk_coverage(c, k) == [(0.25, 0.0), (0.75, pytest.approx(1 / 3)), (1.0, 0.5)]


def test_extremes() -> None:
    c, half = np.linspace(0, 1, 1000), np.arange(1000) >= 500
    assert scores(c, half)["auroc"] == 1.0
    assert scores(c, half)["e_aurc"] == pytest.approx(0, abs=1e-3)
    assert scores(c, ~half)["auroc"] == 0.0
    assert scores(np.full(1000, 0.7), half) == pytest.approx(
        {"auroc": 0.5, "aurc": 0.5, "e_aurc": 0.5 - (0.5 + 0.5 * math.log(0.5))}
    )
    wrong = scores(c, np.zeros(1000, dtype=np.bool_))
    assert math.isnan(wrong["auroc"]) and (wrong["aurc"], wrong["e_aurc"]) == (1.0, 0.0)
    assert all(math.isnan(value) for value in scores(np.zeros(0), np.zeros(0, dtype=np.bool_)).values())


def test_a_prefix_names_the_scores() -> None:
    assert set(rank_statistic([0.5, 0.6], [True, False], "x_").finish(np.ones(2))) == {"x_auroc", "x_aurc", "x_e_aurc"}


def test_risk_coverage_is_thinned_to_reachable_points() -> None:
    rng = np.random.default_rng(2)
    c = rng.random(5000)
    k = rng.random(5000) < c
    curve = risk_coverage(c, k, points=50)
    assert len(curve) == 50
    assert [coverage for coverage, _ in curve] == pytest.approx([step / 50 for step in range(1, 51)])
    assert curve[-1] == (1.0, pytest.approx(1 - k.mean()))
    assert curve[9][1] == pytest.approx(1 - k[np.argsort(-c)[:1000]].mean())
    assert len(risk_coverage(c[:7], k[:7])) == 7
    assert risk_coverage([], []) == []


def test_different_lengths_are_an_error() -> None:
    with pytest.raises(UsageError, match="one length"):
        rank_statistic([0.1, 0.2], [True])
