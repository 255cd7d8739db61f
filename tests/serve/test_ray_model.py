"""The model that asks replicas, through the real service: replicas of this process take the place of Ray's."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")

from emotion_llama.clip import Clip
from emotion_llama.errors import RequestError, UsageError
from emotion_llama.serve.ray_app import ReplicaLost, _as_raised, app_name
from emotion_llama.serve.ray_model import RayModel
from emotion_llama.serve.replica import About, Ended, Replica
from emotion_llama.serve.service import AnalyzeRequest, Finished, Service, Stage, Text
from emotion_llama.serve.settings import ServeSettings
from emotion_llama.settings import AnalyzeSettings

BOTH = AnalyzeSettings(tasks=("emotion", "reason"))


class ReplicasHere:
    """Replicas of this process, asked in turn. `dying`: so many of the next answers break off after `after` events."""

    def __init__(self, replicas: list[Replica], dying: int = 0, after: int = 3) -> None:
        self.replicas, self.dying, self.after = replicas, dying, after
        self.sent: list[bytes | None] = []
        self.closed = False
        self._turn = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def about(self) -> About:
        return self.replicas[0].about()

    def alive(self) -> int:
        return len(self.replicas)

    def ask(self, request: AnalyzeRequest, recording: bytes | None) -> Iterator[Any]:
        self.sent.append(recording)
        self._turn += 1
        dies, self.dying = self.dying > 0, max(0, self.dying - 1)
        events = self.replicas[self._turn % len(self.replicas)].ask(request, recording)
        for number in range(10_000):
            if dies and number == self.after:
                self._here(events.aclose())
                raise ReplicaLost("killed")
            yield None
            event = self._here(anext(events))
            yield event
            if isinstance(event, Ended):
                return

    def _here(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(_awaited(work), self._loop).result(20)

    @contextmanager
    def running(self) -> Iterator[ReplicasHere]:
        yield self
        self.closed = True
        for replica in self.replicas:
            replica.end()
        self._loop.call_soon_threadsafe(self._loop.stop)


async def _awaited(work: Any) -> Any:
    return await work


@pytest.fixture
def make_model(fakes: SimpleNamespace) -> Callable[..., tuple[RayModel, ReplicasHere]]:
    def make(models: Any = (), dying: int = 0, **settings: Any) -> tuple[RayModel, ReplicasHere]:
        made = [Replica(lambda one=one: one, 4) for one in models or [fakes.FakeModel()]]
        there = ReplicasHere(made, dying)
        return RayModel(ServeSettings(engine="ray", **settings), there.running), there

    return make


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "timings_s": None}


def test_the_same_requests_get_the_same_answers(
    open_client: Callable[..., Any],
    make_model: Callable[..., Any],
    make_clip: Callable[..., Path],
    tmp_path: Path,
) -> None:
    recording = make_clip("good.mp4", seconds=0.5).read_bytes()
    model, there = make_model()
    plain, on_ray = open_client(), open_client(model, jobs_db=tmp_path / "other.sqlite")
    for asked in (
        {"json": {"transcript": "hello", "labels": "happy,sad", "tasks": "emotion,reason"}},
        {"json": {"transcript": "over time", "timeline": True}},
        {"json": {"transcript": "refuse"}},
        {"json": {"transcript": "break"}},
        {"json": {"transcript": "x", "labels": "same,same"}},
        {"files": {"clip": ("good.mp4", recording)}, "data": {"end_s": "0.4"}},
        {"files": {"clip": ("bad.mp4", b"no recording")}},
    ):
        one, other = (client.post("/v1/analyze", **asked) for client in (plain, on_ray))
        assert one.status_code == other.status_code
        assert without_times(one.json()) == without_times(other.json())
        one, other = (client.post("/v1/analyze?stream=true", **asked) for client in (plain, on_ray))
        assert one.text.count("event:") == other.text.count("event:") > 0 or one.status_code != 200
    told = [client.get("/v1/models").json() for client in (plain, on_ray)]
    assert told[0]["data"][0]["tasks"] == told[1]["data"][0]["tasks"] == ["emotion"]
    assert set(there.sent) == {None}  # files of this machine are seen by a Ray of our own


def in_service(model: RayModel, use: Callable[[Service], Any], **settings: Any) -> Any:
    async def run() -> Any:
        service = Service(lambda: model, ServeSettings(engine="ray", **settings))
        await service.start()
        while not service.ready:
            await asyncio.sleep(0.005)
        try:
            return await asyncio.wait_for(use(service), 20)
        finally:
            await service.stop()

    return asyncio.run(run())


def words(text: str, settings: AnalyzeSettings = BOTH, **more: Any) -> AnalyzeRequest:
    return AnalyzeRequest(Clip(clip="text", transcript=text), settings, **more)


def test_stages_and_texts_come_as_they_are_written_and_the_replicas_end_with_the_service(
    make_model: Callable[..., Any], fakes: SimpleNamespace
) -> None:
    slow = fakes.FakeModel()
    slow.last_word = threading.Event()
    model, there = make_model([slow])

    async def use(service: Service) -> list[Any]:
        events = []
        async for event in service.submit(words("hello")).events():
            events.append(event)
            if isinstance(event, Text):  # the text is not finished yet
                slow.last_word.set()
        await service.submit(words("another")).result()
        return [*events, service.metrics.page().decode()]

    *events, done, page = in_service(model, use)
    assert [event.name for event in events if isinstance(event, Stage)] == ["look", "generate"]
    pieces = [event.piece for event in events if isinstance(event, Text)]
    assert len(pieces) > 1 and "".join(pieces) == done.analysis.reasoning
    assert 'stage="generate"' in page and there.closed and slow.closed == 1


def test_a_drawn_answer_windows_and_faces(make_model: Callable[..., Any]) -> None:
    model, _ = make_model()

    async def use(service: Service) -> list[Any]:
        asked = (words("a", drawn=True), words("b", AnalyzeSettings(timeline=True)), words("c", faces_only=True))
        tickets = [service.submit(request) for request in asked]
        return [[event async for event in ticket.events()] for ticket in tickets]

    drawn, timed, faces = in_service(model, use)
    assert drawn[-1].drawing["a"] == drawn[-1].analysis
    windows = [event.window for event in timed[:-1] if isinstance(event, Finished)]
    assert len(windows) == 3 and windows == list(timed[-1].analysis.timeline.windows)
    assert len(faces[-1].faces.boxes) == 2


def test_a_replica_that_dies_is_replaced_and_nothing_is_told_twice(make_model: Callable[..., Any]) -> None:
    model, there = make_model(dying=1)

    async def use(service: Service) -> list[Any]:
        return [event async for event in service.submit(words("hello")).events()]

    events = in_service(model, use)
    pieces = [event.piece for event in events if isinstance(event, Text)]
    assert len(there.sent) == 2 and "".join(pieces) == events[-1].analysis.reasoning


def test_a_request_that_replicas_die_of_is_given_up(make_model: Callable[..., Any]) -> None:
    model, there = make_model(dying=2)

    async def use(service: Service) -> Any:
        with pytest.raises(RequestError, match="died, 2 times") as caught:
            await service.submit(words("hello")).result()
        return caught.value, await service.submit(words("other")).result()

    error, other = in_service(model, use)
    assert (error.status, error.kind) == (500, "replica_lost") and other.emotion and len(there.sent) == 3


def test_a_request_that_nobody_waits_for_ends(make_model: Callable[..., Any], fakes: SimpleNamespace) -> None:
    gate = threading.Event()
    slow = fakes.FakeModel(gate=gate)
    model, _ = make_model([slow])

    async def use(service: Service) -> float:
        ticket = service.submit(words("left"))
        while not slow.begun:
            await asyncio.sleep(0.005)
        ticket.cancel()
        gate.set()
        start = time.monotonic()
        assert (await service.submit(words("next")).result()).emotion
        return time.monotonic() - start

    assert in_service(model, use) < 5


def test_without_any_replica_a_request_is_given_up(make_model: Callable[..., Any]) -> None:
    class Nobody(ReplicasHere):
        def ask(self, request: AnalyzeRequest, recording: bytes | None) -> Iterator[Any]:
            while True:
                time.sleep(0.01)
                yield None

        def alive(self) -> int:
            return 0

    _, there = make_model()
    model = RayModel(ServeSettings(engine="ray"), Nobody(there.replicas).running, patience_s=0.3)

    async def use(service: Service) -> None:
        with pytest.raises(RequestError, match="no replica is there") as caught:
            await service.submit(words("hello")).result()
        assert caught.value.status == 503

    in_service(model, use)


def test_recordings_are_sent_to_a_cluster(make_model: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"content")
    model, there = make_model(address="10.0.0.1:6379")

    async def use(service: Service) -> Any:
        request = AnalyzeRequest(Clip(clip="a.mp4", path=path, transcript="refuse"), BOTH)
        with pytest.raises(RequestError, match=r"^a\.mp4: does not fit"):
            await service.submit(request).result()

    in_service(model, use)
    assert there.sent == [b"content"]


def test_what_kept_a_replica_from_being_loaded_is_told_as_what_it_is() -> None:
    raised = "emotion_llama.errors.UsageError: unknown model 'a'\nor a folder"
    found = _as_raised(f"Traceback (most recent call last):\n  File x\n{raised}\n")
    assert type(found) is UsageError and str(found) == "unknown model 'a'\nor a folder"
    for other in ("MemoryError", "emotion_llama.errors.RequestError: x", "emotion_llama.errors.Any: x"):
        assert other in str(_as_raised(f"failed\n{other}\n"))


def test_settings_that_contradict_each_other() -> None:
    for wrong in (
        {"address": "auto"},
        {"min_replicas": 3},
        {"engine": "ray", "device": "cuda:1"},
        {"engine": "ray", "min_replicas": 0},
    ):
        with pytest.raises(ValueError):
            ServeSettings(**wrong)
    assert app_name(ServeSettings(engine="ray", port=8000)).endswith("-8000")
    assert app_name(ServeSettings(engine="ray", port=0)) != app_name(ServeSettings(engine="ray", port=1))
