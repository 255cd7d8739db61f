"""Every face of one picture, for hiding them: a face missed is worse here than a patch too many.

The detector searches everywhere and gives doubtful finds too. What it is not sure of counts where the face mesh, which
is another net, takes it for a face.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceBox
from emotion_llama.perception.crop import region_of_box
from emotion_llama.perception.faces import FaceDetector
from emotion_llama.perception.mesh import MeshReader
from emotion_llama.perception.tracking import Mesher

DOUBTFUL_SCORE = 0.3
SURE_SCORE = 0.8
MIN_MESH_SCORE = 0.5
INSIDE = 0.6
"""A doubtful find that holds so much of a sure face is that face, found too large."""


class Searcher(Protocol):
    """What is needed of a face detector."""

    def everywhere(self, rgb: NDArray[np.uint8], min_score: float, fine: bool = False) -> list[FaceBox]:
        """Faces found in every place of a picture."""


class AllFaces:
    """Finds every face of a picture. Threads that share one take turns: its graphs answer one at a time."""

    def __init__(self, detector: Searcher, mesher: Mesher) -> None:
        self._detector = detector
        self._mesher = mesher
        self._turn = threading.Lock()

    @classmethod
    def of_folders(cls, detector_dir: Path, mesh_dir: Path) -> AllFaces:
        """With the two graphs. Raises `AssetMissingError` when one is not there."""
        return cls(FaceDetector(detector_dir), MeshReader(mesh_dir))

    def find(self, rgb: NDArray[np.uint8], fine: bool = False) -> list[FaceBox]:
        """Every face of an upright RGB picture (H, W, 3), surest first; `fine` finds smaller ones, slowly."""
        with self._turn:
            found = self._detector.everywhere(rgb, DOUBTFUL_SCORE, fine)
            sure = [box for box in found if box.score >= SURE_SCORE]
            return [*sure, *(box for box in found if box.score < SURE_SCORE and self._is_another(rgb, box, sure))]

    def _is_another(self, rgb: NDArray[np.uint8], box: FaceBox, sure: list[FaceBox]) -> bool:
        if any(_share_inside(one.corners_px, box.corners_px) > INSIDE for one in sure):
            return False
        _, score = self._mesher.read(rgb, region_of_box(box.corners_px, box.keypoints_px))
        return score >= MIN_MESH_SCORE


def _share_inside(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The share of box `one` (4,) that lies in box `other`."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    return float(np.prod(np.clip(high - low, 0, None)) / max(float(np.prod(one[2:] - one[:2])), 1e-9))
