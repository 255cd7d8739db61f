"""The timing of the builder: its clips differ, memory is that of all processes, and the table shows what was found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from emotion_llama.media import probe


def test_memory_is_that_of_the_process_and_all_below_it(script: Callable[[str], ModuleType]) -> None:
    """Of a process of its own: below this one whatever earlier tests have started may still be alive."""
    hold = "import sys; kept = bytearray(b'x' * 50_000_000); print('held', flush=True); sys.stdin.read()"
    start = f"import subprocess, sys; input(); subprocess.run([sys.executable, '-c', {hold!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as top:
        assert top.stdin is not None and top.stdout is not None
        memory = script("build").TreeMemory(top.pid)
        memory.look()
        alone_mb = memory.peak_mb
        assert alone_mb > 0 and memory.main_mb >= alone_mb - 1 and memory.worker_mb == 0
        top.stdin.write("\n")
        top.stdin.flush()
        assert top.stdout.readline() == "held\n"
        memory.look()
        top.stdin.close()
    assert memory.worker_mb > 47 and memory.peak_mb > alone_mb + 40


@pytest.mark.weights
def test_its_clips_are_different_recordings_of_a_second(
    script: Callable[[str], ModuleType], model_name: str, tmp_path: Path
) -> None:
    script("build").make_clips(tmp_path / "clips", 3)
    files = sorted((tmp_path / "clips").iterdir())
    assert len({path.read_bytes() for path in files}) == 3
    for path in files:
        info = probe(path)
        assert info.has_picture and info.has_sound and info.duration_s == pytest.approx(1.0, abs=0.1)


def test_the_table_shows_what_was_measured(script: Callable[[str], ModuleType]) -> None:
    row = {"clips": 200, "entries": 150, "failed": 0, "wall_s": 60.0, "jobs": 2, "peak_mb": 2000.0, "main_mb": 700.0,
           "worker_mb": 650.0, "rejected": [{"step": "faces", "reason": "no face", "clips": 50}]}  # fmt: skip
    record = {
        "machine": "a machine", "speed": {**row, "folder": "av", "length_s": 90.0, "ratio": 1.5},
        "memory": {"rows": [row, {**row, "clips": 2000, "peak_mb": 2100.0}], "peak_ratio": 1.05},
    }  # fmt: skip
    text = script("tables").build_speed(record)
    for words in (
        "200 clips of av, 90 s",
        "1.50 s of recording a second",
        "150, 50, 0",
        "rejected by faces: no face | 50",
    ):
        assert words in text
    assert "2,000 clips of 1 s" in text and "2.10 GB" in text and "1.050" in text
