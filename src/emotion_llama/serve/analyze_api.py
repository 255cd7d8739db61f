"""`POST /v1/analyze`: one recording in, its analysis out, at once or as events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from emotion_llama.clip import Analysis
from emotion_llama.errors import RequestError
from emotion_llama.serve.asking import Asking, ClientGone, asking, clip_of, received
from emotion_llama.serve.bodies import read_body
from emotion_llama.serve.refusals import as_refusal, error_body
from emotion_llama.serve.service import AnalyzeRequest, Event, Finished, Stage, Text, Ticket, Waiting
from emotion_llama.serve.uploads import Upload

router = APIRouter()
SIGN_OF_LIFE = b": still at work\n\n"
"""A comment, which clients of server-sent events pass over."""

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/AnalyzeBody"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "clip": {"type": "string", "format": "binary"},
                        "transcript": {"type": "string"},
                        "labels": {"type": "string"},
                        "tasks": {"type": "string"},
                    },
                }
            },
        },
    }
}
"""The two kinds of body, for the OpenAPI schema."""


@router.post("/v1/analyze", response_model=None, responses={200: {"model": Analysis}}, openapi_extra=BODY)
async def analyze(request: Request, stream: bool = False) -> Response:
    """Analyse one recording, or words alone. `stream`: server-sent events instead of one answer."""
    async with AsyncExitStack() as stack:
        asked = await stack.enter_async_context(asking(request))
        ticket = await _submitted(asked)
        stack.callback(ticket.cancel)
        if not stream:
            analysis = await asked.in_time(ticket.result())
            return Response(analysis.model_dump_json(), media_type="application/json")
        # from here on the stream holds the place and the file, and lets go of them when it ends
        return event_stream(_events(asked, ticket, stack.pop_all()))


async def _submitted(asked: Asking) -> Ticket:
    body, files = await received(asked, read_body(asked.request))
    upload: Upload | None = None
    if len(files) + (body.clip is not None) > 1:
        raise RequestError("expected one recording; several go to /v1/analyze/batch", status=422, kind="wrong_request")
    if files:
        upload = await asked.save_file(files[0])
    elif body.clip is not None:
        upload = await asked.save_data(body.clip.data, body.clip.name)
    name, path = ("text", None) if upload is None else (upload.name, upload.path)
    clip = clip_of(name, path, body.transcript, (body.start_s, body.end_s))
    if upload is not None:
        await asked.checked(upload)
    return asked.service.submit(AnalyzeRequest(clip, body.settings(), upload.sha256 if upload is not None else None))


async def _events(asked: Asking, ticket: Ticket, held: AsyncExitStack) -> AsyncIterator[bytes]:
    async with held:
        try:
            async for event in asked.events(ticket):
                yield SIGN_OF_LIFE if event is None else sse(*_told(event))
        except ClientGone:
            return
        except Exception as error:
            asked.service.metrics.error(as_refusal(error).kind)
            yield sse("error", error_body(as_refusal(error), "/v1/analyze"))


def _told(event: Event) -> tuple[str, Any]:
    if isinstance(event, Waiting):
        return "waiting", {"before": event.before}
    if isinstance(event, Stage):
        return "stage", {"name": event.name}
    if isinstance(event, Text):
        return "text", {"task": event.task, "piece": event.piece}
    if isinstance(event, Finished):
        return "window", event.window.model_dump(mode="json")
    return "analysis", event.analysis.model_dump(mode="json") if event.analysis is not None else None


def sse(name: str | None, data: Any) -> bytes:
    """One server-sent event; JSON has no bare line breaks, so it is one line."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def event_stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer that carries events; no proxy is to hold them back."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)
