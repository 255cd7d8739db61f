"""Windows are written as they come, whole; progress is told in words."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from emotion_llama.analyze.timeline.journal import Teller, journal, minutes, progress_text
from emotion_llama.errors import OutputError
from emotion_llama.timeline import Window
from tests.analyze.timeline.windows import of, window


def test_each_window_is_a_whole_line_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.timeline.jsonl"
    path.write_text("old\n")
    with journal(path) as write:
        for at in range(3):
            write(window(3.0 * at, of(0.7)))
            lines = path.read_bytes().split(b"\n")  # while it is still open: what a killed run leaves
            assert len(lines) == at + 2 and lines[-1] == b""
            assert Window.model_validate_json(lines[at]).start_s == 3.0 * at


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot be written.*choose another --out"), journal(tmp_path / "no" / "a"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told() -> None:
    with pytest.raises(OutputError, match="make room"), journal(Path("/dev/full")) as write:
        write(window(0.0, of(0.7)))


def test_progress_in_words() -> None:
    assert progress_text(60.0, 600.0, 3.0) == "1:00 of 10:00, 3.0 × real time, 3:00 left"
    assert progress_text(60.0, None, 3.0) == "1:00, 3.0 × real time"
    assert progress_text(6.0, 600.0, None) == "0:06 of 10:00"
    assert progress_text(6.0, 600.0, 0.0) == "0:06 of 10:00"
    assert [minutes(s) for s in (0, 59.6, 3725)] == ["0:00", "1:00", "1:02:05"]


def test_progress_shows_the_bar_on_a_terminal_only() -> None:
    for terminal in (True, False):
        out = io.StringIO()
        with Teller(Console(file=out, force_terminal=terminal, width=100), 0.0) as tell:
            tell(window(0.0, of(0.7)), 600.0)
        assert ("of 10:00" in out.getvalue()) is terminal
