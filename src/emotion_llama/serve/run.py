"""What `emotion-llama serve` does: one process, one model (or replicas of it on Ray), until it is told to end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import uvicorn
from fastapi import FastAPI

from emotion_llama.errors import UsageError
from emotion_llama.serve.app import INTENDED_USE, create_app
from emotion_llama.serve.model import Model
from emotion_llama.serve.service import Service
from emotion_llama.serve.settings import ServeSettings

HTTP: dict[str, Any] = {"loop": "asyncio", "http": "h11", "ws": "none"}
"""The same server whatever else is installed: uvicorn takes what it finds, and Ray Serve brings much along."""


def serve(settings: ServeSettings, make_model: Callable[[], Model] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish what runs.

    Raises `UsageError` for a port that is taken, a bad key file or a queue in use, and whatever kept the model from
    being loaded.
    """
    failures: list[BaseException] = []

    def end(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    service = Service(make_model or (lambda: _model(settings, lambda: server.should_exit)), settings, end)
    opened = _open_socket(settings)
    app = create_app(service)
    missing = _add_page(app) if settings.page else "not asked for"
    server = uvicorn.Server(uvicorn.Config(app, **HTTP, log_level="warning", access_log=False, server_header=False))
    _announce(settings, opened)
    if missing:
        print(f"No web page: {missing}.")
    with _connection(settings):
        _run(server, opened)
    if failures:
        raise failures[0]
    print("Ended; everything accepted was answered or waits in the queue of jobs.", flush=True)


def _connection(settings: ServeSettings) -> AbstractContextManager[Any]:
    if settings.engine == "local":
        return nullcontext()
    from emotion_llama.serve.ray_app import ray_of

    return ray_of(settings)


def _run(server: uvicorn.Server, opened: socket.socket) -> None:
    # uvicorn sends itself the signal again once all is finished; without these the process would then die of it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        server.run(sockets=[opened])
    finally:
        opened.close()


def _add_page(app: FastAPI) -> str:
    """Mount the page; gives why there is none, "" where it is there."""
    try:
        from emotion_llama.serve.page.mount import add_page

        add_page(app)
    except ImportError as error:
        return f"{error}; install emotion-llama[serve]"
    return ""


def _model(settings: ServeSettings, unwanted: Callable[[], bool]) -> Model:
    if settings.engine == "ray":
        from emotion_llama.serve.ray_model import ray_model

        return ray_model(settings, unwanted)
    from emotion_llama.serve.served_model import ServedModel  # loads torch, while health is answered already

    return ServedModel(settings.model, settings.device, settings.workers, settings.dtype, settings.numerics)


def _open_socket(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((settings.host, settings.port))
        opened.listen(2048)
    except OSError as error:
        opened.close()
        raise UsageError(f"--host {settings.host} --port {settings.port}: {error.strerror}; give another") from error
    return opened


def _announce(settings: ServeSettings, opened: socket.socket) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"Emotion-LLaMA ({settings.model}) on http://{host}:{opened.getsockname()[1]}")
    if settings.api_key_file is None:
        print("No key file: this machine only (loopback), and no keys are asked for.")
    print(f"Jobs wait in {settings.jobs_file}; results are kept {settings.retention_days:g} days.")
    if settings.keep is not None:
        print(f"Results are kept in {settings.keep}.")
    if settings.engine == "ray":
        where = f"the cluster at {settings.address}" if settings.address else "a Ray of our own, on loopback only"
        print(f"Replicas of the model, {settings.min_replicas} to {settings.max_replicas}, on {where}.")
    print(INTENDED_USE)
    print("Loading the model; /readyz says when it is ready.", flush=True)
