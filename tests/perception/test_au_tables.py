"""Tables of OpenFace and py-feat as action units: names, scales, times, faces, and what is told of a wrong file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotion_llama.errors import ManifestError
from emotion_llama.measurements import ACTION_UNITS
from emotion_llama.perception.au_tables import at_times, read_action_units, read_faces

OPENFACE = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
PYFEAT = ("01", "02", "04", "05", "06", "07", "09", "10", "11", "12", "14", "15", "17", "20", "23", "24", "25", "26",
          "28", "43")  # fmt: skip
HEADING = "frame, face_id, timestamp, confidence, success, gaze_0_x, pose_Rx, pose_Ry, pose_Rz, " + ", ".join(
    [f"AU{unit:02d}_r" for unit in OPENFACE] + [f"AU{unit:02d}_c" for unit in (*OPENFACE[:-1], 28, 45)]
)


def row(frame: int, smile: object, *, face: int = 0, sure: float = 0.98, success: int = 1, pitch: float = 0.1) -> str:
    """A line as OpenFace writes it, with this AU12."""
    cells = [frame, face, f"{(frame - 1) * 0.04:.3f}", sure, success, 0.1, pitch, 0.2, 0.3]
    return ", ".join(str(cell) for cell in [*cells, *(smile if unit == 12 else 0.0 for unit in OPENFACE), *[0.0] * 18])


def table(path: Path, *rows: str, heading: str = HEADING) -> Path:
    path.write_text("\n".join([heading, *rows]) + "\n", encoding="utf-8")
    return path


def fex(path: Path, *rows: dict[str, object]) -> Path:
    """A table as py-feat writes it: a row's cells by name, 0 in all units that are not named."""
    names = ["FaceRectX", "FaceScore", *(f"AU{unit}" for unit in PYFEAT), "happiness", "Pitch", "Identity", "input",
             "frame", "approx_time"]  # fmt: skip
    usual: dict[str, object] = dict.fromkeys(names, 0.0) | {"FaceScore": 0.9, "Identity": "Person_0"}
    return table(path, *(",".join(str((usual | cells)[name]) for name in names) for cells in rows),
                 heading=",".join(names))  # fmt: skip


def column(unit: int) -> int:
    return ACTION_UNITS.index(unit)


def test_openface_with_blanks_before_the_names(tmp_path: Path) -> None:
    series = read_action_units(table(tmp_path / "a.csv", row(1, 0.5), row(2, 2.25), row(3, 1.0)))
    assert series.time_s.tolist() == pytest.approx([0, 0.04, 0.08])
    assert series.intensity[:, column(12)].tolist() == [0.5, 2.25, 1.0] and series.intensity.sum() == 3.75
    assert series.confidence[:, column(12)].tolist() == pytest.approx([0.98] * 3)
    assert (series.source, series.baseline) == ("openface-2.2", "given")
    # it tells of AU28 only whether it is there
    assert set(ACTION_UNITS) - set(series.measured) == {28} and not series.confidence[:, column(28)].any()


def test_angles_are_turned_into_ours(tmp_path: Path) -> None:
    """OpenFace: chin down, face to the left of the picture, clockwise; ours: chin up, right, clockwise, in degrees."""
    (pose,) = read_action_units(table(tmp_path / "a.csv", row(1, 0.0, pitch=0.1))).pose_deg
    assert pose.tolist() == pytest.approx([-5.7296, -11.4592, 17.1887], abs=1e-3)


def test_rows_without_a_face_are_not_trusted(tmp_path: Path) -> None:
    series = read_action_units(table(tmp_path / "a.csv", row(1, 1.0), row(2, 5.0, success=0), row(3, 5.0, sure=0.5)))
    assert series.confidence.max(axis=1).tolist() == pytest.approx([0.98, 0, 0])


def test_faces_apart_each_in_the_order_of_time(tmp_path: Path) -> None:
    path = table(
        tmp_path / "a.csv", row(2, 2.0), row(1, 4.0, face=1), row(1, 1.0), row(2, 4.5, face=1, success=0), row(3, 3.0)
    )
    faces = read_faces(path)
    assert {name: face.intensity[:, column(12)].tolist() for name, face in faces.items()} == {
        "0": [1.0, 2.0, 3.0], "1": [4.0, 4.5],
    }  # fmt: skip
    assert read_action_units(path).intensity[:, column(12)].tolist() == [1.0, 2.0, 3.0]


def test_the_face_seen_most_is_taken_not_the_one_with_most_rows(tmp_path: Path) -> None:
    lost = [row(frame, 1.0, success=0) for frame in range(1, 6)]
    assert read_action_units(table(tmp_path / "a.csv", *lost, row(1, 3.0, face=7))).intensity.max() == 3.0


def test_pyfeat_probabilities_become_sizes(tmp_path: Path) -> None:
    path = fex(tmp_path / "a.csv", *({"frame": at, "AU12": p} for at, p in enumerate((0, 0.25, 0.5, 0.75, 1))))
    series = read_action_units(path, fps=25.0)
    assert series.intensity[:, column(12)].tolist() == pytest.approx([0, 0.4, 0.8, 2.9, 5])
    assert series.time_s.tolist() == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert series.source == "py-feat" and set(ACTION_UNITS) - set(series.measured) == {45}
    assert np.isnan(series.pose_deg).all()
    assert series.confidence[:, column(12)].tolist() == pytest.approx([0.9] * 5)


def test_pyfeat_without_a_face_has_empty_cells(tmp_path: Path) -> None:
    empty = {f"AU{unit}": "" for unit in PYFEAT} | {"FaceScore": ""}
    series = read_action_units(fex(tmp_path / "a.csv", {"AU12": 0.9}, {"frame": 1} | empty), fps=10.0)
    assert np.isfinite(series.intensity).all() and series.confidence.max(axis=1).tolist() == pytest.approx([0.9, 0])


def test_pyfeat_identities_are_faces(tmp_path: Path) -> None:
    path = fex(tmp_path / "a.csv", {}, {"Identity": "Person_1"}, {"frame": 1})
    assert {name: len(face.time_s) for name, face in read_faces(path, 10.0).items()} == {"Person_0": 2, "Person_1": 1}


def test_pyfeat_needs_the_frame_rate_unless_it_is_a_picture(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"a\.csv: it numbers its frames and tells no times"):
        read_action_units(fex(tmp_path / "a.csv", {}, {"frame": 1}))
    assert read_action_units(fex(tmp_path / "b.csv", {"AU12": 1})).time_s.tolist() == [0.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "found the columns none"),
        ("a,b\n1,2\n", r"as OpenFace 2\.2 \(AU12_r\) or py-feat \(AU12\) names them, found the columns a, b"),
        ("frame, AU12_c\n1, 1\n", "found the columns frame, AU12_c"),
        (HEADING + "\n", "expected a row for each frame below the heading, found none"),
        (HEADING + "\n1, 2\n", "line 2: expected 44 cells as in the heading, found 2; was the file cut off"),
        (HEADING + "\n\n" + row(1, "much"), "line 3: expected a number as AU12_r, found ' much'"),
        (HEADING + "\n" + row(1, 5.2), "line 2: expected AU12_r between 0 and 5, found 5.2"),
        ("AU12,frame\n1.4,0\n", "line 2: expected AU12 between 0 and 1, found 1.4"),
        ("timestamp, AU12_r\n, 1\n", "line 2: expected the time of the row, found none"),
        ("timestamp, AU12_r\n0, \n", "expected the sizes of action units, found empty cells only"),
        (b"\xff\xfe\x00AU", "cannot be read as a table of action units"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_what_is_wrong(content: str | bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ManifestError, match=message) as caught:
        read_faces(tmp_path / "a.csv", 25.0)
    assert "a.csv" in str(caught.value)
    with pytest.raises(ManifestError, match="No such file"):
        read_faces(tmp_path / "none.csv")


def test_hundreds_of_other_columns_do_no_harm(tmp_path: Path) -> None:
    others = [f"eye_lmk_x_{at}" for at in range(600)]
    path = table(tmp_path / "a.csv", ", ".join([row(1, 2.0), *["x"] * 600]), heading=", ".join([HEADING, *others]))
    assert read_action_units(path).intensity.max() == 2.0


def test_taken_at_other_times_the_nearest_row_counts(tmp_path: Path) -> None:
    series = read_action_units(table(tmp_path / "a.csv", *(row(frame, frame / 10) for frame in range(1, 11))))
    taken = at_times(series, np.array([0.0, 0.05, 0.36, 0.37, 0.7], np.float32))
    assert taken.intensity[:, column(12)].tolist() == pytest.approx([0.1, 0.2, 1.0, 1.0, 0])
    assert (taken.confidence[:, column(12)] > 0).tolist() == [True, True, True, True, False]
    same = at_times(series, series.time_s)
    assert np.array_equal(same.intensity, series.intensity) and np.array_equal(same.confidence, series.confidence)
