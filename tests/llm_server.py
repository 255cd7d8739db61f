"""A loopback server that speaks as an OpenAI-compatible endpoint does, well or badly, as a test tells it.

Loaded by path (`runpy.run_path`), since the test folders are no packages.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Say:
    """One answer: a message's text, or `body` as it stands; late, or cut off."""

    text: str | None = ""
    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    close: bool = False

    def content(self, model: str) -> bytes:
        if self.body is not None:
            return self.body
        message = {"role": "assistant", "content": self.text}
        row = {"model": f"{model}-2026", "choices": [{"message": message, "finish_reason": "stop"}]}
        return json.dumps({**row, "usage": {"prompt_tokens": 11, "completion_tokens": 3}}).encode()


Answer = Callable[[dict[str, Any]], Say]


class LlmServer:
    """`answer` gives what is said to a request's body; `said` says prepared answers in turn, the last for ever."""

    def __init__(self) -> None:
        self.answer: Answer = lambda body: Say("hello")
        self.models = ["tiny"]
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def said(self, *says: Say) -> None:
        left = list(says)
        self.answer = lambda body: left.pop(0) if len(left) > 1 else left[0]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, _, body in self.seen]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                rows = {"data": [{"id": name} for name in server.models]}
                ok = self.path == "/v1/models"
                self._send(Say(status=200 if ok else 404, body=json.dumps(rows).encode()), "")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    server.seen.append((self.path, dict(self.headers), body))
                    say = server.answer(body) if self.path == "/v1/chat/completions" else Say(status=404, body=b"no")
                self._send(say, body["model"])

            def _send(self, say: Say, model: str) -> None:
                time.sleep(say.delay_s)
                if say.close:
                    self.connection.close()
                    return
                content = say.content(model)
                self.send_response(say.status)
                for name, value in {"Content-Type": "application/json", **say.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        return Handler
