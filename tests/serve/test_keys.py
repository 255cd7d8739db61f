from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from emotion_llama.errors import UsageError

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")
from starlette.testclient import TestClient

from emotion_llama.serve.keys import Keys
from emotion_llama.serve.settings import ServeSettings

GOOD, OLD, LATER = "k" * 31 + "1", "k" * 31 + "2", "k" * 31 + "3"
WORDS = {"transcript": "Hello!"}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# people\nann {GOOD}\n{OLD} 2020-01-31\nbob {LATER} 2999-12-31 # for long\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Bearer " + "x" * 32, 401),
        ("Bearer " + GOOD[:-1], 401),
        (f"Token {GOOD}", 401),
        (f"Bearer {OLD}", 401),
        (f"Bearer {GOOD}", 200),
        (f"bearer {LATER}", 200),
        ("Basic " + base64.b64encode(f"anybody:{GOOD}".encode()).decode(), 200),
        ("Basic " + base64.b64encode(f"{GOOD}:".encode()).decode(), 401),
        ("Basic %%%", 401),
    ],
)
def test_only_a_key_that_counts_opens(key_file: Path, header: str | None, status: int) -> None:
    owner = Keys.read(key_file).owner(header)
    assert (owner is not None) == (status == 200)


def test_everything_but_health_wants_a_key(
    open_client: Callable[..., TestClient], key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = open_client(api_key_file=key_file, host="0.0.0.0")
    closed = [("GET", p) for p in ("/v1/models", "/metrics", "/openapi.json", "/v1/jobs/x", "/nowhere", "/")]
    closed += [("POST", p) for p in ("/v1/analyze", "/v1/analyze/batch", "/v1/chat/completions")]
    for method, path in closed:
        answer = client.request(method, path, headers={"Authorization": f"Bearer {OLD}"})
        assert (answer.status_code, path) == (401, path)
        assert "error" in answer.json() and "www-authenticate" in answer.headers
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    given = {"Authorization": f"Bearer {GOOD}"}
    assert client.post("/v1/analyze", json=WORDS, headers=given).status_code == 200
    assert client.post("/v1/analyze", json={"transcript": "break"}, headers=given).status_code == 500
    assert GOOD not in caplog.text and OLD not in caplog.text and "a secret of the server" in caplog.text


def test_a_job_is_its_owners_alone(open_client: Callable[..., TestClient], key_file: Path) -> None:
    client = open_client(api_key_file=key_file)
    ann, bob = ({"Authorization": f"Bearer {key}"} for key in (GOOD, LATER))
    sent = client.post("/v1/analyze/batch", json={"requests": [WORDS]}, headers=ann)
    address = f"/v1/jobs/{sent.json()['jobs'][0]['id']}"
    assert client.get(address, headers=bob).status_code == client.delete(address, headers=bob).status_code == 404
    assert client.get(address, headers=ann).status_code == 200


@pytest.mark.parametrize(
    "text", ["", "# nobody\n", "short\n", "ann bob " + GOOD, GOOD + " 2027-13-45", "schlüssel" * 3]
)
def test_a_bad_key_file_is_refused_without_telling_keys(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="key file") as caught:
        Keys.read(path)
    assert GOOD not in str(caught.value)


def test_no_keys_no_network() -> None:
    with pytest.raises(ValueError, match="without a key file the service listens on loopback only"):
        ServeSettings(host="0.0.0.0")


def test_other_pages_and_names_cannot_reach_a_service_on_loopback(client: TestClient) -> None:
    post = lambda **headers: client.post("/v1/analyze", json=WORDS, headers=headers)  # noqa: E731
    assert post().status_code == post(Origin="http://127.0.0.1").status_code == 200
    assert post(Origin="https://evil.example").status_code == 403
    assert post(Origin="null").status_code == 403
    assert post(Host="evil.example").status_code == 421
    assert post(Host="[").status_code == 421
