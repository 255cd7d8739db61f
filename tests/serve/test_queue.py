from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")
import requests

from emotion_llama.serve.queue import WaitingLine


def test_the_line_serves_its_rows_in_order_and_ends() -> None:
    line: WaitingLine[str] = WaitingLine()
    assert line.put("later", second_row=True) == 0
    assert line.put("a") == 0 and line.put("b") == 1
    assert line.put("last", second_row=True) == 3 and len(line) == 4
    line.close()
    assert [line.take() for _ in range(5)] == ["a", "b", "later", "last", None]


def post(url: str, text: str, **options: Any) -> requests.Response:
    return requests.post(f"{url}/v1/analyze", json={"transcript": text}, timeout=20, **options)


def test_a_full_service_says_when_to_come_back(
    open_server: Callable[..., tuple[str, Any]], fakes: SimpleNamespace, wait_for: Callable[..., None]
) -> None:
    gate = threading.Event()
    url, app = open_server(fakes.FakeModel(gate=gate), queue=2)
    answers: list[int] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(post(url, str(n)).status_code)) for n in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: app.state.service._admission.under_way == 2)
    busy = post(url, "one too many")
    assert busy.status_code == 429 and int(busy.headers["Retry-After"]) >= 1
    assert busy.json()["error"]["kind"] == "busy" and "ask again" in busy.json()["error"]["message"]
    gate.set()
    for thread in threads:
        thread.join()
    assert answers == [200, 200] and post(url, "now").status_code == 200


@pytest.mark.parametrize("query", ["", "?stream=true"])
def test_a_client_that_leaves_frees_its_place_and_the_model(
    open_server: Callable[..., tuple[str, Any]], fakes: SimpleNamespace, wait_for: Callable[..., None], query: str
) -> None:
    gate = threading.Event()
    model = fakes.FakeModel(gate=gate)
    url, app = open_server(model)
    host, port = url.removeprefix("http://").split(":")
    body = b'{"transcript": "gone"}'
    with socket.create_connection((host, int(port))) as opened:
        head = f"POST /v1/analyze{query} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        opened.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_for(lambda: model.begun)
    wait_for(lambda: app.state.service._admission.under_way == 0)
    gate.set()
    wait_for(lambda: 'kind="cancelled"' in requests.get(f"{url}/metrics", timeout=20).text)
    assert post(url, "here").status_code == 200


@pytest.mark.parametrize("query", ["", "?stream=true"])
def test_an_answer_that_takes_too_long_is_given_up(
    open_server: Callable[..., tuple[str, Any]], fakes: SimpleNamespace, query: str
) -> None:
    gate = threading.Event()
    url, _ = open_server(fakes.FakeModel(gate=gate), timeout_s=0.3)
    answer = requests.post(f"{url}/v1/analyze{query}", json={"transcript": "slow"}, timeout=20)
    assert answer.status_code == (200 if query else 504)
    assert '"timeout"' in answer.text and "batch" in answer.text
    gate.set()


def test_a_silent_stream_shows_signs_of_life(
    open_server: Callable[..., tuple[str, Any]], fakes: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotion_llama.serve.asking.SIGN_OF_LIFE_S", 0.05)
    gate = threading.Event()
    url, _ = open_server(fakes.FakeModel(gate=gate))
    with requests.post(f"{url}/v1/analyze?stream=true", json={"transcript": "a"}, stream=True, timeout=20) as answer:
        lines = answer.iter_lines(decode_unicode=True)
        assert any(line.startswith(":") for line in lines)
        gate.set()
        assert "event: analysis" in list(lines)


def test_a_body_that_never_arrives_frees_its_place(
    open_server: Callable[..., tuple[str, Any]], wait_for: Callable[..., None]
) -> None:
    url, app = open_server(timeout_s=0.3)
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as opened:
        opened.sendall(
            f"POST /v1/analyze HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            "Content-Length: 99\r\n\r\n{".encode()
        )
        assert b" 408 " in opened.recv(4000)
    wait_for(lambda: app.state.service._admission.under_way == 0)
