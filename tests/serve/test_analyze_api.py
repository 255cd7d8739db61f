from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from emotion_llama.clip import Analysis

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")
from starlette.testclient import TestClient


def test_words_alone_are_analysed(client: TestClient) -> None:
    answer = client.post("/v1/analyze", json={"transcript": "Hello!", "labels": "sad,happy", "tasks": "emotion"})
    assert answer.status_code == 200, answer.text
    analysis = Analysis.model_validate_json(answer.content)
    assert analysis.emotion == "sad" and analysis.transcript.text == "Hello!" and analysis.clip == "text"


def test_an_upload_and_a_data_uri_of_one_recording_agree(client: TestClient, make_clip: Callable[..., Path]) -> None:
    path = make_clip("a.mp4", seconds=0.5)
    with path.open("rb") as file:
        sent = client.post("/v1/analyze", files={"clip": ("a.mp4", file)}, data={"tasks": "emotion,reason"})
    assert sent.status_code == 200, sent.text
    uri = "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()
    inline = client.post("/v1/analyze", json={"clip": {"data": uri, "name": "a.mp4"}})
    assert inline.status_code == 200, inline.text
    assert sent.json() == inline.json()
    assert list(client.app.state.uploads.root.iterdir()) == []


def test_the_stream_tells_stages_texts_and_the_result(client: TestClient) -> None:
    answer = client.post("/v1/analyze?stream=true", json={"transcript": "Hello!", "tasks": ["emotion", "reason"]})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    told = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in events]
    names = [name for name, _ in told]
    assert names[0] == "waiting" and names[-1] == "analysis" and "stage" in names
    written = "".join(data["piece"] for name, data in told if name == "text")
    assert written == told[-1][1]["reasoning"]


def test_windows_are_told_as_they_are_finished(client: TestClient) -> None:
    body = {"transcript": "Hello!", "timeline": True, "window_s": 4, "step_s": 2}
    answer = client.post("/v1/analyze?stream=true", json=body)
    blocks = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    told = [json.loads(data.removeprefix("data: ")) for name, data in blocks if name == "event: window"]
    assert [window["start_s"] for window in told] == [0, 1, 2]
