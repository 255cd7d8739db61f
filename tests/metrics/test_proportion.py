"""Wilson's interval against scipy's, and at its ends."""

from __future__ import annotations

import pytest

from emotion_llama.metrics.proportion import wilson_interval


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (37, 61), (999, 1000)])
def test_as_scipy(successes: int, n: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    interval = stats.binomtest(successes, n).proportion_ci(0.95, "wilson")
    assert wilson_interval(successes, n) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_within_0_and_1_and_never_empty() -> None:
    for n in (1, 2, 5, 500):
        for successes in {0, 1, n // 2, n}:
            low, high = wilson_interval(successes, n)
            assert 0 <= low <= successes / n <= high <= 1 and high - low > 0


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_impossible_counts(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="expected 0 <= successes"):
        wilson_interval(successes, n)
