from __future__ import annotations

import base64
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.errors import RequestError

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")
from starlette.testclient import TestClient

from emotion_llama.serve.bodies import FILES_OF_THE_SERVER, AnalyzeBody
from emotion_llama.serve.guard_child import judged
from emotion_llama.serve.limits import Limits, check_header
from emotion_llama.settings import AnalyzeSettings


def send(client: TestClient, content: bytes, name: str = "a.mp4", **more: Any) -> Any:
    return client.post("/v1/analyze", files={"clip": (name, content)}, **more)


def refused(client: TestClient, answer: Any, kind: str) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()["error"]
    assert error["kind"] == kind and len(error["message"].split()) >= 5
    root = client.app.state.uploads.root
    assert str(root) not in answer.text and list(root.iterdir()) == []


def with_duration(mkv: bytes, duration_ms: float) -> bytes:
    """A Matroska file whose header says this length."""
    place = mkv.index(b"\x44\x89\x88") + 3
    return mkv[:place] + struct.pack(">d", duration_ms) + mkv[place + 8 :]


def test_broken_recordings(client: TestClient, make_clip: Callable[..., Path]) -> None:
    whole = make_clip("a.mp4").read_bytes()
    draw = random.Random(3)
    for content in (b"", b"\x00" * 4000, draw.randbytes(4000), whole[: len(whole) // 2], b"#EXTM3U\n/etc/passwd\n"):
        refused(client, send(client, content), "unreadable_recording")
    assert send(client, whole).status_code == 200


def test_flipped_bits_are_survived(client: TestClient, make_clip: Callable[..., Path]) -> None:
    whole, draw = bytearray(make_clip("a.mp4").read_bytes()), random.Random(5)
    for _ in range(6):
        flipped = bytearray(whole)
        for _ in range(20):
            flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
        answer = send(client, bytes(flipped))
        assert answer.status_code in (200, 422), answer.text
    assert list(client.app.state.uploads.root.iterdir()) == []


def test_a_picture_that_would_swell(client: TestClient, black_png: bytes) -> None:
    assert len(black_png) < 100_000
    refused(client, send(client, black_png, "a.png"), "unreadable_recording")


def test_a_picture_above_the_limit(open_client: Callable[..., TestClient]) -> None:
    from PIL import Image

    client = open_client(max_pixels=10_000)
    path = client.app.state.uploads.root.parent / "large.png"
    try:
        Image.new("L", (101, 100)).save(path)
        answer = send(client, path.read_bytes(), "a.png")
        refused(client, answer, "too_large")
        assert "101x100" in answer.json()["error"]["message"]
    finally:
        path.unlink(missing_ok=True)


def test_a_recording_that_is_too_long(open_client: Callable[..., TestClient], make_clip: Callable[..., Path]) -> None:
    client = open_client(max_duration_s=2.0)
    answer = send(client, make_clip("a.mp4", seconds=3).read_bytes())
    refused(client, answer, "too_large")
    assert "at most 2 s" in answer.json()["error"]["message"]


def test_headers_are_judged_before_anything_is_decoded(make_clip: Callable[..., Path]) -> None:
    path = make_clip("a.mkv")
    check_header(path, Limits())
    for limits, part in ((Limits(max_pixels=3000), "64x48"), (Limits(max_streams=1), "2 streams")):
        with pytest.raises(RequestError, match=part):
            check_header(path, limits)
    path.write_bytes(with_duration(path.read_bytes(), 1e9))
    with pytest.raises(RequestError, match="1000000 s long"):
        check_header(path, Limits())


def test_an_absurd_length_in_the_header(client: TestClient, make_clip: Callable[..., Path]) -> None:
    mkv = make_clip("a.mkv").read_bytes()
    assert send(client, with_duration(mkv, 1000.0), "a.mkv").status_code == 200
    refused(client, send(client, with_duration(mkv, 1e15), "a.mkv"), "too_large")


def test_uploads_beyond_the_limit(open_client: Callable[..., TestClient]) -> None:
    client = open_client(max_upload_mb=1, max_json_mb=1)
    refused(client, send(client, bytes(1_100_000)), "too_large")
    body = {"clip": {"data": "data:video/mp4;base64," + base64.b64encode(bytes(1_000_000)).decode()}}
    answer = client.post("/v1/analyze", json=body)
    refused(client, answer, "too_large")
    assert answer.status_code == 413

    def pieces() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="clip"; filename="a.mp4"\r\n\r\n'
        for _ in range(20):
            yield bytes(100_000)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    unsaid = client.post("/v1/analyze", content=pieces(), headers=kind)
    refused(client, unsaid, "too_large")
    assert unsaid.status_code == 413 and "content-length" not in unsaid.request.headers


@pytest.mark.parametrize("name", ["../a.mp4", "/etc/passwd", "c:\\a.mp4", "<b>a</b>.mp4", "a\x07.mp4", "..", "a" * 201])
def test_names_that_are_paths_or_markup(client: TestClient, name: str) -> None:
    body = {"clip": {"data": "data:video/mp4;base64,AAAA", "name": name}}
    refused(client, client.post("/v1/analyze", json=body), "wrong_name")


def test_a_name_in_a_form(client: TestClient) -> None:
    refused(client, send(client, b"x", "../../a.mp4"), "wrong_name")


@pytest.mark.parametrize("field", ["path", "features", "baseline", "action_units"])
def test_files_of_the_server_cannot_be_named(client: TestClient, field: str) -> None:
    answer = client.post("/v1/analyze", json={"transcript": "a", field: "/etc/passwd"})
    refused(client, answer, "wrong_request")
    assert "opens no files of its own" in answer.json()["error"]["message"]


def test_no_setting_with_a_path_is_ever_a_field() -> None:
    assert {"features", "action_units", "baseline"} <= set(FILES_OF_THE_SERVER)
    text = {name for name, field in AnalyzeSettings.model_fields.items() if "str" in str(field.annotation)}
    # plain words that name no file; a new one is to be looked at before it is served
    assert text - set(FILES_OF_THE_SERVER) == {"labels", "language"}
    with pytest.raises(ValueError, match="choose from en, zh"):  # it is looked up among those that there are
        AnalyzeSettings(language="../../etc/passwd")
    assert not set(FILES_OF_THE_SERVER) & set(AnalyzeBody.model_fields)


@pytest.mark.parametrize("data", ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/x", "data:video/mp4,abc", ""])
def test_recordings_are_sent_not_named(client: TestClient, data: str) -> None:
    refused(client, client.post("/v1/analyze", json={"clip": {"data": data}}), "wrong_recording")


def test_bodies_that_are_none(client: TestClient) -> None:
    for content, kind, expected in (
        (b"{", "application/json", "wrong_json"),
        (b"[" * 100_000, "application/json", "wrong_json"),
        (b"\xff", "application/json", "wrong_json"),
        (b"3", "application/json", "wrong_request"),
        (b"{}", "application/json", "wrong_request"),
        (b'{"labels": "mer10", "transcript": "a"}', "application/json", "wrong_request"),
        (b'{"transcript": "\\ud800"}', "application/json", "wrong_json"),
        (b'{"start_s": NaN, "transcript": "a"}', "application/json", "wrong_request"),
        (b"x", "text/plain", "wrong_content_type"),
        (b"x", "multipart/form-data", "wrong_form"),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=y", "wrong_form"),
    ):
        answer = client.post("/v1/analyze", content=content, headers={"Content-Type": kind})
        refused(client, answer, expected)


def test_what_the_server_did_wrong_is_not_told(client: TestClient) -> None:
    answer = client.post("/v1/analyze", json={"transcript": "break"})
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.json()["error"] == {
        "kind": "internal_error", "message": "the service failed; its log says where", "status": 500
    }  # fmt: skip


def test_decoding_is_bounded_in_time_and_memory(
    open_client: Callable[..., TestClient], make_clip: Callable[..., Path]
) -> None:
    import asyncio

    from emotion_llama.serve.guard import Guard

    path = make_clip("a.mp4", seconds=60, size=(1920, 1080), level=None, rate=2)
    assert judged(path, Limits())["kind"] == "ok"

    async def told(limits: Limits) -> str:
        guard = Guard(limits)
        try:
            await guard.check(path)
        except RequestError as error:
            return error.kind
        finally:
            await guard.close()
        return "ok"

    assert asyncio.run(told(Limits(memory_bytes=1_000_000))) in ("undecodable", "unreadable_recording")
    assert asyncio.run(told(Limits(cpu_s=0))) == "undecodable"
