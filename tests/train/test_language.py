"""A model that reads Chinese: trained on Chinese questions and answers, and asked in Chinese from then on."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import emotion_llama as el
from emotion_llama.clip import Observation
from emotion_llama.errors import UsageError
from emotion_llama.model.checkpoint import read_config as checkpoint_config
from emotion_llama.model.processing import TrainSample
from emotion_llama.train.clip_samples import sample_of
from emotion_llama.train.config import SampleSettings
from emotion_llama.train.examples import Example
from emotion_llama.train.run import run
from tests.train.tiny_run import configured, trainer_of

CHINESE = "samples.language=zh"
SMILE = Observation(
    channel="face", text="the lip corners are strongly pulled up", source="mesh-au-1", name="AU12", value=4.0,
    supports=("happy",),
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run in Chinese."""
    return run(configured(tmp_path_factory.mktemp("chinese"), CHINESE, "schedule.steps=4", "validation.every=4"))


def test_the_checkpoint_says_so_and_is_asked_in_its_language(finished: Path) -> None:
    assert checkpoint_config(finished).language == "zh"
    model = el.load(finished, dtype="float32", threads=1)
    found = model.analyze(transcript="太好了！", labels=("happy", "sad"), tasks=("emotion", "reason"), language="zh")
    assert "请判断视频中的人物表现出以下哪一种情绪：" in found.prompts["emotion"]
    assert "视频中的人说：太好了！" in found.prompts["emotion"]
    assert "高兴" in found.prompts["emotion"] and "happy" not in found.prompts["emotion"]
    assert set(found.probabilities) == {"happy", "sad"} and found.emotion in found.probabilities
    assert "reason" in found.raw  # its own text is used
    foreign = model.analyze(transcript="Great!", labels=("happy", "sad"), tasks=("emotion", "reason"))
    assert foreign.raw == {} and foreign.reasoning and not re.search("[\u4e00-\u9fff]", foreign.reasoning)
    assert any("does not write the language" in line for line in foreign.warnings)


def test_answers_are_learned_in_the_language(tmp_path: Path) -> None:
    processor = trainer_of(configured(tmp_path, CHINESE)).reader_processor
    sample = TrainSample("a", "emotion", ("happy", "sad"), None, "happy")
    batch = processor.for_training([sample])
    learned = [int(x) for x in batch["labels"][0] if x >= 0][:-1]
    assert processor.decode(learned) == "高兴"
    assert learned == processor.answer_ids("高兴")  # as `ClipReader` scores it


def test_texts_to_learn_are_in_the_language(make: dict[str, Callable[..., Example]]) -> None:
    example = replace(make["film"]("happy", "p0"), observations=(SMILE,), reasoning=None)
    settings = SampleSettings(language="zh", told=1.0)
    for task in ("reason", "visual"):
        sample = sample_of(example, task, ("video",), random.Random(0), (), {}, settings)  # type: ignore[arg-type]
        assert "嘴角明显上扬" in sample.answer and not re.search("[A-Za-z]{3,}", sample.answer)
        assert all("嘴角明显上扬" in clue for clue in sample.clues) and sample.clues


def test_an_unknown_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose from en, zh"):
        configured(tmp_path, "samples.language=tlh")
