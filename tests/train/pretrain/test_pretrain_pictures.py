"""Patches are cut, normalised and put together as both nets do it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from emotion_llama.train.pretrain.draws import Draws
from emotion_llama.train.pretrain.nets import make_net
from emotion_llama.train.pretrain.pictures import (
    GAP_PX,
    SMALLEST_PX,
    join_patches,
    reconstruction_picture,
    split_patches,
    unnormalise,
)
from emotion_llama.train.pretrain.settings import PretrainSettings
from emotion_llama.train.pretrain.tracks import Track

Make = Callable[..., PretrainSettings]


@pytest.fixture()
def track(tmp_path: Path) -> Track:
    crops = np.random.default_rng(0).integers(0, 255, (6, 24, 24, 3), dtype=np.uint8)
    save_file({"crops": crops}, tmp_path / "noise.safetensors")
    return Track("noise", tmp_path / "noise.safetensors", 6, 80.0, "a", "a")


def test_joining_undoes_splitting() -> None:
    clips = torch.rand(2, 4, 3, 8, 12)
    patches = split_patches(clips, 4, 2)
    assert patches.shape == (2, 2 * 2 * 3, 2 * 16, 3)
    assert torch.equal(join_patches(patches, clips.shape, 4, 2), clips)


def test_a_face_is_split_as_the_library_does(settings: Make) -> None:
    net, _ = make_net(settings())
    pixels = torch.rand(2, 3, 16, 16)
    assert torch.equal(split_patches(pixels[:, None], 4, 1).flatten(2), net.patchify(pixels))


@pytest.mark.parametrize("kind", ["face-mae", "face-videomae"])
def test_the_nets_own_loss_is_that_of_our_normalised_patches(kind: str, settings: Make, track: Track) -> None:
    chosen = settings(kind)
    net, processor = make_net(chosen)
    sample = Draws([track], 4, chosen, net.config, processor)[1]
    inputs = {name: value[None] for name, value in sample.items() if name != "track"}
    with torch.no_grad():
        output = net.eval()(**inputs)
    video = kind == "face-videomae"
    pixels = inputs["pixel_values"] if video else inputs["pixel_values"][:, None]
    patches = split_patches(pixels, 4, 2 if video else 1)
    hidden = inputs["bool_masked_pos"] if video else output.mask.bool()
    logits = torch.zeros(*hidden.shape, output.logits.shape[-1])
    logits[hidden] = (output.logits if video else output.logits[hidden]).reshape(-1, logits.shape[-1])
    # the loss is a squared distance in normalised patches: measure it after the way back, in units of the spread
    over = (-2,) if video else (-2, -1)
    spread = patches.var(dim=over, keepdim=True).sqrt()
    wrong = (unnormalise(logits.reshape(patches.shape), patches, by_channel=video) - patches) / spread
    assert float(wrong[hidden].square().mean()) == pytest.approx(float(output.loss), rel=1e-3)


def test_a_face_gives_a_row_of_three(settings: Make, track: Track) -> None:
    net, processor = make_net(settings())
    draws = Draws([track], 4, settings(), net.config, processor, fixed=True)
    net.train()
    picture = reconstruction_picture(net, [draws[0], draws[3]], processor)
    cell = SMALLEST_PX + GAP_PX
    assert picture.shape == (2 * cell, 3 * cell, 3) and picture.dtype == np.uint8
    assert net.training
    scale = SMALLEST_PX // 16
    original, masked, rebuilt = (
        picture[:SMALLEST_PX:scale, at : at + SMALLEST_PX : scale] for at in (0, cell, 2 * cell)
    )
    shown = draws[0]["pixel_values"].permute(1, 2, 0).numpy()
    assert np.abs(original / 255 - shown).max() < 0.003
    gray = (masked == 128).all(axis=2)
    assert gray.sum() == 12 * 16  # three quarters of sixteen patches of 4 x 4
    assert (masked[~gray] == original[~gray]).all() and (rebuilt[~gray] == original[~gray]).all()
    assert (rebuilt[gray] != original[gray]).any()


def test_a_clip_gives_three_rows_of_its_frames(settings: Make, track: Track) -> None:
    chosen = settings("face-videomae")
    net, processor = make_net(chosen)
    draws = Draws([track], 2, chosen, net.config, processor, fixed=True)
    picture = reconstruction_picture(net, [draws[0]], processor)
    cell = SMALLEST_PX + GAP_PX
    assert picture.shape == (3 * cell, 4 * cell, 3)
    assert (picture[cell : cell + SMALLEST_PX] == 128).mean() > 0.8
