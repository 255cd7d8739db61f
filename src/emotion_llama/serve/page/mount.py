"""The page inside the service's application: at `/`, in each language, asking no other machine."""

from __future__ import annotations

import os
from importlib.resources import files

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emotion_llama.errors import RequestError
from emotion_llama.serve.page.actions import Actions
from emotion_llama.serve.page.sessions import Sessions
from emotion_llama.serve.page.words import LANGUAGES, preferred, words
from emotion_llama.serve.refusals import error_response
from emotion_llama.serve.service import Service
from emotion_llama.serve.settings import MEGABYTE

POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self'"
)
"""The browser refuses whatever would go to another machine."""

FILE_POLICY = "sandbox; default-src 'none'"
"""An uploaded file that is opened by itself may do nothing, whatever it says it is."""


def add_page(app: FastAPI) -> None:
    """Mount the page. Raises `ImportError` where gradio is not installed."""
    service: Service = app.state.service
    folder = app.state.uploads.root / "page"
    folder.mkdir(mode=0o700)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)  # read when components are made
    import gradio as gr

    from emotion_llama.serve.page.layout import page_of

    here = files("emotion_llama.serve.page")
    system = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Noto Sans", "sans-serif"]
    theme = gr.themes.Base(primary_hue="teal", font=system, font_mono=["ui-monospace", "monospace"]).set(
        button_primary_background_fill="#0f6e66", button_primary_background_fill_hover="#0b5750",
        button_primary_background_fill_dark="#0f6e66", button_primary_background_fill_hover_dark="#0b5750",
    )  # fmt: skip
    kept, most_bytes = Sessions(folder), service.settings.max_upload_mb * MEGABYTE
    for language in (*(one for one in LANGUAGES if one != "en"), "en"):  # the page at / takes what is left
        gr.mount_gradio_app(
            app, page_of(Actions(service, words(language)), kept), "/" if language == "en" else f"/{language}",
            footer_links=[], run_history=False, ssr_mode=False, show_error=False, pwa=False, theme=theme,
            max_file_size=most_bytes,
            css=(here / "page.css").read_text(encoding="utf-8"), js=(here / "page.js").read_text(encoding="utf-8"),
            app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        )  # fmt: skip
    app.add_middleware(Offline)
    app.add_middleware(Room, sessions=kept, most_bytes=service.settings.queue * most_bytes)


class Offline:
    """Says to the browser that the page loads from here only, and leads it to its own language."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        language = preferred(headers.get("accept-language", ""))
        # someone who comes from the page itself has chosen the language
        if scope["path"] == "/" and language != "en" and "referer" not in headers:
            await RedirectResponse(f"/{language}/", headers={"Vary": "Accept-Language, Referer"})(scope, receive, send)
            return

        async def limited(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                if "/gradio_api/file=" in scope["path"]:
                    answer["content-security-policy"] = FILE_POLICY
                elif answer.get("content-type", "").startswith("text/html"):
                    answer["content-security-policy"] = POLICY
                    answer["referrer-policy"] = "same-origin"
            await send(message)

        await self._app(scope, receive, limited)


class Room:
    """Turns uploads away while the recordings of open pages take all the room that there is for them."""

    def __init__(self, app: ASGIApp, sessions: Sessions, most_bytes: int) -> None:
        self._app, self._sessions, self._most_bytes = app, sessions, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        upload = scope["type"] == "http" and scope["path"].endswith("/gradio_api/upload")
        if upload and self._sessions.kept_bytes() >= self._most_bytes:
            refusal = RequestError(
                "the service keeps no more recordings at a time; close pages that are not needed, or come back later",
                status=507,
                kind="no_room",
            )
            await error_response(refusal, scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive, send)
