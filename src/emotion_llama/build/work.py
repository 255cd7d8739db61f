"""One clip through consecutive steps: in a worker process beside the recording, or where the journal is."""

from __future__ import annotations

import os
import socket
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emotion_llama.build.entry import Entry
from emotion_llama.build.journal import Attempt, AttemptKind, Done
from emotion_llama.build.look import Look, Tools
from emotion_llama.build.plan import BuildConfig, Plan, make_plan
from emotion_llama.build.step import Found, Outcome, Planned, Reject, assemble
from emotion_llama.clip import Clip
from emotion_llama.errors import AssetError, EmotionLlamaError, ManifestError, MediaError, OutputError


@dataclass(frozen=True)
class Task:
    """A clip, what is known of it (step → findings), and the steps to take. `turn`: see `Plan.keys`."""

    clip: Clip
    found: Mapping[str, Found]
    steps: tuple[str, ...]
    turn: int


@dataclass(frozen=True)
class Report:
    """What became of a task: results, and every attempt. `failed`: it stopped at an error; steps after it are open."""

    clip: str
    done: tuple[Done, ...]
    attempts: tuple[Attempt, ...]
    failed: bool
    rejected: bool


def make_worker(config: BuildConfig) -> Callable[[Task], Report]:
    """Give the function that a worker process applies to task after task; its models load on first use."""
    plan, tools = make_plan(config), Tools()
    return lambda task: take_steps(plan, task, Look(task.clip, tools, turn=task.turn))


def take_steps(plan: Plan, task: Task, look: Look) -> Report:
    """Take the steps of a task until one rejects the clip or fails.

    Raises `AssetError`, `OutputError` and `ManifestError`: missing weights, a full disk and a damaged journal are no
    fault of a clip.
    """
    found = dict(task.found)
    done: list[Done] = []
    attempts: list[Attempt] = []
    for planned in plan.each:
        if planned.name not in task.steps:
            continue
        start_s = time.monotonic()
        try:
            one = _take(plan, planned, task, found, look)
        except (AssetError, ManifestError, OutputError):
            raise
        except Exception as error:
            attempts.append(_attempt(task, planned, "failed", _told(error), start_s))
            return Report(task.clip.clip, tuple(done), tuple(attempts), failed=True, rejected=False)
        done.append(one)
        found[planned.name] = one.outcome.found
        attempts.append(_attempt(task, planned, one.outcome.kind, one.outcome.found.words, start_s))
        if one.outcome.kind == "rejected":
            return Report(task.clip.clip, tuple(done), tuple(attempts), failed=False, rejected=True)
    return Report(task.clip.clip, tuple(done), tuple(attempts), failed=False, rejected=False)


def _take(plan: Plan, planned: Planned, task: Task, found: Mapping[str, Found], look: Look) -> Done:
    entry = assemble(task.clip, plan.visible(planned, found))
    result, kept = _run(planned, entry, look)
    if isinstance(result, Reject):
        outcome = Outcome(step=planned.name, kind="rejected", found=Found(words=result.reason))
    else:
        outcome = Outcome(step=planned.name, kind="done", found=result)
    probed = outcome.found if planned.name == "probe" else found.get("probe")
    sha256 = probed.source.sha256 if probed is not None and probed.source is not None else None
    return Done(plan.keys(task.clip, sha256, task.turn)[planned.name], outcome, kept)


def _run(planned: Planned, entry: Entry, look: Look) -> tuple[Found | Reject, bytes | None]:
    """Run a step. A recording that shows its damage only now is rejected; one that is gone fails: it may come back."""
    takes_print = planned.step.takes_print
    try:
        result = planned.step.run(entry, planned.settings, look)
        kept = takes_print(entry, planned.settings, look) if takes_print and isinstance(result, Found) else None
    except MediaError as error:
        if not look.path.exists():
            raise
        return Reject(reason=f"cannot be read: {error}"), None
    return result, kept


def _attempt(task: Task, planned: Planned, kind: AttemptKind, words: str, start_s: float) -> Attempt:
    took_s = time.monotonic() - start_s
    return Attempt(task.clip.clip, planned.name, kind, words, took_s, time.time(), socket.gethostname(), os.getpid())


def _told(error: Exception) -> str:
    """What went wrong; a fault of ours with the place where it happened."""
    if isinstance(error, EmotionLlamaError | OSError):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    return f"unexpected {type(error).__name__}: {error} ({place}); please report it"
