"""What training settings refuse, and that what they resolve to can be read again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from emotion_llama.train.config import Source, TrainConfig

MakeConfig = Callable[..., TrainConfig]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("validation.side=test", "side 'test': the best checkpoint is chosen on the validation side"),
        ("validation.side=train", "side 'train': the best checkpoint is chosen on the validation side"),
        ("model.features=[]", "name the feature groups, or init"),
        ("model.features.3.head=fase", "face_emotion: head 'fase' is not among heads"),
        ("model.train=[]", "choose projectors, lora or both"),
        ("data.sources=[]", "found no source"),
        ("data.sources.texts.name=voices", "expected different names, found voices"),
        ("data.fold=6", "fold 6: expected 0 to 5"),
        ("data.sources.0.side=train", "source voices: give split .* or side, one of the two"),
        ("data.sources.0.split=null", "source voices: give split .* or side, one of the two"),
        ("data.sources.0.kind=videos", "Input should be 'manifest'"),
        ("samples.tasks={}", "tasks"),
        ("samples.tasks={emotion: 0}", "tasks"),
        ("samples.tasks={emotion: 2, reason: -1}", "tasks"),
        ("samples.drop={audio: 1.5}", "drop"),
        ("samples.drop={smell: 0.5}", "drop"),
        ("samples.feature_drop={local: 1.5}", "feature_drop"),
        ("samples.told=1.2", "told"),
        (
            "samples.feature_drop={local: 0.2, fase: 0.3}",
            "feature_drop: fase names no feature group; known are global, local, temporal, face_emotion, audio_mix, v",
        ),
        ("schedule.batch_size=0", "greater than or equal to 1"),
        ("model.quantize=int8", "nf4"),
        ("validation={metric: last, patience: 2}", "metric last has none"),
    ],
)
def test_settings_that_cannot_work_are_refused(make_config: MakeConfig, word: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make_config(word)


def test_a_source_is_named_after_its_path_and_may_bring_its_sides_as_files() -> None:
    source = Source.model_validate({"path": "sets/mine.v2.jsonl", "validation_path": "held.jsonl"})
    assert source.name == "mine.v2" and source.split is None
    assert Source.model_validate({"path": "sets/crema/", "side": "test"}).name == "crema"
    assert Source.model_validate({"path": "a.jsonl", "name": "own", "side": "test"}).name == "own"


def test_a_checkpoint_to_go_on_from_needs_no_features(make_config: MakeConfig) -> None:
    config = make_config("model.init=nano", "model.features=[]", "model.heads=[]")
    assert config.model.features == () and config.model.init == "nano"
    hiding = make_config("model.init=nano", "model.features=[]", "model.heads=[]", "samples.feature_drop={local: 0.2}")
    assert hiding.samples.feature_drop == {"local": 0.2}


def test_what_was_resolved_can_be_read_again(make_config: MakeConfig) -> None:
    config = make_config("data.sources.voices.split={test: 0.1}", "samples.drop.audio=0.3", "seed=5")
    assert TrainConfig.model_validate(config.model_dump(mode="json")) == config
