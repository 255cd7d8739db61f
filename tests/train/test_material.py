"""What a run draws from: sides, clips that hold nothing, truth that is shuffled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from emotion_llama.errors import ManifestError
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.examples import Example
from emotion_llama.train.material import prepare, read_items
from emotion_llama.train.sides import shuffled_truth
from tests.train.tiny_run import configured


def test_truth_is_shuffled_where_the_settings_say_so(tmp_path: Path) -> None:
    plain, shuffled = configured(tmp_path), configured(tmp_path, "data.shuffle_truth=true")
    items = read_items(plain)
    labels, found, expected = (
        [i.label for i in some] for some in (items, read_items(shuffled), shuffled_truth(items, 0))
    )
    assert found == expected != labels


def test_a_clip_without_anything_the_model_reads_is_left_out_and_named(
    make_config: Callable[..., TrainConfig], examples: list[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    hears = ("model.features=[{name: audio_mix, modality: audio}]", "model.heads=[]")
    faces = {e.id for e in examples if e.source == "faces"}
    asked = replace(examples[0], id="vqa", question="How many?", reasoning="Two.", arrays={}, transcript=None)
    material = prepare(make_config(*hears), [*examples, asked])
    assert {one.clip for one in material.left_out} == faces and len(faces) > 50
    assert "holds none of audio_mix, nor words" in material.left_out[0].reason
    assert {e.id for e in material.examples} == {e.id for e in [*examples, asked]} - faces
    printed = " ".join(capsys.readouterr().err.split())
    assert f"{len(faces)} clips hold none of audio_mix" in printed
    with pytest.raises(ManifestError, match="expected audio_mix or words in the training clips"):
        prepare(make_config(*hears), [e for e in examples if e.id in faces])


def test_settings_without_a_training_clip_are_refused(tmp_path: Path) -> None:
    config = configured(tmp_path, "data.sources.voices.split=null", "data.sources.voices.side=test")
    with pytest.raises(ManifestError, match="no clip is on the training side"):
        read_items(config)
