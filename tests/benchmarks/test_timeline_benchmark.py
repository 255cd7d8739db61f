"""A long recording needs the memory of a short one, and the benchmark's recordings are what they should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from emotion_llama.media import probe

PEAK = """
import resource, sys
from pathlib import Path
from types import SimpleNamespace
from emotion_llama.analyze.baseline import Beside
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.analyze.results import Result
from emotion_llama.analyze.timeline.run import examine_over_time
from emotion_llama.clip import Analysis, Clip
from emotion_llama.settings import AnalyzeSettings
analysis = Analysis.model_validate_json(sys.stdin.read())
model = SimpleNamespace(
    parts=Parts(Path("."), "cpu", 1), examine=lambda *_, **__: Result(analysis, ReportMaterial()),
    beside=lambda *_: Beside(),
    calibration=SimpleNamespace(least_confidence=lambda *_: 0.0),
    probabilities=lambda *_: {"happy": 0.7, "sad": 0.3},
)
settings = AnalyzeSettings(labels=("happy", "sad"), timeline=True, transcribe=False, max_frames_s=3.0)
found = examine_over_time(model, Clip(clip="a", path=Path(sys.argv[1])), settings).analysis.timeline
print(len(found.windows), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("model_name")
def test_two_minutes_need_no_more_memory_than_one(
    tmp_path: Path, analysis_json: dict[str, Any], script: Callable[[str], ModuleType]
) -> None:
    """Real decoding, faces and speech, a stand-in for the language model; each length in a process of its own."""
    benchmark = script("timeline")
    peaks = []
    for minutes in (1, 2):
        path = tmp_path / f"{minutes}.mp4"
        benchmark.make_recording(path, minutes, benchmark.sources(None))
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(path)], input=json.dumps(analysis_json), capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        windows, peak_mb = map(float, done.stdout.split()[-2:])
        assert windows >= minutes * 15
        peaks.append(peak_mb)
    assert peaks[1] < 1.15 * peaks[0], peaks


@pytest.mark.usefixtures("model_name")
def test_recordings_have_the_length_asked_for(tmp_path: Path, script: Callable[[str], ModuleType]) -> None:
    benchmark = script("timeline")
    length_s = benchmark.make_recording(tmp_path / "a.mp4", 0.1, benchmark.sources(None)[:1])
    found = probe(tmp_path / "a.mp4")
    assert 6 <= length_s < 10 and found.duration_s == pytest.approx(length_s, abs=0.2)
    assert found.has_sound and (found.width_px, found.height_px) == benchmark.SIZE
