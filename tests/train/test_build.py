"""The model to train: new from the data, or going on from a checkpoint; what does not fit is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emotion_llama.errors import ManifestError, ModelError, UsageError
from emotion_llama.model.checkpoint import save_adapter
from emotion_llama.model.processing import TrainSample
from emotion_llama.train.build import STATISTICS_SAMPLES, Trainee, build
from emotion_llama.train.clip_samples import ClipSampler
from emotion_llama.train.extract import extract
from emotion_llama.train.material import prepare, read_items
from emotion_llama.train.questions import sampler_for
from tests.train.tiny_run import WIDTH, configured, largest_difference, trained


class Fixed:
    """A sampler over given samples, round and round."""

    def __init__(self, samples: list[TrainSample]) -> None:
        self.samples = samples

    def draw(self, index: int) -> TrainSample:
        return self.samples[index % len(self.samples)]


def _sampler(config: Any) -> ClipSampler:
    sampler = sampler_for(config, prepare(config, extract(read_items(config), config).examples), "train")
    assert isinstance(sampler, ClipSampler)
    return sampler


def _built(folder: Path, *changes: str, seed: int = 0) -> Trainee:
    config = configured(folder, *changes)
    return build(config.model, {}, _sampler(config), seed=seed)


def test_a_seed_gives_the_same_model(tmp_path: Path) -> None:
    one, two, three = (trained(_built(tmp_path, seed=seed).model) for seed in (5, 5, 6))
    assert largest_difference(one, two) == 0.0
    assert largest_difference(one, three) > 0.01


def test_features_are_standardised_with_the_numbers_of_the_training_samples(tmp_path: Path) -> None:
    config = configured(tmp_path)
    sampler = _sampler(config)
    trainee = build(config.model, {}, sampler, seed=0)
    drawn = [sampler.draw(number) for number in range(STATISTICS_SAMPLES)]
    for name, tokens in (("audio", 1), ("video", 2)):
        rows = np.concatenate([sample.features[name] for sample in drawn if name in sample.features])
        projector = trainee.model.projectors[name]
        assert projector.mean.numpy() == pytest.approx(rows.mean(axis=0), abs=1e-5)
        assert projector.std.numpy() == pytest.approx(rows.std(axis=0), abs=1e-4)
        assert trainee.spread[name] == pytest.approx(rows.std(axis=0), abs=1e-4)
        (group,) = [one for one in trainee.model.config.groups if one.name == name]
        assert (group.width, group.tokens) == (WIDTH, tokens)
    assert {sample.clip.split("/")[0] for sample in drawn} == {"voices"}


def test_a_head_starts_as_the_words_of_its_labels(make_trainee: Callable[..., Trainee]) -> None:
    """The soft token of a sure head is the embedding of the label's word; what its noise is, is not asked."""
    trainee = make_trainee()
    projector = trainee.model.projectors["voice_emotion"]
    words = trainee.model.get_input_embeddings().weight
    from tests.train.conftest import VOICE_LABELS

    for column, label in enumerate(VOICE_LABELS):
        chances = torch.nn.functional.one_hot(torch.tensor([[column]]), len(VOICE_LABELS)).float()
        expected = words[trainee.processor.answer_ids(label)].mean(0)
        assert torch.allclose(projector(chances)[0, 0], expected, atol=1e-5)
    assert "voice_emotion" not in trainee.spread and "audio_mix" in trainee.spread


@pytest.mark.parametrize(
    ("train", "parts"),
    [
        ("[projectors]", {"projectors"}),
        ("[lora]", {"lora"}),
        ("[lora, projectors]", {"projectors", "lora"}),
    ],
)
def test_gradients_are_left_to_the_named_parts(tmp_path: Path, train: str, parts: set[str]) -> None:
    model = _built(tmp_path, f"model.train={train}").model
    found = {n for n, p in model.named_parameters() if p.requires_grad}
    assert {"projectors" if n.startswith("projectors.") else "lora" if ".lora_" in n else n for n in found} == parts


def test_a_group_that_no_clip_has_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="feature group mimics: expected it in the training clips"):
        _built(tmp_path, "model.features=[{name: audio, modality: audio}, {name: mimics, modality: video}]")


def test_clips_of_two_encoders_are_refused_by_name(tmp_path: Path) -> None:
    config = configured(tmp_path, "model.features=[{name: audio, modality: audio}]")
    sample = _sampler(config).draw(0)
    assert "audio" in sample.features
    other = replace(sample, clip="other/clip", features={"audio": np.zeros((1, WIDTH + 1), np.float32)})
    with pytest.raises(ManifestError, match=rf"'audio': clip other/clip has rows of {WIDTH + 1} numbers"):
        build(config.model, {}, Fixed([sample, other]), seed=0)


def test_lora_cannot_be_left_out_of_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train: \[projectors\]"):
        configured(tmp_path, "model.lora=null")


def test_nothing_to_train_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose projectors, lora or both"):
        configured(tmp_path, "model.train=[]")


def test_four_bits_need_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="quantize nf4: expected a GPU"):
        _built(tmp_path, "model.quantize=nf4")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of groups video and audio, LoRA rank 4, with weights of its own."""
    model = _built(tmp_path, seed=11).model
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B" in name:
                parameter.normal_(std=0.1)
    save_adapter(model, tmp_path / "first")
    return tmp_path / "first"


def test_training_goes_on_from_a_checkpoints_weights_and_standardisation(checkpoint: Path) -> None:
    folder = checkpoint.parent
    config = configured(folder, f"model.init={checkpoint}", "model.features=[]", "model.lora=null")
    again = build(config.model, {}, _sampler(config), seed=3)
    first = _built(folder, seed=11)
    of_first = {n: v for n, v in first.model.state_dict().items() if ".lora_B" not in n}
    of_again = {n: v for n, v in again.model.state_dict().items() if ".lora_B" not in n}
    assert largest_difference(of_first, of_again) == 0.0
    grown = [p for n, p in again.model.named_parameters() if ".lora_B" in n]
    assert grown and all(float(p.detach().abs().max()) > 0.05 for p in grown)
    assert any(p.requires_grad for p in grown)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.features=[{name: audio, modality: audio}]", "feature groups video, audio, the settings name audio"),
        ("model.lora={rank: 16, alpha: 8}", "LoRA has rank 4, the settings say 16"),
        ("model.lora={rank: 4, alpha: 32}", "LoRA has alpha 8, the settings say 32"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_architecture_is_refused(checkpoint: Path, change: str, message: str) -> None:
    config = configured(checkpoint.parent, f"model.init={checkpoint}", change)
    with pytest.raises(ModelError, match=message):
        build(config.model, {}, Fixed([]), seed=0)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    config = configured(tmp_path, f"model.init={tmp_path}")
    with pytest.raises(ModelError, match="expected a checkpoint folder or one of nano"):
        build(config.model, {}, Fixed([]), seed=0)
