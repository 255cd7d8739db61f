"""Draw number n is always the same sample; cuts, mirrors and masks are what the papers say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from emotion_llama.train.pretrain.draws import ASPECT, Draws, random_cut
from emotion_llama.train.pretrain.nets import make_net
from emotion_llama.train.pretrain.settings import PretrainSettings
from emotion_llama.train.pretrain.tracks import Track

Make = Callable[..., PretrainSettings]


@pytest.fixture()
def tracks(tmp_path: Path) -> list[Track]:
    """Tracks of 5, 1 and 9 faces; each face is one plain colour: 10 x its place among all."""
    made = []
    for number, (first, faces) in enumerate(((0, 5), (5, 1), (6, 9))):
        colours = 10 * np.arange(first, first + faces, dtype=np.uint8)
        path = tmp_path / f"{number}.safetensors"
        save_file({"crops": np.tile(colours[:, None, None, None], (1, 24, 24, 3))}, path)
        made.append(Track(f"track {number}", path, faces, 80.0, str(number), str(number)))
    return made


def _draws(tracks: list[Track], settings: PretrainSettings, count: int = 30, fixed: bool = False) -> Draws:
    net, processor = make_net(settings)
    return Draws(tracks, count, settings, net.config, processor, fixed)


def _place(pixels: torch.Tensor) -> int:
    """Which face a plain picture shows."""
    return round(float(pixels.mean()) * 255 / 10)


def test_every_face_is_drawn_once_before_any_again(tracks: list[Track], settings: Make) -> None:
    draws = _draws(tracks, settings())
    for turn in (range(15), range(15, 30)):
        assert Counter(_place(draws[n]["pixel_values"]) for n in turn) == Counter(range(15))
    orders = [[_place(draws[n]["pixel_values"]) for n in turn] for turn in (range(15), range(15, 30))]
    assert orders[0] != orders[1]


def test_a_draw_does_not_depend_on_what_came_before(tracks: list[Track], settings: Make) -> None:
    one, other = _draws(tracks, settings()), _draws(tracks, settings())
    late = other[29]
    _ = [one[n] for n in range(29)]
    assert all(torch.equal(late[name], one[29][name]) for name in late)
    assert not torch.equal(_draws(tracks, settings(seed=1))[29]["noise"], late["noise"])


def test_fixed_draws_are_spread_over_all_faces(tracks: list[Track], settings: Make) -> None:
    draws = _draws(tracks, settings(), count=5, fixed=True)
    assert [_place(draws[n]["pixel_values"]) for n in range(5)] == [1, 4, 7, 10, 13]
    assert [int(draws[n]["track"]) for n in range(5)] == [0, 0, 2, 2, 2]


def test_pixels_are_scaled_to_one_and_no_more(tracks: list[Track], settings: Make) -> None:
    pixels = _draws(tracks, settings(), count=15, fixed=True)[14]["pixel_values"]
    assert pixels.shape == (3, 16, 16)
    assert torch.allclose(pixels, torch.full_like(pixels, 140 / 255))


def test_a_tube_hides_the_same_patches_in_every_frame(tracks: list[Track], settings: Make) -> None:
    sample = _draws(tracks, settings("face-videomae"))[3]
    assert sample["pixel_values"].shape == (4, 3, 16, 16)
    first, second = sample["bool_masked_pos"].reshape(2, 16)
    assert torch.equal(first, second)
    assert int(first.sum()) == 14  # 90 % of 16, whole patches


def test_a_clip_takes_every_so_manyth_face_and_a_short_track_repeats_its_last(
    tracks: list[Track], settings: Make
) -> None:
    draws = _draws(tracks, settings("face-videomae", frame_step=2), count=15, fixed=True)
    frames = [[_place(frame) for frame in draws[n]["pixel_values"]] for n in range(15)]
    assert frames[7] == [7, 9, 11, 13]
    assert frames[14] == [8, 10, 12, 14]  # as late as it fits
    assert frames[5] == [5, 5, 5, 5]  # a track of one face
    assert frames[0] == [0, 2, 4, 4]


def test_all_frames_of_a_clip_are_cut_alike(tmp_path: Path, settings: Make) -> None:
    still = np.tile(np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8), (4, 1, 1, 1))
    save_file({"crops": still}, tmp_path / "still.safetensors")
    track = Track("still", tmp_path / "still.safetensors", 4, 80.0, "a", "a")
    draws = _draws([track], settings("face-videomae"), count=8)
    for n in range(8):
        frames = draws[n]["pixel_values"]
        assert torch.equal(frames[0], frames[3])
    assert not torch.equal(draws[0]["pixel_values"], draws[1]["pixel_values"])


def test_mirroring_can_be_switched_off(tmp_path: Path, settings: Make) -> None:
    slope = np.tile(np.arange(24, dtype=np.uint8)[None, None, :, None] * 10, (1, 24, 1, 3))
    save_file({"crops": slope}, tmp_path / "slope.safetensors")
    track = Track("slope", tmp_path / "slope.safetensors", 1, 80.0, "a", "a")

    def rising(flip: bool) -> set[bool]:
        draws = _draws([track], settings(flip=flip), count=20)
        return {bool(draws[n]["pixel_values"][0, 0, -1] > draws[n]["pixel_values"][0, 0, 0]) for n in range(20)}

    assert rising(flip=False) == {True}
    assert rising(flip=True) == {True, False}


def test_cuts_stay_inside_and_large_enough() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([random_cut(100, 0.5, rng) for _ in range(500)])
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0 and boxes.max() <= 100
    ratios = widths / heights
    assert ratios.min() > ASPECT[0] - 1e-9 and ratios.max() < ASPECT[1] + 1e-9
    areas = widths * heights / 100**2
    assert 0.5 - 1e-9 <= areas.min() < 0.55 and areas.max() > 0.9
