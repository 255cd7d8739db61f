"""Face detection: the short-range BlazeFace graph (Bazarevsky et al. 2019, arXiv 1907.05047) through LiteRT.

One run costs about 0.5 ms. The graph sees 128x128 px, so a face narrower than about a tenth of the frame is lost, and
one that fills the frame too. When the whole frame shows no face, it is tried again shrunk to half inside a border,
then in overlapping square tiles of half the short side: about 20 more runs for a 16:9 frame, paid only by frames in
which nothing else was found.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from emotion_llama.errors import AssetMissingError
from emotion_llama.measurements import FaceBox

DETECTOR_FILE = "face_detection_short_range.tflite"
INPUT_PX = 128
MIN_SCORE = 0.5
SAME_FACE_IOU = 0.3
SMALLEST_TILE_PX = 96  # below it a tile holds no face large enough to measure


def interpreter(folder: Path, file: str, threads: int = 1) -> Interpreter:
    """An allocated LiteRT interpreter of `folder / file`. Raises `AssetMissingError` when the file is not there."""
    path = folder / file
    if not path.is_file():
        raise AssetMissingError(f"{path}: expected the graph {file}, found no such file; run: emotion-llama fetch nano")
    graph = Interpreter(model_path=str(path), num_threads=threads)
    graph.allocate_tensors()
    return graph


def anchor_centres() -> NDArray[np.float32]:
    """(896, 2) anchor centres as shares of the input: 2 for each cell of a 16x16 grid, then 6 for each of 8x8."""
    grids = []
    for cells, each in ((16, 2), (8, 6)):
        centres = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        y, x = np.meshgrid(centres, centres, indexing="ij")
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), each, axis=0))
    return np.concatenate(grids)


def overlap(one: NDArray[np.float32], many: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of corners (4,) with each of (N, 4)."""
    low, high = np.maximum(one[:2], many[:, :2]), np.minimum(one[2:], many[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    union = np.prod(one[2:] - one[:2]) + np.prod(many[:, 2:] - many[:, :2], axis=1) - shared
    return np.asarray(shared / np.maximum(union, 1e-9), dtype=np.float32)


def merge(points: NDArray[np.float32], scores: NDArray[np.float32]) -> list[FaceBox]:
    """Weighted suppression: each group of overlapping hits becomes its score-weighted mean, largest score first.

    `points` (N, 8, 2): the two corners, then the six keypoints, in px; `scores` (N,).
    """
    left = np.argsort(-scores, kind="stable")
    boxes = []
    while len(left):
        same = overlap(points[left[0], :2].ravel(), points[left, :2].reshape(-1, 4)) > SAME_FACE_IOU
        same[0] = True
        group = left[same]
        mean = np.average(points[group], axis=0, weights=scores[group]).astype(np.float32)
        boxes.append(FaceBox(mean[:2].ravel(), mean[2:], float(scores[left[0]])))
        left = left[~same]
    return boxes


class FaceDetector:
    """Finds faces in one picture. `folder` holds `face_detection_short_range.tflite`."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._graph = interpreter(folder, DETECTOR_FILE, threads)
        self._input = self._graph.get_input_details()[0]["index"]
        outputs = {detail["name"]: detail["index"] for detail in self._graph.get_output_details()}
        self._regressors, self._scores = outputs["regressors"], outputs["classificators"]
        self._anchors = anchor_centres()

    def detect(self, rgb: NDArray[np.uint8], thorough: bool = True) -> list[FaceBox]:
        """Faces of an upright RGB picture (H, W, 3), surest first; `[]` when there is none.

        `thorough` repeats the search in a border and in tiles when the whole frame shows nothing (see the module).
        """
        height, width = rgb.shape[:2]
        side = max(height, width)
        found = self._search(rgb, ((width - side) / 2, (height - side) / 2, side), MIN_SCORE)
        if len(found[1]) == 0 and thorough:
            found = self._search(rgb, (width / 2 - side, height / 2 - side, 2 * side), MIN_SCORE)
        if len(found[1]) == 0 and thorough:
            hits = [self._search(rgb, tile, MIN_SCORE) for tile in tiles(width, height)]
            if hits:
                found = (np.concatenate([hit[0] for hit in hits]), np.concatenate([hit[1] for hit in hits]))
        return merge(*found)

    def everywhere(self, rgb: NDArray[np.uint8], min_score: float, fine: bool = False) -> list[FaceBox]:
        """Faces found in the whole frame, in a border and in every tile, whatever was found before; surest first.

        For hiding faces: small ones beside a large one are found too, and a low `min_score` finds doubtful ones.
        `fine` searches in tiles of half the size too: faces half as large, at about five times the cost.
        """
        height, width = rgb.shape[:2]
        side = float(max(height, width))
        squares = [((width - side) / 2, (height - side) / 2, side), (width / 2 - side, height / 2 - side, 2 * side)]
        squares += [*tiles(width, height), *(tiles(width, height, 4) if fine else ())]
        hits = [self._search(rgb, square, min_score) for square in squares]
        return merge(np.concatenate([hit[0] for hit in hits]), np.concatenate([hit[1] for hit in hits]))

    def _search(
        self, rgb: NDArray[np.uint8], square: tuple[float, float, float], min_score: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Hits in one square (x0, y0, side in px): points (N, 8, 2) in px of the picture and scores (N,)."""
        x0, y0, side = square
        self._graph.set_tensor(self._input, _square_input(rgb, x0, y0, side)[None])
        self._graph.invoke()
        logits = self._graph.get_tensor(self._scores)[0, :, 0]
        scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
        keep = np.flatnonzero(scores >= min_score)
        raw = self._graph.get_tensor(self._regressors)[0, keep].reshape(-1, 8, 2) / INPUT_PX
        centres = self._anchors[keep]
        half = raw[:, 1] / 2
        middle = raw[:, 0] + centres
        corners = np.stack([middle - half, middle + half], axis=1)
        points = np.concatenate([corners, raw[:, 2:] + centres[:, None]], axis=1)
        return (points * side + np.array([x0, y0])).astype(np.float32), scores[keep].astype(np.float32)


def tiles(width_px: int, height_px: int, parts: int = 2) -> list[tuple[float, float, float]]:
    """Overlapping squares (x0, y0, side) that cover the frame, a half step apart.

    Their side is the frame's short side in so many `parts`. None where they would be too small to measure a face in.
    """
    side = min(width_px, height_px) / parts
    if side < SMALLEST_TILE_PX:
        return []
    columns = int(np.ceil((width_px - side) / (side / 2))) + 1
    rows = int(np.ceil((height_px - side) / (side / 2))) + 1
    lefts, tops = np.linspace(0, width_px - side, columns), np.linspace(0, height_px - side, rows)
    return [(float(x), float(y), side) for y in tops for x in lefts]


def _square_input(rgb: NDArray[np.uint8], x0: float, y0: float, side: float) -> NDArray[np.float32]:
    """The square of the picture as (128, 128, 3) in -1..1, black where it leaves the picture."""
    height, width = rgb.shape[:2]
    left, top = max(int(x0), 0), max(int(y0), 0)
    patch = rgb[top : min(int(np.ceil(y0 + side)), height), left : min(int(np.ceil(x0 + side)), width)]
    scale = INPUT_PX / side
    wide = min(max(round(patch.shape[1] * scale), 1), INPUT_PX)
    high = min(max(round(patch.shape[0] * scale), 1), INPUT_PX)
    small = cv2.resize(patch, (wide, high), interpolation=cv2.INTER_AREA)
    square = np.zeros((INPUT_PX, INPUT_PX, 3), dtype=np.float32)
    across = min(max(round((left - x0) * scale), 0), INPUT_PX - wide)
    down = min(max(round((top - y0) * scale), 0), INPUT_PX - high)
    square[down : down + high, across : across + wide] = small
    return np.asarray(square / 127.5 - 1, dtype=np.float32)
