"""The long table and Parquet are read back by pandas with their types."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.long_table import Row, long_rows, write_long_csv
from emotion_llama.analyze.parquet import TEXT_COLUMNS, write_parquet
from emotion_llama.analyze.writers import ClipFailure, write_csv
from emotion_llama.clip import Analysis, PersonEmotion
from emotion_llama.errors import MediaError, OutputError, UsageError

FAILURE = ClipFailure.of("=bad.mp4", MediaError("no such file"))


def long(tmp_path: Path, *rows: Analysis | ClipFailure) -> pd.DataFrame:
    write_long_csv(rows, tmp_path / "a.long.csv")
    return pd.read_csv(tmp_path / "a.long.csv")


def test_the_long_table_has_a_row_a_measurement(timed_result: Result, tmp_path: Path) -> None:
    analysis = timed_result.analysis
    person = PersonEmotion(
        person=2, role="speaking", seconds=2, emotion="happy", confidence=0.7, probabilities={"happy": 0.7}
    )
    table = long(tmp_path, analysis.model_copy(update={"people": (person,)}))
    assert tuple(table.columns) == Row._fields
    assert table["value"].dtype == table["start_s"].dtype == float
    assert table.groupby("what").size().to_dict() == {
        "emotion": 1, "probability": 2, "valence": 1, "person": 1, "action_unit": 18, "voice": 13, "observation": 2,
        "segment": 2, "window": 3, "window_probability": 9, "stretch": 3, "expression": 3, "cut": 1,
    }  # fmt: skip
    by = {what: rows for what, rows in table.groupby("what")}
    assert by["probability"].set_index("name")["value"].to_dict() == {"neutral": 0.3, "happy": 0.7}
    smile = by["action_unit"].set_index("name").loc["AU12"]
    assert (smile["start_s"], smile["end_s"], smile["value"], smile["unit"]) == (1.25, 1.25, 1.2, "of 5")
    assert by["voice"].set_index("name").loc["f0_hz", ["value", "unit"]].tolist() == [142.3, "Hz"]
    assert "jitter_percent" not in set(by["voice"]["name"]), "what could not be measured has no row"
    angry = by["stretch"].iloc[0]
    assert (angry["name"], angry["start_s"], angry["end_s"], angry["value"], angry["person"]) == (
        "angry", 0.0, 2.0, 0.82, 1,
    )  # fmt: skip
    moved = by["expression"].iloc[0]
    assert (moved["name"], moved["value"], moved["text"], moved["person"]) == ("AU12", 2.5, "apex 1.000 s", 2)
    assert by["person"].iloc[0][["name", "value", "text"]].tolist() == ["happy", 0.7, "speaking"]


def test_a_failed_clip_is_one_row_and_formulas_stay_texts(bare_analysis: Analysis, tmp_path: Path) -> None:
    table = long(tmp_path, bare_analysis, FAILURE)
    assert table["what"].tolist() == ["emotion", "error"]
    assert table.iloc[1][["clip", "name", "text"]].tolist() == ["'=bad.mp4", "MediaError", "no such file"]
    assert table.iloc[0][["name", "value", "text"]].isna().all()


def test_odd_characters_come_back_in_the_long_table(odd_result: Result, tmp_path: Path) -> None:
    analysis = odd_result.analysis
    table = long(tmp_path, analysis)
    said = table[table["what"] == "segment"]["text"].item()
    assert said.replace("\\udce9", "\udce9") == analysis.transcript.text


@pytest.mark.parametrize("name", ["result", "timed_result", "bare_result"])
def test_no_number_stands_without_its_unit(name: str, request: pytest.FixtureRequest) -> None:
    rows = list(long_rows(request.getfixturevalue(name).analysis))
    bare = {row.name for row in rows if row.value is not None and row.unit is None}
    assert bare <= {"pause_count", "voiced_fraction"}, "a count and a share"


def test_parquet_has_the_columns_of_the_csv_with_types(
    analysis: Analysis, bare_analysis: Analysis, tmp_path: Path
) -> None:
    rows = [analysis, bare_analysis, FAILURE]
    write_parquet(rows, tmp_path / "a.parquet")
    write_csv(rows, tmp_path / "a.csv")
    table, wide = pd.read_parquet(tmp_path / "a.parquet"), pd.read_csv(tmp_path / "a.csv")
    assert list(table.columns) == list(wide.columns)
    numbers = [name for name in table.columns if name not in TEXT_COLUMNS]
    assert all(table[name].dtype == float for name in numbers)
    pd.testing.assert_frame_equal(table[numbers], wide[numbers].astype(float))
    for name in TEXT_COLUMNS:
        read = ["=bad.mp4" if text == "'=bad.mp4" else text for text in wide[name].astype(object).fillna("")]
        assert table[name].fillna("").tolist() == read, name
    assert table["emotion"].isna().tolist() == [False, True, True]


def test_parquet_of_odd_characters_and_of_nothing(odd_result: Result, tmp_path: Path) -> None:
    write_parquet([odd_result.analysis], tmp_path / "a.parquet")
    text = pd.read_parquet(tmp_path / "a.parquet")["transcript"].item()
    assert text.replace("\\udce9", "\udce9") == odd_result.analysis.transcript.text
    write_parquet([], tmp_path / "none.parquet")
    assert len(pd.read_parquet(tmp_path / "none.parquet")) == 0


def test_parquet_leaves_no_temporary_file_and_names_what_cannot_be_written(analysis: Analysis, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(OutputError, match=r"a\.parquet"):
        write_parquet([analysis], tmp_path / "a.parquet")
    with pytest.raises(OutputError, match=r"gone"):
        write_parquet([analysis], tmp_path / "gone" / "b.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_without_pyarrow_the_extra_is_named(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"--format parquet needs pyarrow .*pip install 'emotion-llama\[parquet\]'"):
        write_parquet([analysis], tmp_path / "a.parquet")
