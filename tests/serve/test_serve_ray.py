"""The service on a Ray of its own, as processes: fake models; at the end the real one."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")

# ray itself is not imported: it reads its settings when it is
ABSENT = any(find_spec(name) is None for name in ("ray", "aiohttp", "opencensus"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(ABSENT, reason="needs Ray Serve: pip install 'emotion-llama[ray-serve]'"),
    pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at processes through /proc"),
]
HERE = Path(__file__).parent
READY_S = 240
CLUSTER = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}
"""Variables of a Ray that its own command starts, and of all who connect: on loopback, with a token of its own."""


@dataclass
class Service:
    url: str
    pid: int
    notes: Path


def listening(pids: set[int]) -> set[str]:
    """Addresses, as the kernel writes them in hexadecimal, at which one of these processes listens."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    by_socket = {f"socket:[{fields[9]}]": fields[1] for fields in lines if fields[3] == "0A"}
    found = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                found.add(by_socket.get(str(descriptor.readlink()), ""))
    return found - {""}


def is_loopback(address: str) -> bool:
    return bool(re.match(r"[0-9A-F]{6}7F:|0{24}01000000:|0{16}FFFF0000[0-9A-F]{6}7F:", address))


def family(pid: int) -> set[int]:
    """A process and all that it started, down to the last."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = {pid}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found


@contextmanager
def running(command: list[str], folder: Path, **variables: str) -> Iterator[Service]:
    """A service that is ready; SIGTERM ends it, with all it started."""
    started = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, **variables}
    )
    assert started.stdout is not None
    members = {started.pid}
    try:
        url = next(match[0] for line in started.stdout if (match := re.search(r"http://\S+", line)))
        until = time.monotonic() + READY_S
        while requests.get(f"{url}/readyz", timeout=READY_S).status_code != 200:
            assert time.monotonic() < until and started.poll() is None
            time.sleep(0.2)
        yield Service(url, started.pid, folder / "notes")
        members = family(started.pid)
        started.send_signal(signal.SIGTERM)
        assert started.wait(60) == 0
        assert "Ended" in started.stdout.read()
    finally:
        members |= family(started.pid)
        started.kill()
        started.wait()
    gone = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/exe").exists() for pid in members):
        assert time.monotonic() < gone, [Path(f"/proc/{pid}/cmdline").read_text() for pid in members]
        time.sleep(0.1)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("on ray")
    with running([str(HERE / "ray_server.py"), str(folder)], folder) as there:
        yield there


def ask(service: Service, words: str, **more: Any) -> requests.Response:
    return requests.post(f"{service.url}/v1/analyze", json={"transcript": words, **more}, timeout=120)


def noted(service: Service) -> list[list[str]]:
    return [line.split("\t") for line in service.notes.read_text().splitlines()] if service.notes.exists() else []


def test_only_loopback_listens_and_the_front_has_no_torch(service: Service) -> None:
    opened = listening(family(service.pid))
    assert len(opened) > 3 and [address for address in opened if not is_loopback(address)] == []
    assert "torch" not in Path(f"/proc/{service.pid}/maps").read_text()


def test_the_same_requests_get_the_same_answers(
    service: Service, open_client: Callable[..., Any], make_clip: Callable[..., Path]
) -> None:
    plain = open_client()
    recording = make_clip("good.mp4", seconds=0.5).read_bytes()
    for asked in (
        {"json": {"transcript": "hello", "labels": "happy,sad", "tasks": "emotion,reason"}},
        {"json": {"transcript": "over time", "timeline": True}},
        {"json": {"transcript": "refuse"}},
        {"json": {"transcript": "break"}},
        {"files": {"clip": ("good.mp4", recording)}, "data": {"end_s": "0.4"}},
    ):
        one = plain.post("/v1/analyze", **asked)
        other = requests.post(f"{service.url}/v1/analyze", **asked, timeout=60)
        assert one.status_code == other.status_code
        assert {**one.json(), "timings_s": None} == {**other.json(), "timings_s": None}


def test_events_come_one_after_the_other(service: Service) -> None:
    body = {"transcript": "streamed", "tasks": "emotion,reason"}
    with requests.post(f"{service.url}/v1/analyze?stream=true", json=body, stream=True, timeout=60) as answer:
        names = [line[7:].decode() for line in answer.iter_lines() if line.startswith(b"event: ")]
    assert names[0] == "waiting" and names[-1] == "analysis" and names.count("text") > 1 and "stage" in names


def test_a_killed_replica_is_replaced_and_its_request_answered(service: Service) -> None:
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, service, "slow and killed")
        until = time.monotonic() + 30
        while not (begun := [line for line in noted(service) if line[2] == "slow and killed"]):
            assert time.monotonic() < until
            time.sleep(0.05)
        os.kill(int(begun[0][1]), signal.SIGKILL)
        answer = asked.result()
    assert answer.status_code == 200, answer.text
    pids = [line[1] for line in noted(service) if line[2] == "slow and killed" and line[0] == "begins"]
    assert len(pids) == 2 and len(set(pids)) == 2


def test_two_replicas_work_at_the_same_time_once_two_requests_wait(service: Service) -> None:
    for number in range(20):
        words = [f"slow {number} {one}" for one in "ab"]
        with ThreadPoolExecutor(2) as pool:
            assert [answer.status_code for answer in pool.map(lambda one: ask(service, one), words)] == [200, 200]
        spans = {line[2]: {} for line in noted(service)}  # type: ignore[var-annotated]
        for word, pid, said, at in noted(service):
            spans[said][word] = float(at)
            spans[said]["pid"] = pid
        one, other = (spans[said] for said in words)
        if one["pid"] != other["pid"]:
            assert max(one["begins"], other["begins"]) < min(one["ends"], other["ends"])
            return
    raise AssertionError("one replica did everything")


@contextmanager
def cluster() -> Iterator[str]:
    """The address of a Ray that somebody else started."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["start", "--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false", "--block"]
    head = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *words], env={**os.environ, **CLUSTER}, stdout=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < until
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
        assert head.poll() is None
    finally:
        members = family(head.pid) - {head.pid}
        head.terminate()
        head.wait(30)
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_cluster_that_is_there_gets_recordings_and_is_left_as_it_was(
    tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    recording = make_clip("good.mp4", seconds=0.5).read_bytes()
    with cluster() as address:
        with running([str(HERE / "ray_server.py"), str(tmp_path), address], tmp_path, **CLUSTER) as there:
            sent = {"files": {"clip": ("good.mp4", recording)}, "data": {"tasks": "emotion,reason"}}
            answer = requests.post(f"{there.url}/v1/analyze", **sent, timeout=60)
            assert hashlib.sha256(recording).hexdigest() in answer.json()["reasoning"], answer.text
        script = (
            f"import ray; ray.init({address!r}, log_to_driver=False)\n"
            "print([actor['name'] for actor in ray.util.list_named_actors(all_namespaces=True)])"
        )
        look = {"env": {**os.environ, **CLUSTER}, "text": True, "timeout": 60}
        assert subprocess.check_output([sys.executable, "-c", script], **look) == "[]\n"  # type: ignore[call-overload]


def test_what_is_wrong_is_told_before_anything_is_served(tmp_path: Path) -> None:
    for words, expected in (
        (["--address", "127.0.0.1:1"], "no Ray cluster answers at '127.0.0.1:1'"),
        (["--model", "nanoo"], "unknown model 'nanoo'"),
    ):
        command = [sys.executable, "-m", "emotion_llama", "serve", "--engine", "ray", "--port", "0", *words]
        done = subprocess.run(
            [*command, "--jobs-db", str(tmp_path / "jobs.sqlite")], capture_output=True, text=True, timeout=READY_S
        )
        assert done.returncode == 2 and expected in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.weights
def test_the_command_serves_the_real_model(model_name: str, tmp_path: Path) -> None:
    words = ["--model", model_name, "--engine", "ray", "--port", "0", "--no-page", "--max-replicas", "1"]
    command = ["-m", "emotion_llama", "serve", *words, "--jobs-db", str(tmp_path / "jobs.sqlite")]
    with running(command, tmp_path) as there:
        answer = ask(there, "I am so happy that you came!", labels="happy,sad,angry", tasks="emotion,reason")
        assert "torch" not in Path(f"/proc/{there.pid}/maps").read_text()
    assert answer.status_code == 200 and answer.json()["emotion"] == "happy" and answer.json()["reasoning"]
