"""The shipped build on a local Ray of two workers: the same data set as two processes make, byte for byte."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from emotion_llama import assets
from emotion_llama.clip import Clip
from emotion_llama.manifest import write_manifest

# ray itself must not be imported here: it reads its settings when it is
ABSENT = find_spec("ray") is None
files = runpy.run_path(str(Path(__file__).with_name("test_build.py")))["files"]


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.timeout(900)
@pytest.mark.skipif(ABSENT, reason="needs ray: pip install 'emotion-llama[ray]'")
def test_on_ray_the_same_data_set(model_name: str, tmp_path: Path) -> None:
    """Every step of the shipped build: faces, nano's opinion, recognised words, previews, decisions over the set."""
    speech = assets.path("sample-speech") / "obama_speech.mp4"
    spans = [Clip(clip=f"at {start_s}", path=speech, start_s=start_s, end_s=start_s + 1) for start_s in (0.5, 3.0, 6.0)]
    empty = Clip(clip="nobody", path=assets.path("sample-noface") / "no_face.mp4", start_s=0.0, end_s=1.0)
    (tmp_path / "bad.mp4").write_bytes(b"not a recording")
    write_manifest([*spans, empty, Clip(clip="bad", path=tmp_path / "bad.mp4")], tmp_path / "clips.jsonl")
    here, there = _built(tmp_path, "here", "local"), _built(tmp_path, "there", "ray")
    assert len(here["entries.jsonl"].splitlines()) == 3 and len(here["rejected.jsonl"].splitlines()) == 2
    assert sum(name.startswith("previews") for name in here) == 3
    assert there == here


def _built(folder: Path, out: str, engine: str) -> dict[str, bytes]:
    words = [
        "build",
        "merr",
        "stages.faces.most_people=2",
        "--clips",
        str(folder / "clips.jsonl"),
        "--out",
        str(folder / out),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "emotion_llama", *words, "--jobs", "2", "--engine", engine],
        env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, bytes] = files(folder / out)
    return found
