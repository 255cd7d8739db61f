"""Which finds count as faces to hide."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotion_llama.measurements import FaceBox
from emotion_llama.perception.all_faces import AllFaces

RGB = np.zeros((100, 100, 3), np.uint8)


def face(x: float, side: float, score: float) -> FaceBox:
    keypoints = np.array([[x + 5, 10], [x + 15, 10], [x + 10, 15], [x + 10, 18], [x, 12], [x + 20, 12]], np.float32)
    return FaceBox(np.array([x, 5, x + side, 5 + side], np.float32), keypoints, score)


class Searcher:
    def __init__(self, *boxes: FaceBox) -> None:
        self.boxes = list(boxes)

    def everywhere(self, rgb: Any, min_score: float, fine: bool = False) -> list[FaceBox]:
        return [box for box in self.boxes if box.score >= min_score]


class Mesher:
    def __init__(self, score: float) -> None:
        self.score = score

    def read(self, rgb: Any, region: Any) -> tuple[Any, float]:
        return np.zeros((468, 3), np.float32), self.score


def found(score: float, *boxes: FaceBox) -> list[float]:
    return [float(box.corners_px[0]) for box in AllFaces(Searcher(*boxes), Mesher(score)).find(RGB)]


def test_a_doubtful_find_counts_where_the_mesh_takes_it_for_a_face() -> None:
    boxes = (face(0, 20, 0.95), face(60, 20, 0.4))
    assert found(0.9, *boxes) == [0, 60] and found(0.1, *boxes) == [0]


def test_a_sure_find_needs_no_mesh() -> None:
    assert found(0.0, face(0, 20, 0.85), face(50, 20, 0.9)) == [0, 50]


def test_a_sure_face_found_once_more_too_large_counts_once() -> None:
    assert found(1.0, face(10, 20, 0.95), face(5, 40, 0.5)) == [10]


def test_nobody() -> None:
    assert found(1.0) == []
