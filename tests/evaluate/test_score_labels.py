"""One label a clip: against the published MER2023 table, scikit-learn, and hand-worked answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Prediction
from emotion_llama.evaluate.scorers.label_table import true_label
from emotion_llama.evaluate.scorers.labels import score_labels, score_labels_and_valence
from emotion_llama.evaluate.suite import ScoreSettings

QUICK = ScoreSettings(draws=200)
MER2023_LABELS = ("angry", "happy", "neutral", "sad", "surprise", "worried")
MER2023 = [
    [179, 1, 2, 1, 0, 0],
    [2, 152, 7, 4, 3, 1],
    [10, 10, 134, 6, 2, 4],
    [2, 2, 1, 250, 0, 2],
    [1, 0, 3, 1, 6, 3],
    [4, 1, 3, 2, 1, 34],
]
"""The published prediction log of MER2023-SEMI, 834 clips: rows truth, columns answer."""


def item(number: int, emotion: str, **fields: object) -> Item:
    return Item(clip=Clip.model_validate({"clip": f"c{number}", "emotion": emotion, **fields}))


def from_table(labels: tuple[str, ...], table: list[list[int]]) -> tuple[list[Item], list[Prediction | None]]:
    items: list[Item] = []
    predictions: list[Prediction | None] = []
    for truth, row in zip(labels, table, strict=True):
        for said, count in zip(labels, row, strict=True):
            for _ in range(count):
                items.append(item(len(items), truth))
                predictions.append(Prediction(clip=items[-1].clip.clip, emotion=said))
    return items, predictions


def test_the_published_mer2023_table_gives_the_published_scores() -> None:
    items, predictions = from_table(MER2023_LABELS, MER2023)
    scored = score_labels(items, predictions, MER2023_LABELS, ScoreSettings(draws=2000))
    value = {name: metric.value for name, metric in scored.metrics.items()}
    assert value["war"] == pytest.approx(0.9052757793764988)
    assert value["weighted_f1"] == pytest.approx(0.9035772132511265)
    assert value["macro_f1"] == pytest.approx(0.8134121336588245)
    assert value["uar"] == pytest.approx(0.8069448177050722)
    assert scored.confusion is not None and [list(row) for row in scored.confusion.matrix] == MER2023
    assert scored.per_class["surprise"].recall.value == pytest.approx(6 / 14)
    assert scored.per_class["worried"].precision.value == pytest.approx(34 / 44)
    assert (scored.majority, scored.chance) == (pytest.approx(257 / 834), pytest.approx(1 / 6))
    # n = 834 at .905: the binomial interval is ±.020
    war = scored.metrics["war"]
    assert war.low == pytest.approx(0.8853, abs=0.004) and war.high == pytest.approx(0.9246, abs=0.004)


def test_invalid_and_missing_answers_are_wrong_and_stand_apart() -> None:
    items = [item(n, "happy") for n in range(4)] + [item(9, "sad")]
    predictions = [
        Prediction(clip="c0", emotion="happy"),
        Prediction(clip="c1", emotion=None, said="I'm sorry, I cannot tell."),
        Prediction(clip="c2", emotion=None, said="hungry"),
        None,
        Prediction(clip="c9", emotion="sad"),
    ]
    scored = score_labels(items, predictions, ("happy", "sad"), QUICK)
    value = {name: metric.value for name, metric in scored.metrics.items()}
    assert (value["war"], value["war_answered"]) == (pytest.approx(0.4), pytest.approx(1.0))
    assert (value["invalid_rate"], value["refusal_rate"]) == (pytest.approx(0.4), pytest.approx(0.2))
    assert (scored.n_asked, scored.n_scored) == (5, 4)
    assert scored.confusion is not None
    assert (scored.confusion.invalid, scored.confusion.missing) == ((2, 0), (1, 0))


def test_uar_says_over_which_classes() -> None:
    items = [item(0, "happy"), item(1, "sad")]
    predictions: list[Prediction | None] = [Prediction(clip=f"c{n}", emotion="happy") for n in (0, 1)]
    labels = ("happy", "sad", "angry", "fear")
    present = score_labels(items, predictions, labels, QUICK)
    configured = score_labels(items, predictions, labels, ScoreSettings(draws=200, uar_classes="configured"))
    assert (present.metrics["uar"].value, configured.metrics["uar"].value) == (0.5, 0.25)
    assert (present.settings["uar_over"], configured.settings["uar_over"]) == ("present", "configured")


def random_case(seed: int, n: int = 200) -> tuple[list[Item], list[Prediction | None], list[str], list[str]]:
    rng = np.random.default_rng(seed)
    labels = ["happy", "sad", "neutral"]
    truth = [labels[i] for i in rng.integers(0, 3, n)]
    rows = rng.dirichlet([1.0, 1.0, 1.0], n)
    items = [
        item(i, emotion, speaker=f"s{i % 20}", groups={"sex": "female" if i % 2 else "male"})
        for i, emotion in enumerate(truth)
    ]
    predictions: list[Prediction | None] = [
        Prediction(
            clip=f"c{i}",
            emotion=labels[int(row.argmax())],
            probabilities=dict(zip(labels, map(float, row), strict=True)),
            order_sensitivity=float(i % 2),
        )
        for i, row in enumerate(rows)
    ]
    return items, predictions, truth, [p.emotion or "" for p in predictions if p is not None]


def test_slices_are_the_scores_of_their_clips() -> None:
    items, predictions, truth, said = random_case(0)
    scored = score_labels(items, predictions, ("happy", "sad", "neutral"), QUICK)
    by_value = {(s.group, s.value): s for s in scored.slices}
    women = by_value["sex", "female"]
    places = [i for i in range(200) if i % 2]
    assert women.n == 100
    one, other = [truth[i] for i in places], [said[i] for i in places]
    assert women.metrics["uar"].value == pytest.approx(recall_score(one, other, average="macro"))
    assert women.metrics["weighted_f1"].value == pytest.approx(f1_score(one, other, average="weighted"))
    low, high = women.metrics["war"].low, women.metrics["war"].high
    assert low is not None and high is not None and low < np.mean(np.array(one) == np.array(other)) < high


def test_order_sensitivity_is_the_mean_over_clips() -> None:
    items, predictions, _, _ = random_case(1)
    scored = score_labels(items, predictions, ("happy", "sad", "neutral"), QUICK)
    assert scored.metrics["order_sensitivity"].value == pytest.approx(0.5)


def test_temperature_comes_from_the_validation_side_only() -> None:
    items, predictions, _, _ = random_case(2)
    labels = ("happy", "sad", "neutral")
    without = score_labels(items, predictions, labels, QUICK)
    assert "scaled_ece" not in without.metrics and any("validation" in note for note in without.notes)
    other_items, other_predictions, _, _ = random_case(3)
    settings = ScoreSettings(draws=200, validation=(other_items, other_predictions))
    scaled = score_labels(items, predictions, labels, settings)
    # answers unrelated to the truth: the fitted temperature makes them unsure, which is right
    before, after = scaled.metrics["nll"].value, scaled.metrics["scaled_nll"].value
    assert before is not None and after is not None and after < before
    assert scaled.metrics["ece"].value == without.metrics["ece"].value


def test_the_seed_decides_the_intervals() -> None:
    items, predictions, _, _ = random_case(4)
    labels = ("happy", "sad", "neutral")
    one = score_labels(items, predictions, labels, ScoreSettings(draws=300, seed=5))
    again = score_labels(items, predictions, labels, ScoreSettings(draws=300, seed=5))
    other = score_labels(items, predictions, labels, ScoreSettings(draws=300, seed=6))
    assert one.metrics == again.metrics
    assert one.metrics["war"].low != other.metrics["war"].low or one.metrics["nll"].low != other.metrics["nll"].low


def test_mer2023_score_takes_a_quarter_of_the_valence_error_off() -> None:
    items = [item(0, "happy", valence=2.0), item(1, "sad", valence=-1.0)]
    predictions: list[Prediction | None] = [
        Prediction(clip="c0", emotion="happy", valence=1.0),
        Prediction(clip="c1", emotion="sad", valence=-1.0),
    ]
    scored = score_labels_and_valence(items, predictions, ("happy", "sad"), QUICK)
    assert scored.metrics["mer2023_score"].value == pytest.approx(1.0 - 0.25 * 0.5)
    assert scored.headline[0] == "mer2023_score"


def test_a_truth_outside_the_labels_is_named() -> None:
    with pytest.raises(ManifestError, match=r"c7.*hungry"):
        true_label(item(7, "hungry"), ("happy", "sad"))
    assert true_label(item(7, "joy"), ("happy", "sad")) == "happy"


def test_validation_without_probabilities_cannot_fit_a_temperature() -> None:
    items, predictions, _, _ = random_case(5)
    bare: list[Prediction | None] = [Prediction(clip="c0", emotion="happy")]
    settings = ScoreSettings(draws=200, validation=([item(0, "happy")], bare))
    with pytest.raises(UsageError, match="no probabilities"):
        score_labels(items, predictions, ("happy", "sad", "neutral"), settings)
