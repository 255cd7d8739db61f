"""The timing of spread analyses: figures of a way from its times and lines; lost, doubled and failed clips counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from emotion_llama.bench.figures import Machine

STORED = Path(__file__).resolve().parents[2] / "docs" / "spread-speed.json"


def write(out: Path, rows: list[dict[str, object]]) -> Path:
    out.mkdir()
    (out / "analyses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return out


def row(clip: int, chance: float) -> dict[str, object]:
    return {"clip": f"{clip}", "probabilities": {"happy": chance, "sad": 1 - chance}}


def test_figures_of_a_way(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    spread = script("spread")
    times = [4.0, 5.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    plain = spread.way("plain", [*times, 10.0], write(tmp_path / "0", [row(n, 0.5) for n in range(8)]), 8, None, False)
    assert (plain.clips_a_second, plain.steady_clips_a_second, plain.ratio, plain.steady_ratio) == (0.8, 1.0, 1.0, 1.0)
    assert (plain.lost, plain.doubled, plain.failed, plain.largest_difference) == (0, 0, 0, 0.0)
    rows = [row(n, 0.5 + n / 100) for n in range(6)] + [row(0, 0.5), {"clip": "6", "error": {"type": "WorkerLost"}}]
    faster = [time / 2 for time in times]
    other = spread.way("ray", [*faster, 5.0], write(tmp_path / "1", rows), 8, plain, True)
    assert (other.lost, other.doubled, other.failed, other.largest_difference) == (1, 1, 1, 1.0)
    assert (other.ratio, other.steady_ratio, other.first_result_s) == (2.0, 2.0, 2.0)


def test_only_workers_below_the_process_are_found(script: Callable[[str], ModuleType]) -> None:
    hold = [sys.executable, "-c", "import sys; print('held', flush=True); sys.stdin.read()"]
    with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        assert list(script("spread").ray_workers(process.pid)) == []
        named = [sys.executable, "-c", "import os, sys; os.execv(sys.executable, ['ray::RayWorker', *sys.argv[1:]])"]
        with subprocess.Popen([*named, *hold[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
            assert worker.stdin is not None and worker.stdout is not None
            worker.stdout.readline()
            assert worker.pid in list(script("spread").ray_workers(os.getpid()))
            assert list(script("spread").ray_workers(process.pid)) == []
            worker.stdin.close()
        process.stdin.close()


@pytest.mark.skipif(not STORED.is_file(), reason="needs docs/spread-speed.json: python benchmarks/spread.py --json")
def test_what_was_stored_lost_nothing(script: Callable[[str], ModuleType]) -> None:
    stored = script("spread").SpreadSpeed.model_validate_json(STORED.read_text(encoding="utf-8"))
    assert isinstance(stored.machine, Machine)
    assert all((way.lost, way.doubled, way.failed) == (0, 0, 0) for way in stored.ways)
    assert [way.killed for way in stored.ways].count(True) == 1 and stored.ways[-1].killed
