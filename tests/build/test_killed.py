"""Killed at any moment and started again, a build ends with the same data set and repeats no answered question."""

from __future__ import annotations

import json
import random
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotion_llama.build.journal import Journal, journal_url
from emotion_llama.clip import Clip
from emotion_llama.manifest import write_manifest

HERE = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
BUILD = runpy.run_path(str(Path(__file__).with_name("test_build.py")))
Say, light, write_clip = HERE["Say"], HERE["light"], HERE["write_clip"]
CLIPS, KILLS = 40, 20


class Unsteady:
    """Answers seven of ten questions, a little late; counts the answers that were given to each."""

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self._draw = random.Random(1)
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Any:
        question = json.dumps(body, sort_keys=True)
        time.sleep(0.02)
        with self._lock:
            if self._draw.random() < 0.3:
                return Say(status=self._draw.choice([429, 500, 503]), text="not now")
            self.answered[question] += 1
        return BUILD["good"](body)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_change_nothing(tmp_path: Path, llm: Any) -> None:
    (tmp_path / "clips").mkdir()
    clips = []
    for number in range(CLIPS):
        path = write_clip(tmp_path / "clips" / f"clip{number}.mp4", seconds=0.8, grey=40 + number, noise=number)
        clips.append(
            Clip(clip=path.name, path=path, transcript=f"Sentence {number}.", emotion=HERE["EMOTIONS"][number % 4])
        )
    write_manifest(clips, tmp_path / "clips.jsonl")
    llm.answer = Unsteady()
    config = light(endpoints=BUILD["writer"](llm.url, max_attempts=20), refine={"endpoint": "writer"})
    (tmp_path / "build.yaml").write_text(yaml.safe_dump(json.loads(config.model_dump_json())), encoding="utf-8")
    steady = _finish(tmp_path, "steady")
    llm.answer = unsteady = Unsteady()
    draw = random.Random(0)
    kills = 0
    while kills < KILLS:
        process = _start(tmp_path, "killed")
        try:
            process.wait(timeout=draw.uniform(1.0, 5.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            # done before the blow: kills go on against a build that has something left to do
            (tmp_path / "killed" / "entries.jsonl").unlink(missing_ok=True)
            kills += 1
    assert _finish(tmp_path, "killed") == steady
    assert len(unsteady.answered) == CLIPS
    # an answer on its way when the blow fell never arrived, and may be asked for again: one a thread and kill at most
    lost = sum(unsteady.answered.values()) - CLIPS
    kept = Journal(journal_url(tmp_path / "killed", None))
    assert kept.spent()[0] == CLIPS and lost <= KILLS
    kept.close()


def _start(folder: Path, out: str) -> subprocess.Popen[bytes]:
    words = ["build", str(folder / "build.yaml"), "--clips", str(folder / "clips.jsonl"), "--out", str(folder / out)]
    return subprocess.Popen(
        [sys.executable, "-m", "emotion_llama", *words, "--jobs", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _finish(folder: Path, out: str) -> dict[str, bytes]:
    process = _start(folder, out)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told.decode()
    found: dict[str, bytes] = BUILD["files"](folder / out)
    assert len(found["entries.jsonl"].splitlines()) == CLIPS
    return found


def test_a_second_build_at_the_same_time_is_refused_by_the_holders_number(clips: list[Clip], tmp_path: Path) -> None:
    import os

    from emotion_llama.build.holder import held
    from emotion_llama.build.run import Workers, build
    from emotion_llama.errors import UsageError

    with held(tmp_path / "set"), pytest.raises(UsageError, match=f"process {os.getpid()} on"):
        build(light(), clips, tmp_path / "set", Workers())
