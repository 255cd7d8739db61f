"""Slices: the scores of the clips that share a property, against scikit-learn over those clips."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from emotion_llama.clip import Clip
from emotion_llama.evaluate.records import Item, Prediction, Slice
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.scorers.slices import MAX_SLICE_VALUES
from emotion_llama.evaluate.suite import ScoreSettings

LABELS = ("happy", "sad", "neutral")


def scored(groups: list[dict[str, str | float]], seed: int = 0) -> tuple[tuple[Slice, ...], list[str], list[str]]:
    rng = np.random.default_rng(seed)
    truth = [LABELS[i] for i in rng.integers(0, 3, len(groups))]
    said = [t if rng.random() < 0.6 else LABELS[rng.integers(3)] for t in truth]
    items = [
        Item(clip=Clip(clip=f"c{n}", emotion=t, groups=g)) for n, (t, g) in enumerate(zip(truth, groups, strict=True))
    ]
    answers = [Prediction(clip=f"c{n}", emotion=s) for n, s in enumerate(said)]
    return score_labels(items, answers, LABELS, ScoreSettings(draws=100)).slices, truth, said


def test_words_and_bands_of_numbers_are_scored_like_their_clips_alone() -> None:
    ages = [20.0 + n % 50 for n in range(150)]
    groups: list[dict[str, str | float]] = [
        {"age": age, "language": "de" if n % 3 else "en"} for n, age in enumerate(ages)
    ]
    slices, truth, said = scored(groups)
    inside = {
        ("age", "<30"): [age < 30 for age in ages],
        ("age", "30–44"): [30 <= age < 45 for age in ages],
        ("age", "45–59"): [45 <= age < 60 for age in ages],
        ("age", "60+"): [age >= 60 for age in ages],
        ("language", "de"): [n % 3 > 0 for n in range(150)],
        ("language", "en"): [n % 3 == 0 for n in range(150)],
    }
    assert [(one.group, one.value) for one in slices] == list(inside)
    for one in slices:
        places = np.flatnonzero(inside[one.group, one.value])
        true, answer = [truth[i] for i in places], [said[i] for i in places]
        assert one.n == len(places)
        assert one.metrics["war"].value == pytest.approx(accuracy_score(true, answer))
        assert one.metrics["uar"].value == pytest.approx(recall_score(true, answer, average="macro"))
        assert one.metrics["weighted_f1"].value == pytest.approx(f1_score(true, answer, average="weighted"))
        low, value, high = one.metrics["war"].low, one.metrics["war"].value, one.metrics["war"].high
        assert low is not None and value is not None and high is not None and low <= value <= high


def test_clips_without_the_property_are_in_none_of_its_slices() -> None:
    groups: list[dict[str, str | float]] = [{"sex": "female"}] * 10 + [{"sex": "male"}] * 10 + [{}] * 10
    slices, _, _ = scored(groups)
    assert [(one.value, one.n) for one in slices] == [("female", 10), ("male", 10)]


def test_small_slices_are_counted_and_not_scored() -> None:
    groups: list[dict[str, str | float]] = [{"sex": "male"}] * 20 + [{"sex": "female"}] * 4
    slices, _, _ = scored(groups)
    assert [(one.value, one.n, bool(one.metrics)) for one in slices] == [("female", 4, False), ("male", 20, True)]


def test_one_value_or_very_many_make_no_slices() -> None:
    groups: list[dict[str, str | float]] = [
        {"corpus": "x", "sentence": f"s{n % (MAX_SLICE_VALUES + 1)}"} for n in range(60)
    ]
    assert scored(groups)[0] == ()
