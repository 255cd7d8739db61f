"""Workers in processes: what only real processes show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scale_workers import (
    make_asked,
    make_double,
    make_dying,
    make_fated,
    make_refusing,
    make_square,
    make_whoami,
)

from emotion_llama.errors import UsageError
from emotion_llama.scale.spread import Failure, spread


def children() -> list[int]:
    """Processes begun by this one and not ended, without multiprocessing's own helper."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"resource_tracker" not in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether a process ends in time; one that is a zombie has."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


@given(st.lists(st.integers(-99, 99), min_size=1, max_size=9), st.integers(2, 3))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_come_once(numbers: list[int], jobs: int) -> None:
    answers = list(spread(make_square, numbers, jobs=jobs))
    assert sorted(answers) == [(index, number**2) for index, number in enumerate(numbers)]
    assert children() == []


def test_failures_and_dying_workers(tmp_path: Path) -> None:
    fates = ["fine", "media", "exit", "endpoint", "kill once", "missing", "exit once", "kill", "fine"]
    answers = dict(spread(partial(make_fated, tmp_path), list(enumerate(fates)), jobs=2))
    assert sorted(answers) == list(range(9))
    assert {index: answers[index] for index in (0, 4, 6, 8)} == {0: 0, 4: 16, 6: 36, 8: 64}
    assert answers[1] == Failure(1, "1.mp4 holds no picture", "MediaError")
    assert answers[3] == Failure(3, "no answer", "EndpointError")
    assert answers[5].kind == "FileNotFoundError"
    assert answers[2].kind == answers[7].kind == "WorkerLost"
    assert "exit code 3" in answers[2].error and "--jobs" in answers[2].error
    assert "SIGKILL" in answers[7].error and "likely out of memory; lower --jobs" in answers[7].error
    # six deaths (two of them twice over): six replacements at most
    assert 2 <= len(list(tmp_path.glob("made-*"))) <= 2 + 6
    assert children() == []


def test_models_are_loaded_once_a_process(tmp_path: Path) -> None:
    assert len(list(spread(partial(make_fated, tmp_path), [(n, "fine") for n in range(40)], jobs=2))) == 40
    pids = Counter(path.name.split("-")[1] for path in tmp_path.glob("made-*"))
    assert 1 <= len(pids) <= 2 and set(pids.values()) == {1} and str(os.getpid()) not in pids


@pytest.mark.parametrize(
    ("fate", "error", "words"),
    [
        ("bug", KeyError, "frames"),
        ("unsendable error", RuntimeError, "Unsendable: one"),
        ("unsendable result", AttributeError, "pickle"),
    ],
)
def test_bugs_are_raised_with_the_traceback_of_the_worker(tmp_path: Path, fate: str, error: Any, words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        list(spread(partial(make_fated, tmp_path), [(0, "fine"), (1, fate), (2, "fine")], jobs=2))
    notes = "\n".join(raised.value.__notes__)
    assert "in the worker process, at item 1:\nTraceback" in notes
    assert "scale_workers.py" in notes or fate == "unsendable result"
    assert children() == []


def test_workers_that_cannot_begin() -> None:
    with pytest.raises(UsageError, match="no weights here"):
        list(spread(make_refusing, [1, 2], jobs=2))
    with pytest.raises(UsageError, match=r"exit code 7.*before its first item, 2 times"):
        list(spread(make_dying, [1, 2], jobs=2))
    with pytest.raises(Exception, match="pickle"):
        list(spread(lambda: abs, [1, 2], jobs=2))
    assert children() == []


class Watched(list[Any]):
    """A list that knows what was read of it."""

    def __init__(self, values: list[Any]) -> None:
        super().__init__(values)
        self.read: list[int] = []

    def __getitem__(self, index: Any) -> Any:
        self.read.append(index)
        return super().__getitem__(index)


def test_closing_early_ends_the_workers_and_few_items_are_in_flight() -> None:
    items = Watched([0.0] + [60.0] * 500)
    answers = spread(make_whoami, items, jobs=2)
    assert children() == [] and items.read == []
    index, pid = next(answers)
    assert index == 0 and pid in children() and len(children()) == 2
    assert items.read[0] == 0 and len(items.read) <= 3
    start = time.monotonic()
    answers.close()
    assert children() == [] and time.monotonic() - start < 3


def test_an_error_of_the_caller_ends_the_workers() -> None:
    answers = spread(make_whoami, [0.0, 60.0, 60.0], jobs=2)
    with pytest.raises(ZeroDivisionError):
        for _ in answers:
            raise ZeroDivisionError
    answers.close()
    assert children() == []


def test_big_items_and_answers() -> None:
    arrays = [np.full(600_000, value, np.float64) for value in range(5)]  # 5 MB, far more than a pipe holds
    answers = dict(spread(make_double, arrays, jobs=2))
    assert all(np.array_equal(answers[n], arrays[n] * 2) and answers[n].flags.writeable for n in range(5))


@pytest.mark.parametrize("wished", [None, "1"])
def test_threads_of_the_workers(monkeypatch: pytest.MonkeyPatch, wished: str | None) -> None:
    if wished is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", wished)
    share = 1 if wished else max(1, len(os.sched_getaffinity(0)) // 2)
    answers = dict(spread(make_asked, ["OMP_NUM_THREADS", "cv2"], jobs=2))
    assert answers == {0: str(share), 1: share}
    assert os.environ.get("OMP_NUM_THREADS") == wished, "the parent keeps its own"


@pytest.mark.slow
def test_threads_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert dict(spread(make_asked, ["torch", "torch"], jobs=2)) == {0: share, 1: share}


SCRIPT = """
import pathlib, sys
from functools import partial
from emotion_llama.scale.spread import spread
from scale_workers import make_noting
if __name__ == "__main__":
    list(spread(partial(make_noting, pathlib.Path(sys.argv[1])), [60.0] * 9, jobs=2))
"""


def hear_ctrl_c() -> None:
    """A shell that starts the tests in the background has Ctrl-C ignored, and programs inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_two_workers(tmp_path: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a program with two busy workers; give it, and their pids."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    program = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )
    end = time.monotonic() + 20
    while len(list(tmp_path.glob("pid-*"))) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    return program, [int(path.name.split("-")[1]) for path in tmp_path.glob("pid-*")]


def test_ctrl_c_ends_all_and_only_the_parent_speaks(tmp_path: Path) -> None:
    program, pids = run_two_workers(tmp_path)
    assert len(pids) == 2
    os.killpg(program.pid, signal.SIGINT)
    _, words = program.communicate(timeout=10)
    assert program.returncode == -signal.SIGINT
    assert words.count("Traceback") == 1 and words.rstrip().endswith("KeyboardInterrupt")
    assert all(gone(pid) for pid in pids)


def test_ctrl_c_while_workers_begin(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import time\nif __name__ != '__main__': time.sleep(2)\n" + SCRIPT)
    program = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )
    time.sleep(1.2)
    os.killpg(program.pid, signal.SIGINT)
    _, words = program.communicate(timeout=10)
    assert program.returncode == -signal.SIGINT and words.count("Traceback") == 1
    assert list(tmp_path.glob("pid-*")) == []


def test_workers_leave_a_parent_that_was_killed(tmp_path: Path) -> None:
    program, pids = run_two_workers(tmp_path)
    program.kill()
    program.communicate(timeout=10)
    assert len(pids) == 2 and all(gone(pid) for pid in pids)
