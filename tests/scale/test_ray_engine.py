"""Workers on a Ray that is started for them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from scale_workers import make_asked, make_double, make_dying, make_fated, make_refusing, make_whoami

from emotion_llama.errors import UsageError
from emotion_llama.scale.spread import Failure, spread

# ray itself must not be imported yet: it reads its settings when it is
ABSENT = find_spec("ray") is None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(ABSENT, reason="needs ray: pip install 'emotion-llama[ray]'")]


@pytest.fixture(autouse=True)
def _ray_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "1")
    yield
    import ray

    assert not ray.is_initialized()


def listening() -> set[str]:
    """Addresses, as the kernel writes them in hexadecimal, at which something on this machine listens."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {fields[1] for fields in lines if fields[3] == "0A"}


def is_loopback(address: str) -> bool:
    return bool(re.match(r"[0-9A-F]{6}7F:|0{24}01000000:|0{16}FFFF0000[0-9A-F]{6}7F:", address))


def test_failures_dying_workers_and_models_once(tmp_path: Path) -> None:
    start = time.monotonic()
    fates = ["fine", "media", "exit", "endpoint", "kill once", "missing", "kill", "fine", "fine"]
    answers = dict(spread(partial(make_fated, tmp_path), list(enumerate(fates)), jobs=2, engine="ray"))
    assert sorted(answers) == list(range(9))
    assert {index: answers[index] for index in (0, 4, 7, 8)} == {0: 0, 4: 16, 7: 49, 8: 64}
    assert answers[1] == Failure(1, "1.mp4 holds no picture", "MediaError")
    assert answers[3] == Failure(3, "no answer", "EndpointError")
    assert answers[5].kind == "FileNotFoundError"
    assert answers[2].kind == answers[6].kind == "WorkerLost" and "lower --jobs" in answers[6].error
    made = Counter(path.name.split("-")[1] for path in tmp_path.glob("made-*"))
    assert 2 <= len(made) <= 2 + 5 and set(made.values()) == {1} and str(os.getpid()) not in made
    assert time.monotonic() - start < 60


def test_bugs_and_workers_that_cannot_begin(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="frames") as raised:
        list(spread(partial(make_fated, tmp_path), [(0, "fine"), (1, "bug")], jobs=2, engine="ray"))
    assert "in the worker process, at item 1:\nTraceback" in raised.value.__notes__[-1]
    with pytest.raises(UsageError, match="no weights here"):
        list(spread(make_refusing, [1, 2], jobs=2, engine="ray"))
    with pytest.raises(UsageError, match="before its first item, 2 times"):
        list(spread(make_dying, [1, 2], jobs=2, engine="ray"))


def test_closing_early_ends_all_and_only_loopback_listens() -> None:
    before = listening()
    answers = spread(make_whoami, [0.0, 60.0, 60.0, 60.0], jobs=2, engine="ray")
    index, pid = next(answers)
    assert index == 0 and Path(f"/proc/{pid}").exists()
    opened = listening() - before
    assert opened and all(is_loopback(address) for address in opened)
    answers.close()
    assert not Path(f"/proc/{pid}").exists()


def test_threads_and_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert dict(spread(make_asked, ["OMP_NUM_THREADS", "cv2"], jobs=2, engine="ray")) == {0: str(share), 1: share}
    arrays = [np.full(600_000, value, np.float64) for value in range(3)]
    answers = dict(spread(make_double, arrays, jobs=2, engine="ray"))
    assert all(np.array_equal(answers[n], arrays[n] * 2) and answers[n].flags.writeable for n in range(3))


SCRIPT = """
from emotion_llama.scale.spread import spread

class Pair:
    def __init__(self, a): self.a = a

if __name__ == "__main__":
    found = dict(spread(lambda: lambda n: Pair(n), [3, 4], jobs=2, engine="ray"))
    print([found[0].a, found[1].a])
"""


def test_a_script_with_its_own_classes_and_no_noise(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[3, 4]\n", "")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_no_cluster_there(address: str) -> None:
    with pytest.raises(UsageError, match=f"no Ray cluster answers at '{address}'"):
        list(spread(make_refusing, [1], engine="ray", address=address))


def test_a_cluster_that_is_there() -> None:
    """Its two CPUs hold two of four wished workers; it goes on after the run."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = ["start", "--head", f"--port={address[10:]}", "--num-cpus=2", "--include-dashboard=false", "--block"]
    loopback = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    head = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *words], env=loopback, stdout=subprocess.DEVNULL
    )
    try:
        script = (
            "from emotion_llama.scale.spread import spread; from scale_workers import make_square\n"
            f"print(sorted(spread(make_square, [1, 2, 3, 4], jobs=4, engine='ray', address='{address}')))"
        )
        wait_for(address)
        for _ in range(2):
            found = subprocess.check_output([sys.executable, "-c", script], env=loopback, text=True, timeout=40)
            assert found == "[(0, 1), (1, 4), (2, 9), (3, 16)]\n"
        assert head.poll() is None
    finally:
        head.terminate()
        head.wait(20)


def wait_for(address: str) -> None:
    host, port = address.split(":")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.2)
