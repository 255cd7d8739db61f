"""Recordings that lie on the machine where a run was started, for workers on other machines of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emotion_llama.errors import MediaError

LARGEST_BYTES = 256 * 1024**2
"""A larger recording is not sent: it belongs into a folder that all machines see."""

HOME_NODE = "EMOTION_LLAMA_HOME_NODE"
"""Environment variable of a Ray worker: the Ray node where the run was started."""

Send = Callable[[str, str], bytes | int | None]
"""(absolute path, node) → the file there, its size where it is too large, `None` where it is not there either."""


def sent(path: str, node: str) -> bytes | int | None:
    """Let Ray bring a file from `node`, where the run was started; `None` on that very node. In a Ray worker only."""
    ray: Any = import_module("ray")
    here = ray.get_runtime_context().get_node_id() == node
    return None if here else read_on(node, path, LARGEST_BYTES)  # here it would have been seen


def read_on(node: str, path: str, largest_bytes: int) -> bytes | int | None:
    """Let a task on a Ray node read a file: `content_of` there. It comes through Ray's object store."""
    ray: Any = import_module("ray")
    place = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(node, soft=False)
    read = ray.remote(num_cpus=0, scheduling_strategy=place)(content_of)
    found: bytes | int | None = ray.get(read.remote(path, largest_bytes))
    return found


def content_of(path: str, largest_bytes: int) -> bytes | int | None:
    """Give a file's content, its size where it is larger than allowed, `None` where there is none."""
    try:
        size = Path(path).stat().st_size
        return size if size > largest_bytes else Path(path).read_bytes()
    except OSError:
        return None


@contextmanager
def in_reach(path: Path, folder: Path, send: Send = sent) -> Iterator[Path]:
    """Give where a recording can be read here: in its place, or as a copy of the same name for the time being.

    Copies are made only in workers on other machines than that where the run was started, in `folder`. A recording
    that is nowhere keeps its place: whoever opens it says so. Raises `MediaError` for one that is too large to send.
    """
    node = os.environ.get(HOME_NODE)
    content = send(str(folder / path), node) if node and not path.exists() else None
    if content is None:
        yield path
        return
    if isinstance(content, int):
        raise MediaError(
            f"{path}: is not seen on the worker's machine, and larger ({content / 1e6:.0f} MB) than what is sent "
            f"({LARGEST_BYTES / 1e6:.0f} MB); put it into a folder that all machines see"
        )
    with TemporaryDirectory(prefix="emotion-llama-") as near:
        copy = Path(near) / path.name
        copy.write_bytes(content)
        del content
        yield copy
