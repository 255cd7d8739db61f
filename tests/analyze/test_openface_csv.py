"""OpenFace's table: its columns in its order, read back by pandas and by our own reader as the same series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.openface_csv import write_openface
from emotion_llama.build.exchange.openface import read_openface
from emotion_llama.errors import ManifestError
from emotion_llama.measurements import ACTION_UNITS
from emotion_llama.perception.au_tables import read_action_units

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
OPENFACE = [
    "frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", "pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx",
    "pose_Ry", "pose_Rz",
    *(f"AU{unit:02d}_r" for unit in UNITS), *(f"AU{unit:02d}_c" for unit in (*UNITS[:-1], 28, 45)),
]  # fmt: skip
"""The columns of OpenFace 2.2 that are of interest, in its order (with -pose -aus, and the first of the gaze)."""


def table(result: Result, path: Path) -> pd.DataFrame:
    write_openface(result, path)
    return pd.read_csv(path)


def test_columns_are_openfaces_in_its_order_with_its_blanks(result: Result, tmp_path: Path) -> None:
    names = list(table(result, tmp_path / "a.csv").columns)
    assert names[0] == "frame" and all(name.startswith(" ") for name in names[1:])
    plain = [name.strip() for name in names]
    left_out = {"gaze_0_x", "pose_Tx", "pose_Ty", "pose_Tz"}
    assert plain == [name for name in OPENFACE if name not in left_out]


def test_what_a_script_for_openface_finds(result: Result, tmp_path: Path) -> None:
    found = table(result, tmp_path / "a.csv")
    assert found["frame"].tolist()[:3] == [1, 4, 7], "frames of the recording, counted from 1"
    assert found[" timestamp"].iloc[15] == pytest.approx(1.5)
    assert (found[" confidence"] == 0.875).all() and (found[" success"] == 1).all() and (found[" face_id"] == 0).all()
    smile = found[" AU12_r"]
    assert smile.idxmax() == 15 and smile.max() == pytest.approx(3)
    assert (found[" AU12_c"] == (smile >= 0.8)).all() and found[" AU12_c"].sum() == 11
    # chin up and the face to the left of the picture: OpenFace's signs are the other way round for both
    assert found.loc[0, [" pose_Rx", " pose_Ry", " pose_Rz"]].tolist() == pytest.approx(
        [-np.radians(5), np.radians(10), np.radians(2.5)], abs=1e-6
    )


def test_our_readers_read_the_same_series(result: Result, tmp_path: Path) -> None:
    write_openface(result, tmp_path / "a.csv")
    before, after = result.material.action_units, read_action_units(tmp_path / "a.csv")
    assert before is not None
    kept = [ACTION_UNITS.index(unit) for unit in after.measured]
    assert set(ACTION_UNITS) - set(after.measured) == {28}
    np.testing.assert_allclose(after.time_s, before.time_s, atol=1e-5)
    np.testing.assert_allclose(after.intensity[:, kept], before.intensity[:, kept], atol=1e-4)
    np.testing.assert_allclose(after.pose_deg, before.pose_deg, atol=1e-3)
    np.testing.assert_allclose(after.confidence[:, kept], 0.875, atol=1e-4)
    face = read_openface(tmp_path / "a.csv")  # the builder's
    assert len(face.usable) == 40 and face.usable[15].intensities[12] == pytest.approx(3)


def test_units_that_are_not_measured_are_nan_and_not_zero(result: Result, tmp_path: Path) -> None:
    series = result.material.action_units
    assert series is not None
    material = replace(result.material, action_units=replace(series, measured=(4, 12)))
    found = table(replace(result, material=material), tmp_path / "a.csv")
    assert found[" AU06_r"].isna().all() and found[" AU06_c"].isna().all() and found[" AU12_r"].notna().all()
    sums = found[[name for name in found.columns if name.endswith("_r")]].sum(axis=1)
    assert sums.idxmax() == 15, "as scripts choose a peak frame"
    assert read_action_units(tmp_path / "a.csv").measured == (4, 12)


def test_frames_that_are_not_trusted_have_no_success(result: Result, tmp_path: Path) -> None:
    series = result.material.action_units
    assert series is not None
    confidence = series.confidence.copy()
    confidence[3] = 0
    material = replace(result.material, action_units=replace(series, confidence=confidence))
    found = table(replace(result, material=material), tmp_path / "a.csv")
    assert found[" success"].tolist().index(0) == 3 and found[" confidence"].iloc[3] == 0
    assert not read_action_units(tmp_path / "a.csv").confidence[3].any()


def test_without_a_face_there_is_a_heading_and_no_row(bare_result: Result, tmp_path: Path) -> None:
    assert len(table(bare_result, tmp_path / "a.csv")) == 0
    with pytest.raises(ManifestError, match="found none"):
        read_action_units(tmp_path / "a.csv")
