"""`--action-units`: the table that belongs to a clip, and what it changes in what is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.analyze.features import encode_picture
from emotion_llama.analyze.given_units import given_units
from emotion_llama.analyze.perceive import Percept, Stopwatch, perceive
from emotion_llama.analyze.results import build_material
from emotion_llama.analyze.warnings import perception_warnings
from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError
from emotion_llama.measurements import ACTION_UNITS, FaceMeasures
from emotion_llama.media.types import Frame, MediaInfo
from emotion_llama.settings import AnalyzeSettings

MakeFaces = Callable[..., FaceMeasures]
CLIP = Clip(clip="in/ann.mp4", path=Path("in/ann.mp4"))
MEDIA = MediaInfo(Path("in/ann.mp4"), "video", 1.0, 64, 48, 10.0, 0, True, True, "ab" * 32)


def table(path: Path, *rows: tuple[float, float, float]) -> Path:
    """An OpenFace table of (time, AU4, AU12)."""
    lines = [f"{at + 1}, {time_s}, 0.95, 1, {brow}, {smile}" for at, (time_s, brow, smile) in enumerate(rows)]
    path.write_text("\n".join(["frame, timestamp, confidence, success, AU04_r, AU12_r", *lines]) + "\n")
    return path


def test_a_folders_table_has_the_recordings_name(tmp_path: Path) -> None:
    table(tmp_path / "ann.csv", (0.0, 1.0, 0.0))
    assert given_units(tmp_path, CLIP, MEDIA).intensity[0, ACTION_UNITS.index(4)] == 1.0
    with pytest.raises(ManifestError, match=r"clip x/bob\.mp4: expected its action units in .*bob\.csv, found no such"):
        given_units(tmp_path, Clip(clip="x/bob.mp4"), MEDIA)


def test_a_table_of_another_recording_is_told(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", (0.0, 1, 0), (9.0, 1, 0))
    with pytest.raises(ManifestError, match=r"a\.csv: expected times within the 1\.0 s of in/ann\.mp4, found 9\.0 s"):
        given_units(path, CLIP, MEDIA)
    assert len(given_units(path, CLIP, replace(MEDIA, duration_s=8.6)).time_s) == 2


def test_a_span_without_rows_and_a_table_without_faces_are_told(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", (0.0, 1, 0))
    span = CLIP.model_copy(update={"start_s": 2.0, "end_s": 3.0})
    with pytest.raises(ManifestError, match=r"expected rows between 2 and 3 s, the span of in/ann\.mp4, found none"):
        given_units(path, span, MEDIA)
    path.write_text(path.read_text().replace("0.95, 1,", "0.95, 0,"))
    with pytest.raises(ManifestError, match="found none that is sure enough"):
        given_units(path, CLIP, MEDIA)


class Eyes:
    """Finds a face whose lip corners rise to the end of one second."""

    def __init__(self, faces: FaceMeasures) -> None:
        self.faces = faces

    def read(self, frames: Iterable[Frame], speech_s: Sequence[tuple[float, float]]) -> FaceMeasures:
        assert sum(1 for _ in frames)
        return self.faces


class Parts:
    """Eyes, and a global encoder that is never asked."""

    own_local = own_temporal = None
    own_global = object()  # such a model has no rows of the expression nets
    released = False

    def __init__(self, faces: FaceMeasures) -> None:
        self.face_reader = Eyes(faces)


def look(clip: Path, faces: FaceMeasures, units: Path | None) -> Percept:
    settings = AnalyzeSettings(action_units=units, transcribe=False)
    return perceive(Clip(clip=str(clip), path=clip), settings, Parts(faces), Stopwatch())  # type: ignore[arg-type]


def test_evidence_peak_and_material_follow_the_table(
    make_clip: Callable[..., Path], make_faces: MakeFaces, tmp_path: Path
) -> None:
    clip, faces = make_clip("a.mp4", level=None), make_faces(frames=10)
    ours = look(clip, faces, None)
    units = table(tmp_path / "a.csv", *((at / 10, 4.0 if 2 <= at <= 4 else 0.0, 0.0) for at in range(10)))
    theirs = look(clip, faces, units)
    assert ours.peak is not None and theirs.peak is not None
    assert (ours.peak.time_s, theirs.peak.time_s) == (0.9, 0.3)
    assert {(o.name, o.source) for o in ours.observations if o.unit == "of 5"} == {("AU12", "mesh-au-1")}
    (brows,) = (o for o in theirs.observations if o.unit == "of 5")
    assert (brows.name, brows.value, brows.source, brows.start_s, brows.end_s) == (
        "AU04", 4.0, "openface-2.2", 0.2, 0.4,
    )  # fmt: skip
    series = build_material(theirs).action_units
    assert series is not None and series.measured == (4, 12) and len(series.time_s) == 10


def test_the_temporal_encoder_still_sees_the_mesh(
    make_faces: MakeFaces, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    clip, faces = make_clip("a.mp4", level=None), make_faces(frames=10)
    units = table(tmp_path / "a.csv", *((at / 10, 4.0, 0.0) for at in range(10)))
    ours, theirs = look(clip, faces, None), look(clip, faces, units)
    rows = [
        encode_picture(p, p.frame, p.faces, Parts(faces), Stopwatch(), ("global",))["temporal"]  # type: ignore[arg-type]
        for p in (ours, theirs)
    ]
    assert rows[0].size and np.array_equal(*rows)


def test_that_a_table_is_not_used_is_told(
    make_clip: Callable[..., Path], no_face: FaceMeasures, tmp_path: Path
) -> None:
    units = table(tmp_path / "a.csv", (0.0, 1, 0))
    percept = look(make_clip("a.mp4", level=None), no_face, units)
    told = " ".join(perception_warnings(percept, AnalyzeSettings(action_units=units)))
    assert "The action units that were given are not used" in told
