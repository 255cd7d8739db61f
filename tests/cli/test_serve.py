"""`emotion-llama serve` as a user meets it before anything is served."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emotion_llama", "serve", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_network_address_needs_keys() -> None:
    done = run("--host", "0.0.0.0")
    assert done.returncode == 2 and "--api-key-file" in done.stderr and "Traceback" not in done.stderr


def test_a_taken_port_and_a_bad_key_file_are_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--port", str(port), "--jobs-db", str(tmp_path / "jobs.sqlite"))
    assert done.returncode == 2 and str(port) in done.stderr and "Traceback" not in done.stderr
    done = run("--port", "0", "--api-key-file", str(tmp_path / "none"), "--jobs-db", str(tmp_path / "jobs.sqlite"))
    assert done.returncode == 2 and "key file" in done.stderr and "secrets.token_hex" in done.stderr


def test_a_model_that_is_not_there_ends_it(tmp_path: Path) -> None:
    done = run("--model", "nanoo", "--port", "0", "--jobs-db", str(tmp_path / "jobs.sqlite"))
    assert done.returncode == 2 and "unknown model 'nanoo'" in done.stderr and "Traceback" not in done.stderr
