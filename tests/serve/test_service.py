from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")

from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import RequestError
from emotion_llama.serve.service import AnalyzeRequest, Done, Service, Stage, Text, Waiting
from emotion_llama.serve.settings import ServeSettings
from emotion_llama.settings import AnalyzeSettings

BOTH = AnalyzeSettings(tasks=("emotion", "reason"))


def words(text: str, settings: AnalyzeSettings = BOTH, **more: Any) -> AnalyzeRequest:
    return AnalyzeRequest(Clip(clip="text", transcript=text), settings, **more)


def in_service(model: Any, use: Callable[[Service], Any], **settings: Any) -> Any:
    async def run() -> Any:
        service = Service(lambda: model, ServeSettings(**settings))
        await service.start()
        while not service.ready:
            await asyncio.sleep(0.005)
        try:
            return await asyncio.wait_for(use(service), 20)
        finally:
            await service.stop()

    return asyncio.run(run())


def test_events_tell_the_course_and_end_with_the_result(fakes: SimpleNamespace) -> None:
    async def use(service: Service) -> list[Any]:
        return [event async for event in service.submit(words("hello")).events()]

    events = in_service(fakes.FakeModel(), use)
    assert events[0] == Waiting(0) and isinstance(events[-1], Done)
    assert [event.name for event in events if isinstance(event, Stage)] == ["look", "generate"]
    pieces = [event.piece for event in events if isinstance(event, Text) and event.task == "reason"]
    assert len(pieces) > 1 and "".join(pieces) == events[-1].analysis.reasoning


def test_the_same_question_is_answered_once(fakes: SimpleNamespace) -> None:
    model = fakes.FakeModel()

    async def use(service: Service) -> list[Analysis]:
        tickets = [service.submit(words("hello")) for _ in range(4)] + [service.submit(words("other"))]
        return [await ticket.result() for ticket in tickets]

    *same, other = in_service(model, use)
    assert model.begun == 2
    assert all(one == same[0] for one in same) and other.reasoning != same[0].reasoning


def test_a_drawn_answer_is_the_same_one_and_drawn_once(fakes: SimpleNamespace) -> None:
    model = fakes.FakeModel()

    async def use(service: Service) -> list[Any]:
        drawn = [await service.submit(words("hello", drawn=True)).done() for _ in range(2)]
        return [*drawn, await service.submit(words("hello")).done()]

    first, again, plain = in_service(model, use)
    assert model.begun == 1 and first.analysis == again.analysis == plain.analysis
    assert first.drawing["a"] == first.analysis and first.drawing["ranked"][0][0] == first.analysis.emotion
    assert plain.drawing is None


def test_a_cancelled_request_is_never_begun_and_a_running_one_ends_at_its_next_step(fakes: SimpleNamespace) -> None:
    gate = threading.Event()
    model = fakes.FakeModel(gate=gate)

    async def use(service: Service) -> str:
        running, waiting, last = (service.submit(words(text)) for text in ("a", "b", "c"))
        while not model.begun:
            await asyncio.sleep(0.005)
        running.cancel()
        waiting.cancel()
        gate.set()
        assert (await last.result()).emotion
        return service.metrics.page().decode()

    page = in_service(model, use)
    assert model.begun == 2
    assert 'emotion_llama_errors_total{kind="cancelled"} 1.0' in page


def test_what_waits_in_the_background_lets_others_go_first(fakes: SimpleNamespace) -> None:
    gate = threading.Event()
    model = fakes.FakeModel(gate=gate)

    async def use(service: Service) -> None:
        tickets = [service.submit(words("first"))]
        while not model.begun:
            await asyncio.sleep(0.005)
        tickets += [service.submit(words("later", background=True)), service.submit(words("urgent"))]
        gate.set()
        for ticket in tickets:
            await ticket.result()

    in_service(model, use)
    assert model.order == ["first", "urgent", "later"]


def test_those_that_wait_for_the_model_are_answered_together(fakes: SimpleNamespace) -> None:
    model = fakes.FakeModel()
    model.last_word = threading.Event()

    async def use(service: Service) -> list[Analysis]:
        tickets = [service.submit(words(str(number))) for number in range(4)]
        while model.begun < 4:  # the first is being answered, the others are looked at meanwhile
            await asyncio.sleep(0.005)
        model.last_word.set()
        return [await ticket.result() for ticket in tickets]

    found = in_service(model, use)
    assert len({one.reasoning for one in found}) == 4
    assert sum(model.together) == 4 and max(model.together) > 1


def test_a_fault_with_one_of_several_is_its_own(fakes: SimpleNamespace) -> None:
    model = fakes.FakeModel()
    model.last_word = threading.Event()

    async def use(service: Service) -> list[Any]:
        first, *others = [service.submit(words(text)) for text in ("first", "refuse", "good", "gone")]
        while model.begun < 4:
            await asyncio.sleep(0.005)
        others[2].cancel()
        model.last_word.set()
        await first.result()
        with pytest.raises(RequestError, match="does not fit"):
            await others[0].result()
        answered = await others[1].result()
        while 'kind="cancelled"} 1.0' not in service.metrics.page().decode():  # it is counted after the others
            await asyncio.sleep(0.005)
        return [answered]

    (good,) = in_service(model, use)
    assert good.emotion


def test_stopping_finishes_what_was_accepted(fakes: SimpleNamespace) -> None:
    tickets = []

    async def use(service: Service) -> None:
        tickets.extend(service.submit(words(str(number))) for number in range(3))

    model = fakes.FakeModel(seconds=0.05)
    in_service(model, use)
    assert model.begun == 3


def test_a_model_that_cannot_be_loaded_is_told() -> None:
    async def run() -> list[BaseException]:
        def broken() -> Any:
            raise OSError("no weights")

        told: list[BaseException] = []
        service = Service(broken, ServeSettings(), told.append)
        await service.start()
        await service.stop()
        assert not service.ready
        with pytest.raises(RequestError, match="still being loaded"), service.admitted():
            pass
        return told

    (error,) = asyncio.run(run())
    assert str(error) == "no weights"


@pytest.mark.parametrize(
    "changes", [{"labels": tuple(map(str, range(65)))}, {"label_orders": 25}, {"max_new_tokens": 513}, {"seed": -1},
                {"seed": 2**32}, {"max_frames": 0}, {"labels": ("a\nb", "c")}, {"labels": ("x" * 41, "y")}],
)  # fmt: skip
def test_settings_that_would_take_the_service_for_one_are_refused(
    fakes: SimpleNamespace, changes: dict[str, Any]
) -> None:
    async def use(service: Service) -> None:
        with pytest.raises(RequestError) as caught:
            service.submit(words("hello", BOTH.model_copy(update=changes)))
        assert caught.value.status == 422

    in_service(fakes.FakeModel(), use)


@pytest.mark.parametrize("hidden", [False, True])
def test_faces_are_hidden_in_every_picture_where_the_service_says_so(fakes: SimpleNamespace, hidden: bool) -> None:
    asked: list[bool] = []

    class Noting(fakes.FakeModel):  # type: ignore[name-defined]
        def look(self, clip: Clip, settings: AnalyzeSettings, watch: Any, drawn: bool = False) -> Any:
            asked.append(settings.blur_faces)
            return super().look(clip, settings, watch, drawn)

        def faces(self, clip: Clip, settings: AnalyzeSettings, watch: Any) -> Any:
            asked.append(settings.blur_faces)
            return super().faces(clip, settings, watch)

    async def use(service: Service) -> None:
        mine = AnalyzeSettings(blur_faces=True)
        await service.submit(words("drawn", drawn=True)).done()
        await service.submit(words("plain")).result()
        await service.submit(words("my own wish", mine)).result()
        await service.submit(words("faces", faces_only=True)).done()

    in_service(Noting(), use, blur_faces=hidden)
    assert asked == [hidden, hidden, True, hidden]
