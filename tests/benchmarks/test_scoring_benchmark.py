"""The scoring benchmark writes files that the readers take, and measures what it says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from emotion_llama.evaluate.predictions import read_predictions
from emotion_llama.manifest import read_manifest


@pytest.fixture(scope="module")
def benchmark(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("scoring")


def test_files_are_read_back(benchmark: ModuleType, tmp_path: Path) -> None:
    made = benchmark.make(400, 20)
    manifest, predictions = benchmark.write(made, tmp_path, slices=True)
    clips = read_manifest(manifest)
    assert len(clips) == 400
    assert {clip.groups["sex"] for clip in clips} == {"female", "male"}
    assert len({clip.speaker for clip in clips}) == 20
    answers = read_predictions(predictions)
    assert answers.problems == ()
    missing, invalid = (made.predicted == 9).sum(), (made.predicted == 8).sum()
    assert missing > 0 and invalid > 0
    assert len(answers.predictions) == 400 - missing
    assert sum(p.emotion is None for p in answers.predictions) == invalid
    given = [sum(p.probabilities.values()) for p in answers.predictions if p.probabilities is not None]
    assert given == pytest.approx([1.0] * (400 - missing - invalid), abs=1e-5)


def test_speakers_are_optional(benchmark: ModuleType, tmp_path: Path) -> None:
    manifest, _ = benchmark.write(benchmark.make(10, 0), tmp_path, slices=False)
    assert all(clip.speaker is None and clip.groups == {} for clip in read_manifest(manifest))


def test_seconds_and_memory_of_a_child(benchmark: ModuleType) -> None:
    script = "import sys, time; x = b'1' * 200_000_000; time.sleep(.2); sys.stderr.write('end'); sys.exit(3)"
    found = benchmark.measure([sys.executable, "-c", script])
    assert (found["exit_code"], found["stderr"]) == (3, "end")
    assert 0.2 < found["wall_s"] < 20
    assert found["peak_mb"] > 200


def test_budget(benchmark: ModuleType) -> None:
    assert benchmark.over_budget({"wall_s": 59.0, "peak_mb": 999.0}) == []
    assert benchmark.over_budget({"wall_s": 61.0, "peak_mb": 1001.0}) == ["wall_s 61.0 > 60", "peak_mb 1001.0 > 1000"]


def test_a_report_without_what_was_asked_is_named(benchmark: ModuleType, tmp_path: Path) -> None:
    assert benchmark.problem(tmp_path, 5).startswith("no report")
    names = ("war", "uar", "ece", "brier", "auroc")
    report = {"n_asked": 5, "metrics": {name: {"value": 0.5, "low": 0.4, "high": 0.6} for name in names}}
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert benchmark.problem(tmp_path, 5) == ""
    assert benchmark.problem(tmp_path, 6) == "the report asked 5 clips, not 6"
    report["metrics"]["ece"]["low"] = None  # type: ignore[index]
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert benchmark.problem(tmp_path, 5) == "no interval for ece"


@pytest.mark.parametrize("speakers", [0, 10])
def test_metrics_alone(benchmark: ModuleType, speakers: int) -> None:
    found = benchmark.time_metrics(benchmark.make(300, speakers), draws=50)
    assert set(found) == {"statistics_s", "intervals_s"}
    assert all(np.isfinite(value) and value > 0 for value in found.values())
