from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from emotion_llama.analyze.writers import ClipFailure, append_jsonl, read_jsonl, write_csv, write_json
from emotion_llama.clip import Analysis, Transcript
from emotion_llama.errors import ManifestError, MediaError, OutputError

FAILURE = ClipFailure.of("bad.mp4", MediaError("bad.mp4: expected a recording, found text"))


def write_lines(path: Path, *rows: Analysis | ClipFailure) -> None:
    with path.open("a", encoding="utf-8") as file:
        for row in rows:
            append_jsonl(row, file)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_json_reads_back_as_the_same_analysis(analysis: Analysis, tmp_path: Path) -> None:
    write_json(analysis, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert Analysis.model_validate_json(text) == analysis
    assert "你好" in text
    assert names(tmp_path) == ["a.json"]


def test_a_failed_write_leaves_no_temporary_file(analysis: Analysis, tmp_path: Path) -> None:
    write_json(analysis, tmp_path / "a.json")
    target = tmp_path / "folder.json"
    target.mkdir()
    with pytest.raises(OutputError, match=r"folder\.json"):
        write_json(analysis, target)
    assert names(tmp_path) == ["a.json", "folder.json"]


def test_a_file_name_that_is_not_utf8_survives(analysis: Analysis, tmp_path: Path) -> None:
    odd = analysis.model_copy(update={"clip": os.fsdecode(b"caf\xe9.mp4")})
    write_lines(tmp_path / "a.jsonl", odd)
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [odd]
    write_json(odd, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["clip"] == odd.clip
    write_csv([odd], tmp_path / "a.csv")
    assert read_rows(tmp_path / "a.csv")[0]["clip"] == r"caf\udce9.mp4"


def test_numbers_that_json_cannot_hold_are_refused(analysis: Analysis, tmp_path: Path) -> None:
    broken = analysis.model_copy(update={"probabilities": {"happy": float("nan")}})
    with pytest.raises(OutputError, match=r"clips/ann\.mp4 holds a number that is not finite"):
        write_json(broken, tmp_path / "a.json")
    with pytest.raises(OutputError, match="not finite"):
        write_lines(tmp_path / "a.jsonl", broken)
    assert (tmp_path / "a.jsonl").read_bytes() == b""


def test_missing_folder_is_named(analysis: Analysis, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no_such_folder"):
        write_json(analysis, tmp_path / "no_such_folder" / "a.json")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full (Linux)")
def test_full_disk_is_an_output_error(analysis: Analysis) -> None:
    file = open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123, SIM115
    with pytest.raises(OutputError, match=r"/dev/full.*No space"):
        append_jsonl(analysis, file)
    with pytest.raises(OSError, match="No space"):
        file.close()


def test_failure_line_has_the_documented_form(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", FAILURE)
    assert json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8")) == {
        "clip": "bad.mp4",
        "error": {"type": "MediaError", "message": "bad.mp4: expected a recording, found text"},
    }


def test_lines_read_back_in_order(analysis: Analysis, bare_analysis: Analysis, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", analysis, FAILURE, bare_analysis)
    assert list(read_jsonl(tmp_path / "a.jsonl")) == [analysis, FAILURE, bare_analysis]


def test_any_cut_of_the_last_line_loses_that_line_only(analysis: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_lines(path, analysis)
    first = path.stat().st_size
    write_lines(path, analysis)
    whole = path.read_bytes()
    character = whole.index("你".encode(), first) + 1  # inside a character of several bytes
    for cut in (first + 1, first + 200, character, len(whole) - 2):
        path.write_bytes(whole[:cut])
        assert list(read_jsonl(path)) == [analysis], cut
    path.write_bytes(whole[:-1])
    assert list(read_jsonl(path)) == [analysis, analysis]


def test_damage_before_the_end_names_the_line(analysis: Analysis, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_lines(path, analysis)
    path.write_bytes(path.read_bytes() + b'{"clip": \n')
    write_lines(path, analysis)
    with pytest.raises(ManifestError, match=r"a\.jsonl, line 2"):
        list(read_jsonl(path))


def test_csv_has_one_wide_row_a_clip(analysis: Analysis, bare_analysis: Analysis, tmp_path: Path) -> None:
    write_csv([analysis, FAILURE, bare_analysis], tmp_path / "a.csv")
    good, failed, bare = read_rows(tmp_path / "a.csv")
    assert (good["emotion"], float(good["p_happy"]), float(good["AU12"])) == ("happy", 0.7, 1.2)
    assert (good["f0_hz"], good["jitter_percent"], good["transcript"]) == ("142.3", "", "Grüße, 你好!")
    assert (good["inputs"], good["warnings"]) == ("video+audio", "Two people speak. | The picture is dark.")
    assert failed["error"].startswith("MediaError: bad.mp4") and failed["p_happy"] == ""
    assert bare["emotion"] == "" and bare["transcript"] == ""


def test_csv_columns_do_not_depend_on_what_was_measured(
    analysis: Analysis, bare_analysis: Analysis, tmp_path: Path
) -> None:
    scored = bare_analysis.model_copy(update={"probabilities": analysis.probabilities})
    for name, row in (("full.csv", analysis), ("bare.csv", scored)):
        write_csv([row], tmp_path / name)
    heads = [(tmp_path / name).read_text(encoding="utf-8").splitlines()[0] for name in ("full.csv", "bare.csv")]
    assert heads[0] == heads[1]
    assert heads[0].startswith("clip,emotion,confidence,")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_csv_texts_cannot_become_formulas(analysis: Analysis, tmp_path: Path, text: str) -> None:
    hostile = analysis.model_copy(
        update={"clip": text, "transcript": Transcript(text=text, source="given"), "order_sensitivity": -0.5}
    )
    write_csv([hostile], tmp_path / "a.csv")
    (row,) = read_rows(tmp_path / "a.csv")
    assert row["clip"] == row["transcript"] == "'" + text
    assert row["order_sensitivity"] == "-0.5"


def test_csv_keeps_line_breaks_and_quotes(analysis: Analysis, tmp_path: Path) -> None:
    text = 'first "line"\r\nsecond, line'
    write_csv([analysis.model_copy(update={"reasoning": text})], tmp_path / "a.csv")
    assert read_rows(tmp_path / "a.csv")[0]["reasoning"] == text
