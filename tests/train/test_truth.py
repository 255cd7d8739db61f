"""What a training loop that works must do: learn, not learn what is not there, and survive being killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.clip import Clip
from emotion_llama.train.clip_samples import closed_samples
from emotion_llama.train.extract import extract
from emotion_llama.train.material import prepare, read_items
from emotion_llama.train.record import RECORD, STARTED
from emotion_llama.train.sides import shuffled_truth
from emotion_llama.train.sources import Item
from emotion_llama.train.validate import scores_of
from tests.train.tiny_run import (
    WORDS,
    configured,
    environment,
    largest_difference,
    trainer_of,
    weights,
    write_settings,
)

LEARN = ("schedule.steps=60", "schedule.batch_size=16", "schedule.learning_rate=0.01", "validation.every=60")
MANY = ("data.sources.voices.split={validation: 0.3, test: 0}",)


def test_eight_clips_are_learned_by_heart(tmp_path: Path) -> None:
    changes = ("data.sources.voices.split=null", "data.sources.voices.side=train", "samples.drop={}")
    config = configured(tmp_path, *LEARN, *changes, "schedule.batch_size=8", people=1)
    trainer = trainer_of(config)
    material = prepare(config, extract(read_items(config), config).examples)
    samples = closed_samples(material.examples, material.groups, material.opinions, None, 0)
    assert len(samples) == 8
    before = scores_of(trainer.answers(samples, orders=2))
    trainer.train()
    after = scores_of(trainer.answers(samples, orders=2))
    assert before["war"] < 0.6 and after["war"] == 1.0
    assert after["nll"] < before["nll"] / 2


def test_new_people_are_recognised_and_with_shuffled_truth_they_are_not(tmp_path: Path) -> None:
    """Ten people, three of them unseen; with shuffled truth the score must stay within what guessing gives."""
    scores = {}
    for shuffled in ("false", "true"):
        config = configured(tmp_path, *LEARN, *MANY, f"data.shuffle_truth={shuffled}", people=10, takes=2)
        trainer = trainer_of(config)
        trainer.train()
        scores[shuffled] = trainer.validation_scores[60]["voices"]
    n, chance = int(scores["true"]["n"]), 1 / len(WORDS)
    assert n == 3 * 8 * 2
    limit = np.quantile(np.random.default_rng(0).binomial(n, chance, 100_000), 0.999) / n
    assert scores["false"]["war"] > 0.7 > limit
    assert scores["true"]["war"] <= limit
    assert scores["true"]["nll"] > -np.log(chance) * 0.95


def _item(source: str, number: int, side: str, label: str | None = "happy", question: str | None = None) -> Item:
    clip = Clip(clip=f"{side}{number}", emotion=label, reasoning=f"why {number}", transcript=f"words {number}")
    return Item(source, clip, side, label, WORDS, question=question)  # type: ignore[arg-type]  # one of the sides


def test_shuffled_truth_goes_round_within_a_source_on_the_training_side() -> None:
    labels = [WORDS[n % 8] for n in range(40)]
    items = [_item(s, n, side, labels[n]) for s in "ab" for side in ("train", "validation", "test") for n in range(40)]
    items += [_item("a", 99, "train", None), _item("a", 98, "train", "happy", question="How many people?")]
    found = shuffled_truth(items, seed=3)
    assert found == shuffled_truth(items, seed=3) != shuffled_truth(items, seed=4)
    changed = [place for place, (one, other) in enumerate(zip(items, found, strict=True)) if one != other]
    assert {items[place].side for place in changed} == {"train"} and len(changed) > 60
    assert found[-2:] == items[-2:]
    for source in "ab":
        old, new = ([i for i in some if i.source == source and i.side == "train"] for some in (items, found))
        assert Counter(i.label for i in old) == Counter(i.label for i in new)
        assert [i.clip.transcript for i in old] == [i.clip.transcript for i in new]
        truth = {i.clip.reasoning: i.label for i in old}
        assert all(truth[i.clip.reasoning] == i.label for i in new)  # label and reasoning stay together
        same = sum(a.label == b.label for a, b in zip(old, new, strict=True)) / len(old)
        assert same < 0.4


def _train(path: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "emotion_llama", "train", str(path), *words]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _finished(process: subprocess.Popen[bytes]) -> str:
    text = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 0, text
    return text


@pytest.mark.slow  # four runs of the command line
def test_the_command_killed_at_a_random_step_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    changes = ("schedule.steps=40", "validation.every=5", "model.lora.dropout=0.3", "score_test=true")
    path = write_settings(tmp_path, changes)
    _finished(_train(path, f"out={tmp_path / 'whole'}"))

    process = _train(path)
    first = tmp_path / "run" / "checkpoints" / "checkpoint-5" / "complete"
    until = time.monotonic() + 90
    while not first.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(random.random() * 0.5)  # some step later: any must do
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "run" / STARTED).exists() and not (tmp_path / "run" / RECORD).exists()

    text = _finished(_train(path))
    assert "going on from step" in text
    assert largest_difference(weights(tmp_path / "run"), weights(tmp_path / "whole")) == 0.0
    mine, theirs = (json.loads((tmp_path / n / RECORD).read_text("utf-8")) for n in ("run", "whole"))
    for key in ("scores", "best", "validation", "test", "data", "adapter_sha256"):
        assert mine[key] == theirs[key], key
    assert [score["step"] for score in mine["scores"]] == [1, *range(5, 41, 5)]
    for name in ("calibration.json", "test/voices.predictions.jsonl", "test/voices.clips.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name

    assert "finished; nothing to do" in " ".join(_finished(_train(path)).split())
