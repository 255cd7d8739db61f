"""The tutorial is run: every block of it, in order, in an empty folder, on a dozen made recordings."""

from __future__ import annotations

import csv
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALL = "pip install"
SPEED = {"calm": 0.9, "tense": 1.15, "amused": 1.35}  # of the voice: pitch and pace, so that labels can be heard
LOUDNESS = {"calm": 0.4, "tense": 1.0, "amused": 0.7}
SECONDS = 1.2
RATE_HZ = 16_000


def blocks() -> list[tuple[str, str]]:
    """(language, text) of every block, in order."""
    return BLOCK.findall(TUTORIAL.read_text(encoding="utf-8"))


def script(port: int) -> str:
    """The tutorial as one shell script; without its first block, which installs and fetches."""
    parts = ["set -e -o pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for language, text in blocks():
        if language == "bash" and not text.startswith(INSTALL):
            parts.append(text.replace("8000", str(port)))
        if language == "python":
            parts.append(f"python - <<'END'\n{text}END")
    return "\n".join([*parts, "wait"])


def record(path: Path, voice: NDArray[np.float32], label: str, number: int) -> None:
    """A piece of the voice, faster or slower and louder or softer, as a sound file."""
    import soundfile

    length = int(SECONDS * RATE_HZ)
    begin = number * 9000 % (len(voice) - 2 * length)
    piece = voice[begin : begin + 2 * length]
    heard = np.interp(np.arange(length) * SPEED[label], np.arange(len(piece)), piece) * LOUDNESS[label]
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, heard.astype(np.float32), RATE_HZ)


def beside(cache: Path, folder: Path) -> Path:
    """A cache folder with the fetched assets in it, whose features are its own."""
    from emotion_llama import assets

    folder.mkdir()
    for asset in assets.load_catalog().assets:
        if (cache / asset.name).is_dir():
            (folder / asset.name).symlink_to(cache / asset.name)
    return folder


def program(folder: Path) -> Path:
    """A folder with `emotion-llama` and `python` of this tree."""
    folder.mkdir()
    for name, words in (("python", ""), ("emotion-llama", "-m emotion_llama ")):
        file = folder / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n', encoding="utf-8")
        file.chmod(0o755)
    return folder


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_the_blocks_are_all_of_a_kind_that_is_run() -> None:
    kinds = [language for language, _ in blocks()]
    assert set(kinds) == {"bash", "python", "csv"} and kinds.count("csv") == kinds.count("python") == 1
    assert sum(text.startswith(INSTALL) for _, text in blocks()) == 1
    assert TUTORIAL.read_text(encoding="utf-8").count("```") == 2 * len(kinds)
    run = script(8000)
    for command in ("analyze", "train my.yaml --new", "extract", "evaluate", "compare", "serve"):
        assert f"emotion-llama {command}" in run


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.timeout(600)
def test_the_tutorial_runs_from_its_list_to_the_service(model_name: str, tmp_path: Path) -> None:
    from emotion_llama import assets
    from emotion_llama.media import probe, read_waveform

    assert model_name
    work = tmp_path / "work"
    work.mkdir()
    (listed,) = [text for language, text in blocks() if language == "csv"]
    (work / "clips.csv").write_text(listed, encoding="utf-8")
    sound = read_waveform(probe(assets.path("sample-speech") / "obama_speech.mp4"))
    assert sound is not None
    rows = list(csv.DictReader(listed.splitlines()))
    for number, row in enumerate(rows):
        record(work / row["file"], sound.samples, row["label"], number)
    environment = {
        **os.environ,
        "PATH": f"{program(tmp_path / 'bin')}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "EMOTION_LLAMA_CACHE": str(beside(assets.cache_dir(), tmp_path / "cache")),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "OMP_NUM_THREADS": "1",  # a busy machine slows it down, and no more
    }
    done = subprocess.run(
        ["bash", "-c", script(free_port())],
        cwd=work, env=environment, capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    check_what_it_wrote(work, done.stdout, [row for row in rows if row["split"] == "test"])


def check_what_it_wrote(work: Path, said: str, tested: list[dict[str, str]]) -> None:
    assert "12 clips of 4 people: 4 calm, 4 tense, 4 amused" in said
    training = json.loads((work / "runs/own-data/training.json").read_text(encoding="utf-8"))
    assert training["config"]["schedule"]["steps"] == 4
    for name in ("nano", "own"):
        report = json.loads((work / f"scores/{name}/report.json").read_text(encoding="utf-8"))
        assert (report["n_asked"], report["n_scored"]) == (len(tested), len(tested)), name
    compared = json.loads((work / "scores/compared/compare.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in compared["systems"]] == ["nano", "runs/own-data"] and compared["n_clips"] == len(
        tested
    )
    answer = json.loads((work / "answer.json").read_text(encoding="utf-8"))
    assert set(answer["probabilities"]) == {"calm", "tense", "amused"}
    assert answer["provenance"]["model"].endswith("own-data")
