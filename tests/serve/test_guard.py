from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from emotion_llama.errors import RequestError
from emotion_llama.serve.guard import Guard
from emotion_llama.serve.limits import Limits


def test_a_guard_goes_on_after_its_forker_was_killed(make_clip: Callable[..., Path]) -> None:
    path = make_clip("a.mp4")

    async def use() -> list[str]:
        guard, told = Guard(Limits()), []
        await guard.check(path)
        guard._free[0].kill()
        await guard._free[0].wait()
        for _ in range(2):
            try:
                await guard.check(path)
                told.append("ok")
            except RequestError as error:
                told.append(error.kind)
        await guard.close()
        return told

    assert asyncio.run(use()) == ["undecodable", "ok"]


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="needs /proc")
def test_a_caller_that_stops_waiting_ends_the_decoding(
    make_clip: Callable[..., Path], wait_for: Callable[..., None]
) -> None:
    short, path = make_clip("b.mp4"), make_clip("a.mp4", seconds=300, size=(640, 480), level=None, rate=2)

    async def use() -> tuple[int, list[int]]:
        guard = Guard(Limits())
        await guard.check(short)
        forker = guard._free[0].pid
        asking = asyncio.create_task(guard.check(path))
        while not (children := children_of(forker)):
            await asyncio.sleep(0.005)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled() and guard._free == []
        await guard.close()
        return forker, children

    forker, children = asyncio.run(use())
    # a process that was killed is gone as soon as the system has time for it
    wait_for(lambda: not any(Path(f"/proc/{process}").exists() for process in (forker, *children)))


def children_of(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
