"""The FastAPI application: routes, errors, health, numbers; and the life of everything behind it."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emotion_llama import __version__
from emotion_llama.errors import EmotionLlamaError, RequestError
from emotion_llama.serve import analyze_api, chat_api, jobs_api
from emotion_llama.serve.asking import ClientGone
from emotion_llama.serve.bodies import AnalyzeBody
from emotion_llama.serve.chat import ChatBody
from emotion_llama.serve.job_runner import JobRunner
from emotion_llama.serve.jobs import JobStore
from emotion_llama.serve.keys import Access, Keys
from emotion_llama.serve.refusals import as_refusal, error_response
from emotion_llama.serve.service import Service
from emotion_llama.serve.uploads import BodyLimit, UploadFolder

log = logging.getLogger(__name__)

INTENDED_USE = (
    "A displayed emotion is not a felt one. Not for deciding about people: no hiring, policing or schooling decisions."
)


def create_app(service: Service) -> FastAPI:
    """Give the application around a service, which it starts and stops. A page may be mounted into it.

    Raises `UsageError` for a bad key file, or a queue of jobs that is in use.
    """
    settings = service.settings
    keys = None if settings.api_key_file is None else Keys.read(settings.api_key_file)
    store = JobStore(settings.jobs_file)
    app = FastAPI(
        title="Emotion-LLaMA", version=__version__, description=INTENDED_USE, docs_url=None, redoc_url=None,
        lifespan=_life,
    )  # fmt: skip
    app.state.service, app.state.jobs, app.state.uploads = service, store, UploadFolder()
    for module in (analyze_api, jobs_api, chat_api):
        app.include_router(module.router)
    for method, path, answer in _ROUTES:
        app.add_api_route(path, answer, methods=[method], response_model=None)
    for kind in (EmotionLlamaError, TimeoutError, Exception):
        app.exception_handler(kind)(_say)
    app.exception_handler(ClientGone)(_nobody)
    app.exception_handler(ClientDisconnect)(_nobody)
    app.exception_handler(HTTPException)(_say_http)
    app.exception_handler(RequestValidationError)(_say_invalid)
    # added last, run first: keys before anything is read, lengths before anything is parsed
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(Access, keys=keys)
    app.add_middleware(Measured, service=service)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    await service.start()
    app.state.runner = JobRunner(app.state.jobs, service)
    app.state.runner.start()
    try:
        yield
    finally:
        await app.state.runner.stop()
        await service.stop()
        app.state.jobs.close()
        app.state.uploads.remove()


class Measured:
    """Times every request by route and status, and keeps answers from being read as another type."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._metrics = app, service.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start_s, status = time.perf_counter(), 499

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-content-type-options", b"nosniff")]}
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            path = getattr(scope.get("route"), "path", None)
            self._metrics.request(path or "other", status, time.perf_counter() - start_s)


async def health() -> Response:
    """Whether the process lives."""
    return JSONResponse({"status": "ok"})


async def readiness(request: Request) -> Response:
    """Whether the model is loaded and warm (503 until then)."""
    ready = request.app.state.service.ready
    return JSONResponse({"status": "ready" if ready else "loading"}, status_code=200 if ready else 503)


async def metrics(request: Request) -> Response:
    """Numbers in Prometheus' text format."""
    request.app.state.service.metrics.jobs(request.app.state.jobs.counts())
    return Response(request.app.state.service.metrics.page(), media_type="text/plain; version=0.0.4")


async def models(request: Request) -> Response:
    """The model that is served: tasks, labels it was trained on, licence, hash of the weights."""
    service: Service = request.app.state.service
    rows = []
    if service.model is not None:
        # OpenAI's clients want a time; what is known is since when it is served
        head = {"id": service.model.name, "object": "model", "owned_by": "emotion-llama", "created": service.since_s}
        rows.append({**head, "intended_use": INTENDED_USE, **service.model.card()})
    return JSONResponse({"object": "list", "data": rows})


_ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "/healthz", health),
    ("GET", "/readyz", readiness),
    ("GET", "/metrics", metrics),
    ("GET", "/v1/models", models),
)


async def _say(request: Request, error: Exception) -> Response:
    refusal = as_refusal(error)
    request.app.state.service.metrics.error(refusal.kind)
    if refusal.kind == "internal_error":
        log.error("%s %s", request.method, request.url.path, exc_info=error)
    return error_response(refusal, request.url.path)


async def _nobody(request: Request, error: Exception) -> Response:
    request.app.state.service.metrics.error("client_left")
    return Response(status_code=499)


async def _say_http(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    response = error_response(
        RequestError(str(getattr(error, "detail", error)), status=status, kind=f"http_{status}"), request.url.path
    )
    response.headers.update(getattr(error, "headers", None) or {})
    return response


async def _say_invalid(request: Request, error: Exception) -> Response:
    return error_response(
        RequestError("a parameter of the address is not as expected", status=422, kind="wrong_request"),
        request.url.path,
    )


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts = schema.setdefault("components", {}).setdefault("schemas", {})
        for body in (AnalyzeBody, ChatBody):  # read by hand, so that every error has our shape
            own = body.model_json_schema(ref_template="#/components/schemas/{model}")
            parts.update(own.pop("$defs", {}))
            parts[body.__name__] = own
        app.openapi_schema = schema
    return app.openapi_schema
