from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emotion_llama.errors import UsageError

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")
import requests
from starlette.testclient import TestClient

from emotion_llama.serve.jobs import MOST_BEGINNINGS, JobStore
from emotion_llama.serve.uploads import Upload

HERE = Path(__file__).parent


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    opened = JobStore(tmp_path / "q" / "jobs.sqlite")
    yield opened
    opened.close()


def upload(folder: Path, content: bytes = b"sound") -> Upload:
    path = folder / os.urandom(8).hex()
    path.write_bytes(content)
    return Upload(path, "a.wav", "00")


def test_a_job_goes_through_its_states_and_its_recording_goes_at_the_end(store: JobStore, tmp_path: Path) -> None:
    (found,) = store.add("ann", [("a.wav", "{}", upload(tmp_path))])
    job = store.next()
    assert job is not None and job.id == found and store.next() is None
    path = store.file_of(job)
    assert path is not None and path.read_bytes() == b"sound" and store.counts()["running"] == 1
    store.finish(job, result='{"x": 1}')
    done = store.get(found, "ann")
    assert done is not None and (done.state, done.result) == ("done", '{"x": 1}') and not path.exists()
    assert store.get(found, "bob") is None
    store.remove_older(3600)
    assert store.get(found, "ann") is not None
    store.remove_older(-1)
    assert store.get(found, "ann") is None


def test_without_room_nothing_is_accepted_and_nothing_left(
    store: JobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emotion_llama.serve.jobs.LEAST_FREE_BYTES", 10**18)
    with pytest.raises(OSError, match="no room"):
        store.add("", [("a.wav", "{}", upload(tmp_path))])
    monkeypatch.undo()
    same = upload(tmp_path)
    with pytest.raises(FileExistsError):  # one file cannot be taken in twice: the whole batch is taken back
        store.add("", [("a.wav", "{}", same), ("b.wav", "{}", same)])
    assert store.counts()["queued"] == 0 and list(store._files.iterdir()) == []
    assert len(store.add("", [("a.wav", "{}", upload(tmp_path))])) == 1


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions")
def test_the_queue_is_private(store: JobStore, tmp_path: Path) -> None:
    store.add("", [("a.wav", "{}", upload(tmp_path))])
    assert stat.S_IMODE((tmp_path / "q").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "q" / "jobs.sqlite").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "q" / "jobs-recordings").stat().st_mode) == 0o700


def test_a_second_service_may_not_share_the_queue(store: JobStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another service uses this queue"):
        JobStore(tmp_path / "q" / "jobs.sqlite")


def test_a_file_that_is_no_queue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_text("a letter, and not a short one" * 40, encoding="utf-8")
    with pytest.raises(UsageError, match="expected a queue of jobs"):
        JobStore(path)


def test_opening_again_queues_what_ran_and_removes_strays_and_gives_up_at_last(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    for beginning in range(MOST_BEGINNINGS):
        store = JobStore(path)
        if beginning == 0:
            store.add("", [("text", "{}", None)])
            (tmp_path / "jobs-recordings" / "stray").write_bytes(b"x")
        job = store.next()
        assert job is not None and job.begun == beginning
        store.close()
    store = JobStore(path)
    assert store.next() is None and not (tmp_path / "jobs-recordings" / "stray").exists()
    last = store.get(job.id, "")
    assert last is not None and last.state == "failed" and "job_gave_up" in (last.error or "")
    store.close()


def ended(client: Any, address: str) -> dict[str, Any]:
    until = time.monotonic() + 30
    while (told := client.get(address).json())["state"] in ("queued", "running"):
        assert time.monotonic() < until, told
        time.sleep(0.02)
    return dict(told)


def test_a_batch_is_accepted_worked_off_and_told(client: TestClient, make_clip: Callable[..., Path]) -> None:
    good, bad = make_clip("good.mp4", seconds=0.5).read_bytes(), b"no recording at all"
    files = [("clip", ("good.mp4", good)), ("clip", ("bad.mp4", bad))]
    sent = client.post("/v1/analyze/batch", files=files, data={"labels": "sad,happy"})
    assert sent.status_code == 202, sent.text
    first, second = (ended(client, f"/v1/jobs/{job['id']}") for job in sent.json()["jobs"])
    assert first["state"] == "done" and first["analysis"]["emotion"] == "sad" and first["clip"] == "good.mp4"
    assert second["state"] == "failed" and second["error"]["kind"] == "unreadable_recording"
    assert second["error"]["message"].startswith("bad.mp4: ")
    assert client.delete(f"/v1/jobs/{first['id']}").status_code == 204
    assert client.get(f"/v1/jobs/{first['id']}").status_code == 404
    assert list(client.app.state.jobs._files.iterdir()) == []


@pytest.mark.parametrize(
    "body", [{}, {"requests": []}, {"requests": [{}]}, {"requests": [{"transcript": "a"}] * 65}, [], {"requests": [3]}]
)
def test_a_batch_that_is_none_is_refused_whole(client: TestClient, body: Any) -> None:
    answer = client.post("/v1/analyze/batch", json=body)
    assert answer.status_code == 422 and answer.json()["error"]["message"]
    assert sum(client.app.state.jobs.counts().values()) == 0


def test_a_deleted_job_ends_while_it_runs(
    open_client: Callable[..., TestClient], fakes: SimpleNamespace, wait_for: Callable[..., None]
) -> None:
    gate = threading.Event()
    model = fakes.FakeModel(gate=gate)
    client = open_client(model)
    sent = client.post("/v1/analyze/batch", json={"requests": [{"transcript": "a"}, {"transcript": "b"}]})
    one, two = (job["id"] for job in sent.json()["jobs"])
    wait_for(lambda: model.begun)
    assert client.delete(f"/v1/jobs/{one}").status_code == 204
    gate.set()
    assert ended(client, f"/v1/jobs/{two}")["state"] == "done"
    assert client.get(f"/v1/jobs/{one}").status_code == 404


@contextmanager
def process(database: Path, seconds: float) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, str(HERE / "job_server.py"), str(database), str(seconds)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        match = re.search(r"http://\S+", started.stdout.readline())
        assert match is not None
        yield started, match[0]
    finally:
        started.kill()
        started.wait()


def up(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            if requests.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_killed_with_jobs_waiting_the_next_start_finishes_all(tmp_path: Path) -> None:
    database = tmp_path / "jobs.sqlite"
    with process(database, 60) as (killed, url):
        up(url)
        asked = {"requests": [{"transcript": f"job {number}"} for number in range(20)]}
        ids = [job["id"] for job in requests.post(f"{url}/v1/analyze/batch", json=asked, timeout=20).json()["jobs"]]
        until = time.monotonic() + 20
        while not Path(f"{database}.begun").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    with process(database, 0) as (again, url):
        up(url)
        with requests.Session() as session:
            told = [ended(session, f"{url}/v1/jobs/{found}") for found in ids]
        again.send_signal(signal.SIGTERM)
        assert again.wait(20) == 0
    assert [job["state"] for job in told] == ["done"] * 20
    assert [job["analysis"]["transcript"]["text"] for job in told] == [f"job {number}" for number in range(20)]
