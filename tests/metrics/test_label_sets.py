import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from emotion_llama.errors import UsageError
from emotion_llama.metrics.label_sets import normalise, set_scores, set_statistic, share_statistic, word_set
from emotion_llama.metrics.resample import intervals, point_scores
from emotion_llama.metrics.sentiment import sign_statistic

WORDS = st.sampled_from(["happy", "sad", "angry", "calm", "proud"])
SETS = st.frozensets(WORDS, max_size=4)
TRUE_SETS = st.frozensets(WORDS, min_size=1, max_size=4)


def points(statistic):
    return {name: float(value[0]) for name, value in point_scores(statistic).items()}


def test_hand_worked_table():
    truths = [word_set(w) for w in (["happy", "excited"], ["sad"], ["angry", "sad", "hurt"], ["calm"])]
    said = [word_set(w) for w in (["happy"], ["sad", "calm"], [], ["calm"])]
    scores = points(set_statistic(truths, said))
    assert scores["set_accuracy"] == pytest.approx((1 + 1 / 2 + 0 + 1) / 4)
    assert scores["set_recall"] == pytest.approx((1 / 2 + 1 + 0 + 1) / 4)
    assert scores["set_avg"] == pytest.approx((0.625 + 0.625) / 2)
    assert scores["exact_match"] == pytest.approx(1 / 4)
    assert scores["empty_rate"] == pytest.approx(1 / 4)


@given(st.lists(st.tuples(TRUE_SETS, SETS), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_agrees_with_scikit_learn_sample_averages(pairs):
    names = ["angry", "calm", "happy", "proud", "sad"]
    truth, said = (np.array([[name in pair[side] for name in names] for pair in pairs]) for side in (0, 1))
    scores = points(set_statistic(*map(list, zip(*pairs, strict=True))))
    assert scores["set_accuracy"] == pytest.approx(
        precision_score(truth, said, average="samples", zero_division=0), abs=1e-6
    )
    assert scores["set_recall"] == pytest.approx(
        recall_score(truth, said, average="samples", zero_division=0), abs=1e-6
    )


@given(st.lists(TRUE_SETS, min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_perfect_answers_score_one(truths):
    scores = points(set_statistic(truths, truths, prefix="x_"))
    assert scores == {"x_set_accuracy": 1, "x_set_recall": 1, "x_set_avg": 1, "x_exact_match": 1, "x_empty_rate": 0}


@given(st.lists(WORDS, max_size=6), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_order_case_spaces_and_repetition_do_not_matter(words, random):
    changed = [f"  {word.upper() if random.random() < 0.5 else word} " for word in words * 2]
    random.shuffle(changed)
    assert word_set(changed) == word_set(words)


def test_normalise_joins_inner_spaces():
    assert normalise("  Looking\tFORWARD  to ") == "looking forward to"
    assert word_set(["", "  "]) == frozenset()


def test_empty_answer_or_truth_scores_zero():
    assert set_scores(frozenset("a"), frozenset()) == (0.0, 0.0)
    assert set_scores(frozenset(), frozenset("a")) == (0.0, 0.0)


def test_empty_truth_and_unequal_lengths_are_refused():
    with pytest.raises(UsageError, match=r"1 of 2 true sets are empty \(first: number 1\)"):
        set_statistic([frozenset("a"), frozenset()], [frozenset("a")] * 2)
    with pytest.raises(UsageError, match="found 1 for 2"):
        set_statistic([frozenset("a")] * 2, [frozenset("a")])


def test_share_is_a_ratio_of_sums_and_undefined_without_words():
    assert points(share_statistic("known", [1, 3], [2, 4]))["known"] == pytest.approx(4 / 6)
    assert np.isnan(points(share_statistic("known", [0], [0]))["known"])


def test_intervals_hold_the_value():
    rng = np.random.default_rng(0)
    truths = [frozenset(["a", "b"])] * 200
    said = [frozenset(["a"]) if rng.random() < 0.5 else frozenset(["c"]) for _ in truths]
    metric = intervals([set_statistic(truths, said)], [], n=200, groups=None, draws=500, seed=1)["set_accuracy"]
    assert metric.low < metric.value < metric.high
    assert metric.high - metric.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 200), rel=0.25)


def test_signs_agree_with_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score

    rng = np.random.default_rng(3)
    truth = rng.choice([-2.0, -0.4, 0.6, 3.0], 300)
    said = rng.choice([-1.0, 0.0, 0.5], 300)
    scores = points(sign_statistic(list(truth), list(said)))
    assert scores["sign_weighted_f1"] == pytest.approx(f1_score(truth > 0, said > 0, average="weighted"))
    assert scores["sign_accuracy"] == pytest.approx(accuracy_score(truth > 0, said > 0))
    assert scores["neutral_rate"] == pytest.approx(np.mean(said == 0))
    assert scores["invalid_rate"] == 0


def test_an_answer_without_a_sign_is_wrong_for_both_classes():
    scores = points(sign_statistic([-1.0, 1.0], [None, None]))
    assert scores["sign_accuracy"] == 0
    assert scores["sign_weighted_f1"] == 0
    assert scores["invalid_rate"] == 1


def test_true_zero_is_refused():
    with pytest.raises(UsageError, match="other than 0"):
        sign_statistic([0.0], [1.0])
