"""What is asked of the validation side, and what the calibration is fitted on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emotion_llama.model.processing import TrainSample
from emotion_llama.train.config import CalibrationSettings, FeatureSettings
from emotion_llama.train.extract import extract
from emotion_llama.train.head_settings import HeadSettings
from emotion_llama.train.material import Material, prepare, read_items
from emotion_llama.train.questions import as_moving, calibration_questions, each_alone, questions
from tests.train.tiny_run import configured

LABELS = ("happy", "sad", "angry")


def test_validation_asks_about_validation_people_only(tmp_path: Path) -> None:
    config = configured(tmp_path, people=6, takes=2)
    material = prepare(config, extract(read_items(config), config).examples)
    people = {example.id: example.person for example in material.examples if example.side == "validation"}
    asked = questions(config, material, "validation", 5, 0)
    assert len(asked) == 5 and len(set(people.values())) == 1
    assert {sample.clip for sample in asked} <= people.keys()
    assert [s.clip for s in questions(config, material, "validation", 5, 0)] == [s.clip for s in asked]


def test_a_source_may_stay_out_of_the_calibration(tmp_path: Path) -> None:
    config = configured(tmp_path, people=6, takes=2)
    material = prepare(config, extract(read_items(config), config).examples)
    assert calibration_questions(config, CalibrationSettings(), material)
    seen = [source.model_copy(update={"calibrate": False}) for source in config.data.sources]
    config = config.model_copy(update={"data": config.data.model_copy(update={"sources": tuple(seen)})})
    assert calibration_questions(config, CalibrationSettings(), material) == []


def test_still_pictures_are_asked_once_more_as_moving_faces_are(tmp_path: Path) -> None:
    config = configured(tmp_path)
    head = HeadSettings(name="says", array="face_expressions", sources=("posed",))
    config = config.model_copy(update={"model": config.model.model_copy(update={"heads": (head,)})})
    groups = (
        FeatureSettings(name="look", modality="video", head="look", still=True),
        FeatureSettings(name="says", modality="video", head="says"),
        FeatureSettings(name="global", modality="video"),
    )
    rows = {name: np.zeros((1, 2), np.float32) for name in ("look", "says", "global")}
    made = [
        TrainSample(source, "emotion", LABELS, None, LABELS[0], features, source=source)
        for source, features in (
            ("press", rows),
            ("posed", rows),
            ("films", {name: rows[name] for name in ("says", "global")}),
            ("voices", {}),
        )
    ]
    (asked,) = as_moving(made, config, Material([], groups, {}, {}, {}, {}))
    assert asked.source == "press as moving" and list(asked.features) == ["says", "global"]
    assert list(made[0].features) == ["look", "says", "global"]


def test_clips_with_both_inputs_are_asked_once_more_with_each_alone() -> None:
    groups = (
        FeatureSettings(name="look", modality="video"),
        FeatureSettings(name="sound", modality="audio"),
        FeatureSettings(name="both", modality="audio", joint=True),
    )
    material = Material([], groups, {}, {}, {}, {})
    rows = {name: np.zeros((1, 2), np.float32) for name in ("look", "sound", "both")}
    sample = TrainSample("a", "emotion", LABELS, "words", LABELS[0], rows, source="s")
    alone = each_alone(sample, material)
    assert [tuple(one.features) for one in alone] == [("look",), ("sound",)]
    assert all(one.transcript is None and one.answer == sample.answer and one.clip == "a" for one in alone)
    one_input = TrainSample("a", "emotion", LABELS, None, LABELS[0], {"look": rows["look"]}, source="s")
    assert each_alone(one_input, material) == []
