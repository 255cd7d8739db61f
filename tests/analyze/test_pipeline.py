"""Jobs are looked at ahead, answered together, and each gets its own result or its own error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from emotion_llama.analyze.pipeline import Pipeline


def doubled(found: Sequence[tuple[int, int]]) -> list[int | Exception]:
    return [ValueError(f"answer {job}") if job == 7 else looked * 2 for job, looked in found]


def look(job: int) -> int:
    if job == 3:
        raise ValueError("look 3")
    return job + 100


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("batch", [1, 4])
def test_every_job_gets_what_it_would_get_alone(threads: int, batch: int) -> None:
    pipeline: Pipeline[int, int, int] = Pipeline([look] * threads, doubled, batch)
    assert len(list(pipeline.results(range(3)))) == 3, "and it can be used again"
    found = dict(pipeline.results(range(20)))
    assert sorted(found) == list(range(20))
    assert str(found.pop(3)) == "look 3" and str(found.pop(7)) == "answer 7"
    assert all(found[job] == (job + 100) * 2 for job in found)


def test_what_waits_is_answered_together_and_no_more_than_a_batch_is_looked_at_ahead() -> None:
    begun: list[int] = []
    sizes: list[int] = []

    def noted(job: int) -> int:
        begun.append(job)
        return job

    def answer(found: Sequence[tuple[int, int]]) -> list[int | Exception]:
        if not sizes:
            wait_until(lambda: len(begun) >= 5)  # a full batch ahead, and one that waits for room
            time.sleep(0.1)
            assert len(begun) <= 3 + 2 + len(found)
        sizes.append(len(found))
        return [looked for _, looked in found]

    pipeline: Pipeline[int, int, int] = Pipeline([noted], answer, 3)
    assert [job for job, _ in pipeline.results(range(12))] == list(range(12))
    assert sum(sizes) == 12 and max(sizes) == 3


def test_looking_and_answering_go_on_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10)

    def looked(job: int) -> int:
        if job == 1:
            both.wait()
        return job

    def answer(found: Sequence[tuple[int, int]]) -> list[int | Exception]:
        if found[0][0] == 0:
            both.wait()
        return [looked for _, looked in found]

    pipeline: Pipeline[int, int, int] = Pipeline([looked], answer, 1)
    assert [result for _, result in pipeline.results(range(3))] == [0, 1, 2]


def test_closing_ends_the_threads() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        job = 0
        while True:
            taken.append(job)
            yield job
            job += 1

    before = threading.active_count()
    pipeline: Pipeline[int, int, int] = Pipeline([look, look], doubled, 2)
    results = pipeline.results(endless())
    next(results)
    results.close()
    wait_until(lambda: threading.active_count() <= before)
    count = len(taken)
    time.sleep(0.1)
    assert len(taken) == count


def test_an_error_of_the_jobs_is_raised_after_what_was_looked_at_and_closing_closes_them() -> None:
    closed: list[bool] = []

    def jobs(broken: bool) -> Iterator[int]:
        try:
            yield from range(2)
            if broken:
                raise ValueError("no more jobs")
            yield from range(2, 999)
        finally:
            closed.append(broken)

    pipeline: Pipeline[int, int, int] = Pipeline([look, look], doubled, 2)
    found: list[int] = []
    with pytest.raises(ValueError, match="no more jobs"):
        for job, _ in pipeline.results(jobs(broken=True)):
            found.append(job)
    assert sorted(found) == [0, 1] and closed == [True]
    results = pipeline.results(jobs(broken=False))
    next(results)
    results.close()
    wait_until(lambda: closed == [True, False])


def wait_until(condition: object) -> None:
    until = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.005)


def test_nothing_is_looked_at_any_more_when_a_run_that_ended_early_gives_back() -> None:
    begun, over = threading.Event(), threading.Event()

    def slow(job: int) -> int:
        if job == 1:
            begun.set()
            time.sleep(0.3)
            over.set()
        return job

    results = Pipeline([slow], doubled, 1).results(range(5))
    next(results)
    assert begun.wait(10)
    results.close()
    assert over.is_set()
