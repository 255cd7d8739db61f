"""The camera on the page: with a fake model in a real browser, with the real one, and without a browser."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from threading import Event
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")
pytest.importorskip("gradio", reason="the page needs gradio: emotion-llama[serve]")

from emotion_llama.serve.page.live import Live
from emotion_llama.serve.page.words import words

OPEN = "#el-live [title='grant webcam access'] button"
START = "#el-live .button-wrap button"


@pytest.fixture(scope="module")
def camera_film(model_name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of the face of the sample clip, as a camera sends it."""
    import av
    import numpy as np

    from emotion_llama import assets

    with av.open(next(assets.path("sample-smile").glob("*.mp4"))) as film:
        face = next(film.decode(video=0)).reformat(640, 360).to_ndarray(format="rgb24")
    picture = np.concatenate([face, np.full((120, 640, 3), 90, np.uint8)])
    path = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    with av.open(path, "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def go_live(page: Any) -> None:
    """Start the camera with keys alone."""
    page.get_by_role("tab", name="Live").click()
    for button in (OPEN, START):
        page.wait_for_selector(button)
        page.focus(button)
        page.keyboard.press("Enter")


@pytest.fixture
def kept(server: tuple[str, Any]) -> Callable[[], list[Path]]:
    folder = server[1].state.uploads.root / "live"
    return lambda: list(folder.glob("*"))


@pytest.mark.slow
def test_the_camera_is_answered_again_and_again_until_another_tab_is_opened(
    open_page: Callable[..., Any], server: tuple[str, Any], kept: Callable[[], list[Path]],
    wait_for: Callable[..., None],
) -> None:  # fmt: skip
    model = server[1].state.service.model
    page = open_page(viewport={"width": 390, "height": 844})
    go_live(page)
    page.wait_for_selector(".el-live .headline:has-text('neutral')")
    assert page.locator(".el-live .bars dt").count() == 9 and page.locator(".el-live rect.box").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    note = page.inner_text("p.el-live-note")
    assert note.startswith("neutral 20 %") and int(re.findall(r"answered in (\d+) ms", note)[0]) < 20_000
    model.sees_face = False
    try:
        page.wait_for_selector(".el-live .headline:has-text('No face is seen')")
        assert page.locator(".el-live .bars").count() == 0
    finally:
        model.sees_face = True
    page.wait_for_selector(".el-live .headline:has-text('neutral')")
    page.get_by_role("tab", name="Words alone").click()
    page.wait_for_selector("#el-live [title='start recording']", state="attached")
    page.wait_for_timeout(1000)
    wait_for(lambda: server[1].state.service._admission.under_way == 0)
    begun = model.begun
    page.wait_for_timeout(1500)
    assert model.begun == begun > 2 and kept() == []


@pytest.mark.slow
def test_one_picture_is_under_way_at_a_time_and_closing_the_page_ends_it(
    open_page: Callable[..., Any], server: tuple[str, Any], kept: Callable[[], list[Path]],
    wait_for: Callable[..., None],
) -> None:  # fmt: skip
    service, looked = server[1].state.service, Event()
    begun, service.model.gate = service.model.begun, looked
    try:
        page = open_page()
        go_live(page)
        wait_for(lambda: service.model.begun == begun + 1)
        page.wait_for_timeout(2000)
        assert service._admission.under_way == 1 and len(service._line) == 0 and len(kept()) == 1
        page.context.close()
        wait_for(lambda: service._admission.under_way == 0 and not kept())
        assert service.model.begun == begun + 1
    finally:
        looked.set()
        service.model.gate = None


@pytest.mark.slow
def test_a_busy_service_skips_pictures_and_says_so(open_page: Callable[..., Any], server: tuple[str, Any]) -> None:
    service = server[1].state.service
    page = open_page()
    with ExitStack() as others:
        for _ in range(service.settings.queue):
            others.enter_context(service.admitted())
        go_live(page)
        page.wait_for_selector("p.el-live-note.trouble:has-text('busy')")
        assert page.locator(".el-live .headline").count() == 0
    page.wait_for_selector(".el-live .headline:has-text('neutral')")
    assert page.locator("p.el-live-note.trouble").count() == 0


@pytest.mark.slow
def test_the_real_model_sees_the_face_of_the_camera(
    browser: Any, camera_film: Path, open_server: Callable[..., Any], model_name: str, tmp_path: Path
) -> None:
    from emotion_llama.serve.served_model import ServedModel

    address, _ = open_server(ServedModel(model_name, "cpu"), with_page=True)
    page = browser.new_page()
    try:
        page.goto(address)
        page.wait_for_selector("#el-analyse")
        go_live(page)
        page.wait_for_selector(".el-live[data-faces='1']", timeout=60_000)
        x, y, width, height = (
            float(page.locator(".el-live rect.box").first.get_attribute(name)) for name in ("x", "y", "width", "height")
        )
        assert 150 < x < x + width < 450 and 30 < y < y + height < 360  # the face is in the middle, above the grey
    finally:
        page.close()


@pytest.fixture
def looking(open_client: Callable[..., Any], tmp_path: Path) -> Iterator[tuple[Live, Callable[..., Any], Any]]:
    client = open_client()
    live = Live(client.app.state.service, words("en"), tmp_path / "live")

    async def both(*asked: tuple[str, str]) -> list[tuple[str | None, str | None]]:
        gone = asyncio.Event()
        return await asyncio.gather(*(live.picture("a session", uri, labels, gone) for uri, labels in asked))

    yield live, lambda *asked: client.portal.call(both, *asked), client.app.state.service


def picture_uri() -> str:
    import io

    import numpy as np
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(data, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def test_of_two_pictures_of_a_session_at_a_time_one_is_dropped(looking: Any) -> None:
    live, ask, service = looking
    first, second = ask((picture_uri(), "mer6"), (picture_uri(), "mer6"))
    assert "neutral" in first[1] and second == (None, None)
    assert list(live.folder.iterdir()) == [] and service.model.begun == 1


def test_the_same_picture_is_looked_at_again_and_nothing_is_remembered(looking: Any) -> None:
    _, ask, service = looking
    for _ in range(2):
        ask((picture_uri(), "mer6"))
    assert service.model.begun == 2 and not service._drawings and not service._cache._results


@pytest.mark.parametrize(
    ("uri", "labels", "told"),
    [
        ("/etc/passwd", "mer6", "data URI"),
        ("data:image/jpeg;base64,AAAA", "mer6", "That did not work"),
        (None, "", "label"),
    ],
)
def test_what_is_no_picture_or_no_labels_is_said(looking: Any, uri: str | None, labels: str, told: str) -> None:
    live, ask, _ = looking
    ((note, answer),) = ask((uri or picture_uri(), labels))
    assert told in note and answer is None and str(live.folder) not in note
    assert list(live.folder.iterdir()) == []
