"""Tasks of a folder run → results in order of completion: from this process, from worker processes, from Ray."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_llama.analyze.folder_clip import FolderRun, Loader, Task, analyzed, examined, failure, written
from emotion_llama.analyze.folder_worker import Told, analyzing, looking
from emotion_llama.analyze.pipeline import END_WAIT_S, Pipeline
from emotion_llama.analyze.writers import ClipFailure, FailureReason
from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import UsageError
from emotion_llama.scale.spread import Failure, spread
from emotion_llama.scale.worker import thread_share

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import EmotionLlama, Looked, Result

Lines = Generator[Analysis | ClipFailure, None, None]


def check_workers(run: FolderRun) -> None:
    """Raise `UsageError` where engine, address and device do not go together."""
    if run.address is not None and run.engine != "ray":
        raise UsageError(f"--address {run.address}: is that of a Ray cluster; give --engine ray too, or leave it out")
    if run.engine == "ray" and run.device.startswith("cuda:"):
        raise UsageError(f"--device {run.device}: Ray chooses which GPU a worker gets; give --device cuda")


def results_of(todo: Sequence[Task], run: FolderRun, loader: Loader) -> Lines:
    """Give the result of each task once. Closing the generator ends all workers.

    Whole clips are analysed in workers; with `run.batch_size` above 1 workers look at them, and the model here answers
    about several at once. What asks the language model while it looks (a course of time, several people) is done in
    workers whole. A wrong name of model or device is told before the first result is asked for.
    """
    if not todo:
        return _nothing()
    if run.engine == "local" and (run.jobs == 1 or len(todo) < 2):
        model = loader(run, None)
        return _side_by_side(model, todo, run) if run.batch_size > 1 else _analyzed(model, todo, run)
    if run.batch_size == 1 or run.settings.timeline or run.settings.person == "all":
        loader(run if run.engine == "local" else replace(run, device="cpu"), None)  # of Ray the GPUs are elsewhere
        return _whole(todo, run, loader)
    threads = thread_share(run.jobs + 1 if run.address is None else 1)
    return _answered_here(loader(run, threads), todo, run, loader)


def _nothing() -> Lines:
    yield from ()


def _analyzed(model: EmotionLlama, todo: Sequence[Task], run: FolderRun) -> Lines:
    for task in todo:
        yield analyzed(model, task, run)


def _side_by_side(model: EmotionLlama, todo: Sequence[Task], run: FolderRun) -> Lines:
    """The next clips are looked at while the language model answers about the last, up to a batch of them at once."""
    pipeline: Pipeline[Task, Looked | Result, Result] = Pipeline(
        [lambda task: examined(model.look, task, run)],
        lambda found: model.answer_together([looked for _, looked in found]),
        run.batch_size,
    )
    with closing(pipeline.results(todo)) as results:
        for task, result in results:
            yield _finished(model, task, result, run)


def _finished(model: EmotionLlama, task: Task, result: Result | Exception, run: FolderRun) -> Analysis | ClipFailure:
    try:
        if isinstance(result, Exception):
            raise result
        return written(model, task, result, run)
    except Exception as error:
        return failure(task[0], error)


def _whole(todo: Sequence[Task], run: FolderRun, loader: Loader) -> Lines:
    with closing(_spread(todo, run, partial(analyzing, run, loader, Path.cwd()))) as told:
        for index, one in told:
            yield _opened(todo[index][0], one)


def _answered_here(model: EmotionLlama, todo: Sequence[Task], run: FolderRun, loader: Loader) -> Lines:
    """Workers look at the next clips while the language model here answers about those that wait."""
    unwanted, gone = threading.Event(), threading.Event()

    def looks() -> Generator[tuple[Task, Told], None, None]:
        try:
            with closing(_spread(todo, run, partial(looking, run, loader, Path.cwd()), unwanted)) as told:
                for index, one in told:
                    yield todo[index], _opened(todo[index][0], one)
        finally:
            gone.set()

    def answer(found: Sequence[tuple[tuple[Task, Told], Told]]) -> list[Result | ClipFailure | Exception]:
        asked = [looked for _, looked in found if not isinstance(looked, ClipFailure)]
        answers = iter(model.answer_together(asked))
        return [looked if isinstance(looked, ClipFailure) else next(answers) for _, looked in found]

    pipeline: Pipeline[tuple[Task, Told], Told, Result | ClipFailure] = Pipeline(
        [lambda job: job[1]], answer, run.batch_size
    )
    try:
        with closing(pipeline.results(looks())) as results:
            try:
                for (task, _), result in results:
                    yield result if isinstance(result, ClipFailure) else _finished(model, task, result, run)
            finally:
                unwanted.set()  # before the pipeline waits for its thread, which waits for workers
    finally:
        gone.wait(END_WAIT_S)


def _spread(
    todo: Sequence[Task],
    run: FolderRun,
    make_worker: Callable[[], Callable[[Task], Told]],
    unwanted: threading.Event | None = None,
) -> Generator[tuple[int, Told | Failure], None, None]:
    gpu = None if run.device == "auto" else run.device != "cpu"
    return spread(make_worker, todo, jobs=run.jobs, engine=run.engine, address=run.address, gpu=gpu, unwanted=unwanted)


def _opened(clip: Clip, told: Told | Failure) -> Told:
    """What a worker told. Raises what would fail every clip."""
    if isinstance(told, Failure):  # its worker was lost twice
        return ClipFailure(clip=clip.clip, error=FailureReason(type=told.kind, message=told.error))
    if isinstance(told, Exception):
        raise told
    return told
