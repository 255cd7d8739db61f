"""A checkpoint folder and the device it runs on; wrong names are told with the right ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from emotion_llama.analyze.preset import (
    TRAINED_LABELS,
    WEIGHTS_LICENCE,
    choose_device,
    choose_dtype,
    llm_folder,
    load_preset,
)
from emotion_llama.errors import AssetMissingError, ModelError, UsageError


def test_unknown_models_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown model 'mega': give one of nano or a checkpoint folder"):
        load_preset("mega", device="cpu", dtype="auto", threads=None)
    with pytest.raises(UsageError, match="emotion-llama convert official"):
        load_preset("7b", device="cpu", dtype="auto", threads=None)
    with pytest.raises(ModelError, match=r"no config\.json there; expected a checkpoint folder") as caught:
        load_preset(tmp_path, device="cpu", dtype="auto", threads=None)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    preset = load_preset(tmp_path, device="cpu", dtype="float32", threads=3)
    assert (preset.folder, preset.device, preset.dtype, preset.threads) == (tmp_path, "cpu", torch.float32, 3)
    assert load_preset(tmp_path, device="cpu", dtype="float32", threads=None).threads >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two programs on one machine share it like this
    assert load_preset(tmp_path, device="cpu", dtype="float32", threads=None).threads == 1


@pytest.mark.parametrize(
    ("init", "labels"), [(None, ("calm", "stressed")), ("nano", ("calm", "stressed", *TRAINED_LABELS))]
)
def test_a_checkpoint_says_what_it_was_trained_on(tmp_path: Path, init: str | None, labels: tuple[str, ...]) -> None:
    (tmp_path / "config.json").write_text("{}")
    preset = load_preset(tmp_path, device="cpu", dtype="float32", threads=1)
    assert preset.trained_labels() == TRAINED_LABELS  # without a record: as nano
    record = {"config": {"model": {"init": init}}, "data": [{"labels": {"calm": 3, "stressed": 1}}, {"labels": {}}]}
    (tmp_path / "training.json").write_text(json.dumps(record))
    assert preset.trained_labels() == labels


def test_a_language_model_is_an_asset_or_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert llm_folder("someone/some-llm") == "someone/some-llm" and llm_folder(str(tmp_path)) == str(tmp_path)
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(tmp_path))
    with pytest.raises(AssetMissingError, match="emotion-llama fetch nano"):
        llm_folder("smollm2-135m-instruct")


@pytest.mark.parametrize("device", ["tpu", "", "gpu", "cpu:1", "cuda:99", "cuda:x", "cuda:-1"])
def test_devices_that_are_not_there_are_told(device: str) -> None:
    with pytest.raises(UsageError, match=f"device '{device}' is not available here; give auto, cpu"):
        choose_device(device)


def test_devices_that_are_there() -> None:
    assert choose_device("cpu") == "cpu" and choose_device("cpu:0") == "cpu"
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


def test_number_formats() -> None:
    assert choose_dtype("bfloat16", "cpu") == torch.bfloat16 and choose_dtype("float32", "cpu") == torch.float32
    assert choose_dtype("auto", "cpu") in (torch.bfloat16, torch.float32)
    with pytest.raises(UsageError, match="dtype 'int3': give auto, float32, bfloat16"):
        choose_dtype("int3", "cpu")


def test_the_licence_is_the_one_the_package_declares() -> None:
    from importlib.metadata import metadata

    assert metadata("emotion-llama")["License-Expression"] == f"Apache-2.0 AND {WEIGHTS_LICENCE}"
