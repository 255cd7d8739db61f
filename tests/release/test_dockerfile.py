"""The Dockerfile, read without Docker: stages, copied files, versions, the command line, the health check, the user."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.main import get_command

from emotion_llama.cli import app
from emotion_llama.cli.serve import serve
from emotion_llama.serve.settings import ServeSettings

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("cpu", "cuda")
Steps = list[tuple[str, str]]


def stages(text: str) -> dict[str, tuple[str, Steps]]:
    """Stage → (what it starts from, its instructions), in order; comments left out, continued lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found: dict[str, tuple[str, Steps]] = {}
    steps: Steps = []
    for line in re.sub(r"\\\n\s*", " ", lines).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            steps = []
            found[name.strip()] = (base.strip(), steps)
        else:
            steps.append((word, rest.strip()))
    return found


STAGES = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def whole(name: str) -> Steps:
    """All instructions of a stage and of those it starts from."""
    base, steps = STAGES[name]
    return (whole(base) if base in STAGES else []) + steps


def last(name: str, instruction: str) -> str:
    return [rest for word, rest in whole(name) if word == instruction][-1]


def sent(path: str) -> bool:
    """Whether .dockerignore lets a path of the tree through; the last rule that fits decides."""
    passes = True
    for rule in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = rule.removeprefix("!").removeprefix("**/")
        names = [path, path.split("/")[0], path.split("/")[-1]]
        if rule and not rule.startswith("#") and any(fnmatch.fnmatch(name, pattern) for name in names):
            passes = rule.startswith("!")
    return passes


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {
        found[1].lower().replace("_", "-"): found[2] for line in lines if (found := re.match(r"([\w.-]+)==(\S+)", line))
    }


def test_both_targets_are_there_and_the_cpu_one_is_built_by_default() -> None:
    assert set(TARGETS) <= set(STAGES) and list(STAGES)[-1] == "cpu"
    for base, _ in STAGES.values():
        assert base in STAGES or base == "python:3.11-slim"


def test_every_copied_file_is_there_and_is_sent_to_the_builder() -> None:
    copied = [rest for _, steps in STAGES.values() for word, rest in steps if word == "COPY"]
    assert len(copied) >= 6
    for rest in copied:
        if rest.startswith("--from="):
            assert rest.split()[0].removeprefix("--from=") in STAGES
            continue
        for source in rest.split()[:-1]:
            assert (ROOT / source).exists() and sent(source), source


def test_what_is_not_needed_is_not_sent() -> None:
    for path in (".git", "runs/own-data", "keys", "tests/conftest.py", "src/emotion_llama/__pycache__", "out"):
        assert not sent(path), path
    assert sent("src/emotion_llama/weights/nano/heads.safetensors")


def test_torch_comes_first_and_is_the_one_that_was_tested() -> None:
    (pinned,) = re.findall(r"pip install .*torch==(\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    for target in TARGETS:
        steps = STAGES[f"packages-{target}"][1]
        assert ("ARG", f"TORCH={pinned}") in steps
        installs = [rest for word, rest in steps if word == "RUN" and "pip install" in rest]
        assert '"torch==${TORCH}"' in installs[0] and "requirements.txt" in installs[1] and "[serve]" in installs[2]
        assert ("download.pytorch.org/whl/cpu" in installs[0]) == (target == "cpu")
        assert all("--constraint /requirements/requirements-dev.txt" in rest for rest in installs[1:])


def test_everything_the_service_needs_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = {**pins("requirements-dev.txt"), **pins("requirements.txt")}
    for line in (*project["dependencies"], *project["optional-dependencies"]["serve"]):
        wanted = Requirement(line)
        if wanted.name != "torch":
            assert known[wanted.name.lower().replace("_", "-")] in wanted.specifier, line
    minor = re.fullmatch(r">=3\.(\d+)", project["requires-python"])
    assert minor is not None and int(minor[1]) <= 11


@pytest.mark.parametrize("target", TARGETS)
def test_the_command_is_one_of_the_program_and_its_settings_hold(target: str) -> None:
    assert json.loads(last(target, "ENTRYPOINT")) == ["emotion-llama"]
    name, *words = json.loads(last(target, "CMD"))
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    given = command.make_context(name, words).params
    assert command.callback is not None and command.callback.__wrapped__ is serve
    fields = {key: value for key, value in given.items() if key in ServeSettings.model_fields}
    settings = ServeSettings(**fields)
    assert (settings.host, settings.port) == ("0.0.0.0", int(last(target, "EXPOSE")))
    assert settings.api_key_file is not None and settings.jobs_file.is_relative_to("/data")


@pytest.mark.parametrize("target", TARGETS)
def test_it_does_not_run_as_root_and_owns_what_it_writes(target: str) -> None:
    steps = whole(target)
    assert last(target, "USER") == "app"
    assert any("useradd" in rest and "--owner=app" in rest and "/cache /data" in rest for _, rest in steps)
    at = [number for number, (word, _) in enumerate(steps) if word == "USER"][-1]
    fetches = [number for number, (_, rest) in enumerate(steps) if "emotion-llama fetch ${WEIGHTS}" in rest]
    assert fetches and min(fetches) > at  # else the weights are root's
    assert "EMOTION_LLAMA_CACHE=/cache" in last("runtime", "ENV") and ("ARG", "WEIGHTS=nano") in steps


@pytest.fixture
def service() -> Iterator[tuple[int, list[str]]]:
    """A server that answers /healthz alone, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()


def test_the_health_check_tells_a_living_service_from_a_dead_one(service: tuple[int, list[str]]) -> None:
    port, asked = service
    check = last("cpu", "HEALTHCHECK").partition(" CMD ")[2]
    program, *words = json.loads(check)
    place = f"'127.0.0.1', {last('cpu', 'EXPOSE')}"
    assert program == "python" and place in words[1]

    def run(port: int, path: str = "/healthz") -> int:
        code = words[1].replace(place, f"'127.0.0.1', {port}").replace("/healthz", path)
        proxied = {**os.environ, "http_proxy": "http://127.0.0.1:1"}  # as Docker may pass it on: not for this
        done = subprocess.run(
            [sys.executable, words[0], code], capture_output=True, check=False, timeout=30, env=proxied
        )
        return done.returncode

    assert run(port) == 0 and asked == ["/healthz"]
    assert run(port, "/gone") != 0 and run(1) != 0
