"""Damage to pictures: blur, low light, frame drops, a covered face. Frames come and go one by one, RGB (H, W, 3).

Every damage is a function from frames to as many frames; times are not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

PICTURE = NDArray[np.uint8]
FindFace = Callable[[PICTURE], tuple[float, float, float, float] | None]
"""The box of the most certain face in a picture: x0, y0, x1, y1 in px, or `None` where none is seen."""
Half = Literal["lower", "upper"]

BLUR_HEIGHT_PX = 256
GREY = 128
GAMMA = 2.2
FULL_WELL_E = 4000.0  # electrons of a white pixel at the usual exposure: a small sensor
READ_NOISE_E = 6.0


def blur(frames: Iterable[PICTURE], sigma_px: float) -> Iterator[PICTURE]:
    """Gaussian blur; `sigma_px` is its standard deviation in a picture of 256 px height and grows with the height."""
    for rgb in frames:
        sigma = sigma_px * rgb.shape[0] / BLUR_HEIGHT_PX
        yield np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8) if sigma > 0 else rgb


def low_light(frames: Iterable[PICTURE], stops: float, seed: int) -> Iterator[PICTURE]:
    """As if `stops` fewer stops of light fell on a small sensor whose gain makes good half of them.

    In linear light (gamma 2.2) with photon noise, read noise and 8-bit output: the picture is darker by `stops` / 2
    and noisier.
    """
    rng = np.random.default_rng(seed)
    table = np.float32(FULL_WELL_E * 2**-stops) * (np.arange(256, dtype=np.float32) / 255) ** GAMMA
    gain = 2 ** (stops / 2) / FULL_WELL_E
    for rgb in frames:
        electrons = table[rgb]
        # photon noise as a normal of the same variance: cheap, and right where there are more than a few photons
        spread = np.sqrt(electrons + np.float32(READ_NOISE_E**2))
        seen = electrons + spread * rng.standard_normal(rgb.shape, dtype=np.float32)
        yield np.asarray(np.round(255 * np.clip(seen * gain, 0, 1) ** (1 / GAMMA)), np.uint8)


def dropped_frames(count: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Which of `count` frames are lost, (count,): round(share · count) of them at random places.

    The first is never among them, since nothing could be shown in its place.
    """
    lost = np.zeros(count, bool)
    number = min(round(share * count), max(count - 1, 0))
    lost[1 + np.random.default_rng(seed).permutation(max(count - 1, 0))[:number]] = True
    return lost


def drop_frames(frames: Iterable[PICTURE], lost: NDArray[np.bool_]) -> Iterator[PICTURE]:
    """Show the last frame that came through in the place of each lost one."""
    kept: PICTURE | None = None
    for rgb, gone in zip(frames, lost, strict=True):
        kept = rgb if kept is None or not gone else kept
        yield kept


def occlude(
    frames: Iterable[PICTURE], share: float, half: Half, find_face: FindFace | None, notes: list[str] | None = None
) -> Iterator[PICTURE]:
    """A grey box over `share` of one half of the face: from the chin up to the middle, or from the brows down to it.

    The face is looked for in every frame; where it is lost the last box stays. Until the first is found, or without
    `find_face`, the box lies in the picture's centre (a square of half the shorter side in the face's place). `notes`
    gets one line that says how often that was so.
    """
    box: tuple[float, float, float, float] | None = None
    count = without = 0
    for rgb in frames:
        box = (find_face(rgb) if find_face is not None else None) or box
        count, without = count + 1, without + (box is None)
        yield _covered(rgb, box or _centre_box(rgb), share, half)
    if without and notes is not None:
        why = "no face was found" if find_face is not None else "no face detector was at hand"
        notes.append(f"the box covers the picture's centre in {without} of {count} frames: {why}")


def _centre_box(rgb: PICTURE) -> tuple[float, float, float, float]:
    height, width = rgb.shape[:2]
    reach = min(height, width) / 4
    return (width / 2 - reach, height / 2 - reach, width / 2 + reach, height / 2 + reach)


def _covered(rgb: PICTURE, box: tuple[float, float, float, float], share: float, half: Half) -> PICTURE:
    x0, y0, x1, y1 = box
    depth = share * (y1 - y0) / 2
    top, bottom = (y1 - depth, y1) if half == "lower" else (y0, y0 + depth)
    covered = rgb.copy()
    rows, columns = (slice(max(round(low), 0), max(round(high), 0)) for low, high in ((top, bottom), (x0, x1)))
    covered[rows, columns] = GREY
    return covered
