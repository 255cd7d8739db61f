"""openface: a table of OpenFace 2.2, or a folder of them, one entry a table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from emotion_llama.build.entry import Entry, Faces, Peak, Rejected
from emotion_llama.build.exchange.merr import FRAMES
from emotion_llama.build.exchange.openface import BLINK, FaceTable, Row, read_openface
from emotion_llama.build.exchange.recordings import absolute
from emotion_llama.build.exchange.source import Imported, ImportSource, rejected
from emotion_llama.build.exchange.units import unit_name
from emotion_llama.clip import Clip, Observation
from emotion_llama.errors import ManifestError
from emotion_llama.measurements import OPENFACE_SOURCE
from emotion_llama.perception.au_tables import MIN_CONFIDENCE
from emotion_llama.perception.describe import word_table

RULE = "sum"
"""How the peak frame is chosen: the largest sum of intensities, the blink left out."""


def import_openface(source: ImportSource) -> Imported:
    """Give one entry a table: units at the peak frame and anywhere, the peak, an observation a unit.

    A folder's table that cannot be read is rejected; a single file's raises `ManifestError`.
    """
    recordings = source.recordings("")
    for name, path in _tables(source.path).items():
        try:
            table = read_openface(path)
        except ManifestError as error:
            if source.path.is_file():
                raise
            yield rejected(name, str(error))
            continue
        yield _entry(name, table, recordings.get(path.stem))


def _tables(path: Path) -> dict[str, Path]:
    """Give the tables by clip name: the file's name, where two are called alike with the folders before it."""
    if path.is_file():
        return {path.stem: path}
    files = [file for file in sorted(path.rglob("*.csv")) if not file.name.startswith(".")]
    if not files:
        raise ManifestError(f"{path}: expected tables of OpenFace (.csv) below it, found none")
    times = Counter(file.stem for file in files)
    return {
        file.stem if times[file.stem] == 1 else file.relative_to(path).with_suffix("").as_posix(): file
        for file in files
    }


def _entry(name: str, table: FaceTable, recording: Path | None) -> Entry | Rejected:
    if not table.usable:
        return rejected(
            name, f"no frame with success and confidence of {MIN_CONFIDENCE} or more ({table.frames} frames)"
        )
    peak = max(table.usable, key=lambda row: row.sum_without_blink)
    return Entry(
        clip=Clip(
            clip=name,
            path=absolute(recording) if recording else None,
            observations=tuple(_observation(peak, unit) for unit in _active(peak) if unit != BLINK),
            groups={FRAMES: float(table.frames)},
        ),
        faces=Faces(
            people=table.people,
            frames_seen=len(table.usable),
            presence=round(min(len(table.usable) / table.frames, 1.0), 4),
        ),
        action_units={unit_name(unit): value for unit, value in sorted(peak.intensities.items())},
        units_seen=tuple(unit_name(unit) for unit in sorted({unit for row in table.usable for unit in _active(row)})),
        peak=Peak(index=peak.index, time_s=peak.time_s, rule=RULE),
    )


def _active(row: Row) -> list[int]:
    """Give the units that OpenFace calls present, strongest first; without presences those from "slight" on."""
    least = word_table().action_unit_steps[0]
    units = row.present or {unit for unit, value in row.intensities.items() if value >= least}
    return sorted(units, key=lambda unit: -row.intensities.get(unit, 0.0))


def _observation(row: Row, unit: int) -> Observation:
    table = word_table()
    value = row.intensities.get(unit)
    level = sum((value or 0.0) >= step for step in table.action_unit_steps[1:])
    phrase = table.action_units.get(unit)
    name = unit_name(unit)
    return Observation(
        channel="face",
        text=phrase.phrase.format(much=list(table.adverbs.values())[level]) if phrase else f"{name} is active",
        source=OPENFACE_SOURCE,
        name=name,
        value=value,
        unit=None if value is None else "of 5",
        direction=1,
        start_s=row.time_s,
        end_s=row.time_s,
        confidence=min(max(row.confidence, 0.0), 1.0),
        supports=phrase.supports if phrase else (),
    )
