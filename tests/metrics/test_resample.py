"""Bootstrap draws and intervals: against closed forms, hand counts and the law that a draw is clips listed again."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emotion_llama.errors import UsageError
from emotion_llama.metrics.confidence import confidence_statistic
from emotion_llama.metrics.resample import draw_scores, draw_weights, intervals, point_scores, speaker_codes
from emotion_llama.metrics.statistic import RankStatistic, Scores, Statistic


def _share(name: str, counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
    return {name: counts[:, 1] / counts.sum(axis=1)}


def _mean(name: str, counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
    return {name: sums[:, 0] / sums[:, 1]}


def share_of_ones(cells: NDArray[np.int64], name: str = "share") -> Statistic:
    return Statistic(cells, 2, np.zeros((len(cells), 0), np.float32), partial(_share, name))


def mean_of(values: NDArray[np.float64], name: str = "mean") -> Statistic:
    columns = np.stack([values, np.ones(len(values))], axis=1).astype(np.float32)
    return Statistic(np.full(len(values), -1), 1, columns, partial(_mean, name))


def all_weights(n: int, groups: NDArray[np.int64] | None, draws: int, seed: int, block: int | None = None) -> NDArray:
    return np.concatenate(list(draw_weights(n, groups, draws, seed, block)))


@pytest.mark.parametrize(
    ("speakers", "codes"),
    [
        (["a", "b", "a"], [0, 1, 0]),
        (["a", None, "a", None], [0, 1, 0, 2]),
        ([None, None], None),
        (["a", "a"], None),
        (["a", "b"], None),
        (["a", None], None),
        ([], None),
        (["", "x", ""], [0, 1, 0]),
    ],
)
def test_speakers_get_codes_only_where_drawing_them_matters(
    speakers: list[str | None], codes: list[int] | None
) -> None:
    found = speaker_codes(speakers)
    assert (found is None) == (codes is None)
    if found is not None and codes is not None:
        assert found.tolist() == codes


def test_a_draw_without_speakers_has_n_clips() -> None:
    weights = all_weights(50, None, 400, seed=1)
    assert weights.shape == (400, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(50), abs=0.25)
    assert weights.var() == pytest.approx(1 - 1 / 50, abs=0.05)  # a binomial count's variance


def test_a_draw_with_speakers_takes_whole_speakers() -> None:
    sizes = np.array([1, 10, 40])
    groups = np.repeat([2, 0, 1], sizes)  # speaker codes need no order
    weights = all_weights(51, groups, 2_000, seed=2)
    per_speaker = np.stack([weights[:, groups == code].sum(axis=1) for code in (2, 0, 1)], axis=1)
    times = per_speaker / sizes
    assert (times == times.round()).all()
    assert (times.sum(axis=1) == 3).all()
    assert times.mean(axis=0) == pytest.approx(np.ones(3), abs=0.08)
    assert len(np.unique(weights[:, groups == 1], axis=0)) > 1_000  # clips inside a speaker are drawn, not kept


def test_a_speaker_drawn_twice_gives_two_inner_draws() -> None:
    groups = np.repeat([0, 1], 20)
    weights = all_weights(40, groups, 500, seed=3)
    twice = weights[weights[:, :20].sum(axis=1) == 40][:, :20]
    assert len(twice) > 50
    assert (twice % 2 == 1).any(axis=1).mean() > 0.9  # the same inner draw twice would give even counts only


@given(block=st.integers(1, 40), seed=st.integers(0, 5), grouped=st.booleans())
@settings(max_examples=20, deadline=None)
def test_draws_depend_on_the_seed_not_on_the_block(block: int, seed: int, grouped: bool) -> None:
    groups = np.arange(12) % 4 if grouped else None
    expected = all_weights(12, groups, 25, seed)
    assert (all_weights(12, groups, 25, seed, block) == expected).all()
    assert not (all_weights(12, groups, 25, seed + 1, block) == expected).all()


def test_a_draw_scores_like_the_clips_listed_again() -> None:
    rng = np.random.default_rng(0)
    cells, values = rng.integers(-1, 2, 30), rng.random(30)
    shares, means = draw_scores([share_of_ones(cells), mean_of(values)], n=30, groups=None, draws=20, seed=7)
    for row, share, mean in zip(all_weights(30, None, 20, 7), shares["share"], means["mean"], strict=True):
        again = np.repeat(np.arange(30), row.astype(int))
        counted = cells[again][cells[again] >= 0]
        assert share == pytest.approx(counted.mean())
        assert mean == pytest.approx(values[again].mean(), rel=1e-5)


@pytest.mark.parametrize("whole", [False, True])
def test_alike_clips_drawn_together_have_the_same_distribution(whole: bool) -> None:
    cells = (np.arange(400) < 120).astype(np.int64)
    scores = draw_scores([share_of_ones(cells)], n=400, groups=None, draws=4_000, seed=5, whole=whole)[0]["share"]
    assert scores.mean() == pytest.approx(0.3, abs=0.002)
    assert scores.std() == pytest.approx(np.sqrt(0.3 * 0.7 / 400), rel=0.04)


def test_all_statistics_see_the_same_draws() -> None:
    cells = (np.arange(600) % 3 == 0).astype(np.int64)
    one, other = draw_scores([share_of_ones(cells), share_of_ones(1 - cells)], n=600, groups=None, draws=50, seed=0)
    assert one["share"] + other["share"] == pytest.approx(np.ones(50))


def test_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(4).normal(3.0, 2.0, 500)
    metric = intervals([mean_of(values)], [], n=500, groups=None, draws=4_000, seed=0)["mean"]
    half = 1.96 * values.std() / np.sqrt(500)
    assert metric.value == pytest.approx(values.mean(), rel=1e-6)
    assert metric.low == pytest.approx(values.mean() - half, abs=0.02)
    assert metric.high == pytest.approx(values.mean() + half, abs=0.02)
    assert metric.n == 500


def test_clips_of_few_speakers_widen_the_interval() -> None:
    groups = np.repeat(np.arange(10), 40)
    cells = (groups < 6).astype(np.int64)  # a speaker is all right or all wrong
    alone = intervals([share_of_ones(cells)], [], n=400, groups=None, draws=2_000, seed=0)["share"]
    grouped = intervals([share_of_ones(cells)], [], n=400, groups=groups, draws=2_000, seed=0)["share"]
    assert alone.value == grouped.value == 0.6
    assert grouped.high is not None and grouped.low is not None and alone.high is not None and alone.low is not None
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * np.sqrt(0.24 / 400), abs=0.01)
    assert grouped.high - grouped.low == pytest.approx(2 * 1.96 * np.sqrt(0.24 / 10), abs=0.05)


def test_rank_statistics_share_the_pass_and_stop_at_a_thousand_draws_when_there_are_many_clips() -> None:
    seen: list[float] = []

    def finish(weights: NDArray[np.float64]) -> dict[str, float]:
        seen.append(weights.sum())
        return {"first": float(weights[0])}

    n = 10_001
    found = intervals([], [RankStatistic(n, finish)], n=n, groups=None, draws=1_200, seed=0)
    assert len(seen) == 1 + 1_000
    assert set(seen) == {n}
    assert found["first"].value == 1.0
    assert found["first"].low == 0.0
    seen.clear()
    intervals([], [RankStatistic(20, finish)], n=20, groups=None, draws=1_200, seed=0)
    assert len(seen) == 1 + 1_200


def test_undefined_draws_are_left_out_and_an_undefined_score_is_none() -> None:
    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        ones = counts[:, 1]
        return {"present": np.where(ones > 0, 1.0, np.nan), "never": np.full(len(counts), np.nan)}

    cells = np.array([1, 0, 0, 0])
    statistic = Statistic(cells, 2, np.zeros((4, 0), np.float32), finish)
    found = intervals([statistic], [], n=4, groups=None, draws=200, seed=0)
    assert (found["present"].value, found["present"].low, found["present"].high) == (1.0, 1.0, 1.0)
    assert (found["never"].value, found["never"].low, found["never"].high) == (None, None, None)


def test_no_clips_and_no_draws_give_no_interval() -> None:
    with np.errstate(invalid="ignore"):
        none = intervals([share_of_ones(np.zeros(0, np.int64))], [], n=0, groups=None, draws=10, seed=0)["share"]
    assert (none.value, none.low, none.n) == (None, None, 0)
    undrawn = intervals([share_of_ones(np.array([0, 1]))], [], n=2, groups=None, draws=0, seed=0)["share"]
    assert (undrawn.value, undrawn.low, undrawn.high) == (0.5, None, None)


def test_wrong_use_is_told() -> None:
    one = share_of_ones(np.array([0, 1, 1]))
    with pytest.raises(UsageError, match="two statistics give share"):
        intervals([one, one], [], n=3, groups=None, draws=10, seed=0)
    with pytest.raises(UsageError, match="statistics of 4 clips"):
        intervals([one], [], n=4, groups=None, draws=10, seed=0)
    with pytest.raises(UsageError, match="one group for each of 3 clips"):
        intervals([one], [], n=3, groups=np.array([0, 1]), draws=10, seed=0)


def test_point_scores_use_double_precision() -> None:
    values = np.full(200_000, 0.1)
    assert point_scores(mean_of(values))["mean"][0] == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_the_interval_of_an_inflated_score_lies_around_its_value() -> None:
    """Drawing clips again widens every gap of a calibration error; the interval must not lie above the value."""
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.5, 1.0, 400)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    truth = (rng.random(400) > confidence).astype(np.int64)
    statistic = confidence_statistic(probabilities, truth)
    found = intervals([statistic], [], n=400, groups=None, draws=2000, seed=0)
    ece = found["ece"]
    drawn = draw_scores([statistic], n=400, groups=None, draws=2000, seed=0)[0]["ece"]
    assert ece.value is not None and ece.low is not None and ece.high is not None
    assert drawn.mean() > ece.value  # the known bias
    assert 0 <= ece.low < ece.value < ece.high
    brier = found["brier"]  # a plain mean: nothing is moved
    plain = draw_scores([statistic], n=400, groups=None, draws=2000, seed=0)[0]["brier"]
    assert (brier.low, brier.high) == pytest.approx(tuple(np.percentile(plain, (2.5, 97.5))))
