"""Trainings as processes: several at a time, each with its log; one that fails does not stop the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from emotion_llama.ablate.grid import Training
from emotion_llama.ablate.outcome import Failure, failure_file, log_file, read_outcome, training_file
from emotion_llama.ablate.progress import Progress
from emotion_llama.analyze.writers import write_text
from emotion_llama.errors import OutputError

TRAIN = (sys.executable, "-m", "emotion_llama", "train")
"""The command that trains; a configuration, overrides, `out=` and `seed=` follow it."""
LAST_LINES = 12
POLL_S = 0.05
GRACE_S = 10.0
"""How long a training may take to end when the ablation is stopped."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Launch:
    """How trainings are started: the command, how many at a time, threads for each, and devices to share out."""

    command: tuple[str, ...] = TRAIN
    jobs: int = 1
    threads: int = 1
    gpus: tuple[str, ...] = ()

    def environment(self, slot: int) -> dict[str, str]:
        """The environment of the process in one of the `jobs` slots."""
        own = dict.fromkeys(THREAD_VARIABLES, str(self.threads))
        own |= {"TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
        own |= {"CUDA_VISIBLE_DEVICES": self.gpus[slot % len(self.gpus)]} if self.gpus else {}
        return {**os.environ, **own}


@dataclass
class _Running:
    training: Training
    process: subprocess.Popen[bytes]
    slot: int
    log: ExitStack
    start: float = field(default_factory=time.monotonic)


def run_trainings(todo: Sequence[Training], launch: Launch, progress: Progress) -> dict[Path, Failure]:
    """Run every training, each after the one it starts from; gives what failed, by folder.

    Nothing of a failed training is removed: the next run starts it again in its folder, where it may resume. A signal
    to stop ends the trainings too. Raises `OutputError` where a log cannot be written.
    """
    waiting, running = list(todo), list[_Running]()
    failed: dict[Path, Failure] = {}
    with _stoppable(running):
        while waiting or running:
            for one in _ready(waiting, running, launch.jobs):
                waiting.remove(one)
                before = failed.get(one.previous.folder) if one.previous else None
                if before is not None:
                    failed[one.folder] = _give_up(one, progress)
                else:
                    running.append(_start(one, launch, _free_slot(running)))
                    progress.started(one)
            for done in [one for one in running if one.process.poll() is not None]:
                running.remove(done)
                done.log.close()
                failure = _ended(done)
                if failure is not None:
                    failed[done.training.folder] = failure
                progress.ended(done.training, failure)
            progress.tick()
            if running:
                time.sleep(POLL_S)
    return failed


def _ready(waiting: Sequence[Training], running: Sequence[_Running], jobs: int) -> list[Training]:
    """As many as there are free places, in order, whose start is not itself waiting or running."""
    busy = {one.folder for one in waiting} | {one.training.folder for one in running}
    free = jobs - len(running)
    return [one for one in waiting if one.previous is None or one.previous.folder not in busy][: max(free, 0)]


def _free_slot(running: Sequence[_Running]) -> int:
    taken = {one.slot for one in running}
    return next(slot for slot in range(len(running) + 1) if slot not in taken)


def _start(training: Training, launch: Launch, slot: int) -> _Running:
    words = [*launch.command, str(training.base), *training.overrides]
    words += [f"out={training.folder}", f"seed={training.seed}"]
    stack = ExitStack()
    try:
        training.folder.mkdir(parents=True, exist_ok=True)
        failure_file(training.folder).unlink(missing_ok=True)
        log = stack.enter_context(log_file(training.folder).open("ab"))
        log.write(f"$ {' '.join(words)}\n".encode())
        log.flush()
    except OSError as error:
        raise OutputError(f"{training.folder}: cannot write there ({error.strerror}); choose another out") from error
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=launch.environment(slot)
    )
    return _Running(training, process, slot, stack)


def _ended(done: _Running) -> Failure | None:
    """What went wrong, also written beside the log; `None` if the training is done."""
    code, folder = done.process.returncode, done.training.folder
    if code == 0 and training_file(folder).is_file():
        return None
    reason = _reason(code) if code else f"ended with 0 but wrote no {training_file(folder).name}"
    return _failed(done.training, reason, round(time.monotonic() - done.start, 1))


def _reason(code: int) -> str:
    if code > 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _give_up(training: Training, progress: Progress) -> Failure:
    assert training.previous is not None
    failure = _failed(training, f"not started: {training.previous.name} failed", 0.0)
    progress.ended(training, failure)
    return failure


def _failed(training: Training, reason: str, seconds: float) -> Failure:
    failure = Failure(reason=reason, seconds=seconds, last_lines=_last_lines(log_file(training.folder)))
    path = failure_file(training.folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(failure.model_dump(), indent=2, ensure_ascii=False) + "\n", path)
    return failure


def _last_lines(path: Path) -> tuple[str, ...]:
    if not path.is_file():
        return ()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 20_000))
        text = file.read().decode("utf-8", "replace")
    lines = [line.rpartition("\r")[2].rstrip() for line in text.splitlines()]
    return tuple(line for line in lines if line and not line.startswith("$ "))[-LAST_LINES:]


@contextmanager
def _stoppable(running: list[_Running]) -> Iterator[None]:
    """End the trainings when this process is told to stop or fails itself; they must not go on unseen."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before: Any = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        for one in running:
            one.process.terminate()
        for one in running:
            try:
                one.process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                one.process.kill()
                one.process.wait()
            one.log.close()


def finished(training: Training) -> bool:
    """Whether a training is done: its record is written last."""
    return training_file(training.folder).is_file()


def known_seconds(trainings: Sequence[Training]) -> dict[str, list[float]]:
    """How long the finished trainings took, by cell and stage."""
    found: dict[str, list[float]] = {}
    for one in trainings:
        if finished(one):
            found.setdefault(f"{one.cell}.{one.stage}", []).append(read_outcome(one.folder).seconds)
    return found
