from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")
import requests
from starlette.testclient import TestClient

from emotion_llama.serve.settings import ServeSettings

HERE = Path(__file__).parent


def test_it_is_ready_when_the_model_is(
    make_app: Callable[..., Any], fakes: SimpleNamespace, wait_for: Callable[..., None]
) -> None:
    gate, model = threading.Event(), fakes.FakeModel()
    model.warm = lambda: gate.wait(20)
    with TestClient(make_app(model), base_url="http://127.0.0.1") as client:
        assert client.get("/healthz").status_code == 200 and client.get("/readyz").status_code == 503
        early = client.post("/v1/analyze", json={"transcript": "a"})
        assert early.status_code == 503 and early.json()["error"]["kind"] == "loading" and early.headers["Retry-After"]
        assert client.get("/v1/models").json()["data"] == []
        gate.set()
        wait_for(lambda: client.get("/readyz").status_code == 200)
        assert client.get("/v1/models").json()["data"][0]["id"] == "fake"


def test_numbers_are_by_route_stage_and_kind(client: TestClient) -> None:
    client.post("/v1/analyze", json={"transcript": "a", "tasks": "reason"})
    client.post("/v1/analyze", json={"transcript": "break"})
    client.get("/v1/jobs/secret-id")
    page = client.get("/metrics").text
    for line in (
        'emotion_llama_request_seconds_count{route="/v1/analyze",status="200"} 1.0',
        'emotion_llama_request_seconds_count{route="/v1/analyze",status="500"} 1.0',
        'emotion_llama_stage_seconds_count{stage="generate"} 1.0',
        'emotion_llama_errors_total{kind="internal_error"} 1.0',
        'emotion_llama_jobs{state="queued"} 0.0',
        "emotion_llama_queue_depth 0.0",
    ):
        assert line in page, page
    tokens = re.search(r"^emotion_llama_tokens_total (\S+)", page, re.MULTILINE)
    assert tokens is not None and float(tokens[1]) > 0
    assert "secret-id" not in page


def test_every_error_has_one_shape_and_nothing_is_guessed_from_content(client: TestClient) -> None:
    for method, path, status in (("GET", "/nowhere", 404), ("GET", "/v1/analyze", 405), ("GET", "/v1/jobs/<b>", 404)):
        answer = client.request(method, path)
        assert answer.status_code == status and set(answer.json()["error"]) == {"kind", "message", "status"}
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
    wrong = client.post("/v1/analyze?stream=perhaps", json={"transcript": "a"})
    assert wrong.status_code == 422 and wrong.json()["error"]["kind"] == "wrong_request"


def test_a_near_miss_is_told(client: TestClient) -> None:
    for body, part in (
        ({"transcript": "a", "label": "mer9"}, "label"),
        ({"transcript": "a", "labels": "mer10"}, "unknown label set 'mer10'"),
        ({"transcript": "a", "tasks": "emotions"}, "tasks"),
        ({"transcript": "a", "without": "video,audio,text"}, "keep at least one"),
        ({"transcript": "a", "min_confidence": 0.5, "max_risk": 0.5}, "choose one"),
    ):
        answer = client.post("/v1/analyze", json=body)
        assert answer.status_code == 422 and part in answer.json()["error"]["message"], answer.text


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_the_end_finishes_what_runs_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(HERE / "job_server.py"), str(tmp_path / "q" / "jobs.sqlite"), "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        try:
            url = re.search(r"http://\S+", server.stdout.readline())
            assert url is not None
            while True:
                try:
                    if requests.get(f"{url[0]}/readyz", timeout=5).status_code == 200:
                        break
                except requests.ConnectionError:
                    continue
            answers: list[int] = []
            asking = threading.Thread(
                target=lambda: answers.append(
                    requests.post(f"{url[0]}/v1/analyze", json={"transcript": "a"}, timeout=20).status_code
                )
            )
            asking.start()
            while not (tmp_path / "q" / "jobs.sqlite.begun").exists():
                pass
            server.send_signal(signal.SIGTERM)
            asking.join()
            told = server.stdout.read()
            assert server.wait(20) == 0 and answers == [200]
        finally:
            server.kill()
    assert "loopback" in told and "no hiring, policing or schooling" in told
    assert [path.name for path in tmp_path.iterdir()] == ["q"]


def test_results_outlive_the_service_where_asked(
    make_app: Callable[..., Any], fakes: SimpleNamespace, wait_for: Callable[..., None], tmp_path: Path
) -> None:
    answers, models = [], [fakes.FakeModel(), fakes.FakeModel()]
    for model in models:
        with TestClient(make_app(model, keep=tmp_path / "kept"), base_url="http://127.0.0.1") as client:
            wait_for(lambda client=client: client.app.state.service.ready)
            answers.append(client.post("/v1/analyze", json={"transcript": "kept"}).json())
    assert answers[0] == answers[1] and [model.begun for model in models] == [1, 0]


def test_old_jobs_go_when_a_service_starts(
    make_app: Callable[..., Any], wait_for: Callable[..., None], tmp_path: Path
) -> None:
    from emotion_llama.serve.jobs import JobStore

    store = JobStore(tmp_path / "jobs.sqlite")
    old, new = store.add("", [("text", "{}", None), ("text", "{}", None)])
    for _ in range(2):
        job = store.next()
        assert job is not None
        store.finish(job, result="{}")
    store._run("UPDATE jobs SET finished_s = finished_s - 8 * 86400 WHERE id=?", (old,))
    store.close()
    with TestClient(make_app(), base_url="http://127.0.0.1") as client:
        wait_for(lambda: client.get(f"/v1/jobs/{old}").status_code == 404)
        assert client.get(f"/v1/jobs/{new}").status_code == 200


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="did you mean 'queue'"):
        ServeSettings.model_validate({"que": 3})
    assert ServeSettings(port=9).jobs_file.name == "jobs-9.sqlite"
