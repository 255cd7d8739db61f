"""Action units that another tool measured: the tables of OpenFace 2.2 and of py-feat (Fex), one row a frame and face.

| | OpenFace 2.2 | py-feat |
|---|---|---|
| columns | `AU01_r` …, a blank before each name | `AU01` … |
| scale | intensity 0–5, taken as it is | probability 0–1: 0.5 becomes 0.8 ("slight"), 1 becomes 5, linear between |
| time | `timestamp`, seconds | `frame` (from 0) by the frame rate: `approx_time` tells whole seconds only |
| face | `face_id` | `Identity`, where it was asked for |
| sure | `confidence`; 0 where `success` is 0 | `FaceScore` |
| head | `pose_Rx`, `pose_Ry`, `pose_Rz`, radians | not read: degrees or radians by version |

OpenFace has no intensity of AU28, py-feat neither AU45 nor, in some of its models, others: those are not `measured`.
"""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from sys import intern

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import ManifestError
from emotion_llama.measurements import ACTION_UNITS, OPENFACE_SOURCE, PYFEAT_SOURCE, ActionUnitSeries
from emotion_llama.perception.describe import word_table

MIN_CONFIDENCE = 0.75
"""Below it, or without success, a row of OpenFace does not count: its own limit for a usable face."""

_MOST = 5.0
_ROUNDING = 1e-3  # both tools round what they write
_UNIT = re.compile(r"AU\d{1,2}(_r)?")
_NUMBERS = ("frame", "timestamp", "confidence", "success", "pose_Rx", "pose_Ry", "pose_Rz", "FaceScore")
_FACES = ("face_id", "Identity")
OPENFACE_ANGLES = ("pose_Rx", "pose_Ry", "pose_Rz")
OPENFACE_SIGNS = (-1.0, -1.0, 1.0)
"""OpenFace's pitch grows with a lowered chin, its yaw with a face turned to the left of the picture."""

Numbers = NDArray[np.float64]


def read_action_units(path: Path, fps: float | None = None) -> ActionUnitSeries:
    """Read the face that is seen in most rows of a table; see `read_faces`."""
    faces = read_faces(path, fps)
    return max(faces.values(), key=lambda series: int((series.confidence.max(axis=1) > 0).sum()))


def read_faces(path: Path, fps: float | None = None) -> dict[str, ActionUnitSeries]:
    """Read all faces of a table of OpenFace or py-feat by their names in it, each in the order of time.

    `fps`: frames a second of the recording, for tables that number frames and tell no times. A row in which no face
    was found, or hardly, has confidence 0. Raises `ManifestError`, naming the file and the line or column, for a file
    that is neither, a table without rows, a cell that is no number and a number outside of its scale.
    """
    table = _Table.read(path)
    units = [name for name in table.columns if name not in _NUMBERS]
    openface = {int(name[2:-2]): name for name in units if name.endswith("_r")}
    pyfeat = {int(name[2:]): name for name in units if not name.endswith("_r")}
    if not openface and not pyfeat:
        raise ManifestError(
            f"{path}: expected action units as OpenFace 2.2 (AU12_r) or py-feat (AU12) names them, "
            f"found the columns {', '.join(table.names[:6]) or 'none'}"
        )
    if not table.faces:
        raise ManifestError(f"{path}: expected a row for each frame below the heading, found none")
    series = _openface(table, openface, fps) if openface else _pyfeat(table, pyfeat, fps)
    return {face: _of_face(series, [other == face for other in table.faces]) for face in dict.fromkeys(table.faces)}


@dataclass(frozen=True)
class _Table:
    """The columns of a file that are read here; hundreds of others are passed over. An empty cell is NaN."""

    path: Path
    names: list[str]
    columns: dict[str, Numbers]  # (F,) each
    faces: list[str]
    lines: Sequence[int]

    @classmethod
    def read(cls, path: Path) -> _Table:
        faces: list[str] = []
        lines = array("q")
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file)
                names = [name.strip() for name in next(reader, [])]
                face = next((names.index(name) for name in _FACES if name in names), None)
                read = {name: place for place, name in enumerate(names) if name in _NUMBERS or _UNIT.fullmatch(name)}
                columns = {name: array("d") for name in read}
                for cells in filter(None, reader):
                    if len(cells) != len(names):
                        raise ManifestError(
                            f"{path}, line {reader.line_num}: expected {len(names)} cells as in the heading, "
                            f"found {len(cells)}; was the file cut off?"
                        )
                    for name, place in read.items():
                        number = _number(cells[place].strip())
                        if math.isinf(number):
                            raise ManifestError(
                                f"{path}, line {reader.line_num}: expected a number as {name}, found {cells[place]!r}"
                            )
                        columns[name].append(number)
                    faces.append("0" if face is None else intern(cells[face].strip()))
                    lines.append(reader.line_num)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ManifestError(f"{path}: cannot be read as a table of action units ({error})") from error
        return cls(path, names, {name: np.array(column) for name, column in columns.items()}, faces, lines)

    def numbers(self, name: str, default: float) -> Numbers:
        """A column (F,), or `default` in each row where there is no such column."""
        return self.columns.get(name, np.full(len(self.faces), default))

    def within(self, name: str, low: float, high: float) -> Numbers:
        """Numbers of a scale. A number outside of it raises: the table is something else than it seems."""
        values = self.columns[name]
        wrong = np.flatnonzero((values < low - _ROUNDING) | (values > high + _ROUNDING))
        if len(wrong):
            raise ManifestError(
                f"{self.path}, line {self.lines[wrong[0]]}: expected {name} between {low:g} and {high:g}, "
                f"found {values[wrong[0]]:g}"
            )
        return np.clip(values, low, high)


def _number(cell: str) -> float:
    """The number in a cell; NaN for an empty one, infinity for what is no number."""
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        return math.inf


def _openface(table: _Table, units: dict[int, str], fps: float | None) -> ActionUnitSeries:
    sure = np.nan_to_num(table.numbers("confidence", 1.0))
    sure = np.where((table.numbers("success", 1.0) > 0) & (sure >= MIN_CONFIDENCE), np.clip(sure, 0, 1), 0.0)
    sizes = {unit: table.within(name, 0, _MOST) for unit, name in units.items() if unit in ACTION_UNITS}
    # a picture's table (FaceLandmarkImg) has one row and no time
    frame = table.numbers("frame", 1.0) - 1
    times = table.columns["timestamp"] if "timestamp" in table.names else _frame_times(table, frame, fps)
    pose = np.stack([table.numbers(name, math.nan) for name in OPENFACE_ANGLES], axis=1)
    return _series(table, times, sizes, sure, np.degrees(pose) * OPENFACE_SIGNS, OPENFACE_SOURCE)


def _pyfeat(table: _Table, units: dict[int, str], fps: float | None) -> ActionUnitSeries:
    slight = word_table().action_unit_steps[0]
    sizes = {
        unit: np.interp(table.within(name, 0, 1), (0, 0.5, 1), (0, slight, _MOST))
        for unit, name in units.items()
        if unit in ACTION_UNITS
    }
    sure = np.clip(np.nan_to_num(table.numbers("FaceScore", 1.0)), 0, 1)
    times = _frame_times(table, table.numbers("frame", 0.0), fps)
    return _series(table, times, sizes, sure, np.full((len(times), 3), np.nan), PYFEAT_SOURCE)


def _frame_times(table: _Table, frame: Numbers, fps: float | None) -> Numbers:
    if not frame.any():
        return frame
    if not fps:
        raise ManifestError(
            f"{table.path}: it numbers its frames and tells no times: the frame rate of the recording is needed"
        )
    return frame / fps


def _series(
    table: _Table, times: Numbers, sizes: dict[int, Numbers], sure: Numbers, pose: Numbers, source: str
) -> ActionUnitSeries:
    """Put the columns together. Where a unit has no number, it was not measured there."""
    untimed = np.flatnonzero(~np.isfinite(times))
    if len(untimed):
        raise ManifestError(f"{table.path}, line {table.lines[untimed[0]]}: expected the time of the row, found none")
    measured = tuple(unit for unit in ACTION_UNITS if unit in sizes and np.isfinite(sizes[unit]).any())
    if not measured:
        raise ManifestError(f"{table.path}: expected the sizes of action units, found empty cells only")
    intensity = np.full((len(times), len(ACTION_UNITS)), np.nan)
    for unit in measured:
        intensity[:, ACTION_UNITS.index(unit)] = sizes[unit]
    confidence = np.where(np.isfinite(intensity), sure[:, None], 0.0)
    return ActionUnitSeries(
        times.astype(np.float32),
        np.nan_to_num(intensity).astype(np.float32),
        confidence.astype(np.float32),
        pose.astype(np.float32),
        "given",
        source,
        measured,
    )


def _of_face(series: ActionUnitSeries, rows: Sequence[bool]) -> ActionUnitSeries:
    """The rows of one face, in the order of time."""
    chosen = np.flatnonzero(rows)
    chosen = chosen[np.argsort(series.time_s[chosen], kind="stable")]
    return replace(
        series,
        time_s=series.time_s[chosen],
        intensity=series.intensity[chosen],
        confidence=series.confidence[chosen],
        pose_deg=series.pose_deg[chosen],
    )


def at_times(series: ActionUnitSeries, time_s: NDArray[np.float32]) -> ActionUnitSeries:
    """Take the row nearest to each of these times (F,), seconds. Where none is near, confidence is 0.

    Near is half a step of the table or of the times, whichever is longer, and at least 20 ms.
    """
    steps = [float(np.median(np.diff(times))) for times in (series.time_s, time_s) if len(times) > 1]
    reach = max([0.02, *(0.51 * step for step in steps)])
    after = np.clip(np.searchsorted(series.time_s, time_s), 0, len(series.time_s) - 1)
    before = np.clip(after - 1, 0, None)
    nearer = np.abs(series.time_s[before] - time_s) <= np.abs(series.time_s[after] - time_s)
    place = np.where(nearer, before, after)
    far = np.abs(series.time_s[place] - time_s) > reach
    confidence = np.where(far[:, None], 0, series.confidence[place]).astype(np.float32)
    intensity = np.where(far[:, None], 0, series.intensity[place]).astype(np.float32)
    return replace(series, time_s=time_s, intensity=intensity, confidence=confidence, pose_deg=series.pose_deg[place])
