from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from emotion_llama.clip import Clip
from emotion_llama.errors import UsageError
from emotion_llama.evaluate.records import Item, Prediction, Scored
from emotion_llama.evaluate.scorers.multilabel import score_exact_match_f1, score_multilabel
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.multilabel import constant_set

LABELS = ("Doubt", "Name calling, Labeling", "Smears")
FEW = ScoreSettings(draws=200)
Sets = Sequence[Sequence[str] | None]


def scored(true: Sequence[Sequence[str]], said: Sets, labels: Sequence[str] = LABELS) -> Scored:
    items = [Item(clip=Clip(clip=f"c{n}", labels=tuple(words))) for n, words in enumerate(true)]
    answers = [
        None if words is None else Prediction(clip=f"c{n}", labels=tuple(words), line=n + 1)
        for n, words in enumerate(said)
    ]
    return score_multilabel(items, answers, labels, FEW)


def table(sets: Sequence[Sequence[str]]) -> np.ndarray:
    return np.array([[label in words for label in LABELS] for words in sets])


def value(result: Scored, name: str) -> float:
    found = result.metrics[name].value
    assert found is not None
    return found


sets = st.lists(st.sets(st.sampled_from(LABELS)).map(sorted), min_size=1, max_size=12)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_scores_are_those_of_scikit_learn(data: st.DataObject) -> None:
    true = data.draw(sets)
    said = [data.draw(st.sets(st.sampled_from(LABELS)).map(sorted)) for _ in true]
    result, y, p = scored(true, said), table(true), table(said)
    assert value(result, "micro_f1") == pytest.approx(f1_score(y, p, average="micro", zero_division=0))
    assert value(result, "macro_f1") == pytest.approx(f1_score(y, p, average="macro", zero_division=0))
    assert value(result, "micro_precision") == pytest.approx(precision_score(y, p, average="micro", zero_division=0))
    assert value(result, "micro_recall") == pytest.approx(recall_score(y, p, average="micro", zero_division=0))
    assert value(result, "exact_match") == pytest.approx(accuracy_score(y, p))
    for index, f1 in enumerate(f1_score(y, p, average=None, zero_division=0)):
        assert result.per_class[LABELS[index]].f1.value == pytest.approx(f1)
        assert result.per_class[LABELS[index]].support == y[:, index].sum()


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_order_case_spaces_and_repetition_change_nothing(data: st.DataObject) -> None:
    true = data.draw(sets)
    said = [data.draw(st.lists(st.sampled_from(LABELS))) for _ in true]
    same = [[f" {word.upper()} ".replace(" ", "  ") for word in reversed(words)] * 2 for words in said]
    assert scored(true, said).metrics == scored(true, same).metrics


def test_a_table_worked_by_hand() -> None:
    # hits 1 + 0 + 0, said 2 + 0 + 1, true 1 + 2 + 1; one of four clips is not answered
    result = scored(
        [["Smears"], ["Doubt", "Smears"], ["Doubt"], ["Doubt"]], [["Smears", "Doubt"], [], ["Smears"], None]
    )
    assert value(result, "micro_f1") == pytest.approx(2 * 1 / (3 + 5))
    assert value(result, "micro_f1_answered") == pytest.approx(2 * 1 / (3 + 4))
    assert value(result, "exact_match") == 0
    assert value(result, "empty_rate") == pytest.approx(1 / 4)
    assert value(result, "invalid_rate") == pytest.approx(1 / 4)
    assert (result.n_asked, result.n_scored) == (4, 3)
    assert result.class_counts == {"Doubt": 3, "Name calling, Labeling": 0, "Smears": 2}


def test_an_answer_to_an_empty_truth_is_right_only_if_it_is_given() -> None:
    assert value(scored([[], ["Doubt"]], [[], ["Doubt"]]), "exact_match") == 1
    assert value(scored([[], ["Doubt"]], [None, ["Doubt"]]), "exact_match") == 0.5


def test_the_interval_holds_the_score_and_shrinks_with_clips() -> None:
    true, said = [["Smears"], ["Doubt"]] * 10, [["Smears"], ["Smears"]] * 10
    few, many = (scored(true * k, said * k).metrics["micro_f1"] for k in (1, 16))
    for metric in (few, many):
        assert metric.low is not None and metric.high is not None and metric.low < 0.5 < metric.high
    assert (many.high - many.low) == pytest.approx((few.high - few.low) / 4, rel=0.4)  # type: ignore[operator]


@given(sets.filter(any))
@settings(max_examples=30, deadline=None)
def test_the_constant_set_is_the_best_of_all_constant_sets(true: list[list[str]]) -> None:
    y = table(true)
    everything = [c for size in (1, 2, 3) for c in combinations(range(3), size)]

    def micro(chosen: tuple[int, ...]) -> float:
        p = np.zeros_like(y)
        p[:, list(chosen)] = True
        return float(f1_score(y, p, average="micro", zero_division=0))

    assert micro(constant_set(y)) == pytest.approx(max(micro(chosen) for chosen in everything))
    result = scored(true, true)
    assert value(result, "micro_f1_constant_set") == pytest.approx(micro(constant_set(y)))
    assert result.majority == pytest.approx(micro(constant_set(y, 1)))


def test_baselines_are_named_with_what_they_answer() -> None:
    result = scored([["Smears", "Doubt"], ["Smears"]], [["Doubt"], []])
    assert result.notes[0].startswith("baseline: the commonest label (Smears) for every clip reaches micro-F1 0.8000")
    assert "the best constant set (Smears; Doubt)" in result.notes[1]
    assert result.metrics["micro_f1"].majority == pytest.approx(0.8)
    assert not any(name.startswith("constant_") for name in result.metrics)


def test_labels_outside_the_set_are_named_and_wrong() -> None:
    result = scored([["Smears"]], [["Smears", "Irony"]])
    assert value(result, "micro_precision") == 0.5
    (problem,) = result.problems
    assert (problem.kind, problem.clip, problem.line) == ("unknown-label", "c0", 1)
    assert "'Irony' not among the asked labels" in problem.message


def test_an_emotion_alone_is_a_set_of_one_and_nothing_is_named() -> None:
    items = [Item(clip=Clip(clip=name, labels=("Smears",))) for name in ("a", "b")]
    answers = [Prediction(clip="a", emotion="smears"), Prediction(clip="b", line=8)]
    result = score_multilabel(items, answers, LABELS, FEW)
    assert value(result, "micro_recall") == 0.5
    assert [(p.kind, p.clip, p.line) for p in result.problems] == [("no-label", "b", 8)]


def test_facts_count_only_whole() -> None:
    items = [Item(clip=Clip(clip="a", labels=("Jo | negative | positive", "Al | neutral | negative")))]
    answers = [Prediction(clip="a", labels=("jo | negative | positive", "Al | neutral | positive"))]
    result = score_exact_match_f1(items, answers, (), FEW)
    assert value(result, "exact_match_f1") == value(result, "micro_f1") == 0.5
    assert result.headline[0] == "exact_match_f1"
    assert "macro_f1" not in result.metrics and not result.per_class and not result.problems


def test_truth_must_be_there() -> None:
    with pytest.raises(UsageError, match="clip 'x' has no true labels"):
        score_multilabel([Item(clip=Clip(clip="x"))], [None], LABELS, FEW)
    with pytest.raises(UsageError, match="at least one clip"):
        score_multilabel([], [], LABELS, FEW)
