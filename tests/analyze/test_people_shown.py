from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from emotion_llama.analyze.command import person_of
from emotion_llama.analyze.console import show
from emotion_llama.analyze.people_shown import rows_of, told
from emotion_llama.analyze.report import ReportMaterial, render_report
from emotion_llama.analyze.writers import write_csv
from emotion_llama.clip import Analysis
from emotion_llama.errors import UsageError
from emotion_llama.timeline import PersonEmotion, Role


def person(number: int, role: Role, emotion: str | None, seconds: float = 2.0) -> PersonEmotion:
    return PersonEmotion(
        person=number,
        role=role,
        seconds=seconds,
        spans_s=((1.0, 1.0 + seconds),),
        emotion=emotion,
        confidence=0.71,
        probabilities={"happy": 0.71, "sad": 0.29},
    )


@pytest.fixture
def several(analysis_json: dict[str, object]) -> Analysis:
    people = (person(0, "all", "happy", 9.0), person(0, "speaking", "sad"), person(1, "all", None))
    return Analysis.model_validate(analysis_json).model_copy(update={"people": people})


def test_a_row_a_person(several: Analysis) -> None:
    one, other = rows_of(several.people, {1: np.zeros((160, 160, 3), np.uint8)})
    assert (one.person, one.seen_s, one.speaks_s, one.picture) == (0, 9.0, 2.0, None)
    assert (other.person, other.speaks_s) == (1, 0.0)
    assert other.picture is not None and other.picture.startswith("data:image/jpeg;base64,")
    shown = [told(one.shown.get("speaking")), told(other.shown.get("all")), told(other.shown.get("listening"))]
    assert shown == ["sad 71 %", "not sure", "–"]


def test_terminal_and_page_have_the_table_only_where_people_were_told_apart(several: Analysis) -> None:
    for analysis, there in ((several, True), (several.model_copy(update={"people": ()}), False)):
        text = io.StringIO()
        show(analysis, Console(file=text, width=100))
        page = render_report(analysis, ReportMaterial())
        assert ("listening" in text.getvalue()) is there
        assert ('class="card people"' in page) is there


def test_csv_has_a_column_for_each_person_and_role(several: Analysis, tmp_path: Path) -> None:
    alone = several.model_copy(update={"people": (), "clip": "b.mp4"})
    write_csv([several, alone], tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").open(encoding="utf-8")))
    assert [name for name in rows[0] if name.startswith("person_")] == [
        "person_0_all", "person_0_speaking", "person_1_all",
    ]  # fmt: skip
    assert (rows[0]["person_0_speaking"], rows[0]["person_1_all"], rows[1]["person_0_all"]) == ("sad", "", "")
    write_csv([alone], tmp_path / "b.csv")
    assert "person_" not in (tmp_path / "b.csv").read_text(encoding="utf-8")


def test_words_of_the_command_line() -> None:
    assert [person_of(text) for text in ("main", "Active", "all", "0", " 3 ")] == ["main", "active", "all", 0, 3]
    for wrong in ("actve", "-1", "1.5", ""):
        with pytest.raises(UsageError, match=r"--person: .*main, active, all.* or the number of a person"):
            person_of(wrong)
