"""Face mesh: 468 points in three dimensions (Kartynnik et al. 2019, arXiv 1907.06724) through LiteRT, about 0.5 ms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceBox
from emotion_llama.perception.crop import LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS, Region, cut
from emotion_llama.perception.faces import interpreter

MESH_FILE = "face_landmark.tflite"
POINTS = 468
INPUT_PX = 192

_NOSE_TIP = 1
_INNER_LIPS = (13, 14)
_RIGHT_EAR, _LEFT_EAR = 234, 454


class MeshReader:
    """Reads the mesh of the face in a region. `folder` holds `face_landmark.tflite`."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._graph = interpreter(folder, MESH_FILE, threads)
        self._input = self._graph.get_input_details()[0]["index"]
        sizes = {int(np.prod(detail["shape"])): detail["index"] for detail in self._graph.get_output_details()}
        self._points, self._score = sizes[POINTS * 3], sizes[1]

    def read(self, rgb: NDArray[np.uint8], region: Region) -> tuple[NDArray[np.float32], float]:
        """Mesh (468, 3) in px of the picture (z on the same scale, negative towards the viewer) and its score 0–1."""
        square = cut(rgb, region, INPUT_PX).astype(np.float32) / 255
        self._graph.set_tensor(self._input, square[None])
        self._graph.invoke()
        points = self._graph.get_tensor(self._points).reshape(POINTS, 3)
        logit = float(self._graph.get_tensor(self._score).reshape(-1)[0])
        return region.to_picture(points, INPUT_PX), float(1 / (1 + np.exp(-np.clip(logit, -80, 80))))


def box_of_mesh(mesh_px: NDArray[np.float32], score: float) -> FaceBox:
    """The box around a mesh (468, 3), with the detector's six keypoints taken from the mesh."""
    flat = mesh_px[:, :2]
    keypoints = [
        flat[list(RIGHT_EYE_CORNERS)].mean(axis=0),
        flat[list(LEFT_EYE_CORNERS)].mean(axis=0),
        flat[_NOSE_TIP],
        flat[list(_INNER_LIPS)].mean(axis=0),
        flat[_RIGHT_EAR],
        flat[_LEFT_EAR],
    ]
    corners = np.concatenate([flat.min(axis=0), flat.max(axis=0)])
    return FaceBox(corners.astype(np.float32), np.stack(keypoints).astype(np.float32), score)
