"""Recordings are first decoded in a child process, so that a hostile file harms nothing but that child.

The child reads the header, checks the limits, and then decodes the whole recording with the very functions that the
analysis uses, under limits of CPU time and address space (`guard_child`). What crashes, hangs or swells there never
reaches the service's own process; what passes is decoded once more by it, in the same way. The price is decoding
twice; the gain over normalising in the child is that the service analyses exactly the bytes that were sent, so its
answer is the one of `emotion-llama analyze`. This is no sandbox: a file made to take over the decoder itself needs one
around the whole service (a container, seccomp).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import asdict
from pathlib import Path

from emotion_llama.errors import RequestError
from emotion_llama.serve.limits import Limits

AT_ONCE = 2
"""Recordings that are decoded at a time; the others wait."""


class Guard:
    """Checks recordings, each in a child of its own. Used in one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._free: list[Process] = []
        self._ended: list[Process] = []
        self._places = asyncio.Semaphore(AT_ONCE)

    async def check(self, path: Path) -> None:
        """Decode a recording within the limits. Raises `RequestError` (422) with the reason where that fails.

        A caller that stops waiting ends the decoding.
        """
        async with self._places:
            forker = self._free.pop() if self._free else await _forker()
            try:
                told = await _ask(forker, path, self.limits)
            except BaseException:
                self._end(forker)
                raise
            if told is None:
                self._end(forker)
                told = {"kind": "undecodable", "text": "the recording is not accepted: decoding it failed"}
            else:
                self._free.append(forker)
        if told["kind"] != "ok":
            raise RequestError(told["text"], status=422, kind=told["kind"])

    async def close(self) -> None:
        """End the processes that wait."""
        while self._free:
            self._end(self._free.pop())
        await asyncio.gather(*(forker.wait() for forker in self._ended))

    def _end(self, forker: Process) -> None:
        _stop(forker)
        self._ended = [one for one in self._ended if one.returncode is None] + [forker]


async def _forker() -> Process:
    """A small process that has the decoders loaded and forks a child for each recording."""
    module = "emotion_llama.serve.guard_child"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=PIPE, stdout=PIPE, start_new_session=True
    )


async def _ask(forker: Process, path: Path, limits: Limits) -> dict[str, str] | None:
    assert forker.stdin is not None and forker.stdout is not None
    try:
        forker.stdin.write(json.dumps({"path": str(path), "limits": asdict(limits)}).encode() + b"\n")
        await forker.stdin.drain()
        line = await forker.stdout.readline()
    except ConnectionError:
        return None
    return dict(json.loads(line)) if line.endswith(b"\n") else None


def _stop(forker: Process) -> None:
    """End a forker; it ends the child it may have."""
    if forker.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            forker.terminate()
