"""What a face looks like it expresses, from two small nets that were trained apart."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from emotion_llama.encoders.face_expression import (
    FEATURE_WIDTH,
    GRID_WIDTH,
    SIDE_PX,
    WEIGHTS_FILE,
    FaceExpressionNet,
)
from emotion_llama.encoders.face_opinion import GRAPH_FILE, FaceOpinionGraph
from emotion_llama.encoders.face_opinion import SIDE_PX as OPINION_SIDE_PX
from emotion_llama.encoders.face_opinion import WIDTH as OPINION_WIDTH
from emotion_llama.encoders.weights import asset_file, load_weights
from emotion_llama.errors import MediaError
from emotion_llama.measurements import EXPRESSIONS

OPINION_LABELS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""Output order of the second net, in the words of `EXPRESSIONS`."""

_BATCH = 64  # bounds memory on long recordings


class ExpressionNet:
    """The face-expression net: `(n, H, W, 3)` RGB crops to probabilities and features.

    The crops are upright and eye-aligned with about 20 % of padding around the face. `folder` holds
    `face_expression.safetensors`; it is read at the first use.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.folder = folder
        self.device = device

    @cached_property
    def _net(self) -> FaceExpressionNet:
        return load_weights(FaceExpressionNet(), asset_file(self.folder, WEIGHTS_FILE), self.device)

    def __call__(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities `(n, 7)` in the order of `EXPRESSIONS` and features `(n, 128)`.

        A feature is the mean over the 4×4 map before the last convolution (signed: no ReLU stands there). No crop gives
        no rows. Raises `MediaError` if the crops are not 8-bit RGB.
        """
        probabilities, features, _ = self._run(crops)
        return probabilities, features

    def grid(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Means of the same map over the four quarters of the face `(n, 512)`. Raises as calling does."""
        return self._run(crops)[2]

    def _run(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        _check(crops)
        widths = (len(EXPRESSIONS), FEATURE_WIDTH, GRID_WIDTH)
        found = tuple(np.empty((len(crops), width), dtype=np.float32) for width in widths)
        for start in range(0, len(crops), _BATCH):
            rows = slice(start, start + _BATCH)
            faces = torch.from_numpy(np.stack([_grey(crop) for crop in crops[rows]])[:, None]).to(self.device)
            with torch.inference_mode():
                parts = self._net(faces)
            for whole, part in zip(found, parts, strict=True):
                whole[rows] = part.cpu().numpy()
        return found[0], found[1], found[2]


class FaceOpinionNet:
    """A second opinion: a MobileNetV2 with seven expressions. Over-confident; use it beside `ExpressionNet` only.

    `folder` holds `face_opinion.tflite`; it is read at the first use.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.folder = folder
        self.threads = threads

    @cached_property
    def _graph(self) -> FaceOpinionGraph:
        return FaceOpinionGraph(asset_file(self.folder, GRAPH_FILE), self.threads)

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities `(n, 7)` in the order of `EXPRESSIONS`; `MediaError` if the crops are not 8-bit RGB."""
        return self.look(crops)[0]

    def look(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities `(n, 7)`, and the last map averaged over the face `(n, 1280)`. Raises as calling does."""
        _check(crops)
        columns = [OPINION_LABELS.index(name) for name in EXPRESSIONS]
        probabilities = np.empty((len(crops), len(EXPRESSIONS)), dtype=np.float32)
        pooled = np.empty((len(crops), OPINION_WIDTH), dtype=np.float32)
        for row, crop in enumerate(crops):
            face = cv2.resize(crop, (OPINION_SIDE_PX, OPINION_SIDE_PX), interpolation=cv2.INTER_LINEAR)
            scores, pooled[row] = self._graph(face.astype(np.float32) / 255)
            probabilities[row] = scores[columns]
        return probabilities, pooled


def _check(crops: NDArray[np.uint8]) -> None:
    if crops.ndim != 4 or crops.shape[-1] != 3 or crops.dtype != np.uint8:
        raise MediaError(f"wanted RGB face crops (n, H, W, 3) of uint8, found shape {crops.shape} of {crops.dtype}")


def _grey(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """One RGB crop to grey 64×64 in -1 to 1."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return (np.asarray(small, dtype=np.float32) / 255 * 2 - 1).astype(np.float32)
