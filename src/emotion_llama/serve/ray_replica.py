"""A replica as Ray Serve starts it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from emotion_llama.errors import UsageError
from emotion_llama.serve.model import Model
from emotion_llama.serve.replica import Replica


class RayReplica(Replica):
    """A replica in a process that Ray Serve started. `loopback`: nothing of it may be reached from other machines."""

    def __init__(self, make_model: Callable[[], Model], batch_size: int, threads: int | None, loopback: bool) -> None:
        if loopback:
            listen_on_loopback(import_module("ray.serve._private.replica"))
        super().__init__(make_model, batch_size, threads)


def listen_on_loopback(serving: Any) -> None:
    """Have Ray Serve open its port for other replicas on loopback. `serving`: its module that opens it.

    It would open it on every address of the machine and unpickle what it is sent: without Ray's tokens, who reached it
    could run anything. There is no setting for it. Raises `UsageError` where Ray Serve is not as expected.
    """
    opened = getattr(serving, "add_port_to_grpc_server", None)
    if opened is None:
        raise UsageError(
            "this version of Ray Serve opens a port on every address of this machine, and it cannot be kept from it; "
            "install another (2.60 was tested)"
        )

    def open_here(server: Any, address: str) -> Any:
        return opened(server, "127.0.0.1:" + address.rpartition(":")[2])

    serving.add_port_to_grpc_server = open_here
