"""Paired tests: against scipy, complete enumeration and simulated systems that are equal."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, kstest

from emotion_llama.errors import UsageError
from emotion_llama.metrics.classes import class_statistic, mer2023_statistic
from emotion_llama.metrics.paired import mcnemar, paired_differences, permutation_p
from emotion_llama.metrics.statistic import Statistic


def answers(truth: NDArray[np.int64], right: NDArray[np.bool_]) -> Statistic:
    """A two-class system that is right where it is said to be."""
    return class_statistic(truth, np.where(right, truth, 1 - truth), 2, over="present")


@pytest.mark.parametrize(
    ("n01", "n10"), [(0, 0), (1, 0), (0, 6), (5, 5), (3, 9), (40, 60), (480, 520), (49_000, 50_000), (40_000, 60_000)]
)
def test_mcnemar_is_the_exact_binomial_test(n01: int, n10: int) -> None:
    right_a = np.repeat([True, False, True, False], [n10, n01, 7, 3])
    right_b = np.repeat([False, True, True, False], [n10, n01, 7, 3])
    found = mcnemar(right_a, right_b)
    expected = binomtest(n01, n01 + n10).pvalue if n01 + n10 else 1.0
    assert (found.n01, found.n10) == (n01, n10)
    assert found.p == pytest.approx(expected, rel=1e-8)


def test_mcnemar_wants_the_same_clips() -> None:
    with pytest.raises(UsageError, match="found 2 and 1"):
        mcnemar(np.array([True, False]), np.array([True]))


def test_differences_are_b_minus_a_with_the_paired_spread() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 1_000)
    right_a = rng.random(1_000) < 0.7
    right_b = right_a | (rng.random(1_000) < 0.2)
    a, b = answers(truth, right_a), answers(truth, right_b)
    found = paired_differences([a], [b], n=1_000, groups=None, draws=4_000, seed=0)["war"]
    gain = right_b.mean() - right_a.mean()
    half = 1.96 * np.std(right_b.astype(float) - right_a) / np.sqrt(1_000)
    assert (found.a, found.b) == (pytest.approx(right_a.mean()), pytest.approx(right_b.mean()))
    assert found.difference.value == pytest.approx(gain)
    assert found.difference.low == pytest.approx(gain - half, abs=0.003)
    assert found.difference.high == pytest.approx(gain + half, abs=0.003)
    assert found.p_bootstrap == pytest.approx(2 / 4_001)
    assert found.p_permutation is None


def test_a_system_against_itself_does_not_differ() -> None:
    truth = np.arange(60) % 2
    one = answers(truth, np.arange(60) % 3 > 0)
    found = paired_differences([one], [one], n=60, groups=np.arange(60) % 5, draws=100, seed=0)["uar"]
    assert (found.difference.value, found.difference.low, found.difference.high) == (0.0, 0.0, 0.0)
    assert found.p_bootstrap == 1.0
    assert permutation_p(one, one, groups=None, draws=50, seed=0)["uar"] == 1.0


def test_only_scores_of_both_systems_are_compared() -> None:
    truth, valence = np.arange(20) % 2, np.linspace(-1, 1, 20)
    one = answers(truth, np.ones(20, bool))
    more = mer2023_statistic(truth, truth, 2, valence, valence)
    found = paired_differences([one], [one, more], n=20, groups=None, draws=20, seed=0)
    assert "war" in found and "mer2023_score" not in found


def test_an_undefined_score_has_no_difference() -> None:
    truth = np.zeros(20, np.int64)
    one = answers(truth, np.arange(20) % 2 == 0)
    found = paired_differences([one], [one], n=20, groups=None, draws=20, seed=0)["recall:1"]
    assert (found.a, found.b, found.difference.value, found.p_bootstrap) == (None, None, None, None)
    assert permutation_p(one, one, groups=None, draws=20, seed=0)["recall:1"] is None


def test_permutation_agrees_with_all_permutations() -> None:
    truth = np.arange(12) % 2
    right_a = np.array([1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1], bool)
    right_b = np.array([1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 0], bool)
    found = permutation_p(answers(truth, right_a), answers(truth, right_b), groups=None, draws=20_000, seed=0)
    change = right_b.astype(int) - right_a
    sums = [
        abs(sum(sign * one for sign, one in zip(signs, change, strict=True))) for signs in product((1, -1), repeat=12)
    ]
    expected = np.mean([one >= abs(change.sum()) for one in sums])
    assert found["war"] == pytest.approx(expected, abs=0.01)


def test_permutation_swaps_columns_with_their_clips() -> None:
    rng = np.random.default_rng(3)
    truth, valence = rng.integers(0, 2, 8), rng.normal(size=8)
    said_a, said_b = valence + rng.normal(size=8), valence + 0.2 * rng.normal(size=8)
    a, b = (mer2023_statistic(truth, truth, 2, valence, said) for said in (said_a, said_b))
    found = permutation_p(a, b, groups=None, draws=20_000, seed=0)
    change = (said_b - valence) ** 2 - (said_a - valence) ** 2
    sums = [abs(np.dot(signs, change)) for signs in product((1, -1), repeat=8)]
    assert found["valence_mse"] == pytest.approx(np.mean(np.array(sums) >= abs(change.sum()) - 1e-6), abs=0.01)


def test_permutation_by_speaker_sees_that_clips_of_one_speaker_are_one_experiment() -> None:
    groups = np.repeat(np.arange(4), 25)
    truth = np.arange(100) % 2
    a, b = answers(truth, groups < 1), answers(truth, groups < 3)  # two of four speakers turn from wrong to right
    assert permutation_p(a, b, groups=None, draws=2_000, seed=0)["war"] == pytest.approx(1 / 2_001)
    by_speaker = permutation_p(a, b, groups=groups, draws=2_000, seed=0)["war"]
    assert by_speaker == pytest.approx(0.5, abs=0.04)  # both swapped, or none: 2 of 4 cases


def test_p_values_of_equal_systems_are_uniform() -> None:
    rng = np.random.default_rng(11)
    truth = np.arange(201) % 2
    p_bootstrap, p_permutation = [], []
    for seed in range(150):
        a, b = (answers(truth, rng.random(201) < 0.6) for _ in range(2))
        difference = paired_differences([a], [b], n=201, groups=None, draws=200, seed=seed)["uar"]
        p_bootstrap.append(difference.p_bootstrap)
        p_permutation.append(permutation_p(a, b, groups=None, draws=200, seed=seed)["uar"])
    for p in (p_bootstrap, p_permutation):
        assert kstest(np.array(p, float), "uniform").pvalue > 0.01
        assert np.mean(np.array(p, float) < 0.1) == pytest.approx(0.1, abs=0.06)


def test_statistics_of_other_clips_are_refused() -> None:
    one, other = answers(np.array([0, 1]), np.array([True, True])), answers(np.array([0]), np.array([True]))
    with pytest.raises(UsageError, match="on the same clips, found 2 clips"):
        permutation_p(one, other, groups=None, draws=10, seed=0)
    with pytest.raises(UsageError, match="statistics of 2 clips"):
        paired_differences([one], [other], n=2, groups=None, draws=10, seed=0)
