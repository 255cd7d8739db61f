"""A build: every clip through its steps, in processes and threads, until each is in the set, rejected or failed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import overload

from pydantic import ValidationError
from rich.console import Console

from emotion_llama.build.asking import Asker
from emotion_llama.build.changes import tell_changes
from emotion_llama.build.finish import Totals, finish
from emotion_llama.build.holder import held
from emotion_llama.build.journal import Attempt, Journal, journal_url
from emotion_llama.build.look import Look, Tools
from emotion_llama.build.plan import BuildConfig, Plan, make_plan
from emotion_llama.build.progress import BuildProgress
from emotion_llama.build.step import Found, Planned
from emotion_llama.build.work import Report, Task, make_worker, take_steps
from emotion_llama.clip import Clip
from emotion_llama.errors import AssetMissingError, EmotionLlamaError, ManifestError, UsageError
from emotion_llama.scale.spread import Engine, Failure, spread

CONFIG = "config"
KEY = "key"


@dataclass(frozen=True)
class Workers:
    """Who works: so many processes here, or on a Ray cluster at `address` (`None`: a Ray that lives in this call)."""

    jobs: int = 1
    engine: Engine = "local"
    address: str | None = None


def build(
    config: BuildConfig, clips: Sequence[Clip], out: Path, workers: Workers, *, journal: str | None = None
) -> Totals:
    """Build the data set in `out` from `clips`, going on where an earlier run stopped; gives what became of the clips.

    `journal`: URL of a database instead of SQLite in `out`. Raises `UsageError` for a wrong configuration or a data set
    that another process builds, `OutputError` when something cannot be written, `AssetError` when weights are missing.
    """
    if not clips:
        raise UsageError("no clips: give a folder with recordings, or a manifest that lists some")
    plan = make_plan(config)
    with held(out), _opened(out, journal) as records:
        records.enlist(clips)
        tell_changes(records, config, plan.key, out)
        records.note(CONFIG, config.model_dump_json())
        records.note(KEY, plan.key)
        return _run(records, plan, out, workers)


def retry_failed(out: Path, workers: Workers, *, journal: str | None = None) -> Totals:
    """Take up failed clips again, asking language models anew. Raises as `build`."""
    with held(out), _opened(out, journal) as records:
        plan = make_plan(stored_config(records, out))
        failed = [name for name in records.names() if Known(records, plan, name).failed]
        records.another_round(failed)
        return _run(records, plan, out, workers)


def stored_config(records: Journal, out: Path) -> BuildConfig:
    """Give the settings of the data set's last build. Raises `ManifestError` where there was none."""
    stored = records.fact(CONFIG)
    if stored is None:
        raise ManifestError(
            f"{out}: nothing was built here yet; give: emotion-llama build CONFIG --clips … --out {out}"
        )
    try:
        return BuildConfig.model_validate_json(stored)
    except ValidationError as error:
        raise ManifestError(
            f"{out}: its settings were written by another version ({error.errors()[0]['msg']}); give the whole "
            f"command: emotion-llama build CONFIG --clips … --out {out}"
        ) from error


@contextmanager
def opened(out: Path, journal: str | None) -> Iterator[Journal]:
    """Open the journal of an existing data set. Raises `ManifestError` for a folder that is none."""
    if journal is None and not (out / "journal.sqlite").is_file():
        raise ManifestError(f"{out}: no journal.sqlite there; expected a data set made by `emotion-llama build`")
    with _opened(out, journal) as records:
        yield records


@contextmanager
def _opened(out: Path, journal: str | None) -> Iterator[Journal]:
    records = Journal(journal_url(out, journal))
    try:
        yield records
    finally:
        records.close()


class Known:
    """What the journal knows of one clip under a plan. `found`: step → findings, up to the first step that is open."""

    def __init__(self, records: Journal, plan: Plan, name: str) -> None:
        self.clip, self.turn = records.clip(name)
        self.found: dict[str, Found] = {}
        self.keys: dict[str, str] = {}
        self.rejected_at: Planned | None = None
        self.open: tuple[Planned, ...] = ()
        self._records = records
        first = plan.each[0]
        self.keys = plan.keys(self.clip, None, self.turn)
        probed = records.outcome(name, first.name, self.keys[first.name])
        if probed is not None and probed.kind == "done" and probed.found.source is not None:
            self.keys = plan.keys(self.clip, probed.found.source.sha256, self.turn)
        outcomes = records.outcomes(name, self.keys)
        for number, planned in enumerate(plan.each):
            outcome = outcomes.get(planned.name)
            if outcome is None:
                self.open = plan.each[number:]
                break
            self.found[planned.name] = outcome.found
            if outcome.kind == "rejected":
                self.rejected_at = planned
                break
        # steps further on may be known from before: a changed step in the middle does not repeat what does not read it
        self.later = {
            name: one.found for name, one in outcomes.items() if one.kind == "done" and name not in self.found
        }

    @property
    def passed(self) -> bool:
        """Whether every step for single clips let it through."""
        return self.rejected_at is None and not self.open

    @property
    def last_attempt(self) -> Attempt | None:
        """The last attempt at the step that is open."""
        if not self.open:
            return None
        mine = [one for one in self._records.attempts(self.clip.clip) if one.step == self.open[0].name]
        return mine[-1] if mine else None

    @property
    def failed(self) -> bool:
        """Whether it stopped at an error."""
        last = self.last_attempt
        return last is not None and last.kind == "failed"

    def task(self, steps: Sequence[Planned]) -> Task | None:
        """Give what is to be done for it among `steps`; `None`: nothing, or not yet."""
        names = {one.name for one in steps}
        if self.rejected_at is not None or not self.open or self.open[0].name not in names:
            return None
        found = {**self.found, **self.later}
        todo = tuple(one.name for one in steps if one.name not in found)
        return Task(self.clip, found, todo, self.turn)


class _Tasks(Sequence[Task]):
    """Tasks made when they are asked for: memory does not grow with the number of clips."""

    def __init__(self, run: _Passes, names: Sequence[str], steps: Sequence[Planned]) -> None:
        self._run, self._names, self._steps = run, names, steps

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | Sequence[Task]:
        assert isinstance(index, int)
        if index >= len(self._names):
            raise IndexError(index)
        task = self._run.task(self._names[index], self._steps)
        assert task is not None, f"{self._names[index]}: its task vanished"
        return task


class _Passes:
    """The steps for single clips: worker steps in processes, and what follows them in threads, as clips come."""

    def __init__(self, records: Journal, plan: Plan, workers: Workers, progress: BuildProgress) -> None:
        self._records, self._plan, self._workers, self._progress = records, plan, workers, progress
        self._asker = Asker(records, plan.config.endpoints)
        self._tools = Tools()
        self._stopped = threading.Event()

    def task(self, name: str, steps: Sequence[Planned]) -> Task | None:
        """Give what is to be done for a clip among `steps`."""
        return Known(self._records, self._plan, name).task(steps)

    def run(self) -> None:
        """Take all steps. Clips that stop at an error stay open; the others go on."""
        segments = self._plan.segments()
        names = self._records.names()
        while segments:
            here = segments.pop(0)[1] if segments[0][0] == "worker" else ()
            after = segments.pop(0)[1] if segments and segments[0][0] == "driver" else ()
            self._pass(names, here, after)

    def _pass(self, names: Sequence[str], here: Sequence[Planned], after: Sequence[Planned]) -> None:
        first = [name for name in names if here and self.task(name, here) is not None]
        waiting = set(first)
        then = [name for name in names if name not in waiting and after and self.task(name, after) is not None]
        self._progress.begin([one.name for one in (*here, *after)], len(first) + len(then))
        futures: list[Future[None]] = []
        with ThreadPoolExecutor(self._plan.workers) as pool:
            try:
                futures += [pool.submit(self._follow, name, after) for name in then]
                for name in self._spread(first, here):
                    if after:
                        futures.append(pool.submit(self._follow, name, after))
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for future in futures:
            future.result()

    def _spread(self, names: Sequence[str], steps: Sequence[Planned]) -> Iterator[str]:
        """Take worker steps; gives the names of clips that go on."""
        if not names:
            return
        make = partial(make_worker, self._plan.config)
        who = self._workers
        reports = spread(make, _Tasks(self, names, steps), jobs=who.jobs, engine=who.engine, address=who.address)
        for index, report in reports:
            if isinstance(report, Failure):
                report = self._lost(names[index], steps, report)
            self._records.keep(report.clip, report.done, report.attempts)
            self._progress.count(report)
            if not report.failed and not report.rejected:
                yield report.clip

    def _lost(self, name: str, steps: Sequence[Planned], failure: Failure) -> Report:
        if failure.kind.startswith("Asset"):
            raise AssetMissingError(failure.error)
        if failure.kind == "OutputError":
            raise EmotionLlamaError(failure.error)
        task = self.task(name, steps)
        step = task.steps[0] if task is not None and task.steps else steps[0].name
        words = f"{failure.kind}: {failure.error}"
        return Report(name, (), (Attempt(name, step, "failed", words, 0.0),), failed=True, rejected=False)

    def _follow(self, name: str, steps: Sequence[Planned]) -> None:
        """Take the steps of one clip that need the journal."""
        task = self.task(name, steps)
        if task is None or self._stopped.is_set():
            return
        look = Look(task.clip, self._tools, self._asker, task.turn)
        report = take_steps(self._plan, task, look)
        self._records.keep(report.clip, report.done, report.attempts)
        self._progress.count(report)


def _run(records: Journal, plan: Plan, out: Path, workers: Workers) -> Totals:
    console = Console(stderr=True)
    with BuildProgress(console, records.spent) as progress:
        _Passes(records, plan, workers, progress).run()
    knowns = (Known(records, plan, name) for name in records.names())
    return finish(records, plan, out, knowns)


def shown_settings(config: BuildConfig) -> Mapping[str, object]:
    """Give a build's settings as they are written beside the data set: without URLs and names of key variables."""
    values = json.loads(config.model_dump_json())
    for endpoint in values["endpoints"].values():
        for private in ("url", "key_env", "timeout_s", "max_attempts", "first_pause_s", "longest_pause_s", "workers"):
            endpoint.pop(private, None)
    shown: Mapping[str, object] = values
    return shown
