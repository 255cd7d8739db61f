"""Every format is written for whatever a clip lacks, and the command line names them all."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import pytest

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.formats import CLIP_FILES, FORMATS, TABLES, write_files
from emotion_llama.cli.analyze import analyze


@pytest.mark.parametrize("name", ["result", "timed_result", "bare_result", "odd_result"])
def test_every_format_is_written(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    written = write_files(request.getfixturevalue(name), tmp_path, FORMATS, stem="a")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written)
    assert {path.name for path in written} == {
        "a.json", "a.csv", "a.long.csv", "a.parquet", "a.html", "a.vtt", "a.srt", "a.TextGrid", "a.eaf",
        "a.openface.csv",
    }  # fmt: skip
    for path in written:
        assert path.stat().st_size
        if path.suffix != ".parquet":
            path.read_text(encoding="utf-8")


def test_without_a_stem_files_have_the_recordings_name(result: Result, tmp_path: Path) -> None:
    assert write_files(result, tmp_path, ("vtt",)) == [tmp_path / "ann.vtt"]


def test_the_command_line_names_all_formats() -> None:
    option = get_type_hints(analyze, include_extras=True)["formats"].__metadata__[0]
    assert f" {','.join(FORMATS)} " in option.help
    assert not set(TABLES) & set(CLIP_FILES)
