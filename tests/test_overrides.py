"""A YAML file and `key=value` words become settings; what is misspelt is refused with the nearest key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from emotion_llama.errors import UsageError
from emotion_llama.overrides import apply_override, read_config
from emotion_llama.train.config import TrainConfig

LEAST: dict[str, Any] = {
    "out": "runs/x",
    "model": {"features": [{"name": "audio", "modality": "audio"}], "heads": [{"name": "h", "array": "audio"}]},
    "data": {
        "sources": [
            {"name": "first", "path": "a.jsonl", "side": "train"},
            {"path": "folder/second.jsonl", "split": {"validation": 0.2}},
        ]
    },
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(LEAST), encoding="utf-8")
    return file


def test_words_change_values_at_every_depth(path: Path) -> None:
    words = (
        "seed=7", "out=runs/other", "schedule.steps=50", "model.lora.rank=2", "data.sources.0.weight=0.5",
        "data.sources.second.split.test=0.1", "samples.tasks={emotion: 1, reason: 2}", "calibration=null",
        "data.augment.picture=null", "model.lora.targets=[q_proj]", "data.augment.sound.noise.probability=0",
    )  # fmt: skip
    config = read_config(TrainConfig, path, words)
    assert (config.seed, config.out, config.schedule.steps) == (7, "runs/other", 50)
    assert config.model.lora is not None and config.model.lora.rank == 2 and config.model.lora.targets == ("q_proj",)
    first, second = config.data.sources
    assert first.weight == 0.5
    assert second.name == "second"  # named after its file
    assert second.split.model_dump() == {"validation": 0.2, "test": 0.1, "unit": "speaker"}  # type: ignore[union-attr]
    assert config.samples.tasks == {"emotion": 1.0, "reason": 2.0}
    assert config.calibration is None and config.data.augment.picture is None
    assert config.data.augment.sound is not None and config.data.augment.sound.noise.probability == 0
    untouched = read_config(TrainConfig, path)
    assert untouched.seed == 0 and untouched.schedule.steps != 50


def test_null_takes_an_item_out_of_its_list(path: Path) -> None:
    config = read_config(TrainConfig, path, ["data.sources.first=null"])
    assert [source.name for source in config.data.sources] == ["second"]


def test_the_last_word_wins_and_a_list_can_be_given_anew(path: Path) -> None:
    words = ["seed=1", "seed=2", "data.sources=[{path: c.jsonl, side: train}]"]
    config = read_config(TrainConfig, path, words)
    assert config.seed == 2 and [source.path for source in config.data.sources] == ["c.jsonl"]


@pytest.mark.parametrize("word", ["steps", "=5", "schedule..steps=5", ".steps=5", "schedule.=5"])
def test_words_that_are_no_key_and_value_are_refused(path: Path, word: str) -> None:
    with pytest.raises(UsageError, match="expected key=value"):
        read_config(TrainConfig, path, [word])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("data.sources.secnod.weight=2", r"no item 'secnod'.*did you mean 'second'"),
        ("data.sources.2.weight=2", r"no item '2' in the list of 2 \(first, second\)"),
        ("out.name=2", "'name' lies below a plain value"),
        ("out.name.more=2", "'name' lies below a plain value"),
        ("seed=[1", "not readable as YAML"),
        ("seed=many", "seed: Input should be a valid integer"),
        ("schedule.steps=0", "schedule.steps: Input should be greater than or equal to 1"),
        ("samples.tasks.reasoning=1", "samples.tasks.reasoning"),
        ("validation.side=test", "chosen on the validation side"),
    ],
)
def test_what_is_wrong_is_named(path: Path, word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_config(TrainConfig, path, [word])


def _models(model: type[BaseModel], at: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every settings model below one, with a key that leads to it."""
    yield at, model
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        listed = field.annotation is not None and getattr(field.annotation, "__origin__", None) is tuple
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _models(kind, f"{at}{name}.{'0.' if listed else ''}")


@pytest.mark.parametrize(("at", "model"), [pytest.param(*one, id=one[0] or "top") for one in _models(TrainConfig)])
def test_unknown_keys_are_refused_with_the_nearest_one_at_every_depth(
    path: Path, at: str, model: type[BaseModel]
) -> None:
    for key in model.model_fields:
        with pytest.raises(UsageError) as refused:
            read_config(TrainConfig, path, [f"{at}{key}x=1"])
        assert f"unknown setting '{key}x' for {model.__name__}; did you mean '{key}'?" in str(refused.value)
        assert path.name in str(refused.value)
        assert at.rstrip(".") in str(refused.value)


def test_every_depth_is_every_depth() -> None:
    found = {at for at, _ in _models(TrainConfig)}
    assert {"", "model.", "model.lora.", "model.features.0.", "model.heads.0.", "data.sources.0.split."} <= found
    assert "data.augment.sound.noise." in found and len(found) > 20


@pytest.mark.parametrize(
    ("content", "message"), [(b"- 1\n- 2\n", "found list"), (b"a: [1", "cannot be read"), (b"\xff\xfe", "cannot be")]
)
def test_files_that_are_no_settings_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=rf"broken\.yaml.*{message}"):
        read_config(TrainConfig, file)
    with pytest.raises(UsageError, match=r"absent\.yaml.*cannot be read"):
        read_config(TrainConfig, tmp_path / "absent.yaml")


def test_an_empty_file_lacks_its_keys(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=r"out: Field required.*model: Field required.*data: Field required"):
        read_config(TrainConfig, tmp_path / "empty.yaml")


def test_override_makes_the_tables_that_are_missing() -> None:
    values: dict[str, Any] = {"schedule": None}
    apply_override(values, "schedule.steps=3")
    apply_override(values, "a.b.c=text")
    apply_override(values, "empty=")
    assert values == {"schedule": {"steps": 3}, "a": {"b": {"c": "text"}}, "empty": None}
