from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from emotion_llama.evaluate.matching import index, match
from emotion_llama.evaluate.predictions import Answers
from emotion_llama.evaluate.records import Prediction, Scored
from emotion_llama.evaluate.suite import Choice, Part, ScoreSettings
from emotion_llama.evaluate.suites.vecbench import SUITE

FEW = ScoreSettings(draws=200)
SETS: dict[str, Sequence[str]] = {
    "FI-8": ("awe", "fear", "sadness"),
    "WebEmo-7": ("joy", "fear"),
    "FI-2": ("positive", "negative"),
}


def write(folder: Path, sets: dict[str, Sequence[str]], n: int = 6) -> Path:
    rows: list[dict[str, Any]] = []
    for name, labels in sets.items():
        rows += [
            {"task": name, "image": f"{k}.jpg", "ground_truth": labels[k % len(labels)], "candidates": list(labels)}
            for k in range(n)
        ]
    path = folder / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def score(part: Part, answers: Sequence[Prediction]) -> Scored:
    matched = match(part.items, index(Answers(tuple(answers))), part.labels)
    return part.score(part.items, matched.predictions, part.labels, FEW)


def answers_of(part: Part, wrong: int, **fields: Any) -> list[Prediction]:
    """Right answers but for the first `wrong` items."""
    found = []
    for place, item in enumerate(part.items):
        other = next(label for label in item.extra["candidates"] if label != item.clip.emotion)
        found.append(
            Prediction(clip=item.clip.clip, emotion=other if place < wrong else item.clip.emotion, line=place, **fields)
        )
    return found


def value(scored: Scored, name: str) -> float:
    found = scored.metrics[name].value
    assert found is not None
    return found


def test_groups_are_parts_and_sets_with_the_variant(tmp_path: Path) -> None:
    path = write(tmp_path, SETS)
    groups = SUITE.read(path, Choice())
    assert [(p.name, len(p.items), p.labels) for p in groups] == [("ID VER", 12, ()), ("ID VSA", 6, ())]
    sets = SUITE.read(path, Choice(variant="sets"))
    assert [p.name for p in sets] == ["FI-8", "WebEmo-7", "FI-2"]
    assert sets[0].labels == ("awe", "fear", "sadness")


def test_accuracy_pooled_and_as_the_mean_of_sets(tmp_path: Path) -> None:
    part = SUITE.read(write(tmp_path, {"FI-8": ("awe", "fear", "sadness"), "WebEmo-7": ("joy", "fear")}), Choice())[0]
    part = Part(part.name, part.items[:9], part.labels, part.score)  # 6 of one set, 3 of the other
    scored = score(part, answers_of(part, wrong=3, confidence=0.7))
    assert value(scored, "war") == pytest.approx(6 / 9)
    assert value(scored, "war_set_mean") == pytest.approx((3 / 6 + 3 / 3) / 2)
    truth = [str(item.clip.emotion) for item in part.items]
    said = [str(p.emotion) for p in answers_of(part, wrong=3)]
    assert value(scored, "weighted_f1") == pytest.approx(f1_score(truth, said, average="weighted"))
    assert scored.chance == pytest.approx((6 / 3 + 3 / 2) / 9)
    assert scored.majority == pytest.approx((2 + 2) / 9)
    assert {(s.group, s.value, s.n) for s in scored.slices} == {("set", "FI-8", 6), ("set", "WebEmo-7", 3)}


def test_a_system_that_always_says_one_gets_zero_as_coded_and_its_error_as_it_should_be(tmp_path: Path) -> None:
    part = SUITE.read(write(tmp_path, {"FI-2": ("positive", "negative")}, n=10), Choice())[0]
    scored = score(part, answers_of(part, wrong=4, confidence=1.0))
    assert value(scored, "ece_vec") == 0
    assert value(scored, "ece_vec_dropped_rate") == 1
    assert value(scored, "ece") == pytest.approx(0.4)
    assert value(scored, "brier_binary") == pytest.approx(0.4)
    assert scored.metrics["auroc"].value == pytest.approx(0.5)


def test_calibration_against_numbers_worked_out_here(tmp_path: Path) -> None:
    part = SUITE.read(write(tmp_path, {"FI-2": ("positive", "negative")}, n=40), Choice())[0]
    rng = np.random.default_rng(4)
    confidence = rng.uniform(0, 1, 40).round(3)
    answers = [
        p.model_copy(update={"confidence": float(c)})
        for p, c in zip(answers_of(part, wrong=15), confidence, strict=True)
    ]
    right = np.arange(40) >= 15
    scored = score(part, answers)
    bins = np.floor(confidence * 10)
    by_hand = sum(abs(right[bins == b].sum() - confidence[bins == b].sum()) for b in range(10)) / 40
    assert value(scored, "ece_vec") == pytest.approx(by_hand, abs=1e-6)
    assert value(scored, "brier_binary") == pytest.approx(np.mean((confidence - right) ** 2), abs=1e-6)
    assert value(scored, "auroc") == pytest.approx(roc_auc_score(right, confidence))
    assert sum(bar.n for bar in scored.reliability) == 40


def test_the_largest_probability_stands_in_for_a_stated_confidence(tmp_path: Path) -> None:
    part = SUITE.read(write(tmp_path, {"FI-2": ("positive", "negative")}), Choice(variant="sets"))[0]
    answers = answers_of(part, wrong=0, probabilities={"positive": 0.2, "negative": 0.8})
    scored = score(part, answers)
    assert value(scored, "confidence_rate") == 1
    assert value(scored, "ece") == pytest.approx(0.2)
    assert not any("No probabilities" in note for note in scored.notes)


def test_confidences_that_are_none_are_named_and_left_out(tmp_path: Path) -> None:
    part = SUITE.read(write(tmp_path, {"FI-2": ("positive", "negative")}), Choice())[0]
    answers = [
        p.model_copy(update={"confidence": c}) for p, c in zip(answers_of(part, 0), [95.0, 0.9, None], strict=False)
    ]
    scored = score(part, answers)
    assert value(scored, "confidence_rate") == pytest.approx(1 / 6)
    assert value(scored, "ece") == pytest.approx(0.1)
    assert [(p.kind, p.line) for p in scored.problems] == [("bad-probabilities", 0)]
    assert "95.0, not from 0 to 1" in scored.problems[0].message


def test_without_any_confidence_only_the_labels_are_scored(tmp_path: Path) -> None:
    part = SUITE.read(write(tmp_path, {"FI-2": ("positive", "negative")}), Choice())[0]
    scored = score(part, answers_of(part, wrong=0))
    assert scored.metrics["ece"].value is None
    assert scored.headline == ("war", "war_set_mean")
    assert scored.reliability == () and value(scored, "confidence_rate") == 0


def test_answers_are_read_in_the_candidates_of_their_own_set(tmp_path: Path) -> None:
    part = SUITE.read(write(tmp_path, SETS, n=3), Choice())[0]
    answers = [
        Prediction(clip="0.jpg@WebEmo-7", emotion="Happiness", confidence=0.5),  # a synonym of joy
        Prediction(clip="1.jpg@WebEmo-7", emotion="awe", confidence=0.5, line=2),  # a label of the other set only
        Prediction(clip="2.jpg@WebEmo-7", emotion=None, confidence=0.5, line=3),
    ]
    scored = score(part, answers)
    assert scored.confusion is not None
    assert sum(scored.confusion.invalid) == 2 and sum(scored.confusion.missing) == 3
    assert value(scored, "war") == pytest.approx(1 / 6)
    assert [(p.kind, p.line) for p in scored.problems] == [("unknown-label", 2), ("no-label", 3)]
    assert value(scored, "brier_binary") == pytest.approx(0.25)  # wrong answers keep their confidence


def test_an_image_of_another_set_is_not_taken_for_one_that_is_missing(tmp_path: Path) -> None:
    part = SUITE.read(write(tmp_path, {"FI-2": ("positive", "negative")}), Choice())[0]
    scored = score(part, [Prediction(clip="0.jpg@WebEmo-2", emotion="positive")])
    assert value(scored, "missing_rate") == 1


def test_published_figures_have_sources_and_the_emotion_llama_ones_say_what_they_are() -> None:
    ours = [p for p in SUITE.published if p.system == "Emotion-LLaMA"]
    assert {(p.metric, p.value) for p in ours} == {("ID VER ece_vec", 0.6219), ("ID VSA ece_vec", 0.2935)}
    assert all("not read in a paper" in p.source for p in ours)
