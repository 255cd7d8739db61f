"""Colours around a face: hair above it and clothes below it, which tell people of one recording apart."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceBox

PATCH_PX = 24
LEAST_SHARE = 0.3
"""Share of a patch that must lie in the picture; less of it says nothing."""

_BINS = (8, 4, 4)
# left, top, right, bottom in widths and heights of the face box, from its upper left corner
_HAIR = (0.0, -0.45, 1.0, 0.05)
_CLOTHES = (-0.5, 1.15, 1.5, 2.0)


def surround_colours(rgb: NDArray[np.uint8], box: FaceBox) -> NDArray[np.float32] | None:
    """Histograms of hair and of clothes (256,), each of which sums to 1; a part outside of the picture is all zero.

    `None` where both are.
    """
    parts = [_histogram(rgb, box, region) for region in (_HAIR, _CLOTHES)]
    if all(part is None for part in parts):
        return None
    empty = np.zeros(int(np.prod(_BINS)), dtype=np.float32)
    return np.concatenate([empty if part is None else part for part in parts])


def colours_apart(one: NDArray[np.float32] | None, other: NDArray[np.float32] | None) -> float | None:
    """How far two surrounds are from each other, 0 (the same) to 1; `None` where they share no part."""
    if one is None or other is None:
        return None
    pairs = zip(np.split(one, 2), np.split(other, 2), strict=True)
    found = [float(np.abs(a - b).sum() / 2) for a, b in pairs if a.any() and b.any()]
    return float(np.mean(found)) if found else None


def _histogram(
    rgb: NDArray[np.uint8], box: FaceBox, region: tuple[float, float, float, float]
) -> NDArray[np.float32] | None:
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = (float(value) for value in box.corners_px)
    wide, high = x1 - x0, y1 - y0
    left, right = x0 + region[0] * wide, x0 + region[2] * wide
    top, bottom = y0 + region[1] * high, y0 + region[3] * high
    inside = rgb[
        max(0, int(top)) : max(0, min(height, int(bottom))), max(0, int(left)) : max(0, min(width, int(right)))
    ]
    area = max(1.0, (right - left) * (bottom - top))
    if inside.shape[0] * inside.shape[1] < LEAST_SHARE * area:
        return None
    small = cv2.resize(np.ascontiguousarray(inside), (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    lab[..., 1:] = lab[..., 1:].clip(64, 191)  # what is more colourful than nearly all pictures counts as the edge
    counts = cv2.calcHist([lab], [0, 1, 2], None, list(_BINS), [0, 256, 64, 192, 64, 192]).ravel()
    # neighbouring bins share: a little more light must not make another colour
    soft = cv2.GaussianBlur(counts.reshape(_BINS[0], -1), (1, 3), 0).ravel()
    return np.asarray(soft / max(1.0, float(soft.sum())), dtype=np.float32)
