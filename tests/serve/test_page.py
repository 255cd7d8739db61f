"""The page as a person meets it: the real service with a fake model on loopback, and a real browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")
pytest.importorskip("gradio", reason="the page needs gradio: emotion-llama[serve]")

pytestmark = pytest.mark.slow
ANSWERED = ".el-result[data-emotion]"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of moving grey, which browsers can play."""
    import av
    import numpy as np

    path = tmp_path_factory.mktemp("clip") / "a clip ${1+1} {{x}}.mp4"
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(100):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, dtype=np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def give(page: Any, path: Path) -> None:
    page.set_input_files("#el-recording input[type=file]", path)
    page.wait_for_selector("#el-player video, #el-player img")


def test_a_dropped_clip_is_answered_with_bars_picture_and_files(open_page: Callable[..., Any], clip: Path) -> None:
    page = open_page()
    assert "not a felt one" in page.inner_text(".el-notice")
    give(page, clip)
    page.click("#el-analyse")
    page.wait_for_selector(ANSWERED)
    assert page.inner_text(".el-result .headline") == "neutral"
    rows = page.locator(".el-result .bars").first.locator(".figure").all_inner_texts()
    assert rows[0] == "20.0 %" and len(rows) == 9
    assert page.locator(".el-result .picture rect.box").count() == 1
    with page.expect_download() as download:
        page.click(".download:has-text('JSON')")
    import json

    assert json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["emotion"] == "neutral"


def test_stages_and_text_are_shown_as_they_come_and_leaving_ends_the_work(
    open_page: Callable[..., Any], server: tuple[str, Any], wait_for: Callable[..., None]
) -> None:
    service = server[1].state.service
    model, looked, written = service.model, threading.Event(), threading.Event()
    model.gate, model.last_word = looked, written
    try:
        page = open_page()
        page.get_by_role("tab", name="Words alone").click()
        page.fill("#el-words textarea", "Not yet answered.")
        page.click("#el-analyse")
        page.wait_for_selector(".el-status:has-text('Working: look')")
        looked.set()
        page.wait_for_selector(".el-status .written:has-text('reason of')")
        assert page.locator(ANSWERED).count() == 0
        page.context.close()
        wait_for(lambda: service._admission.under_way == 0)
    finally:
        looked.set()
        written.set()
        model.gate = model.last_word = None


def test_a_browser_that_speaks_chinese_is_led_to_its_page_and_may_leave_it(open_page: Callable[..., Any]) -> None:
    page = open_page(locale="zh-CN")
    assert page.url.endswith("/zh/") and page.inner_text("#el-analyse") == "分析"
    page.get_by_role("tab", name="文字").click()
    page.fill("#el-words textarea", "我很高兴！")
    page.click("#el-analyse")
    page.wait_for_selector(ANSWERED)
    assert "各情绪的可能性" in page.inner_text(".el-result")
    page.click(".el-head a")
    page.wait_for_selector("#el-analyse:has-text('Analyse')")


def test_the_chat_answers_the_second_question_too_and_says_what_it_cannot(
    open_page: Callable[..., Any], clip: Path
) -> None:
    page = open_page()
    give(page, clip)
    page.get_by_role("button", name="[emotion]").click()
    page.wait_for_selector("#el-chat .bot")
    for question, answers in (("[reason] Why?", 2), ("What is the capital of France?", 3)):
        page.fill("#el-message textarea", question)
        page.press("#el-message textarea", "Enter")
        page.wait_for_function("n => document.querySelectorAll('#el-chat .bot.message').length === n", arg=answers)
    page.wait_for_function("document.querySelector('#el-chat').innerText.includes('cannot answer free questions')")
    page.get_by_role("button", name="[detection] face").click()
    page.wait_for_function(
        "document.querySelector('#el-chat').innerText.includes('{<25><10><50><40>}<delim>{<0><0><100>')"
    )
    said = page.locator("#el-chat .bot.message").all_inner_texts()
    assert said[0].strip() == "neutral" and said[1].strip().startswith("reason of")
    boxes = page.locator("#el-chat .el-faces svg[viewBox='0 0 160 120'] rect.box")
    boxes.nth(1).wait_for()
    assert [float(boxes.first.get_attribute(name)) for name in ("x", "y", "width", "height")] == [40, 12, 40, 36.5]
    page.fill("#el-message textarea", "[emotion]")
    page.press("#el-message textarea", "Enter")
    page.wait_for_function("document.querySelectorAll('#el-chat .bot.message').length === 5")
    assert page.locator("#el-chat .el-faces").count() == 1  # the picture stays with its own answer


def test_while_the_chat_answers_nothing_else_can_be_asked_and_afterwards_it_can(
    open_page: Callable[..., Any], server: tuple[str, Any]
) -> None:
    model, written = server[1].state.service.model, threading.Event()
    page = open_page()
    page.get_by_role("tab", name="Words alone").click()
    page.fill("#el-words textarea", "Is that so?")
    page.fill("#el-message textarea", "not asked yet")
    model.last_word = written
    try:
        page.get_by_role("button", name="[reason]").click()
        page.wait_for_selector("#el-chat .bot.message:has-text('reason of')")
        buttons = [page.get_by_role("button", name=name) for name in ("Send", "[emotion]", "[reason]")]
        assert all(one.is_disabled() for one in (page.locator("#el-message textarea"), *buttons))
    finally:
        written.set()
        model.last_word = None
    page.wait_for_selector("#el-message textarea:enabled")
    assert page.input_value("#el-message textarea") == "not asked yet"
    page.fill("#el-message textarea", "[emotion]")
    page.press("#el-message textarea", "Enter")
    page.wait_for_selector("#el-chat .bot.message:has-text('neutral')")
    assert page.locator("#el-chat .bot.message").count() == 2 and page.input_value("#el-message textarea") == ""


def test_where_no_face_is_the_chat_says_so_and_shows_no_picture(
    open_page: Callable[..., Any], clip: Path, tmp_path: Path
) -> None:
    page = open_page()
    give(page, shutil.copyfile(clip, tmp_path / "no face.mp4"))
    page.get_by_role("button", name="[detection] face").click()
    page.wait_for_selector("#el-chat .bot.message:has-text('I found no face')")
    page.get_by_role("button", name="[emotion]").click()
    page.wait_for_selector("#el-chat .bot.message:has-text('neutral')")
    assert page.locator("#el-chat .el-faces").count() == 0


def test_corrected_words_are_run_again(open_page: Callable[..., Any], clip: Path, fakes: SimpleNamespace) -> None:
    from emotion_llama.clip import Clip

    page = open_page()
    give(page, clip)
    page.click("#el-analyse")
    page.wait_for_selector("#el-again")
    page.fill("#el-transcript textarea", "Quite other words.")
    page.click("#el-again")
    mark = fakes.own_mark(Clip(clip="a", path=clip, transcript="Quite other words."))
    page.wait_for_function("mark => document.querySelector('.el-result .reason')?.innerText.includes(mark)", arg=mark)


def test_words_alone_and_own_labels_are_judged(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.get_by_role("tab", name="Words alone").click()
    page.fill("#el-words textarea", "I am so glad!")
    page.locator("#el-labels label", has_text="own list").click()
    page.fill("#el-own textarea", "merry, <b>gloomy</b>")
    page.click("#el-analyse")
    page.wait_for_selector(ANSWERED)
    assert page.locator(".el-result .bars dt").all_inner_texts() == ["merry", "<b>gloomy</b>"]
    hostile = "<img src=x onerror='document.title=1'> [emotion]"  # a picture that is asked for is a complaint
    page.fill("#el-message textarea", hostile)
    page.press("#el-message textarea", "Enter")
    page.wait_for_selector("#el-chat .bot.message:has-text('merry')")
    assert page.locator("#el-chat img[src=x]").count() == 0 and page.title() != "1"
    assert page.inner_text("#el-chat .user.message").strip() == hostile


@pytest.mark.parametrize(
    ("given", "told"),
    [(None, "Drop a recording here"), ("noise", "a noise.mp4"), ("break", "the service failed"), ("own", "label")],
)
def test_what_cannot_be_answered_is_said_in_words(
    open_page: Callable[..., Any], tmp_path: Path, given: str | None, told: str
) -> None:
    page = open_page()
    if given == "noise":
        path = tmp_path / "a noise.mp4"
        path.write_bytes(bytes(range(256)) * 40)
        give(page, path)
    elif given is not None:
        page.get_by_role("tab", name="Words alone").click()
        page.fill("#el-words textarea", given)
    if given == "own":
        page.locator("#el-labels label", has_text="own list").click()
    page.click("#el-analyse")
    page.wait_for_selector(".el-error")
    text = page.inner_text(".el-error")
    assert told in text and "secret" not in text and "/tmp" not in text


def test_a_click_on_a_curve_and_the_arrow_keys_move_the_player(open_page: Callable[..., Any], clip: Path) -> None:
    page = open_page()
    give(page, clip)
    page.click("#el-analyse")
    page.wait_for_selector(".el-result .strips svg")
    page.wait_for_function("document.querySelector('#el-player video').readyState > 0")
    box = page.locator(".el-result .strips svg").first.bounding_box()
    page.locator(".el-result .strips svg").first.click(position={"x": box["width"] * 0.5, "y": 4})
    assert abs(page.evaluate("document.querySelector('#el-player video').currentTime") - 5) < 0.2
    page.focus(".el-result .strips")
    page.keyboard.press("ArrowRight")
    assert abs(page.evaluate("document.querySelector('#el-player video').currentTime") - 5.5) < 0.2
    player = page.locator("#el-player video").bounding_box()
    assert 0 <= player["y"] < 900  # it stays in sight beside the curves
    page.wait_for_function("Math.abs(document.querySelector('line.now').getAttribute('x1') - 550) < 20")


def test_windows_come_as_they_are_finished_and_a_stretch_moves_the_player(
    open_page: Callable[..., Any], clip: Path, server: tuple[str, Any]
) -> None:
    model, finished = server[1].state.service.model, threading.Event()
    model.last_window = finished
    try:
        page = open_page()
        give(page, clip)
        page.check("#el-timeline input")
        page.locator("#el-person label", has_text="everybody").click()
        page.click("#el-analyse")
        page.wait_for_selector(".el-windows:has-text('Windows finished: 3')")
        told = page.locator(".el-windows li").all_inner_texts()
        assert told[0].startswith("0 s–1 s · person 0 · neutral 80 %") and "angry" in told[1]
        assert page.locator(ANSWERED).count() == 0
    finally:
        finished.set()
        model.last_window = None
    page.wait_for_selector(ANSWERED)
    rows = page.locator(".el-result .people tbody tr")
    assert rows.nth(1).inner_text().split() == ["1", "2.0", "s", "0.0", "s", "angry", "70", "%", "–", "–"]
    stretches = page.locator(".el-result .course rect.stretch")
    assert stretches.count() == 3
    page.wait_for_function("document.querySelector('#el-player video').readyState > 0")
    stretches.nth(1).click()
    assert abs(page.evaluate("document.querySelector('#el-player video').currentTime") - 1.5) < 0.3
    page.focus(".el-result .course .strips")
    page.keyboard.press("ArrowRight")
    assert abs(page.evaluate("document.querySelector('#el-player video').currentTime") - 2.0) < 0.3
    page.locator(".el-result .course summary").click()
    page.locator(".el-result .course td .moment").nth(2).click()
    assert page.evaluate("document.querySelector('#el-player video').currentTime") == 2


def test_the_chinese_page_says_the_phrases_of_the_report_in_chinese(open_page: Callable[..., Any], clip: Path) -> None:
    page = open_page("/zh/", viewport={"width": 390, "height": 844})
    give(page, clip)
    page.check("#el-timeline input")
    page.locator("#el-person label", has_text="所有人").click()
    page.click("#el-analyse")
    page.wait_for_selector(".el-result .course")
    shown = page.inner_text(".el-result .course") + page.inner_text(".el-result .people")
    assert "情绪的先后" in shown and "倾听时" in shown and "listening" not in shown
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_two_settings_stand_side_by_side(open_page: Callable[..., Any], clip: Path) -> None:
    page = open_page()
    give(page, clip)
    page.get_by_role("button", name="Compare two settings").click()
    page.locator("#el-labels-b label", has_text="mer6").click()
    page.locator("#el-without-b label", has_text="voice").click()
    page.click("#el-compare")
    page.wait_for_selector(".el-two")
    assert [page.locator(".el-two .bars").nth(side).locator("dt").count() for side in (0, 1)] == [9, 6]
    assert "mer6 − voice" in page.locator(".el-two .kicker").nth(2).inner_text()


def test_what_the_camera_records_is_analysed(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.get_by_role("tab", name="Record").click()
    camera = page.locator("#el-camera")
    camera.get_by_role("button", name="Click to Access Webcam").click()
    camera.get_by_role("button", name="Record").click()
    camera.get_by_text("Stop").wait_for()
    page.wait_for_timeout(6000)  # a busy machine has recorded nothing before
    camera.locator("button", has_text="Stop").click()
    page.wait_for_selector("#el-player video")
    page.click("#el-analyse")
    page.wait_for_selector(f"{ANSWERED}, .el-error")
    assert page.locator(".el-error").count() == 0 and page.inner_text(".el-result .headline") == "neutral"


def test_a_phone_in_the_dark_shows_it_all_and_only_keys_are_needed(open_page: Callable[..., Any], clip: Path) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    give(page, clip)
    page.focus("#el-analyse")
    page.keyboard.press("Enter")
    page.wait_for_selector(".el-result .strips svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    red, green, blue = page.evaluate("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")[:3]
    assert max(int(red), int(green), int(blue)) < 60


def test_a_recording_is_gone_when_its_page_is(
    open_page: Callable[..., Any], clip: Path, server: tuple[str, Any], wait_for: Callable[..., None]
) -> None:
    folder = server[1].state.uploads.root / "page"

    def kept() -> list[Path]:
        return [file for file in folder.rglob("*.mp4") if "clip" in file.name]

    page = open_page()
    give(page, clip)
    wait_for(kept)
    page.context.close()
    wait_for(lambda: not kept())
