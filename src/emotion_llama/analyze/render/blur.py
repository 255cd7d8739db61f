"""Faces made unrecognisable: every face found, with a margin, as few large blocks, blurred.

Privacy before looks: every picture is searched anew in every place (`perception.all_faces`), faces that were measured
are hidden on top of that, and a face stays hidden a moment before it is first and after it is last found.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceBox, FaceMeasures
from emotion_llama.media.types import Frame
from emotion_llama.perception.faces import overlap

MARGIN = (0.35, 0.55, 0.35, 0.25)
"""Added to a box at its left, top, right and foot, as shares of its size: hair, ears and chin are a person's too."""

BLOCKS = 6
"""A hidden face is this many blocks wide and tall."""

HOLD_S = 0.5
"""A face is hidden this long before it is first found and after it is last found."""

MOST_AHEAD_BYTES = 256 * 1024**2
"""Pictures held at a time to look ahead; of very many or very large ones the look ahead is shorter."""

FINE_EVERY_S = 0.25
"""So often small faces are searched too; between two such pictures they are held (`HOLD_S`)."""

SAME_FACE_IOU = 0.2

Boxes = NDArray[np.float32]  # (N, 4) corners in px

MeasuredBoxes = Callable[[float], Boxes]
"""Gives the boxes measured for a time, seconds of the recording."""


class FaceFinder(Protocol):
    """What finds the faces that are hidden."""

    def find(self, rgb: NDArray[np.uint8], fine: bool = False) -> list[FaceBox]:
        """Every face of a picture; `fine` finds smaller ones and takes longer."""


def found_boxes(rgb: NDArray[np.uint8], finder: FaceFinder, fine: bool) -> Boxes:
    """Corners (N, 4) of every face of a picture."""
    return stacked(box.corners_px for box in finder.find(rgb, fine))


def stacked(corners: Iterable[NDArray[np.float32]]) -> Boxes:
    """Many corners (4,) as one array (N, 4), also where there are none."""
    return np.array([*corners], np.float32).reshape(-1, 4)


def hide(rgb: NDArray[np.uint8], boxes: Boxes) -> None:
    """Make the faces in these boxes of a picture (H, W, 3) unrecognisable, in place."""
    height, width = rgb.shape[:2]
    for x0, y0, x1, y1 in boxes:
        wide, tall = x1 - x0, y1 - y0
        left, top = max(0, int(x0 - MARGIN[0] * wide)), max(0, int(y0 - MARGIN[1] * tall))
        right, foot = min(width, int(x1 + MARGIN[2] * wide) + 1), min(height, int(y1 + MARGIN[3] * tall) + 1)
        if right > left and foot > top:
            rgb[top:foot, left:right] = _blocks(rgb[top:foot, left:right])


def _blocks(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The means of a few blocks, blurred into one another; an ellipse of them, so that less of the scene is lost."""
    tall, wide = part.shape[:2]
    few = cv2.resize(part, (min(BLOCKS, wide), min(BLOCKS, tall)), interpolation=cv2.INTER_AREA)
    hidden = cv2.resize(few, (wide, tall), interpolation=cv2.INTER_LINEAR)
    inside = np.zeros((tall, wide), np.uint8)
    cv2.ellipse(inside, (wide // 2, tall // 2), (wide // 2 + 1, tall // 2 + 1), 0, 0, 360, 255, -1)
    return np.where(inside[..., None] > 0, hidden, part).astype(np.uint8)


@dataclass(frozen=True)
class _Found:
    frame: Frame
    boxes: Boxes


def with_boxes(frames: Iterable[Frame], finder: FaceFinder, measured: MeasuredBoxes) -> Iterator[tuple[Frame, Boxes]]:
    """Every frame with the boxes that are hidden in it: found there, measured there, or found a moment away.

    Looks `HOLD_S` ahead, so that a face is hidden before the detector first finds it.
    """
    behind: deque[_Found] = deque()
    ahead: deque[_Found] = deque()
    fine_s = -math.inf
    for frame in frames:
        fine = frame.time_s - fine_s >= FINE_EVERY_S
        fine_s = frame.time_s if fine else fine_s
        boxes = np.concatenate([found_boxes(frame.rgb, finder, fine), measured(frame.time_s)])
        ahead.append(_Found(frame, boxes))
        while _is_due(ahead):
            yield _held(behind, ahead)
    while ahead:
        yield _held(behind, ahead)


def _is_due(ahead: deque[_Found]) -> bool:
    long_enough = ahead[-1].frame.time_s - ahead[0].frame.time_s >= HOLD_S
    return len(ahead) > 1 and (long_enough or len(ahead) * ahead[0].frame.rgb.nbytes > MOST_AHEAD_BYTES)


def _held(behind: deque[_Found], ahead: deque[_Found]) -> tuple[Frame, Boxes]:
    """Take the next frame off `ahead`, and what is hidden in it."""
    now = ahead.popleft()
    while behind and now.frame.time_s - behind[0].frame.time_s > HOLD_S:
        behind.popleft()
    later = [one.boxes for one in ahead if one.frame.time_s - now.frame.time_s <= HOLD_S]
    boxes = covered([one.boxes for one in behind], now.boxes, later)
    # of frames behind only the boxes are needed
    behind.append(replace(now, frame=Frame(np.zeros((0, 0, 3), np.uint8), now.frame.index, now.frame.time_s)))
    return now.frame, boxes


def covered(before: Sequence[Boxes], now: Boxes, after: Sequence[Boxes]) -> Boxes:
    """The boxes of a moment, and those of the moments around it that it has lost: a face missed once stays hidden.

    A face lost now that was found both before and after is hidden in all the room between the two places.
    """
    lost_before = _lost(reversed(before), now)
    lost_after = _lost(after, now)
    between = [_hull(one, other) for one in lost_before for other in lost_after if _near(one, other)]
    return np.concatenate([now, lost_before, lost_after, stacked(between)])


def _lost(moments: Iterable[Boxes], now: Boxes) -> Boxes:
    """Boxes of these moments, nearest first, that overlap none of now and none of a nearer moment."""
    lost: list[NDArray[np.float32]] = []
    for boxes in moments:
        taken = stacked([*now, *lost])
        lost += [box for box in boxes if not (overlap(box, taken) > SAME_FACE_IOU).any()]
    return stacked(lost)


def _near(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Whether two boxes may be one face that moved: of about one size, no further apart than two faces."""
    sizes, centres = [box[2:] - box[:2] for box in (one, other)], [(box[2:] + box[:2]) / 2 for box in (one, other)]
    alike = 0.5 < float(sizes[0].mean() / max(sizes[1].mean(), 1e-6)) < 2
    return alike and float(np.abs(centres[0] - centres[1]).max()) < 2 * float(max(sizes[0].max(), sizes[1].max()))


def _hull(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([np.minimum(one[:2], other[:2]), np.maximum(one[2:], other[2:])])


def hidden_picture(rgb: NDArray[np.uint8], finder: FaceFinder, known: Boxes) -> NDArray[np.uint8]:
    """A copy of a picture with every face in it made unrecognisable: those found in it, and the `known` boxes."""
    copy = rgb.copy()
    hide(copy, np.concatenate([found_boxes(rgb, finder, fine=True), known]))
    return copy


def hidden_crops(faces: FaceMeasures) -> FaceMeasures:
    """The same measures with face crops that show nobody: whatever is drawn from them is safe to pass on."""
    safe: dict[int, NDArray[np.uint8]] = {}

    def hidden(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if id(crop) not in safe:  # samples may share a crop
            safe[id(crop)] = hidden_crop(crop)
        return safe[id(crop)]

    tracks = (
        replace(track, samples=tuple(replace(sample, crop=hidden(sample.crop)) for sample in track.samples))
        for track in faces.tracks
    )
    return replace(faces, tracks=tuple(tracks))


def hidden_crop(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of a face crop (H, W, 3) that shows nobody."""
    few = cv2.resize(crop, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(few, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
