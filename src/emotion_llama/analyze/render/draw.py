"""One picture of the film: boxes and mesh lines of the faces, bars of emotion and action units, what is said."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.captions import span_s
from emotion_llama.analyze.console import headline
from emotion_llama.analyze.face_figure import CONTOURS
from emotion_llama.analyze.render.course import FaceAt, FaceCourse
from emotion_llama.analyze.render.plates import Bar, bars_height_px, bars_plate, lay, text_plate, text_px
from emotion_llama.analyze.render.subtitles import cue_at, subtitles
from emotion_llama.analyze.report import MAX_INTENSITY, UNIT_NAMES
from emotion_llama.clip import Analysis
from emotion_llama.languages import language
from emotion_llama.measurements import ACTION_UNITS
from emotion_llama.timeline import Window

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import Result

MESH_RGB = (125, 240, 220)
BOX_RGB = (255, 255, 255)
SHADE_RGB = (16, 18, 20)
LEAST_WIDTH_PX = 160
"""Narrower pictures have no room for text: only boxes and lines are drawn."""

LARGE_FACE_PX = 120
MOST_UNITS = 6
LINES = 2
"""Lines of what is said at a time."""

WIDE_LETTERS = 42
"""Wider than so many letter sizes: action units are shown in words too."""

FEW_ROWS = 3
FREE_SHARE = 0.05
"""A plate with more than a few rows covers no more than this of the faces."""

BLINK = 45
UNITS_NEAR_S = 0.3
"""Action units are shown up to this long from the nearest sample of the main face."""


class Painter:
    """Draws what is known of one clip into its pictures of one size, (width, height) in px."""

    def __init__(self, result: Result, size_px: tuple[int, int], course: FaceCourse) -> None:
        self._analysis: Analysis = result.analysis
        self._series = result.material.action_units
        self._width, self._height = size_px
        self._several = course.several
        self._boxes_px = course.boxes_px()
        self._letter_px = text_px(*size_px)
        self._caption_px = round(1.15 * self._letter_px)
        self._margin = max(4, self._letter_px // 2)
        self._panel_px = round(min(max(11.5 * self._letter_px, 0.24 * self._width), 0.46 * self._width))
        self._places: dict[tuple[int, int, int], tuple[float, int]] = {}
        letters = max(12, round(LINES * 0.9 * self._width / (0.52 * self._caption_px)))
        self._cues = subtitles(result.analysis.transcript, span_s(result), letters)

    def paint(self, rgb: NDArray[np.uint8], time_s: float, faces: Sequence[FaceAt]) -> None:
        """Draw into a picture (H, W, 3), in place. `time_s` is of the recording."""
        for face in faces:
            self._face(rgb, face)
        if self._width < LEAST_WIDTH_PX:
            return
        self._emotion(rgb, window_at(self._analysis, time_s))
        self._units(rgb, time_s)
        said = cue_at(self._cues, time_s)
        if said:
            plate = text_plate(said, self._caption_px, round(0.92 * self._width))
            left, top = (self._width - plate.shape[1]) // 2, self._height - plate.shape[0] - self._margin
            lay(rgb, plate, left, top)

    def _face(self, rgb: NDArray[np.uint8], face: FaceAt) -> None:
        thin = max(1, round(self._letter_px / 16))
        if face.mesh_px is not None:
            large = float(face.box_px[3] - face.box_px[1]) > LARGE_FACE_PX
            for chains in CONTOURS.values():
                lines = [np.round(face.mesh_px[list(chain)] * 16).astype(np.int32) for chain in chains]
                if large:  # lines around the lines of a small face would fill it
                    cv2.polylines(rgb, lines, False, SHADE_RGB, thin + 1, cv2.LINE_AA, shift=4)
                cv2.polylines(rgb, lines, False, MESH_RGB, thin, cv2.LINE_AA, shift=4)
        x0, y0, x1, y1 = (round(float(value)) for value in face.box_px)
        cv2.rectangle(rgb, (x0, y0), (x1, y1), SHADE_RGB, thin + 2)
        cv2.rectangle(rgb, (x0, y0), (x1, y1), BOX_RGB, thin if face.main else 1)
        if self._several and self._width >= LEAST_WIDTH_PX:
            plate = text_plate(self._say(f"person {face.track}"), self._letter_px, self._width)
            lay(rgb, plate, x0, y0 - plate.shape[0] if y0 >= plate.shape[0] else y1)

    def _emotion(self, rgb: NDArray[np.uint8], window: Window | None) -> None:
        """The emotion of the moment where the course of time is known, else of the whole recording."""
        one = self._analysis if window is None else window
        words = language(self._analysis.language)
        name = headline(self._analysis)
        if window is not None:
            name = words.tell("not sure") if window.emotion is None else words.shown(window.emotion)
        sure = "" if one.confidence is None else f"  {one.confidence:.0%}"
        rows = self._rows(self._margin, self._panel_px, len(self._order))
        bars = tuple(
            Bar(
                words.label(label),
                one.probabilities.get(label, 0.0),
                f"{one.probabilities.get(label, 0.0):.0%}",
                label == one.emotion,
            )
            for label in self._order[:rows]
        )
        if bars or name:
            plate = bars_plate(name + sure, bars, self._letter_px, self._panel_px)
            lay(rgb, plate, self._margin, self._top_px(self._margin, self._panel_px, plate.shape[0]))

    def _units(self, rgb: NDArray[np.uint8], time_s: float) -> None:
        sizes = self._intensities(time_s)
        wide = self._width > WIDE_LETTERS * self._letter_px
        width = (
            min(round(0.36 * self._width), 20 * self._letter_px) if wide else min(self._panel_px, 9 * self._letter_px)
        )
        left = self._width - width - self._margin
        shown = sorted(self._moved_units[: self._rows(left, width, MOST_UNITS)])
        if sizes is None or not shown:
            return
        bars = tuple(
            Bar(
                f"AU{unit:02d} {self._say(UNIT_NAMES[unit])}" if wide else f"AU{unit:02d}",
                value / MAX_INTENSITY,
                f"{value:.1f}",
            )
            for unit, value in ((unit, round(float(sizes[ACTION_UNITS.index(unit)]), 1)) for unit in shown)
        )
        plate = bars_plate(self._say("Face moves"), bars, self._letter_px, width)
        lay(rgb, plate, left, self._top_px(left, width, plate.shape[0]))

    def _say(self, text: str) -> str:
        return language(self._analysis.language).tell(text)

    def _top_px(self, left_px: int, width_px: int, height_px: int) -> int:
        """Where a plate stands: at the top, or above what is said where it covers less of the faces there."""
        return self._place(left_px, width_px, height_px)[1]

    def _place(self, left_px: int, width_px: int, height_px: int) -> tuple[float, int]:
        """The share of the faces that a plate covers at its best place, and the top of that place in px."""
        key = (left_px, width_px, height_px)
        if key not in self._places:
            words_px = LINES * round(1.3 * self._caption_px) + self._caption_px // 2 + 2 * self._margin
            tops = (self._margin, max(self._margin, self._height - words_px - height_px))
            self._places[key] = min(
                (_covered(self._boxes_px, (left_px, top, left_px + width_px, top + height_px)), place, top)
                for place, top in enumerate(tops)
            )[::2]
        return self._places[key]

    def _rows(self, left_px: int, width_px: int, wanted: int) -> int:
        """So many rows that a plate takes less than half of the height and, down to a few, leaves faces free."""
        rows = wanted
        while rows > 1 and bars_height_px(rows, self._letter_px) >= 0.5 * self._height:
            rows -= 1
        while rows > FEW_ROWS:
            covered, _ = self._place(left_px, width_px, bars_height_px(rows, self._letter_px))
            if covered <= FREE_SHARE:
                break
            rows -= 1
        return rows

    def _intensities(self, time_s: float) -> NDArray[np.float32] | None:
        series = self._series
        if series is None or not len(series.time_s) or np.abs(series.time_s - time_s).min() > UNITS_NEAR_S:
            return None
        columns = [np.interp(time_s, series.time_s, series.intensity[:, at]) for at in range(len(ACTION_UNITS))]
        return np.asarray(columns, np.float32)

    @cached_property
    def _order(self) -> list[str]:
        """Labels in one order for the whole film, likeliest first: rows that jump cannot be read."""
        known = self._analysis.probabilities
        return sorted(known, key=lambda label: -known[label])

    @cached_property
    def _moved_units(self) -> list[int]:
        """The units of this clip, blinks aside, those that move most first."""
        if self._series is None or not len(self._series.time_s):
            return []
        largest = {
            unit: float(self._series.intensity[:, ACTION_UNITS.index(unit)].max())
            for unit in self._series.measured
            if unit != BLINK
        }
        return sorted(largest, key=lambda unit: -largest[unit])


def _covered(boxes: NDArray[np.float32], plate: tuple[int, int, int, int]) -> float:
    """The share of the area of all boxes (N, 4) that a plate covers."""
    low, high = np.maximum(boxes[:, :2], plate[:2]), np.minimum(boxes[:, 2:], plate[2:])
    shared = float(np.prod(np.clip(high - low, 0, None), axis=1).sum())
    return shared / max(1.0, float(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).sum()))


def window_at(analysis: Analysis, time_s: float) -> Window | None:
    """The window of the timeline for a time; of several people's the one who speaks, else the main one's.

    Of windows that overlap it is the one whose middle is nearest.
    """
    windows = analysis.timeline.windows if analysis.timeline is not None else ()
    near = [w for w in windows if w.start_s <= time_s < w.end_s]
    if not near:
        return None
    main = next((face.track for face in analysis.faces if face.main), None)
    near.sort(key=lambda w: abs((w.start_s + w.end_s) / 2 - time_s))
    near = [w for w in near if (w.start_s, w.end_s) == (near[0].start_s, near[0].end_s)]
    speaking = next((w for w in near if w.speaking), None)
    return speaking or next((w for w in near if w.person == main), near[0])
