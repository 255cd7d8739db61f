"""Whether cost is linear: what a course of finished clips comes to, and that a run is followed, told and ended."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def linear(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))  # where `python FILE` would look
    return script("linear")


def steady(linear: ModuleType, clips: int, clip_s: float = 0.5, later_s: float = 0.5) -> Any:
    """A course that loads for ten seconds, then does its first and its second half at these speeds."""
    course, end_s = linear.Course(), 10.0
    for number in range(clips):
        end_s += clip_s if number < linear.WARM + (clips - linear.WARM) // 2 else later_s
        course.add(1, end_s, linear.Used(1000.0 + number, 2 * end_s))
    return course


def test_loading_does_not_count(linear: ModuleType) -> None:
    run = steady(linear, 45).run(45, 0)
    assert run.clips_per_s == pytest.approx(2.0) and run.edge_clips == 20
    assert run.first_clips_per_s == run.last_clips_per_s == pytest.approx(2.0)
    assert run.edge_ratio == pytest.approx(1.0)
    assert run.cpu_clip_s == pytest.approx(1.0) and run.edge_cpu_ratio == pytest.approx(1.0)
    assert (run.edge_peak_mb, run.peak_mb) == (1024.0, 1044.0)


def test_a_run_that_becomes_slower_is_seen_at_its_end(linear: ModuleType) -> None:
    run = steady(linear, 45, later_s=1.0).run(45, 0)
    assert run.edge_ratio == pytest.approx(2.0) and run.edge_cpu_ratio == pytest.approx(2.0)
    assert run.last_clips_per_s == pytest.approx(run.first_clips_per_s / 2)


def test_edges_of_a_long_run_are_of_fixed_length(linear: ModuleType) -> None:
    assert steady(linear, 1000).run(1000, 0).edge_clips == linear.EDGE


def test_too_few_clips_give_no_figures(linear: ModuleType) -> None:
    assert steady(linear, linear.WARM + 1).run(6, 0) is None


def test_a_stopped_run_is_shown_and_not_compared(linear: ModuleType) -> None:
    machine = linear.describe(linear.load_preset("nano", device="cpu", dtype="float32", threads=1), quick=True)
    whole, stopped = steady(linear, 45).run(45, 0), steady(linear, 45, clip_s=5.0).run(100, 0)
    found = linear.LinearSpeed.of(machine, [whole, stopped])
    assert len(found.runs) == 2 and found.speed_ratio is None and found.peak_ratio is None
    both = linear.LinearSpeed.of(machine, [whole, steady(linear, 85, clip_s=1.0, later_s=1.0).run(85, 0)])
    assert both.speed_ratio == pytest.approx(0.5) and both.peak_ratio == pytest.approx(1084 / 1044)
    assert both.cpu_ratio == pytest.approx(2.0)
    assert linear.LinearSpeed.model_validate_json(both.model_dump_json()) == both


WRITER = """
import os, sys, time
with open(sys.argv[1], "ab", buffering=0) as out:
    for number in range(3):
        out.write(b'{"clip":'); time.sleep(0.1); out.write(b' %d}\\n' % os.getpid())
    time.sleep(float(sys.argv[2]))
sys.exit(int(sys.argv[3]))
"""


def command(results: Path, wait_s: float, code: int) -> list[str]:
    return [sys.executable, "-c", WRITER, str(results), str(wait_s), str(code)]


def test_every_line_of_a_run_is_seen_with_its_time_and_memory(linear: ModuleType, tmp_path: Path) -> None:
    results = tmp_path / "analyses.jsonl"
    course = list(linear.watched(command(results, 0, 1), results, tmp_path / "log"))[-1]
    assert len(course.ends_s) == 3 and course.ends_s == sorted(course.ends_s)
    assert course.ends_s[-1] - course.ends_s[0] > 0.1 and all(one.peak_mb > 1 for one in course.used)


def test_a_run_that_fails_as_a_whole_says_why(linear: ModuleType, tmp_path: Path) -> None:
    results = tmp_path / "analyses.jsonl"
    with pytest.raises(SystemExit, match="a run ended with 3"):
        list(linear.watched(command(results, 0, 3), results, tmp_path / "log"))


def test_the_process_of_a_run_ends_with_who_watches_it(linear: ModuleType, tmp_path: Path) -> None:
    results, start_s = tmp_path / "analyses.jsonl", time.monotonic()
    course = linear.watched(command(results, 60, 0), results, tmp_path / "log")
    next(course)
    course.close()
    assert time.monotonic() - start_s < 30
    pid = json.loads(results.read_text("utf-8").splitlines()[0])["clip"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
