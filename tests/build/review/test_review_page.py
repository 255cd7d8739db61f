"""The page as a person meets it: the real server on loopback, and a real browser worked by keys alone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs fastapi")
pytest.importorskip("uvicorn", reason="needs uvicorn")
pytest.importorskip("sqlalchemy", reason="needs sqlalchemy")

from emotion_llama.build.review.report import review_report

pytestmark = pytest.mark.slow

_SERVE = """
import sys
from pathlib import Path
from emotion_llama.build.review.records import ReviewSettings
from emotion_llama.build.review.server import serve_reviews
serve_reviews(Path(sys.argv[1]), ReviewSettings(port=0))
"""


@pytest.fixture
def server(dataset: Path, people: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of the real server of `dataset`, and its process."""
    shutil.copy(people, dataset)
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(dataset)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found, process.communicate()
        yield found[0], process
    finally:
        process.kill()
        process.communicate()


def test_the_server_prints_its_address_and_ctrl_c_ends_it_cleanly(server: tuple[str, subprocess.Popen[str]]) -> None:
    address, process = server
    with urllib.request.urlopen(address, timeout=100) as answer:
        assert b"Sign in" in answer.read()
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=100)
    assert process.returncode == 0 and errors == "" and "Ended." in out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium or google-chrome")
    with playwright.sync_playwright() as started:
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        opened = started.chromium.launch(executable_path=chromium, args=sandbox, timeout=200_000)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, server: tuple[str, subprocess.Popen[str]]) -> Iterator[Any]:
    """A page at the server's address; whatever the browser complains about, or asks elsewhere, fails the test."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(100_000)
    opened = context.new_page()
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda asked: complaints.append(asked.url) if server[0] not in asked.url else None)
    opened.goto(server[0])
    yield opened
    context.close()
    assert [text for text in complaints if not text.startswith("data:")] == []


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def shown(page: Any, label: str) -> None:
    page.wait_for_function("label => document.querySelector('.emotion')?.textContent === label", arg=label)


def test_a_clip_is_judged_by_keys_alone_and_the_next_one_comes(page: Any, dataset: Path) -> None:
    page.keyboard.type("Ann")
    press(page, "Tab")
    page.keyboard.type("ann-password")
    press(page, "Enter")
    shown(page, "sad")  # the doubtful clip comes first; its texts hold markup
    assert page.inner_text("blockquote").startswith("<img src=x") and page.locator(".right img").count() == 0
    assert "b <img" in page.title() and page.locator(".chip").count() == 2

    press(page, "p")  # to the peak frame: the bars and the clock follow
    assert page.inner_text("#clock") == "0.50 of 1.00 s"
    assert page.inner_text('[data-unit="AU6"] .value') == "2.0"
    page.wait_for_function("() => document.querySelector('#player video').readyState > 0")
    press(page, "ArrowLeft", "Space")
    page.wait_for_function("() => document.querySelector('#player video').currentTime > 0.1")

    press(page, "4", "3", "-", "a")  # two criteria are forgotten: that is said, and nothing is saved
    assert "2 of 5 criteria not rated" in page.inner_text("#status")
    press(page, "5", "2", "a")
    shown(page, "happy")
    assert "Accepted: b <img" in page.inner_text("#status")

    press(page, "r", "1")  # a.mp4: rejected with a ready reason
    shown(page, "angry")
    assert "do not play .avi" in page.inner_text("#player")
    press(page, "f")  # c.avi: another emotion, and the transcript
    press(page, "ArrowDown", "Tab")
    page.keyboard.type("I did not expect that.")
    press(page, "Control+Enter", "Control+Enter")
    page.wait_for_function("() => document.title.includes('words alone')")
    press(page, "b")
    page.wait_for_function("() => document.title.includes('c.avi')")
    assert page.inner_text(".emotion") == "happy"

    report = review_report(dataset)
    assert report.annotators == {"Ann": 3}
    assert report.means[0].verdicts == {"accept": 1, "fix": 1, "reject": 1}
    assert report.means[0].means == {"visual": 4.0, "audio": 3.0, "text": None, "process": 5.0, "result": 2.0}


def test_mesh_and_face_lie_on_each_other_and_a_phone_needs_no_sideways_scrolling(page: Any) -> None:
    page.keyboard.type("Bo")
    press(page, "Tab")
    page.keyboard.type("bo-password")
    press(page, "Enter")
    shown(page, "sad")
    page.wait_for_function("() => document.querySelector('#crop video').readyState > 0")
    for width, height in ((1280, 800), (900, 700), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # the frame's own corner, through the mesh's coordinates and through the picture's place
        gap = page.evaluate("""() => {
          const svg = document.querySelector('#crop svg');
          const video = document.querySelector('#crop video').getBoundingClientRect();
          const corner = new DOMPoint(0, 0).matrixTransform(svg.getScreenCTM());
          const far = new DOMPoint(64, 48).matrixTransform(svg.getScreenCTM());
          return Math.max(Math.abs(corner.x - video.left), Math.abs(corner.y - video.top),
                          Math.abs(far.x - video.right), Math.abs(far.y - video.bottom));
        }""")
        assert gap < 1.5, (width, gap)
