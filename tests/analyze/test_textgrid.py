"""The TextGrid is read back by praatio: the same tiers, no gaps, every text."""

from __future__ import annotations

from pathlib import Path

import pytest
from praatio import textgrid
from praatio.data_classes.point_tier import PointTier
from praatio.data_classes.textgrid import Textgrid

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.textgrid import write_textgrid
from emotion_llama.analyze.tiers import tiers_of
from emotion_llama.errors import OutputError


def read(result: Result, tmp_path: Path) -> Textgrid:
    write_textgrid(result, tmp_path / "a.TextGrid")
    return textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=True)


@pytest.mark.parametrize("name", ["result", "timed_result", "bare_result"])
def test_praatio_reads_the_same_tiers(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    result: Result = request.getfixturevalue(name)
    grid, tiers = read(result, tmp_path), tiers_of(result)
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, tiers.end_s)
    shown = [*tiers.interval_tiers, *(tier for tier in tiers.point_tiers if tier.points)]
    assert list(grid.tierNames) == [tier.name for tier in shown]
    for tier in shown:
        found = [tuple(entry) for entry in grid.getTier(tier.name).entries if entry.label]
        assert found == [
            *((one.start_s, one.end_s, one.text) for one in tier.intervals),
            *((one.time_s, one.text) for one in tier.points),
        ]


@pytest.mark.parametrize("name", ["result", "timed_result", "bare_result", "odd_result"])
def test_interval_tiers_have_no_gaps(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    grid = read(request.getfixturevalue(name), tmp_path)
    for tier in (t for t in grid.tiers if not isinstance(t, PointTier)):
        ends = [0.0, *(entry.end for entry in tier.entries)]
        assert [entry.start for entry in tier.entries] == ends[:-1] and ends[-1] == grid.maxTimestamp
        assert all(entry.end > entry.start for entry in tier.entries)


def test_odd_characters_come_back(odd_result: Result, tmp_path: Path) -> None:
    grid = read(odd_result, tmp_path)
    (word,) = [entry for entry in grid.getTier("words").entries if entry.label]
    assert word.label == 'a "b" --> <c> & {d} line two 👨‍👩‍👧 \\udce9 你好 =1+1'
    assert 'a ""b"" -->' in (tmp_path / "a.TextGrid").read_text(encoding="utf-8")
    assert grid.getTier("emotion").entries[0].label == "so-so & <odd> 0.70"


def test_a_place_that_cannot_be_written_is_named(result: Result, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"gone.a\.TextGrid"):
        write_textgrid(result, tmp_path / "gone" / "a.TextGrid")
