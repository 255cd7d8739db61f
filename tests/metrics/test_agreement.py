"""Agreement against scikit-learn and the worked examples of those who defined the coefficients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from emotion_llama.errors import UsageError
from emotion_llama.evaluate.judge.agreement import krippendorff_alpha as interval_alpha
from emotion_llama.metrics.agreement import (
    Level,
    Weights,
    category_counts,
    cohen_kappa,
    cohen_kappa_by_class,
    fleiss_kappa,
    fleiss_kappa_by_class,
    krippendorff_alpha,
    krippendorff_alpha_by_class,
    percent_agreement,
)

_ = math.nan
# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units
FOUR_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
)
# Fleiss 1971, table 1: diagnoses of 30 patients by six psychiatrists
DIAGNOSES = np.array(
    [
        [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0], [2, 0, 4, 0, 0],
        [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6], [1, 0, 0, 5, 0], [1, 1, 0, 4, 0],
        [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1], [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0],
        [0, 2, 0, 4, 0], [1, 0, 2, 0, 3], [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0],
        [1, 0, 0, 4, 1], [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
    ]
)  # fmt: skip


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_that_of_the_published_example_with_missing_ratings(level: Level, published: float) -> None:
    assert krippendorff_alpha(FOUR_OBSERVERS, level) == pytest.approx(published, abs=5e-4)


def test_alpha_is_that_of_the_published_examples_of_two_observers() -> None:
    # section A (two categories) and section B (letters a to e) of the same paper
    binary = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], np.float64)
    letters = np.array([[ord(letter) for letter in row] for row in ("aabbdcccedda", "babbbccceddd")], np.float64)
    assert krippendorff_alpha(binary) == pytest.approx(0.095, abs=5e-4)
    assert krippendorff_alpha(letters) == pytest.approx(0.692, abs=5e-4)


def test_interval_alpha_is_that_of_the_judges(rng: np.random.Generator) -> None:
    ratings = rng.integers(0, 6, (4, 60)).astype(np.float64)
    ratings[rng.random(ratings.shape) < 0.3] = np.nan
    assert krippendorff_alpha(ratings, "interval") == pytest.approx(interval_alpha(ratings), abs=1e-12)


def test_fleiss_kappa_is_that_of_the_published_example() -> None:
    assert fleiss_kappa(DIAGNOSES) == pytest.approx(0.430, abs=5e-4)
    assert fleiss_kappa_by_class(DIAGNOSES) == pytest.approx((0.245, 0.245, 0.520, 0.471, 0.566), abs=6e-4)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohen_kappa_is_that_of_scikit_learn(weights: Weights | None, rng: np.random.Generator) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    first = rng.integers(0, 5, 200)  # a sixth category is never used
    second = np.where(rng.random(200) < 0.6, first, rng.integers(0, 5, 200))
    wanted = metrics.cohen_kappa_score(first, second, labels=range(6), weights=weights)
    assert cohen_kappa(first, second, 6, weights=weights) == pytest.approx(wanted, abs=1e-12)


def test_by_class_holds_one_category_against_the_others(rng: np.random.Generator) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    first = rng.integers(0, 3, 100)
    second = np.where(rng.random(100) < 0.7, first, rng.integers(0, 3, 100))
    wanted = [metrics.cohen_kappa_score(first == one, second == one) for one in range(3)]
    assert cohen_kappa_by_class(first, second, 4) == (*map(pytest.approx, wanted), None)
    ratings = np.stack([first, second]).astype(np.float64)
    alone = krippendorff_alpha((ratings == 1).astype(np.float64))
    assert krippendorff_alpha_by_class(ratings, 4)[1::2] == (alone, None)


def test_percent_agreement_is_the_mean_share_of_equal_pairs() -> None:
    ratings = np.array([[1, 1, 2, _], [1, 2, _, _], [1, 2, 2, 5]])
    assert percent_agreement(ratings) == pytest.approx((1 + 1 / 3 + 1) / 3)


def test_nothing_is_told_where_one_category_alone_was_used() -> None:
    same = np.ones((3, 8))
    assert krippendorff_alpha(same) is None and krippendorff_alpha(same, "ordinal") is None
    assert fleiss_kappa(category_counts(same, 3)) is None
    assert cohen_kappa(np.ones(8, np.int64), np.ones(8, np.int64), 3) is None
    assert percent_agreement(same) == 1.0


def test_full_agreement_is_one_and_opposite_raters_are_below_chance() -> None:
    first = np.array([0, 1, 0, 1])
    assert cohen_kappa(first, first, 2) == 1.0 and cohen_kappa(first, 1 - first, 2) == -1.0
    both = np.stack([first, first]).astype(np.float64)
    assert krippendorff_alpha(both) == 1.0 and fleiss_kappa(category_counts(both, 2)) == 1.0


def _counts(*rows: list[int]) -> NDArray[np.int64]:
    return np.array(rows, np.int64).reshape(len(rows), -1)


def test_too_few_raters_or_items_are_refused() -> None:
    none = np.array([], np.int64)
    with pytest.raises(UsageError, match="at least two raters"):
        krippendorff_alpha(np.ones((1, 5)))
    with pytest.raises(UsageError, match="found none"):
        krippendorff_alpha(np.array([[1, _], [_, 2]]))
    with pytest.raises(UsageError, match="found none"):
        percent_agreement(np.zeros((2, 0)))
    with pytest.raises(UsageError, match="found 0 and 0"):
        cohen_kappa(none, none, 2)
    with pytest.raises(UsageError, match="found 2 to 3"):
        fleiss_kappa(_counts([2, 0], [1, 2]))
    with pytest.raises(UsageError, match="no item"):
        fleiss_kappa(np.zeros((0, 3), np.int64))
    with pytest.raises(UsageError, match="at least two"):
        fleiss_kappa(_counts([1, 0], [0, 1]))


def test_numbers_outside_the_categories_are_refused() -> None:
    with pytest.raises(UsageError, match="0 to 1, found 2"):
        cohen_kappa(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(UsageError, match=r"0 to 2, found 1\.5"):
        category_counts(np.array([[0, 1.5]]), 3)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
