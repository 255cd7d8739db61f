"""Replicas on Ray Serve: started, scaled by what waits for them, asked through a handle, ended.

Ray Serve's own HTTP server is not opened: the service's own stands before the replicas.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from emotion_llama import errors
from emotion_llama.errors import EmotionLlamaError, ModelError, UsageError
from emotion_llama.scale.ray_connection import connected, imported_ray
from emotion_llama.scale.worker import thread_share
from emotion_llama.serve.model import Model
from emotion_llama.serve.ray_replica import RayReplica
from emotion_llama.serve.replica import About, Ended
from emotion_llama.serve.settings import ServeSettings
from emotion_llama.serve.ticket import AnalyzeRequest, Event

MODEL = "model"
"""The one deployment of the application."""

SCALING = {
    "target_ongoing_requests": 1,  # two requests at a time are reason enough for a second replica
    "metrics_interval_s": 1.0,
    "look_back_period_s": 3.0,
    "upscale_delay_s": 3.0,
    "downscale_delay_s": 300.0,  # a model is loaded slowly, and forgets what it perceived
}
QUIET = {"log_level": "ERROR", "enable_access_log": False}
LOOK_AGAIN_S = 0.3

_RAISED = re.compile(r"^emotion_llama\.errors\.(\w+): (.*)\Z", re.MULTILINE | re.DOTALL)

ModelMaker = Callable[[str], Model]
"""Makes a model on a device; called in the replica's process."""

Told = Generator[Event | Ended | None, None, None]
"""What happens to a request."""


class ReplicaLost(Exception):
    """The replica that worked on a request is no more."""


class Replicas(Protocol):
    """Replicas as the service sees them, whichever of them answers."""

    def about(self) -> About:
        """What their model is."""

    def ask(self, request: AnalyzeRequest, recording: bytes | None) -> Told:
        """Give what happens to a request, ending with `Ended`; `None` now and then while nothing does.

        Raises `ReplicaLost`. Closing the iterator ends the work.
        """

    def alive(self) -> int:
        """How many are loaded."""


def ray_of(settings: ServeSettings) -> AbstractContextManager[Any]:
    """Be connected to the cluster of the settings, or to a Ray of our own, which ends with this. Gives Ray.

    To be entered in the main thread, before it sets what it does on signals: Ray sets SIGTERM for itself. Raises
    `UsageError` where there is no Ray.
    """
    # read when ray is imported: a thread of Ray Serve still asks something once all has ended, and Ray would connect
    # anew by itself, to whichever Ray of this machine was started last
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    return connected(imported_ray(settings.address), _cpus(settings) * settings.max_replicas, settings.address)


def _cpus(settings: ServeSettings) -> int:
    share = thread_share(settings.max_replicas) if settings.address is None else 1
    return settings.replica_cpus or share


@contextmanager
def replicas_on_ray(
    settings: ServeSettings, make_model: ModelMaker, unwanted: Callable[[], bool]
) -> Iterator[Replicas]:
    """Start replicas, wait for the first, and end them all with this. `unwanted`: whether to wait no longer.

    Raises `UsageError` where Ray, its cluster, or room for a replica is missing, and what kept a model from being
    loaded.
    """
    with ray_of(settings) as ray:  # connected already in a service that heeds signals
        serve = _ray_serve()
        cpus, gpus = _cpus(settings), _gpus(ray, settings.device)
        _check_room(ray, cpus, gpus)
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        serve.start(proxy_location="Disabled", logging_config=QUIET)
        name = app_name(settings)
        handle = serve.run_many(
            [serve.RunTarget(_app(serve, settings, make_model, cpus, gpus), name=name, route_prefix=None)],
            wait_for_applications_running=False,
        )[0]
        try:
            found = RayReplicas(ray, serve, handle, name)
            found.wait_for_first(unwanted)
            yield found
        finally:
            serve.delete(name)
            if settings.address is not None and not serve.status().applications:
                serve.shutdown()
            logging.getLogger("ray.serve").setLevel(logging.CRITICAL)  # of that thread, that nobody answers it


def _ray_serve() -> Any:
    try:
        return import_module("ray.serve")
    except ImportError as error:
        raise UsageError(f"engine ray needs Ray Serve ({error}); install emotion-llama[ray-serve]") from error


def app_name(settings: ServeSettings) -> str:
    """The name of the service's application on the cluster. A service that starts anew takes its own old place."""
    return f"emotion-llama-{platform.node() or 'here'}-{settings.port or os.getpid()}"


def _app(serve: Any, settings: ServeSettings, make_model: ModelMaker, cpus: int, gpus: int) -> Any:
    deployment = serve.deployment(
        RayReplica,
        name=MODEL,
        # those that are looked at and those that are answered meanwhile; more wait here until a replica has room
        max_ongoing_requests=settings.workers + settings.batch_size,
        autoscaling_config={
            "min_replicas": settings.min_replicas,
            "max_replicas": settings.max_replicas,
            **SCALING,
        },
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
        max_constructor_retry_count=1,
        health_check_period_s=2.0,
        health_check_timeout_s=60.0,
        logging_config=QUIET,
    )
    made = partial(make_model, "cuda" if gpus else "cpu")
    return deployment.bind(made, settings.batch_size, None if gpus else cpus, settings.address is None)


def _gpus(ray: Any, device: str) -> int:
    """GPUs of one replica: 0 or 1."""
    there = ray.cluster_resources().get("GPU", 0) >= 1
    return int(device == "cuda" or (device == "auto" and there))


def _check_room(ray: Any, cpus: int, gpus: int) -> None:
    """Raise `UsageError` where no machine could ever hold a replica."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        have = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise UsageError(
            f"a replica needs {cpus} CPUs and {gpus} GPUs on one machine; Ray has {have or 'none'}; "
            "lower --replica-cpus, or give another --device"
        )


class RayReplicas:
    """The replicas of one application."""

    def __init__(self, ray: Any, serve: Any, handle: Any, name: str) -> None:
        self._ray, self._serve, self._name = ray, serve, name
        self._about, self._ask = handle.about, handle.options(stream=True).ask
        found = ray.exceptions
        self._lost = (
            found.RayActorError, found.OutOfMemoryError, found.NodeDiedError, found.ObjectLostError,
            found.WorkerCrashedError, import_module("ray.serve.exceptions").ReplicaUnavailableError,
        )  # fmt: skip

    def wait_for_first(self, unwanted: Callable[[], bool]) -> None:
        """Wait until one replica is loaded. Raises what kept it from that."""
        while not self.alive():
            app = self._serve.status().applications[self._name]
            if app.status == "DEPLOY_FAILED":
                told = [found.message for found in app.deployments.values()]
                raise _as_raised("\n".join(told) or app.message)
            if unwanted():
                raise UsageError("ended before the first replica was loaded")
            time.sleep(LOOK_AGAIN_S)

    def alive(self) -> int:
        """How many are loaded."""
        app = self._serve.status().applications.get(self._name)
        deployment = app.deployments.get(MODEL) if app is not None else None
        return int(deployment.replica_states.get("RUNNING", 0)) if deployment is not None else 0

    def about(self) -> About:
        """What their model is."""
        about: About = self._about.remote().result()
        return about

    def ask(self, request: AnalyzeRequest, recording: bytes | None) -> Told:
        """Give what happens to a request, ending with `Ended`; `None` now and then. Raises `ReplicaLost`."""
        stream = self._ask.remote(request, recording)
        told: SimpleQueue[Event | Ended | Exception | None] = SimpleQueue()
        threading.Thread(target=_read, args=(stream, told), daemon=True).start()
        try:
            while (found := _next(told)) is not None:
                if isinstance(found, self._lost):
                    raise ReplicaLost(str(found)) from found
                if isinstance(found, Exception):
                    raise found
                yield None if isinstance(found, _Silence) else found
        except GeneratorExit:
            stream.cancel()
            raise


class _Silence:
    """Nothing was told for a while."""


def _next(told: SimpleQueue[Event | Ended | Exception | None]) -> Event | Ended | Exception | _Silence | None:
    try:
        return told.get(timeout=LOOK_AGAIN_S)
    except Empty:
        return _Silence()


def _read(stream: Iterator[Event | Ended], told: SimpleQueue[Event | Ended | Exception | None]) -> None:
    """Hand over what comes, in a thread that waits for it; then an error, if there was one, and `None`."""
    try:
        for found in stream:
            told.put(found)
    except Exception as error:
        told.put(error)
    told.put(None)


def _as_raised(text: str) -> EmotionLlamaError:
    """The error that ended a replica while it was loaded, from what Ray Serve reports of it."""
    match = _RAISED.search(text)
    kind = getattr(errors, match[1], None) if match else None
    plain = (errors.UsageError, errors.MediaError, errors.AssetError, errors.ModelError)
    if match and isinstance(kind, type) and issubclass(kind, plain):
        return kind(match[2].strip())
    return ModelError(f"no replica could be loaded: {text.strip()}")
