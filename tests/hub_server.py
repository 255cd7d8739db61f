"""A small model hub on loopback: lists a repository's files, and gives them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serving(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve the folders `root/OWNER/NAME` as repositories; gives the address, and the files asked for as they come."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = self.path.split("?")[0].strip("/")
            if path.startswith("api/models/"):
                self._list(path.removeprefix("api/models/"))
                return
            repository, _, rest = path.partition("/resolve/")
            file = root / repository / rest.partition("/")[2]
            if not file.is_file():
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            if body:
                asked.append(file.name)
            content = file.read_bytes()
            tag = hashlib.sha1(content, usedforsecurity=False).hexdigest()
            self._send(200, content if body else b"", {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT}, len(content))

        def _list(self, path: str) -> None:
            owner, name, *_ = path.split("/")
            folder = root / owner / name
            if not folder.is_dir():
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                return
            files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
            if "/tree/" in path:
                listed = [
                    {
                        "type": "file",
                        "path": file,
                        "size": (folder / file).stat().st_size,
                        "oid": hashlib.sha1((folder / file).read_bytes(), usedforsecurity=False).hexdigest(),
                    }
                    for file in files
                ]
                self._send(200, json.dumps(listed).encode())
                return
            about = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
            self._send(200, json.dumps(about).encode())

        def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None, size: int = -1) -> None:
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(size if size >= 0 else len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests say what matters."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
