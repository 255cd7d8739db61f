"""The client of OpenAI-compatible endpoints, over a real loopback server."""

from __future__ import annotations

import json
import runpy
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.endpoint import Endpoint, EndpointSettings, in_order
from emotion_llama.errors import EndpointError, UsageError

_FAKE = runpy.run_path(str(Path(__file__).with_name("llm_server.py")))
LlmServer, Say = _FAKE["LlmServer"], _FAKE["Say"]
HELLO = [{"role": "user", "content": "hello?"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
KEY = "sk-very-secret-123"


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with LlmServer() as server:
        yield server


def endpoint(llm: Any, **options: Any) -> Endpoint:
    return Endpoint(EndpointSettings.of(**{"url": llm.url, "model": "tiny", "first_pause_s": 0.0, **options}))


def test_a_reply_holds_text_model_tokens_and_attempts(llm: Any) -> None:
    llm.said(Say("good day"))
    reply = endpoint(llm).complete(HELLO)
    assert (reply.text, reply.model, reply.finish, reply.attempts) == ("good day", "tiny-2026", "stop", 1)
    assert (reply.prompt_tokens, reply.completion_tokens) == (11, 3)
    assert 0 < reply.took_s < 5


def test_the_request_is_what_the_settings_say(llm: Any) -> None:
    endpoint(llm, seed=7, temperature=0.5, max_tokens=None, extra={"top_k": 1}).complete(HELLO)
    assert llm.bodies == [{"model": "tiny", "messages": HELLO, "temperature": 0.5, "seed": 7, "top_k": 1}]
    assert "Authorization" not in llm.seen[0][1]


def test_picture_and_sound_parts_are_passed_on(llm: Any) -> None:
    parts = [{"type": "text", "text": "who?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    endpoint(llm).complete([{"role": "user", "content": parts}])
    assert llm.bodies[0]["messages"][0]["content"] == parts


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_the_url_may_have_any_usual_tail(llm: Any, tail: str) -> None:
    endpoint(llm, url=llm.url + tail).complete(HELLO)
    assert llm.seen[0][0] == "/v1/chat/completions"


def test_a_versioned_path_of_another_kind_is_kept() -> None:
    assert EndpointSettings.of(url="https://x.org/v1beta/openai", model="m").url == "https://x.org/v1beta/openai"
    assert EndpointSettings.of(url="https://x.org/api", model="m").url == "https://x.org/api/v1"


@pytest.mark.parametrize(
    "bad",
    [
        Say(status=429, body=b"slow down", headers={"Retry-After": "0"}),
        Say(status=503, body=b"busy"),
        Say(status=500, body=b"crash"),
        Say(body=b'{"choices": [{"mess'),
        Say(body=b"<html>proxy</html>"),
        Say(body=b'{"choices": []}'),
        Say(text=None),
        Say(close=True),
        Say("late", delay_s=1.5),
    ],
)
def test_what_may_pass_is_tried_again(llm: Any, bad: Any) -> None:
    llm.said(bad, bad, Say("at last"))
    reply = endpoint(llm, timeout_s=0.8).complete(HELLO)
    assert (reply.text, reply.attempts) == ("at last", 3)


def test_attempts_are_bounded_and_the_message_says_what_was_found(llm: Any) -> None:
    llm.said(Say(status=503, body=b"overloaded " * 100))
    with pytest.raises(EndpointError, match=r"/v1/chat/completions: status 503: 'overloaded .*attempts: 3") as caught:
        endpoint(llm, max_attempts=3).complete(HELLO)
    assert len(llm.seen) == 3
    assert caught.value.status == 503
    assert str(caught.value).count("overloaded") < 20


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413])
def test_what_will_not_pass_fails_at_once(llm: Any, status: int) -> None:
    llm.said(Say(status=status, body=b"no such model", headers={"Location": "http://127.0.0.1:1/"}))
    with pytest.raises(EndpointError, match=f"status {status}: 'no such model'; .*attempts: 1") as caught:
        endpoint(llm).complete(HELLO)
    assert len(llm.seen) == 1
    assert caught.value.status == status


def test_no_server_is_named_after_the_last_attempt() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = EndpointSettings.of(url=f"http://127.0.0.1:{port}", model="m", first_pause_s=0, max_attempts=2)
    with pytest.raises(
        EndpointError, match=rf"127.0.0.1:{port}/v1/.*no answer.*is the server running.*attempts: 2"
    ) as e:
        Endpoint(settings).complete(HELLO)
    assert e.value.status is None


def test_retry_after_in_seconds_is_waited(llm: Any) -> None:
    llm.said(Say(status=429, body=b"", headers={"Retry-After": "0.3"}), Say("ok"))
    start_s = time.monotonic()
    assert endpoint(llm).complete(HELLO).text == "ok"
    assert time.monotonic() - start_s >= 0.3


@pytest.mark.parametrize("dated", [False, True])
def test_a_wait_that_is_too_long_ends_the_attempts(llm: Any, dated: bool) -> None:
    wait = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True) if dated else "3600"
    llm.said(Say(status=429, body=b"quota", headers={"Retry-After": wait}))
    with pytest.raises(EndpointError, match=r"asks to wait 3[56]\d\d s, longer than longest_pause_s"):
        endpoint(llm).complete(HELLO)
    assert len(llm.seen) == 1


def test_pauses_grow_and_two_clients_of_one_seed_pause_alike(llm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    llm.said(Say(status=500, body=b""))
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    for _ in range(2):
        with pytest.raises(EndpointError):
            endpoint(llm, first_pause_s=1.0, longest_pause_s=5.0, max_attempts=6, seed=3).complete(HELLO)
    ours = [pause for pause in pauses if pause > 0]  # the server's threads sleep too, for 0 s
    assert ours[:5] == ours[5:]
    for pause, full in zip(ours[:5], [1, 2, 4, 5, 5], strict=True):
        assert full / 2 <= pause <= full


def test_the_key_is_sent_and_never_shown(llm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", f" {KEY}\n")
    llm.said(Say(status=401, body=f"wrong key {KEY}".encode()))
    client = endpoint(llm, key_env="JUDGE_KEY")
    with pytest.raises(EndpointError, match=r"wrong key \*\*\*.*environment variable JUDGE_KEY") as caught:
        client.complete(HELLO)
    assert llm.seen[0][1]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(caught.value) + repr(client.settings) + client.settings.model_dump_json()


@pytest.mark.parametrize("value", [None, "", "two\nlines", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_named_by_its_variable(
    llm: Any, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("JUDGE_KEY", value)
    with pytest.raises(UsageError, match="environment variable JUDGE_KEY"):
        endpoint(llm, key_env="JUDGE_KEY").complete(HELLO)
    assert llm.seen == []


@pytest.mark.parametrize("misplaced", [KEY, "hf_abcdefghijklmnop"])
def test_a_key_in_place_of_its_variable_is_not_echoed(llm: Any, misplaced: str) -> None:
    with pytest.raises(UsageError) as caught:
        endpoint(llm, key_env=misplaced).complete(HELLO)
    assert misplaced not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://user:pass@x", "http://x/v1?key=secret", ""])
def test_urls_that_cannot_be_or_hold_a_secret_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match="endpoint url: ") as caught:
        EndpointSettings.of(url=url, model="m")
    assert "secret" not in str(caught.value)
    assert "pass@" not in str(caught.value)


def test_a_netrc_password_is_not_sent(llm: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    endpoint(llm).complete(HELLO)
    assert "Authorization" not in llm.seen[0][1]


def test_a_schema_is_sent_in_the_strict_form(llm: Any) -> None:
    endpoint(llm).complete(HELLO, json_schema=SCHEMA)
    form = llm.bodies[0]["response_format"]
    assert form == {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}


def test_a_server_without_schemas_is_asked_without_from_then_on(llm: Any) -> None:
    def answer(body: dict[str, Any]) -> Any:
        refused = "response_format" in body
        return Say(status=400, body=b"response_format is not supported") if refused else Say("plain")

    llm.answer = answer
    client = endpoint(llm)
    assert [client.complete(HELLO, json_schema=SCHEMA).text for _ in range(2)] == ["plain", "plain"]
    assert ["response_format" in body for body in llm.bodies] == [True, False, False]


def test_half_characters_are_escaped(llm: Any) -> None:
    llm.said(Say(body=json.dumps({"choices": [{"message": {"content": "a\ud83d"}}]}).encode()))
    assert endpoint(llm).complete(HELLO).text == "a\\ud83d"


def test_many_keep_their_order_and_stay_within_the_workers(llm: Any) -> None:
    # later questions are answered sooner
    llm.answer = lambda body: Say(
        body["messages"][0]["content"], delay_s=0.2 - int(body["messages"][0]["content"]) / 50
    )
    questions = [[{"role": "user", "content": str(number)}] for number in range(8)]
    replies = endpoint(llm).complete_many(questions, workers=4)
    assert [reply.text for reply in replies] == [str(number) for number in range(8)]


def test_no_more_than_the_given_number_work_at_a_time() -> None:
    lock, busy, most = threading.Lock(), [0], [0]

    def work(thing: int) -> int:
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.01)
        with lock:
            busy[0] -= 1
        return -thing

    assert in_order(work, range(20), 3) == [-thing for thing in range(20)]
    assert most[0] == 3


def test_the_first_failure_ends_what_has_not_begun(llm: Any) -> None:
    llm.said(Say(status=401, body=b"no"))
    with pytest.raises(EndpointError, match="status 401"):
        endpoint(llm).complete_many([HELLO] * 200, workers=2)
    assert len(llm.seen) < 200


def test_no_worker_is_refused(llm: Any) -> None:
    with pytest.raises(UsageError, match="at least one worker"):
        endpoint(llm).complete_many([HELLO], workers=0)


def test_models_are_listed(llm: Any) -> None:
    llm.models = ["a", "b"]
    assert endpoint(llm).models() == ("a", "b")


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(UsageError, match="timeout_s"):
        EndpointSettings.of(url="http://x", model="m", timeout=3)
