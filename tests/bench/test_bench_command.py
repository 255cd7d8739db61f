"""`emotion-llama bench` as a user meets it: nothing heavy for its help, clear refusals, a whole run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.bench.figures import Figures

Record = dict[str, Any]


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emotion_llama", "bench", *words],
        capture_output=True, text=True, check=False, timeout=280, env={**os.environ, **variables},
    )  # fmt: skip


def test_help_loads_no_torch() -> None:
    program = (
        "import sys; from emotion_llama.cli import main; sys.argv = ['x', 'bench', '--help']\n"
        "try: main()\nexcept SystemExit: print([n for n in ('torch', 'transformers', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]" and "--check" in done.stdout


def test_samples_that_were_not_fetched_are_told_with_the_command(tmp_path: Path) -> None:
    done = run("--quick", EMOTION_LLAMA_CACHE=str(tmp_path))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "emotion-llama fetch sample" in done.stderr


@pytest.mark.parametrize("content", ["{}", "not json"])
def test_a_damaged_file_to_check_against_is_refused_before_anything_is_measured(content: str, tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    path.write_text(content, encoding="utf-8")
    done = run("--check", str(path), EMOTION_LLAMA_CACHE=str(tmp_path))
    assert done.returncode == 2 and str(path) in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow  # loads the model three times
@pytest.mark.weights
@pytest.mark.timeout(600)
def test_one_clip_gives_every_figure_and_a_ratio_that_fell_is_exit_code_1(
    model_name: str, record: Record, tmp_path: Path
) -> None:
    from emotion_llama.analyze.preset import load_preset
    from emotion_llama.bench.command import write
    from emotion_llama.bench.guard import fallen, read_stored
    from emotion_llama.bench.run import Size, measure

    preset = load_preset(model_name, device="cpu", dtype="float32", threads=1)
    found = measure(preset, Size(rounds=1, tokens=4, reference_clips=1, clips=1), quick=True)
    assert found.clips == found.reason_clips == 1 and found.threads == 1 and found.peak_vram_mb is None
    assert found.clips_per_s.cold < found.clips_per_s.warm < found.clips_per_s.cached
    assert found.stages["total"] == max(found.stages.values()) and "faces" in found.stages
    assert 0 < found.bandwidth_fraction < 2 and 0 < found.prefill_fraction < 2
    assert 0 < found.video_fraction < 1 and found.look_frames_s < found.decode_frames_s
    assert set(found.encoders) == {"global encoder", "audio encoder"}
    assert all(0 < one.fraction < 1 and one.gflop_s > 1 for one in found.encoders.values())
    assert found.label_scoring.ratio > 1.5 and found.reference_reloaded_s > found.reference_s
    assert found.peak_rss_mb > 500
    path = tmp_path / "deep" / "speed.json"
    write(found, path)
    assert Figures.model_validate_json(path.read_text(encoding="utf-8")) == found
    assert fallen(read_stored(path), found) == []
    better = json.loads(path.read_text(encoding="utf-8"))
    better["label_scoring"]["ratio"] *= 2
    path.write_text(json.dumps(better), encoding="utf-8")
    assert [one.name for one in fallen(read_stored(path), found)] == ["label_scoring.ratio"]
