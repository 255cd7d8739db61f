"""One replica, without Ray."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emotion_llama.clip import Clip
from emotion_llama.errors import AssetMissingError, EndpointError, ModelError, RequestError, UsageError
from emotion_llama.serve.ray_replica import listen_on_loopback
from emotion_llama.serve.replica import Ended, Replica, as_sent
from emotion_llama.serve.ticket import AnalyzeRequest, Done, Finished, Stage, Text
from emotion_llama.settings import AnalyzeSettings

BOTH = AnalyzeSettings(tasks=("emotion", "reason"))


def words(text: str, settings: AnalyzeSettings = BOTH, **more: Any) -> AnalyzeRequest:
    return AnalyzeRequest(Clip(clip="text", transcript=text), settings, **more)


def told(replica: Replica, *asked: tuple[AnalyzeRequest, bytes | None]) -> list[list[Any]]:
    """What a replica tells of several requests that it is asked at the same time."""

    async def one(request: AnalyzeRequest, recording: bytes | None) -> list[Any]:
        return [event async for event in replica.ask(request, recording)]

    async def all_of_them() -> list[list[Any]]:
        return await asyncio.wait_for(asyncio.gather(*(one(*each) for each in asked)), 20)

    return asyncio.run(all_of_them())


@pytest.fixture
def make_replica(fakes: SimpleNamespace) -> Any:
    made: list[Replica] = []

    def make(model: Any = None, batch_size: int = 4) -> Replica:
        made.append(Replica(lambda: model or fakes.FakeModel(), batch_size))
        return made[-1]

    yield make
    for replica in made:
        replica.end()


def test_events_end_with_the_result_and_what_it_took(make_replica: Callable[..., Replica]) -> None:
    (events,) = told(make_replica(), (words("hello"), None))
    assert [event.name for event in events if isinstance(event, Stage)] == ["look", "generate"]
    end = events[-1]
    assert isinstance(end, Ended) and isinstance(end.outcome, Done) and set(end.seconds) == {"look", "generate"}
    assert "".join(event.piece for event in events if isinstance(event, Text)) == end.outcome.analysis.reasoning


def test_windows_drawings_and_faces(make_replica: Callable[..., Replica]) -> None:
    replica = make_replica()
    timed = words("a", AnalyzeSettings(timeline=True))
    first, drawn, faces = told(
        replica, (timed, None), (words("b", drawn=True), None), (words("c", faces_only=True), None)
    )
    assert len([event for event in first if isinstance(event, Finished)]) == 3
    assert drawn[-1].outcome.drawing["a"] == drawn[-1].outcome.analysis and first[-1].outcome.drawing is None
    assert faces[-1].outcome.analysis is None and len(faces[-1].outcome.faces.boxes) == 2


def test_a_recording_that_was_sent_is_there_while_it_is_looked_at_and_gone_afterwards(
    make_replica: Callable[..., Replica], fakes: SimpleNamespace, tmp_path: Path
) -> None:
    seen: list[Path] = []

    class Noting(fakes.FakeModel):  # type: ignore[name-defined]
        def look(self, clip: Clip, *more: Any) -> Any:
            seen.append(clip.path)
            assert clip.path.stat().st_mode & 0o77 == 0 or clip.path.parent.stat().st_mode & 0o77 == 0
            return super().look(clip, *more)

    elsewhere = tmp_path / "not on this machine.mp4"
    request = AnalyzeRequest(Clip(clip="a.mp4", path=elsewhere, end_s=2.0), BOTH)
    (events,) = told(make_replica(Noting()), (request, b"a recording"))
    mark = hashlib.sha256(b"a recording").hexdigest()
    assert mark in events[-1].outcome.analysis.reasoning
    assert seen[0].name == elsewhere.name and not seen[0].parent.exists()


def test_errors_are_what_they_are_and_name_the_file_as_it_was_asked_about(
    make_replica: Callable[..., Replica], tmp_path: Path
) -> None:
    path = tmp_path / "x.mp4"
    refused = AnalyzeRequest(Clip(clip="x", path=path, transcript="refuse"), BOTH)
    first, second = told(make_replica(), (refused, b"content"), (words("break"), None))
    assert isinstance(first[-1], Ended) and type(first[-1].outcome) is ModelError
    assert str(first[-1].outcome) == f"{path}: does not fit"
    assert type(second[-1].outcome) is RuntimeError and "in the replica:\nTraceback" in second[-1].outcome.__notes__[0]


@pytest.mark.parametrize(
    "error",
    [
        RequestError("too much", status=429, kind="busy", retry_after_s=3),
        EndpointError("no answer", 502),
        AssetMissingError("run: emotion-llama fetch nano"),
        TimeoutError("late"),
        OSError(28, "no room"),
    ],
)
def test_errors_survive_being_sent(error: Exception) -> None:
    request = words("a")
    sent = pickle.loads(pickle.dumps(as_sent(error, request, request)))
    assert type(sent) is type(error) and sent.args == error.args
    names = ("status", "kind", "retry_after_s", "errno", "__notes__")
    assert [getattr(sent, name, None) for name in names] == [getattr(error, name, None) for name in names]


def test_an_error_of_another_library_becomes_one_that_loads_nothing() -> None:
    class Foreign(Exception):
        pass

    request = words("a")
    sent = as_sent(Foreign("memory"), request, request)
    assert type(sent) is RuntimeError and str(sent) == "Foreign: memory"


def test_whoever_stops_listening_ends_the_work(make_replica: Callable[..., Replica], fakes: SimpleNamespace) -> None:
    model = fakes.FakeModel()
    model.gate = threading.Event()
    replica = make_replica(model)

    async def leave() -> None:
        running, waiting = replica.ask(words("running")), replica.ask(words("waiting"))
        assert (await anext(running)).name == "look"
        first = asyncio.create_task(anext(waiting))
        await asyncio.sleep(0.05)
        first.cancel()  # as Ray ends a call
        with pytest.raises(asyncio.CancelledError):
            await first
        await running.aclose()
        model.gate.set()

    asyncio.run(leave())
    (events,) = told(replica, (words("next"), None))
    assert events[-1].outcome.analysis.emotion and model.order == ["running", "next"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_replica_whose_thread_ended_is_not_well(
    make_replica: Callable[..., Replica], fakes: SimpleNamespace, wait_for: Callable[..., None]
) -> None:
    class Broken(fakes.FakeModel):  # type: ignore[name-defined]
        def answer(self, clips: Any) -> Any:
            raise SystemExit  # what no request can cause

    replica = make_replica(Broken())
    replica.check_health()

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(aiter(_last(replica))), 1)

    asyncio.run(ask())

    def unwell() -> bool:
        try:
            replica.check_health()
        except RuntimeError as error:
            return "thread of the model" in str(error)
        return False

    wait_for(unwell)


async def _last(replica: Replica) -> Any:
    async for event in replica.ask(words("a")):
        if isinstance(event, Ended):
            yield event


def test_ray_serve_opens_its_port_on_loopback_or_nothing_is_started() -> None:
    opened: list[str] = []
    serving = SimpleNamespace(add_port_to_grpc_server=lambda server, address: opened.append(address))
    listen_on_loopback(serving)
    serving.add_port_to_grpc_server(None, "[::]:0")
    assert opened == ["127.0.0.1:0"]
    with pytest.raises(UsageError, match="every address"):
        listen_on_loopback(SimpleNamespace())
