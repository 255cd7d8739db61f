"""Tables of OpenFace 2.2: one row a frame and face, headings with a blank before each name.

Columns read: frame (from 1), face_id, timestamp (s), confidence, success, AU01_r … (intensity 0–5), AU01_c … (0 or 1).
A table of stills (FaceLandmarkImg) has neither frame nor success.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emotion_llama.build.exchange.units import unit_number
from emotion_llama.errors import ManifestError
from emotion_llama.perception.au_tables import MIN_CONFIDENCE

BLINK = 45


@dataclass(frozen=True)
class Row:
    """One face in one frame. `index` counts frames from 0; units by number."""

    index: int
    time_s: float | None
    face: str
    confidence: float
    usable: bool
    intensities: dict[int, float]
    present: frozenset[int]

    @property
    def sum_without_blink(self) -> float:
        """What the peak frame is chosen by: the sum of all intensities but the blink's."""
        return sum(value for unit, value in self.intensities.items() if unit != BLINK)


@dataclass
class FaceTable:
    """What a table tells of its main face: the one with most usable rows. `frames` and `people` are of all faces."""

    frames: int
    people: int
    usable: list[Row] = field(default_factory=list)


def read_openface(path: Path) -> FaceTable:
    """Read a table. Raises `ManifestError` with the line for one that is not OpenFace's."""
    faces: dict[str, list[Row]] = defaultdict(list)
    frames: set[int] = set()
    for row in _rows(path):
        frames.add(row.index)
        if row.usable:
            faces[row.face].append(row)
    main = max(faces.values(), key=len, default=[])
    return FaceTable(len(frames), len(faces), main)


@dataclass(frozen=True)
class _Heading:
    """Where the columns stand; units by number. Looked up once a table: it has hundreds of columns."""

    places: dict[str, int]
    intensities: dict[int, str]
    presences: dict[int, str]


def _heading(cells: list[str], where: str) -> _Heading:
    places = {name.strip(): place for place, name in enumerate(cells)}
    units = [(unit, name) for name in places if (unit := unit_number(name)) is not None]
    heading = _Heading(
        places,
        {unit: name for unit, name in units if name.endswith("_r")},
        {unit: name for unit, name in units if name.endswith("_c")},
    )
    if not heading.intensities:
        raise ManifestError(f"{where}: expected columns of intensities such as AU12_r, found none")
    return heading


def _rows(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            heading = _heading(next(lines, []), f"{path}:1")
            for number, cells in enumerate(cells for cells in lines if cells):
                yield _row(cells, heading, f"{path}:{lines.line_num}", number)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: cannot be read as a table ({error})") from error


def _row(cells: list[str], heading: _Heading, where: str, number: int) -> Row:
    places = heading.places
    if len(cells) != len(places):
        raise ManifestError(f"{where}: expected {len(places)} cells as in the heading, found {len(cells)}")

    def value(name: str, default: float) -> float:
        return _number(cells[places[name]], name, where) if name in places else default

    confidence = value("confidence", 1.0)
    return Row(
        index=int(value("frame", number + 1)) - 1,
        time_s=value("timestamp", 0.0) if "timestamp" in places else None,
        face=cells[places["face_id"]].strip() if "face_id" in places else "0",
        confidence=confidence,
        usable=value("success", 1.0) > 0 and confidence >= MIN_CONFIDENCE,
        intensities={unit: value(name, 0.0) for unit, name in heading.intensities.items()},
        present=frozenset(unit for unit, name in heading.presences.items() if value(name, 0.0) > 0),
    )


def _number(cell: str, name: str, where: str) -> float:
    try:
        number = float(cell)
    except ValueError as error:
        raise ManifestError(f"{where}: {name} must be a number, found {cell!r}") from error
    if not math.isfinite(number):
        raise ManifestError(f"{where}: {name} must be finite, found {cell!r}")
    return number
