"""Workers on Ray: actors of one CPU each and a GPU if asked, on a cluster or on a Ray that lives as long as the run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from emotion_llama.errors import UsageError
from emotion_llama.scale.elsewhere import HOME_NODE
from emotion_llama.scale.ray_connection import connected, imported_ray
from emotion_llama.scale.spread import TICK_S, Crew, Handle, WorkerLost
from emotion_llama.scale.worker import Dumps, Worker, open_answer, thread_share


def ray_crew(
    make_worker: Callable[[], Callable[[Any], Any]], workers: int, address: str | None, gpu: bool | None = False
) -> AbstractContextManager[Crew]:
    """Give the means for so many actors, not yet started; `gpu` as for `spread`.

    Raises `UsageError` where ray is not installed.
    """
    return _crew(imported_ray(address), make_worker, workers, address, gpu)


@contextmanager
def _crew(
    ray: Any, make_worker: Callable[[], Callable[[Any], Any]], workers: int, address: str | None, gpu: bool | None
) -> Iterator[Crew]:
    with connected(ray, workers, address):
        threads = thread_share(workers) if address is None else 1
        remote = ray.remote(num_cpus=1, num_gpus=gpu_share(ray, workers, gpu))(RayWorker)
        # a client outside of the cluster (ray://) has no node whose files could be read
        home = "" if str(address).startswith("ray://") else ray.get_runtime_context().get_node_id()
        actor = partial(remote.remote, ray.cloudpickle.dumps, home)
        made = ray.cloudpickle.dumps(make_worker)
        yield Crew(partial(RayHandle, ray, actor, made, threads), partial(wait_for_answers, ray))


def gpu_share(ray: Any, workers: int, gpu: bool | None) -> float:
    """GPUs of one worker: one, or an equal share of those that the cluster has. Raises `UsageError` for wished ones."""
    there = ray.cluster_resources().get("GPU", 0.0)
    if gpu and not there:
        raise UsageError("device cuda: the Ray cluster has no GPU; give cpu, or auto for GPUs where there are any")
    return 0.0 if gpu is False else min(1.0, math.floor(there / workers * 1000) / 1000)


class RayWorker(Worker):
    """A worker that knows on which Ray node the run was started."""

    def __init__(self, dumps: Dumps, home: str) -> None:
        super().__init__(dumps)
        os.environ[HOME_NODE] = home


class RayHandle:
    """One actor. A lost one is replaced by a new actor, wherever there is room.

    Ray's own `max_restarts` is not used: it would restart for ever, without a word, an actor that dies while it loads.
    """

    def __init__(self, ray: Any, actor: Callable[[], Any], made: bytes, threads: int) -> None:
        self.index: int | None = None
        self._ray = ray
        self._actor = actor()
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
    """Wait until at least one of these actors has an answer or is lost, at most for a moment; give the first."""
    by_answer = {handle.answer: handle for handle in handles if isinstance(handle, RayHandle)}
    ready, _ = ray.wait(list(by_answer), num_returns=1, timeout=TICK_S)
    return [by_answer[answer] for answer in ready]
