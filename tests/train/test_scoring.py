"""The files of the test side are what `evaluate` reads, and its scores are those of the record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.analyze.calibration import Calibration
from emotion_llama.errors import OutputError
from emotion_llama.evaluate.predictions import read_predictions
from emotion_llama.manifest import read_manifest
from emotion_llama.train.examples import Example
from emotion_llama.train.scoring import compared, write_answers
from emotion_llama.train.validate import Answered, scores_of

LABELS = ("happy", "sad", "angry")


def _example(number: int, source: str) -> Example:
    return Example(
        id=f"{source}/c{number}", source=source, side="test", person=f"{source}/p{number % 3}",
        label=LABELS[number % 3], emotion=LABELS[number % 3], labels=LABELS,
        transcript="hello" if number % 2 else None, observations=(), arrays={},
    )  # fmt: skip


@pytest.fixture
def answers() -> list[Answered]:
    rng = np.random.default_rng(0)
    return [
        Answered(f"{source}/c{n}", source, LABELS, rng.standard_normal(3), np.ones(3), n % 3, ("audio",), 0.05)
        for source in ("voices", "faces")
        for n in range(40)
    ]


@pytest.fixture
def examples() -> dict[str, Example]:
    return {f"{source}/c{n}": _example(n, source) for source in ("voices", "faces") for n in range(40)}


def test_truth_and_predictions_read_back_to_the_same_score(
    tmp_path: Path, answers: list[Answered], examples: dict[str, Example]
) -> None:
    calibration = Calibration(default_temperature=1.3, prior_weight=0.5)
    write_answers(answers, examples, calibration, tmp_path)
    for source in ("voices", "faces"):
        truth = {clip.clip: clip for clip in read_manifest(tmp_path / f"{source}.clips.jsonl")}
        read = read_predictions(tmp_path / f"{source}.predictions.jsonl")
        mine = [answer for answer in answers if answer.source == source]
        assert read.problems == () and len(read.predictions) == len(truth) == 40
        right = sum(one.emotion == truth[one.clip].emotion for one in read.predictions) / 40
        assert right == pytest.approx(scores_of(mine, calibration)["war"])
        for one, answer in zip(read.predictions, mine, strict=True):
            assert one.probabilities == pytest.approx(answer.probabilities(calibration))
            assert one.emotion == max(one.probabilities or {}, key=(one.probabilities or {}).__getitem__)
            assert one.order_sensitivity == 0.05
            assert truth[one.clip].speaker == examples[one.clip].person


def test_the_truth_is_the_label_of_the_clip_not_what_was_answered(
    tmp_path: Path, answers: list[Answered], examples: dict[str, Example]
) -> None:
    write_answers(answers, examples, None, tmp_path)
    for clip in read_manifest(tmp_path / "voices.clips.jsonl"):
        assert clip.emotion == examples[clip.clip].label


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, answers: list[Answered], examples: dict[str, Example]
) -> None:
    (tmp_path / "faces.predictions.jsonl.part").mkdir()
    with pytest.raises(OutputError, match=r"faces\.predictions\.jsonl: cannot be written"):
        write_answers(answers, examples, None, tmp_path)


def test_scores_tell_the_spread_over_orders_and_the_error_of_a_calibrated_model(answers: list[Answered]) -> None:
    """One label order is always right, the other always wrong."""
    orders = [
        replace(one, per_order=np.stack([9.0 * (np.arange(3) == one.right), 9.0 * (np.arange(3) != one.right)]))
        for one in answers[:39]
    ]
    people = [f"p{n % 3}" for n in range(39)]
    found = compared(orders, [None] * 39, Calibration(prior_weight=0.0), people, 0)
    assert found["order_spread"] == pytest.approx(1.0)
    median, least, most = found["null_ece"]
    assert 0.0 <= least <= median <= most < 0.5
    assert compared(answers[:39], [None] * 39, Calibration(), people, 0)["order_spread"] is None
