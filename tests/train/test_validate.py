"""Scores while training are those that the product gives; sources count the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, recall_score

from emotion_llama.analyze.calibration import Calibration
from emotion_llama.model.checkpoint import save_adapter
from emotion_llama.model.score import ClipReader
from emotion_llama.train.clip_samples import closed_samples
from emotion_llama.train.extract import extract
from emotion_llama.train.material import prepare, read_items
from emotion_llama.train.validate import (
    Answered,
    answer_all,
    averaged,
    by_source,
    inputs_of_sample,
    order_spread,
    scores_of,
)
from tests.train.tiny_run import configured, trainer_of

LABELS = ("happy", "sad", "angry")


def _answered(source: str, number: int, right: int, rng: np.random.Generator) -> Answered:
    return Answered(
        clip=f"{source}/{number}", source=source, labels=LABELS, raw=rng.standard_normal(3), prior=np.zeros(3),
        right=right, inputs=("audio",), order_sensitivity=0.1,
    )  # fmt: skip


def test_answers_are_what_analysis_would_score(tmp_path: Path) -> None:
    """The same clips through the loaded checkpoint's reader, as `analyze` asks it, after training moved the weights."""
    import emotion_llama as el

    config = configured(tmp_path, "schedule.steps=4", "schedule.learning_rate=0.01")
    trainer = trainer_of(config)
    trainer.train()
    material = prepare(config, extract(read_items(config), config).examples)
    samples = closed_samples(material.examples, material.groups, material.opinions, 10, 0)
    found = trainer.answers(samples, orders=3)
    save_adapter(trainer.model, tmp_path / "saved")
    reader = el.load(tmp_path / "saved", dtype="float32", threads=1).reader
    assert isinstance(reader, ClipReader) and reader.model is not trainer.model
    calibration = Calibration(prior_weight=0.5, default_temperature=1.7)
    for sample, answer in zip(samples, found, strict=True):
        raw = reader.score(reader.read(sample.features, sample.transcript), sample.labels, orders=3, seed=config.seed)
        prior = reader.prior(sample.labels, orders=3, seed=config.seed)
        named = (dict(zip(sample.labels, one.mean.tolist(), strict=True)) for one in (raw, prior))
        expected = calibration.probabilities(calibration.correct(*named), ("video", "audio", "text"))
        assert answer.probabilities(calibration) == pytest.approx(expected, abs=2e-5)
        assert sample.labels[answer.right] == sample.answer
    assert len({tuple(answer.raw) for answer in found}) == len(found)


def test_the_model_is_in_training_mode_again_and_random_numbers_are_where_they_were(tmp_path: Path) -> None:
    import torch

    trainer = trainer_of(configured(tmp_path))
    trainer.model.train()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    scores = trainer.evaluate()
    assert torch.equal(torch.rand(3), expected) and trainer.model.training
    assert scores["eval_n"] == 8 and scores["eval_voices_war"] == scores["eval_war"]


def test_a_clips_answer_does_not_depend_on_the_clips_around_it(tmp_path: Path) -> None:
    trainer = trainer_of(configured(tmp_path))
    reader = ClipReader(trainer.model, trainer.reader_processor)
    together = answer_all(reader, trainer.validation, orders=2, seed=1)
    alone = [answer_all(reader, [sample], orders=2, seed=1)[0] for sample in reversed(trainer.validation)]
    for one, other in zip(together, reversed(alone), strict=True):
        assert one.clip == other.clip and one.raw.tolist() == other.raw.tolist()


def test_inputs_are_those_that_reach_the_model(tmp_path: Path) -> None:
    trainer = trainer_of(configured(tmp_path))
    (sample, *_) = trainer.validation
    groups = trainer.model.config.groups
    assert inputs_of_sample(sample, groups) == ("video", "audio", "text")


def test_scores_equal_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    right = rng.integers(0, 3, 200)
    answers = [_answered("a", n, int(k), rng) for n, k in enumerate(right)]
    scores = scores_of(answers, Calibration(prior_weight=0.0, default_temperature=2.0))
    raw = np.array([a.raw for a in answers])
    chances = np.exp(raw / 2) / np.exp(raw / 2).sum(axis=1, keepdims=True)
    guessed = raw.argmax(axis=1)
    assert scores["war"] == pytest.approx(accuracy_score(right, guessed))
    assert scores["uar"] == pytest.approx(recall_score(right, guessed, average="macro"))
    assert scores["weighted_f1"] == pytest.approx(f1_score(right, guessed, average="weighted"))
    assert scores["nll"] == pytest.approx(log_loss(right, chances))
    assert scores["n"] == 200 and scores["order_sensitivity"] == pytest.approx(0.1)


def test_sources_count_the_same_however_many_clips_they_have() -> None:
    rng = np.random.default_rng(1)
    good = [Answered("g", "good", LABELS, np.array([9.0, 0, 0]), np.zeros(3), 0, ("audio",), 0.0) for _ in range(30)]
    bad = [_answered("bad", n, 2, rng) for n in range(5)]
    bad = [Answered("b", "bad", LABELS, np.array([9.0, 0, 0]), np.zeros(3), 2, ("audio",), 0.2) for _ in bad]
    scores = by_source([*good, *bad])
    assert scores["good"]["war"] == 1.0 and scores["bad"]["war"] == 0.0
    mean = averaged(scores)
    assert mean["war"] == 0.5 and mean["n"] == 35 and mean["order_sensitivity"] == pytest.approx(0.1)


def test_the_spread_over_label_orders_is_that_of_the_scores() -> None:
    """Under the first order both answers are right, under the second one of them; opinions and prior stay."""
    orders = [np.array([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0]]), np.array([[0.0, 2.0, 1.0], [1.0, 0.0, 2.0]])]
    rights = [0, 1]
    answers = [
        Answered(str(n), "a", LABELS, rows.mean(axis=0), np.zeros(3), right, ("audio",), 0.1, per_order=rows)
        for n, (rows, right) in enumerate(zip(orders, rights, strict=True))
    ]
    assert order_spread(answers, Calibration()) == pytest.approx(0.5)
    alone = [replace(answer, per_order=np.zeros((0, 0))) for answer in answers]
    assert order_spread(alone, Calibration()) is None
