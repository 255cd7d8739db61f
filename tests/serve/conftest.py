from __future__ import annotations

import os
import runpy
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.testclient import TestClient

HERE = Path(__file__).parent
OpenClient = Callable[..., "TestClient"]


@pytest.fixture(scope="session")
def fakes() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(HERE / "fakes.py")))


@pytest.fixture
def make_app(fakes: SimpleNamespace, tmp_path: Path) -> Callable[..., FastAPI]:
    """The application around a fake model: `make_app(model, queue=2, …)`."""

    def made(model: Any = None, **settings: Any) -> FastAPI:
        from emotion_llama.serve.app import create_app
        from emotion_llama.serve.service import Service
        from emotion_llama.serve.settings import ServeSettings

        chosen = ServeSettings(**{"jobs_db": tmp_path / "jobs.sqlite", **settings})
        return create_app(Service(lambda: model or fakes.FakeModel(), chosen))

    return made


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


@pytest.fixture(name="wait_for")
def _wait_for() -> Callable[..., None]:
    return wait_for


@pytest.fixture
def open_client(make_app: Callable[..., FastAPI]) -> Iterator[OpenClient]:
    """A client of a running service, in this process: `open_client(model, queue=2, …)`."""
    from starlette.testclient import TestClient

    with ExitStack() as stack:

        def opened(model: Any = None, **settings: Any) -> TestClient:
            app = make_app(model, **settings)
            client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
            stack.enter_context(client)
            wait_for(lambda: app.state.service.ready, 120)  # real weights, a busy machine
            return client

        yield opened


@pytest.fixture
def client(open_client: OpenClient) -> TestClient:
    return open_client()


@pytest.fixture
def open_server(make_app: Callable[..., FastAPI]) -> Iterator[Callable[..., tuple[str, FastAPI]]]:
    """The address and application of a service on a real port: `open_server(model, with_page=True, queue=2, …)`."""
    import uvicorn

    with ExitStack() as stack:

        def opened(model: Any = None, *, with_page: bool = False, **settings: Any) -> tuple[str, FastAPI]:
            app = make_app(model, **settings)
            if with_page:
                from emotion_llama.serve.page.mount import add_page

                add_page(app)
            server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()
            stack.callback(thread.join, 20)
            stack.callback(lambda: setattr(server, "should_exit", True))
            wait_for(lambda: server.started and app.state.service.ready, 120)  # real weights, a busy machine
            return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", app

        yield opened


@pytest.fixture(scope="module")
def server(fakes: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """The address and application of one service with the page, for all tests here."""
    import time

    import uvicorn

    from emotion_llama.serve.app import create_app
    from emotion_llama.serve.page.mount import add_page
    from emotion_llama.serve.service import Service
    from emotion_llama.serve.settings import ServeSettings

    settings = ServeSettings(jobs_db=tmp_path_factory.mktemp("jobs") / "jobs.sqlite", max_upload_mb=2)
    app = create_app(Service(fakes.FakeModel, settings))
    add_page(app)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60
    while not (server.started and app.state.service.ready):
        assert time.monotonic() < until, "the service never started"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", app
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def camera_film() -> Path | None:
    """What the browser's camera sees; `None`: a green picture with a clock."""
    return None


@pytest.fixture(scope="module")
def browser(camera_film: Path | None) -> Iterator[Any]:
    """A real browser, with a camera and a microphone that beeps."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium or google-chrome")
    quiet = ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    quiet += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    if camera_film is not None:
        quiet.append(f"--use-file-for-fake-video-capture={camera_film}")
    with playwright.sync_playwright() as started:
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        opened = started.chromium.launch(executable_path=chromium, args=[*sandbox, *quiet], timeout=200_000)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any, server: tuple[str, Any]) -> Iterator[Callable[..., Any]]:
    """A page at the service's address; whatever the browser complains about, or asks elsewhere, fails the test."""
    complaints: list[str] = []
    contexts = []

    def opened(path: str = "/", **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: complaints.append(asked.url) if not ours(asked.url, server[0]) else None)
        page.goto(server[0] + path)
        page.wait_for_selector("#el-analyse")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def ours(url: str, address: str) -> bool:
    return url.startswith((f"{address}/", "data:", "blob:"))


@pytest.fixture(scope="session")
def black_png() -> bytes:
    """A picture of 20,000 x 20,000 black pixels in 50 kB: a decompression bomb."""
    import zlib

    side = 20_000
    packer, rows = zlib.compressobj(9), []
    for _ in range(side):
        rows.append(packer.compress(bytes(1 + side // 8)))
    return png(side, side, b"".join(rows) + packer.flush())


def png(width: int, height: int, data: bytes) -> bytes:
    """A one-bit PNG with the given packed rows."""
    import struct
    import zlib

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", data) + part(b"IEND", b"")
