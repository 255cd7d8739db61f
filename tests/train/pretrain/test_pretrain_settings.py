"""Settings of a pre-training: the shipped ones parse, wrong ones are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from emotion_llama.errors import UsageError
from emotion_llama.overrides import read_config
from emotion_llama.train.pretrain.settings import KINDS, PretrainSettings, shipped_config

CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs" / "pretrain").glob("*.yaml"))


def test_both_sizes_of_both_kinds_are_shipped() -> None:
    assert {path.stem for path in CONFIGS} == {f"{kind}{size}" for kind in KINDS for size in ("", "-tiny")}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_settings_are_read(path: Path) -> None:
    found = read_config(PretrainSettings, path)
    assert path.stem.removesuffix("-tiny") == found.kind
    assert found.mask_ratio == (0.9 if found.kind == "face-videomae" else 0.75)
    if not path.stem.endswith("-tiny"):  # the paper's ViT-L/16 at 224 px
        assert found.model is not None
        assert (found.model.image_size, found.model.patch_size) == (224, 16)
        assert (found.model.hidden_size, found.model.num_hidden_layers) == (1024, 24)
        step = found.schedule.batch_size * found.schedule.accumulate
        assert found.schedule.learning_rate == pytest.approx(1.5e-4 * step / 256)


@pytest.mark.parametrize("kind", KINDS)
def test_the_small_net_is_the_default(kind: str) -> None:
    assert shipped_config(kind).read_text() == next(p for p in CONFIGS if p.stem == f"{kind}-tiny").read_text()


def test_words_of_the_command_line_change_settings() -> None:
    found = read_config(PretrainSettings, shipped_config("face-mae"), ["schedule.steps=7", "init=x", "model=null"])
    assert (found.schedule.steps, found.init, found.model) == (7, "x", None)


def test_a_mistyped_setting_is_named() -> None:
    with pytest.raises(UsageError, match="did you mean 'mask_ratio'"):
        read_config(PretrainSettings, shipped_config("face-mae"), ["mask_ration=0.5"])


def test_model_or_init_and_not_both(settings: Callable[..., PretrainSettings]) -> None:
    with pytest.raises(ValidationError, match=r"either model .* or init"):
        settings(init="a-folder")
    with pytest.raises(ValidationError, match=r"either model .* or init"):
        settings(model=None)


def test_sizes_that_do_not_divide_are_named(settings: Callable[..., PretrainSettings]) -> None:
    with pytest.raises(ValidationError, match=r"image_size 18 must be a multiple of patch_size \(4\)"):
        settings(model={"image_size": 18})
    with pytest.raises(ValidationError, match="num_frames: has no meaning for face-mae"):
        settings(model={"num_frames": 4, "tubelet_size": 2})


def test_a_smaller_batch_with_more_accumulation_is_the_same_run(settings: Callable[..., PretrainSettings]) -> None:
    whole, halves = settings(), settings(schedule={"batch_size": 2, "accumulate": 2, "workers": 1})
    assert whole.identity() == halves.identity()
    assert whole.identity() != settings(schedule={"steps": 7}).identity()
    assert whole.identity() != settings(faces={"smallest_px": 5}).identity()
