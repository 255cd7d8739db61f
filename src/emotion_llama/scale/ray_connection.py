"""Ray itself: a cluster that is there, or a Ray that lives as long as the work. Quiet, and it tells nobody."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from emotion_llama.errors import UsageError

CONNECT_S = 10.0
"""How long the head of a cluster may take to answer."""


def imported_ray(address: str | None) -> Any:
    """Import ray for a cluster at `address`, or for a Ray of our own. Raises `UsageError` where it is not installed."""
    # read when ray is imported: nothing is reported to anyone, and a Ray of our own listens on loopback only (in a
    # program that imported ray before, it listens as Ray is used to)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address is None:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        return import_module("ray")
    except ImportError as error:
        raise UsageError(f"engine ray needs ray ({error}); install emotion-llama[ray]") from error


@contextmanager
def connected(ray: Any, cpus: int, address: str | None) -> Iterator[Any]:
    """Be connected to the cluster at `address`, or to a Ray of our own with so many CPUs, which ends with this.

    Gives `ray`. Raises `UsageError` where no cluster answers. A caller who is connected already stays so.
    """
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    ours = not ray.is_initialized()
    if ours and address is None:
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, **quiet)
    elif ours:
        _check_that_one_answers(str(address))
        try:
            ray.init(address=address, **quiet)
        except ConnectionError as error:
            raise UsageError(
                f"no Ray cluster answers at {address!r} ({error}); expected host:port or auto. Where one is there that "
                "asks for a token, set RAY_AUTH_MODE=token"
            ) from error
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def _check_that_one_answers(address: str) -> None:
    """Raise `UsageError` at once; Ray itself would try for minutes, then end the process. "auto" it knows at once."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise UsageError(f"no Ray cluster answers at {address!r} ({error}); expected host:port or auto") from error
