"""Hiding faces: nothing of a face is left, one missed for a moment stays hidden, looking ahead is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from emotion_llama.analyze.render.blur import (
    HOLD_S,
    covered,
    hidden_crops,
    hidden_picture,
    hide,
    stacked,
    with_boxes,
)
from emotion_llama.measurements import FaceBox, FaceMeasures
from emotion_llama.media.types import Frame

NOTHING = stacked([])


def box(x: float, y: float = 40.0, side: float = 20.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array([x, y, x + side, y + side], np.float32)


def frames(count: int, rate: int = 10) -> Iterator[Frame]:
    for index in range(count):
        yield Frame(np.full((8, 8, 3), index % 256, np.uint8), index, index / rate)


class Finder:
    """Finds in each picture what `boxes` gives for its number, which is its grey."""

    def __init__(self, boxes: Callable[[int], list[Any]]) -> None:
        self._boxes = boxes

    def find(self, rgb: Any, fine: bool = False) -> list[FaceBox]:
        return [FaceBox(one, np.zeros((6, 2), np.float32), 0.9) for one in self._boxes(int(rgb[0, 0, 0]))]


def hidden_at(finder: Finder, count: int) -> list[int]:
    """How many boxes are hidden in each picture."""
    return [len(boxes) for _, boxes in with_boxes(frames(count), finder, lambda time_s: NOTHING)]


def test_nothing_of_a_face_can_be_read() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    before = rgb.copy()
    hide(rgb, stacked([box(60, 40, 40)]))
    face, original = rgb[40:80, 60:100].astype(float), before[40:80, 60:100].astype(float)
    assert abs(np.corrcoef(face.ravel(), original.ravel())[0, 1]) < 0.35
    assert (rgb[:10] == before[:10]).all() and (rgb[:, :30] == before[:, :30]).all()


def test_fine_detail_does_not_survive() -> None:
    fine = np.indices((120, 160)).sum(axis=0) % 2 * 255
    rgb = np.repeat(fine[..., None], 3, axis=-1).astype(np.uint8)
    hide(rgb, stacked([box(60, 40, 40)]))
    assert np.ptp(rgb[40:80, 60:100].astype(int)) < 12


def test_a_face_at_the_border_and_one_outside_the_picture() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    before = rgb.copy()
    hide(rgb, stacked([box(-10, -10), box(55, 55), box(500, 500), box(-500, 0)]))
    assert (rgb[:8, :8] != before[:8, :8]).any() and (rgb[58:, 58:] != before[58:, 58:]).any()
    assert (rgb[25:35, 25:35] == before[25:35, 25:35]).all()


def test_every_picture_comes_once_in_order() -> None:
    found = [frame.index for frame, _ in with_boxes(frames(23), Finder(lambda n: []), lambda time_s: NOTHING)]
    assert found == list(range(23))
    assert list(with_boxes(frames(0), Finder(lambda n: []), lambda time_s: NOTHING)) == []


def test_a_face_is_hidden_before_it_is_first_and_after_it_is_last_found() -> None:
    held = round(HOLD_S * 10)
    counts = hidden_at(Finder(lambda n: [box(30)] if 10 <= n < 12 else []), 30)
    assert [n for n, count in enumerate(counts) if count] == list(range(10 - held, 12 + held))


def test_a_face_missed_once_is_hidden_where_it_was_and_on_its_way() -> None:
    def places(n: int) -> list[Any]:
        return [] if n == 5 else [box(30 + 5 * n)]

    found = dict(enumerate(boxes for _, boxes in with_boxes(frames(10), Finder(places), lambda time_s: NOTHING)))
    lows, highs = found[5][:, :2].min(axis=0), found[5][:, 2:].max(axis=0)
    assert lows[0] <= 50 and highs[0] >= 80 and len(found[5]) >= 2


def test_measured_faces_are_hidden_too() -> None:
    found = list(with_boxes(frames(3), Finder(lambda n: []), lambda time_s: stacked([box(10 + 100 * time_s)])))
    assert all(len(boxes) >= 1 for _, boxes in found)


def test_a_face_that_is_found_all_the_time_is_hidden_once() -> None:
    assert hidden_at(Finder(lambda n: [box(30 + n)]), 20) == [1] * 20


def test_two_faces_far_apart_hide_nothing_between_them() -> None:
    boxes = covered([stacked([box(0)])], NOTHING, [stacked([box(200)])])
    assert sorted(boxes[:, 0].tolist()) == [0, 200]


def test_pictures_and_crops_of_a_result_are_hidden(make_faces: Callable[..., FaceMeasures]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    before = rgb.copy()
    hidden = hidden_picture(rgb, Finder(lambda n: []), stacked([box(20, 20)]))
    assert (rgb == before).all() and (hidden[22:38, 22:38] != before[22:38, 22:38]).any()
    faces = make_faces(3)
    noisy = np.random.default_rng(1).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    faces.tracks[0].samples[0].crop[:] = noisy
    safe = hidden_crops(faces)
    crop = safe.tracks[0].samples[0].crop
    assert crop.shape == noisy.shape and np.abs(np.diff(crop.astype(int), axis=0)).max() < 10
    assert safe.tracks[0].samples[0].crop is safe.tracks[0].samples[2].crop
    assert (safe.tracks[0].samples[1].mesh_px == faces.tracks[0].samples[1].mesh_px).all()


def test_a_small_face_found_by_fine_searches_only_is_hidden_all_the_time() -> None:
    class Fine:
        asked: list[bool] = []

        def find(self, rgb: Any, fine: bool = False) -> list[FaceBox]:
            self.asked.append(fine)
            return [FaceBox(box(30), np.zeros((6, 2), np.float32), 0.9)] if fine else []

    finder = Fine()
    found = [len(boxes) for _, boxes in with_boxes(frames(60, rate=30), finder, lambda time_s: NOTHING)]
    assert min(found) >= 1 and 7 <= sum(finder.asked) <= 9
