"""Single-label scores: against scikit-learn, a published confusion matrix and hand-worked tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support, recall_score

from emotion_llama.errors import UsageError
from emotion_llama.metrics.classes import Over, class_scores, class_statistic, guess_scores, mer2023_statistic
from emotion_llama.metrics.resample import draw_scores, intervals, point_scores

# Rows truth, columns prediction: the prediction log published with Emotion-LLaMA for MER2023-SEMI
# (angry, happy, neutral, sad, surprise, worried).
MER2023 = [
    [179, 1, 2, 1, 0, 0],
    [2, 152, 7, 4, 3, 1],
    [10, 10, 134, 6, 2, 4],
    [2, 2, 1, 250, 0, 2],
    [1, 0, 3, 1, 6, 3],
    [4, 1, 3, 2, 1, 34],
]


def listed(matrix: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A table as one truth and one prediction a clip."""
    table = np.array(matrix)
    truth, predicted = np.indices(table.shape)
    return np.repeat(truth.ravel(), table.ravel()), np.repeat(predicted.ravel(), table.ravel())


def score(truth: NDArray[np.int64], predicted: NDArray[np.int64], k: int, over: Over = "present") -> dict[str, float]:
    statistic = class_statistic(truth, predicted, k, over=over)
    return {name: float(value[0]) for name, value in point_scores(statistic).items()}


def test_published_matrix_gives_the_published_scores() -> None:
    truth, predicted = listed(MER2023)
    scores = score(truth, predicted, 6)
    assert len(truth) == 834
    assert scores["war"] == pytest.approx(0.9052757793764988, abs=1e-12)
    assert scores["weighted_f1"] == pytest.approx(0.9035772132511265, abs=1e-12)
    assert scores["macro_f1"] == pytest.approx(0.8134121336588245, abs=1e-12)
    assert scores["uar"] == pytest.approx(0.8069448177050722, abs=1e-12)
    assert scores["recall:4"] == pytest.approx(6 / 14)
    assert scores["precision:4"] == pytest.approx(0.5)
    assert scores["f1:4"] == pytest.approx(0.4615384615384615)


def test_interval_of_the_accuracy_is_the_binomial_one() -> None:
    truth, predicted = listed(MER2023)
    metric = intervals(
        [class_statistic(truth, predicted, 6, over="present")], [], n=834, groups=None, draws=10_000, seed=0
    )["war"]
    half = 1.96 * np.sqrt(0.9053 * 0.0947 / 834)
    assert metric.low == pytest.approx(0.9053 - half, abs=0.002)
    assert metric.high == pytest.approx(0.9053 + half, abs=0.002)


@given(seed=st.integers(0, 10_000), k=st.integers(2, 7), n=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_agrees_with_scikit_learn(seed: int, k: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.choice(rng.permutation(k)[: rng.integers(1, k + 1)], n)  # some classes are absent
    predicted = rng.integers(0, k + 2, n)  # with invalid and missing answers
    present, every = np.unique(truth), np.arange(k)
    scores, configured = score(truth, predicted, k), score(truth, predicted, k, "configured")
    assert scores["war"] == pytest.approx(accuracy_score(truth, predicted))
    assert scores["invalid_rate"] == pytest.approx((predicted == k).mean())
    assert scores["missing_rate"] == pytest.approx((predicted == k + 1).mean())
    for found, labels in ((scores, present), (configured, every)):
        uar = recall_score(truth, predicted, labels=labels, average="macro", zero_division=0)
        assert found["uar"] == pytest.approx(uar)
        macro = f1_score(truth, predicted, labels=labels, average="macro", zero_division=0)
        assert found["macro_f1"] == pytest.approx(macro)
        weighted = f1_score(truth, predicted, labels=labels, average="weighted", zero_division=0)
        assert found["weighted_f1"] == pytest.approx(weighted)
    each = precision_recall_fscore_support(truth, predicted, labels=every, zero_division=0)
    for number in present:
        assert scores[f"precision:{number}"] == pytest.approx(each[0][number])
        assert scores[f"recall:{number}"] == pytest.approx(each[1][number])
        assert scores[f"f1:{number}"] == pytest.approx(each[2][number])


@given(seed=st.integers(0, 1_000))
@settings(max_examples=15, deadline=None)
def test_renaming_classes_and_shuffling_clips_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, 4, 40), rng.integers(0, 6, 40)
    names, order = np.append(rng.permutation(4), [4, 5]), rng.permutation(40)
    plain, changed = score(truth, predicted, 4), score(names[truth][order], names[predicted][order], 4)
    for name in ("war", "uar", "weighted_f1", "macro_f1", "invalid_rate", "war_answered"):
        assert changed[name] == pytest.approx(plain[name])


def test_invalid_and_missing_answers_are_wrong_by_hand() -> None:
    truth = np.array([0, 0, 0, 0, 1, 1])
    predicted = np.array([0, 0, 2, 3, 1, 0])  # two classes: 2 = invalid, 3 = missing
    scores = score(truth, predicted, 2)
    assert scores["war"] == pytest.approx(3 / 6)
    assert scores["war_answered"] == pytest.approx(3 / 4)
    assert scores["uar"] == pytest.approx((2 / 4 + 1 / 2) / 2)
    assert scores["f1:0"] == pytest.approx(2 * 2 / (4 + 3))
    assert scores["f1:1"] == pytest.approx(2 * 1 / (2 + 1))
    assert scores["weighted_f1"] == pytest.approx((4 * 4 / 7 + 2 * 2 / 3) / 6)
    assert (scores["invalid_rate"], scores["missing_rate"]) == (1 / 6, 1 / 6)


def test_an_absent_class_counts_only_when_all_configured_classes_do() -> None:
    truth, predicted = np.array([0, 0, 1]), np.array([0, 0, 1])
    present, configured = score(truth, predicted, 4), score(truth, predicted, 4, "configured")
    assert (present["uar"], present["macro_f1"]) == (1.0, 1.0)
    assert (configured["uar"], configured["macro_f1"]) == (0.5, 0.5)
    assert np.isnan(present["recall:3"]) and np.isnan(present["f1:3"]) and np.isnan(present["precision:3"])


@pytest.mark.parametrize("over", ["present", "configured"])
def test_a_class_that_a_draw_misses_is_left_out_of_its_averages(over: Over) -> None:
    truth = np.array([0, 0, 0, 0, 1])
    drawn = draw_scores([class_statistic(truth, truth, 2, over=over)], n=5, groups=None, draws=300, seed=0)[0]
    assert np.isnan(drawn["recall:1"]).any()
    assert (drawn["uar"] == 1.0).all()
    assert (drawn["macro_f1"] == 1.0).all()


def test_no_valid_answer_at_all() -> None:
    scores = score(np.array([0, 1]), np.array([2, 3]), 2)
    assert (scores["war"], scores["uar"], scores["weighted_f1"]) == (0.0, 0.0, 0.0)
    assert np.isnan(scores["war_answered"])


def test_an_empty_table_has_no_scores() -> None:
    assert all(np.isnan(value).all() for value in class_scores(np.zeros((2, 15)), 3, absent=1).values())


def test_guessers_by_hand_and_by_simulation() -> None:
    counts = np.array([60, 30, 10])
    chance, majority = guess_scores(counts)
    assert chance["war"] == pytest.approx(1 / 3)
    assert chance["uar"] == pytest.approx(1 / 3)
    assert majority["war"] == pytest.approx(0.6)
    assert majority["uar"] == pytest.approx(1 / 3)
    assert majority["macro_f1"] == pytest.approx(2 * 60 / (60 + 100) / 3)
    assert majority["weighted_f1"] == pytest.approx(0.6 * 0.75)
    truth = np.repeat([0, 1, 2], counts * 300)
    simulated = score(truth, np.random.default_rng(0).integers(0, 3, len(truth)), 3)
    for name, value in chance.items():
        assert simulated[name] == pytest.approx(value, abs=0.01)


def test_guessers_with_an_absent_class() -> None:
    assert guess_scores(np.array([5, 0]))[1]["uar"] == 1.0
    assert guess_scores(np.array([5, 0]), over="configured")[1]["uar"] == 0.5


def test_numbers_outside_the_table_are_refused() -> None:
    with pytest.raises(UsageError, match="truth from 0 to 2, found 3"):
        class_statistic(np.array([3]), np.array([0]), 3, over="present")
    with pytest.raises(UsageError, match="prediction from 0 to 4, found 5"):
        class_statistic(np.array([0]), np.array([5]), 3, over="present")
    with pytest.raises(UsageError, match="one prediction for each of 2 clips, found 1"):
        class_statistic(np.array([0, 1]), np.array([0]), 3, over="present")


def test_prefix_stands_before_every_name() -> None:
    statistic = class_statistic(np.array([0, 1]), np.array([0, 1]), 2, over="present", prefix="x:")
    assert all(name.startswith("x:") for name in point_scores(statistic))


def test_mer2023_score_by_hand() -> None:
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    valence, said = np.array([1.0, -2.0, 3.0, 0.0]), np.array([1.0, -1.0, 1.0, 0.0])
    found = intervals([mer2023_statistic(truth, predicted, 2, valence, said)], [], n=4, groups=None, draws=200, seed=0)
    weighted = f1_score(truth, predicted, average="weighted")
    assert found["valence_mse"].value == pytest.approx(5 / 4)
    assert found["mer2023_score"].value == pytest.approx(weighted - 0.25 * 5 / 4)
    assert found["valence_missing_rate"].value == 0.0
    assert found["mer2023_score"].low is not None


def test_mer2023_score_is_not_defined_once_a_valence_is_missing() -> None:
    truth = np.array([0, 0, 1, 1])
    said = np.array([1.0, np.nan, 1.0, 0.0])
    found = intervals([mer2023_statistic(truth, truth, 2, np.zeros(4), said)], [], n=4, groups=None, draws=200, seed=0)
    assert found["valence_mse"].value == pytest.approx(2 / 3)
    assert found["valence_missing_rate"].value == pytest.approx(0.25)
    assert (found["mer2023_score"].value, found["mer2023_score"].low) == (None, None)
    with pytest.raises(UsageError, match="true valence"):
        mer2023_statistic(truth, truth, 2, said, np.zeros(4))
