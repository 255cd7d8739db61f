"""Cuts in made-up films: shots are smooth random pictures that move, so that the right answer is known."""

from __future__ import annotations

import time
from collections.abc import Iterable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from emotion_llama.media.types import Frame
from emotion_llama.perception.shots import ShotFinder

RATE_HZ = 15
SIZE_PX = (320, 240)
Picture = NDArray[np.uint8]


def view(seed: int, width_px: int = SIZE_PX[0]) -> Picture:
    """A picture with colours and shapes of its own, as wide as a camera may turn."""
    draw = np.random.default_rng(seed)
    tint = draw.uniform(0.4, 1.0, 3)
    coarse = draw.uniform(20, 235, (8, max(8, 8 * width_px // SIZE_PX[1]), 3)) * tint
    return cv2.resize(coarse, (width_px, SIZE_PX[1]), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def shot(seed: int, frames: int) -> list[Picture]:
    """A shot in which a bright square runs about and the picture is noisy."""
    draw = np.random.default_rng(seed + 1000)
    pictures = []
    for index in range(frames):
        picture = view(seed).astype(np.float32) + draw.normal(0, 4, (SIZE_PX[1], SIZE_PX[0], 3))
        x, y = 20 + 9 * index % 240, 60 + round(40 * np.sin(index / 3))
        picture[y : y + 60, x : x + 60] = (230, 180, 150)
        pictures.append(picture.clip(0, 255).astype(np.uint8))
    return pictures


def cuts(pictures: Iterable[Picture]) -> list[int]:
    """Frame numbers at which a shot began; `update` and `cuts_s` must agree."""
    finder = ShotFinder()
    found = [i for i, rgb in enumerate(pictures) if finder.update(Frame(rgb, i, i / RATE_HZ))]
    assert [round(time_s * RATE_HZ) for time_s in finder.cuts_s] == found
    return found


def test_a_cut_every_second_is_found_each_time() -> None:
    pictures = [rgb for seed in range(12) for rgb in shot(seed, RATE_HZ)]
    assert cuts(pictures) == [RATE_HZ * number for number in range(1, 12)]


def test_short_shots_and_a_return_to_the_first_view_are_cuts() -> None:
    pictures = shot(1, 20) + shot(2, 3) + shot(1, 4) + shot(3, 10)
    assert cuts(pictures) == [20, 23, 27]


def test_two_sides_swapped_are_a_cut() -> None:
    left, right = view(4), view(5)
    one, other = np.concatenate([left, right], axis=1), np.concatenate([right, left], axis=1)
    assert cuts([one] * 8 + [other] * 8) == [8]


@pytest.mark.parametrize(("gain", "frames"), [(1.6, 1), (3.0, 2), (20.0, 1), (20.0, 4), (0.0, 1), (0.0, 5)])
def test_a_flash_and_a_black_moment_are_no_cut(gain: float, frames: int) -> None:
    pictures = shot(6, 30)
    for index in range(12, 12 + frames):
        pictures[index] = (pictures[index] * gain + (10 if gain > 1 else 0)).clip(0, 255).astype(np.uint8)
    assert cuts(pictures) == []


def test_a_lamp_that_goes_on_is_no_cut() -> None:
    dark = [(rgb * 0.5).astype(np.uint8) for rgb in shot(7, 15)]
    assert cuts(dark + shot(7, 15)) == []


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.2])
def test_a_camera_that_sweeps_is_no_cut(share: float) -> None:
    world = view(8, SIZE_PX[0] * 5)
    places = [0] * 10 + [round(share * SIZE_PX[0] * step) for step in range(1, 20)]
    assert cuts(world[:, x : x + SIZE_PX[0]] for x in places) == []


def test_slow_fades_are_no_cut_but_a_new_view_after_black_is_one() -> None:
    one, other = view(9).astype(np.float32), view(10).astype(np.float32)
    steps = np.linspace(0, 1, 2 * RATE_HZ)
    crossed = [(one * (1 - step) + other * step).astype(np.uint8) for step in steps]
    assert cuts(crossed) == []
    down = [(one * (1 - step)).astype(np.uint8) for step in steps]
    assert cuts(down + down[::-1]) == []
    up = [(other * step).astype(np.uint8) for step in steps]
    assert len(cuts(down + up)) == 1


def test_frames_seconds_apart_need_no_neighbours_in_time() -> None:
    finder = ShotFinder()
    pictures = [view(11), view(11), view(12), view(12), view(13)]
    assert [finder.update(Frame(rgb, i, 6.0 * i)) for i, rgb in enumerate(pictures)] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_odd_sizes_and_the_first_frame() -> None:
    finder = ShotFinder()
    assert not finder.update(Frame(np.zeros((1, 1, 3), np.uint8), 0, 0.0))
    assert not finder.update(Frame(view(14)[:200, :40], 1, 0.1))
    assert finder.cuts_s == ()


def test_memory_and_time_stay_small() -> None:
    finder, pictures = ShotFinder(), shot(15, 10)
    started = time.process_time()
    for index in range(300):
        finder.update(Frame(pictures[index % 10], index, index / RATE_HZ))
    assert (time.process_time() - started) / 300 < 0.01  # about 0.4 ms on a quiet core
    assert len(finder._last) <= 3
    assert len(finder._changes) <= 12


def test_a_cut_to_a_brighter_view_is_found_once_it_stays() -> None:
    dark = (view(16) * 0.25).astype(np.uint8)
    bright = (150 + view(17) * 0.4).astype(np.uint8)
    found = cuts([dark] * 10 + [bright] * 15)
    assert len(found) == 1
    assert 10 <= found[0] <= 10 + 0.5 * RATE_HZ
