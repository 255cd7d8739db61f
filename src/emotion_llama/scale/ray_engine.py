"""Workers on Ray: actors of one CPU each, on a cluster or on a Ray that lives as long as the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from emotion_llama.scale.ray_connection import connected, imported_ray
from emotion_llama.scale.spread import Crew, Handle, WorkerLost
from emotion_llama.scale.worker import Worker, open_answer, thread_share


def ray_crew(
    make_worker: Callable[[], Callable[[Any], Any]], workers: int, address: str | None
) -> AbstractContextManager[Crew]:
    """Give the means for so many actors, not yet started. Raises `UsageError` where ray is not installed."""
    return _crew(imported_ray(address), make_worker, workers, address)


@contextmanager
def _crew(
    ray: Any, make_worker: Callable[[], Callable[[Any], Any]], workers: int, address: str | None
) -> Iterator[Crew]:
    with connected(ray, workers, address):
        threads = thread_share(workers) if address is None else 1
        actor = ray.remote(num_cpus=1)(Worker)
        made = ray.cloudpickle.dumps(make_worker)
        yield Crew(partial(RayHandle, ray, actor, made, threads), partial(wait_for_answers, ray))


class RayHandle:
    """One actor. A lost one is replaced by a new actor, wherever there is room.

    Ray's own `max_restarts` is not used: it would restart for ever, without a word, an actor that dies while it loads.
    """

    def __init__(self, ray: Any, actor: Any, made: bytes, threads: int) -> None:
        self.index: int | None = None
        self._ray = ray
        self._actor = actor.remote(ray.cloudpickle.dumps)
        self.answer = self._actor.load.remote(made, threads)

    def give(self, index: int, item: Any) -> None:
        """Send the next item."""
        self.index = index
        self.answer = self._actor.answer.remote(self._ray.cloudpickle.dumps((index, item)))

    def take(self) -> Any:
        """Give its answer. Raises `WorkerLost`."""
        errors = self._ray.exceptions
        lost = (errors.RayActorError, errors.OutOfMemoryError, errors.NodeDiedError, errors.ObjectLostError)
        try:
            answer = self._ray.get(self.answer)
        except lost as error:
            raise WorkerLost("the Ray worker died: likely out of memory; lower --jobs, or see Ray's logs") from error
        return open_answer(answer)

    def dismiss(self) -> None:
        """End the actor, which has nothing to do; its CPU is free for others."""
        self.end()

    def end(self) -> None:
        """End the actor and what it does."""
        self._ray.kill(self._actor)


def wait_for_answers(ray: Any, handles: Sequence[Handle]) -> list[Handle]:
    """Wait until at least one of these actors has an answer or is lost; give the first."""
    by_answer = {handle.answer: handle for handle in handles if isinstance(handle, RayHandle)}
    ready, _ = ray.wait(list(by_answer), num_returns=1)
    return [by_answer[answer] for answer in ready]
