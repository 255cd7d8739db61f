"""Errors as answers: one shape, and OpenAI's on its routes."""

from __future__ import annotations

import errno
from typing import Any

from starlette.responses import JSONResponse

from emotion_llama.errors import AssetError, EmotionLlamaError, MediaError, RequestError, UsageError

OPENAI_ROUTES = ("/v1/chat/", "/v1/models")


def as_refusal(error: Exception) -> RequestError:
    """Say as a `RequestError` what an error means to whoever asked. What is no error of ours is told without detail."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, TimeoutError):
        return RequestError(
            "no answer within the service's time limit; send a shorter recording, or use /v1/analyze/batch",
            status=504,
            kind="timeout",
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return RequestError("the service has no room left on its disk; ask again later", status=507, kind="no_room")
    if isinstance(error, MediaError):
        return RequestError(str(error), status=422, kind="unreadable_recording")
    if isinstance(error, UsageError):
        return RequestError(str(error), status=422, kind="wrong_request")
    if isinstance(error, AssetError):
        return RequestError("weights that this request needs are not installed", status=503, kind="weights_missing")
    known = isinstance(error, EmotionLlamaError)
    text = str(error) if known else "the service failed; its log says where"
    return RequestError(text, status=500, kind="model_error" if known else "internal_error")


def error_body(error: RequestError, path: str) -> dict[str, Any]:
    """The JSON of an error: `{"error": {"kind", "message"}}`; under OpenAI's routes with its fields."""
    if path.startswith(OPENAI_ROUTES):
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        return {"error": {"message": str(error), "type": kind, "param": None, "code": error.kind}}
    return {"error": {"kind": error.kind, "message": str(error), "status": error.status}}


def error_response(error: RequestError, path: str) -> JSONResponse:
    """The answer that tells an error."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        # a browser that opens a page asks its user for the key; a program is told of its header
        headers["WWW-Authenticate"] = "Bearer" if path.startswith("/v1/") else 'Basic realm="Emotion-LLaMA: key"'
    # OpenAI's API knows no 422
    status = 400 if error.status == 422 and path.startswith(OPENAI_ROUTES) else error.status
    return JSONResponse(error_body(error, path), status_code=status, headers=headers)
