"""What `spread` promises whatever the engine, with workers in memory; and the way without any process."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scale_workers import make_fated, make_refusing, make_square

from emotion_llama.errors import EmotionLlamaError, MediaError, UsageError
from emotion_llama.scale.spread import Crew, Failure, Handle, WorkerLost, drive, spread
from emotion_llama.scale.worker import Worker, attempt, limit_threads, open_answer, thread_share

FATES = ("fine", "fails", "dies", "dies once")


class Office:
    """An engine in memory: workers whose answers come in a random order, and die as their items say."""

    def __init__(self, seed: int, dead_starts: int = 0) -> None:
        self.random = random.Random(seed)
        self.dead_starts = dead_starts
        self.started: list[Clerk] = []
        self.died: set[int] = set()
        self.closed = False

    @contextmanager
    def crew(self) -> Iterator[Crew]:
        yield Crew(self.start, self.wait)
        self.closed = True

    def start(self) -> Handle:
        self.started.append(Clerk(self))
        return self.started[-1]

    def wait(self, handles: Sequence[Handle]) -> Sequence[Handle]:
        assert handles, "waiting for nobody would last for ever"
        return self.random.sample(list(handles), self.random.randint(1, len(handles)))

    @property
    def present(self) -> int:
        return sum(not clerk.gone for clerk in self.started)


class Clerk:
    def __init__(self, office: Office) -> None:
        self.office, self.index, self.item = office, None, "loading"
        self.gone = self.dismissed = False
        self.taken = True

    def give(self, index: int, item: str) -> None:
        assert self.taken and not self.gone and not self.dismissed
        self.index, self.item, self.taken = index, item, False

    def take(self) -> Any:
        self.taken = True
        if self.index is None:
            if self.office.dead_starts:
                self.office.dead_starts -= 1
                raise WorkerLost("died while loading")
            return None
        if self.item == "dies" or (self.item == "dies once" and self.index not in self.office.died):
            self.office.died.add(self.index)
            raise WorkerLost("died")
        return attempt(self.work, self.index, self.item)

    def work(self, item: str) -> str:
        if item == "fails":
            raise MediaError("broken")
        return item.upper()

    def dismiss(self) -> None:
        self.dismissed = True

    def end(self) -> None:
        self.gone = True


@given(st.lists(st.sampled_from(FATES), max_size=12), st.integers(1, 5), st.integers(0, 99))
def test_every_item_has_one_answer(fates: list[str], workers: int, seed: int) -> None:
    office = Office(seed)
    answers = list(drive(office.crew(), fates, workers))
    expected = {
        "fine": lambda index: "FINE",
        "dies once": lambda index: "DIES ONCE",
        "fails": lambda index: Failure(index, "broken", "MediaError"),
        "dies": lambda index: Failure(index, "died (twice with this item)", "WorkerLost"),
    }
    assert len(answers) == len(fates)
    assert dict(answers) == {index: expected[fate](index) for index, fate in enumerate(fates)}
    assert office.present == 0


@given(st.lists(st.sampled_from(FATES), min_size=1, max_size=12), st.integers(1, 5), st.integers(0, 99))
def test_never_more_workers_than_asked_and_none_left_after_closing(fates: list[str], workers: int, seed: int) -> None:
    office = Office(seed)
    answers = drive(office.crew(), fates, workers)
    for _ in range(1 + seed % len(fates)):
        next(answers)
        assert office.present - sum(clerk.dismissed for clerk in office.started) <= workers
    answers.close()
    assert office.present == 0


def test_one_start_may_fail_but_not_two() -> None:
    assert len(list(drive(Office(0, dead_starts=1).crew(), ["fine"] * 5, 2))) == 5
    office = Office(0, dead_starts=2)
    with pytest.raises(UsageError, match="died while loading"):
        list(drive(office.crew(), ["fine"] * 5, 2))
    assert office.present == 0


def test_nothing_is_started_for_nothing() -> None:
    office = Office(0)
    assert list(drive(office.crew(), [], 3)) == [] and not office.started
    assert list(spread(make_refusing, [])) == []


def test_one_job_works_here_and_only_when_asked() -> None:
    begun: list[int] = []
    made: list[int] = []

    def make() -> Callable[[int], int]:
        made.append(os.getpid())
        return lambda item: begun.append(item) or item

    answers = spread(make, [5, 6, 7])
    assert not made
    assert next(answers) == (0, 5)
    assert begun == [5]
    assert list(answers) == [(1, 6), (2, 7)]
    assert made == [os.getpid()]


def test_one_job_names_failures_and_raises_bugs(tmp_path: Any) -> None:
    answers = dict(spread(lambda: make_fated(tmp_path), [(1, "media"), (2, "fine"), (3, "missing")]))
    assert answers[0] == Failure(0, "1.mp4 holds no picture", "MediaError")
    assert answers[1] == 4
    assert answers[2].kind == "FileNotFoundError" and "absent" in answers[2].error
    with pytest.raises(KeyError, match="frames") as raised:
        list(spread(lambda: make_fated(tmp_path), [(1, "fine"), (2, "bug")]))
    assert raised.value.__notes__ == ["while working on item 1"]


def test_wrong_wishes() -> None:
    with pytest.raises(UsageError, match="found 0"):
        spread(make_square, [1], jobs=0)
    with pytest.raises(UsageError, match="expected local or ray, found 'dask'"):
        spread(make_square, [1], engine="dask")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="is for the engine ray"):
        spread(make_square, [1], address="10.0.0.1:6379")


def test_ray_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    with pytest.raises(UsageError, match=r"install emotion-llama\[ray\]"):
        spread(make_square, [1], engine="ray")


def test_importing_is_light() -> None:
    code = "import emotion_llama.scale.spread, sys; print([m for m in ('torch', 'numpy', 'ray') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_an_error_of_making_keeps_its_class() -> None:
    answer = Worker(pickle.dumps).load(pickle.dumps(make_refusing), threads=1)
    with pytest.raises(EmotionLlamaError, match="no weights here") as raised:
        open_answer(answer)
    assert type(raised.value) is UsageError and "make_refusing" in raised.value.__notes__[0]


@pytest.mark.parametrize(
    ("wished", "workers", "share"), [("", 1, None), ("1", 1, 1), ("", 10_000, 1), ("many", 9999, 1)]
)
def test_threads_are_shared(monkeypatch: pytest.MonkeyPatch, wished: str, workers: int, share: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", wished)
    assert thread_share(workers) == (share or len(os.sched_getaffinity(0)))


def test_a_torch_that_is_loaded_already_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=told.append))
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("OPENCV_FOR_THREADS_NUM", "8")
    limit_threads(3)
    assert told == [3] and os.environ["OMP_NUM_THREADS"] == os.environ["OPENCV_FOR_THREADS_NUM"] == "3"
