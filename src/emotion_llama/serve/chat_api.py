"""`POST /v1/chat/completions`: the chat that OpenAI's client speaks, about one recording."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import RequestError
from emotion_llama.serve.analyze_api import SIGN_OF_LIFE, event_stream, sse
from emotion_llama.serve.asking import Asking, ClientGone, asking, received
from emotion_llama.serve.bodies import read_json, wrong
from emotion_llama.serve.chat import ChatBody, Question, question_of
from emotion_llama.serve.chat_answer import Reply, Speaking, boxes_text, cannot, label_logprobs, spoken
from emotion_llama.serve.refusals import as_refusal, error_body
from emotion_llama.serve.service import AnalyzeRequest, Done, Event, Ticket

router = APIRouter()
PATH = "/v1/chat/completions"
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatBody"}}},
    }
}


@router.post(PATH, response_model=None, openapi_extra=BODY)
async def chat(request: Request) -> Response:
    """Answer the last message of a conversation."""
    async with AsyncExitStack() as stack:
        asked = await stack.enter_async_context(asking(request))
        body = await received(asked, _body(asked))
        question, reply = question_of(body), Reply(body.model)
        refused = cannot(question)
        if refused is not None:
            return _refused(reply, refused, bool(body.stream))
        ticket = await _submitted(asked, body, question)
        stack.callback(ticket.cancel)
        if body.stream:
            return event_stream(_chunks(asked, ticket, _Telling(body, question, reply), stack.pop_all()))
        done = await asked.in_time(ticket.done())
        text, logprobs = _said(body, question, done)
        return JSONResponse(reply.whole(text, None, logprobs, done.analysis))


async def _body(asked: Asking) -> ChatBody:
    try:
        body = ChatBody.model_validate(await read_json(asked.request))
    except ValidationError as error:
        raise wrong(error) from None
    model = asked.service.model
    if model is not None and body.model != model.name:
        raise RequestError(
            f"the model {body.model[:80]!r} is not served here; ask for {model.name!r}",
            status=404,
            kind="model_not_found",
        )
    return body


async def _submitted(asked: Asking, body: ChatBody, question: Question) -> Ticket:
    upload = None
    if question.recording is not None:
        upload = await asked.save_data(question.recording)
        await asked.checked(upload)
    clip = Clip(
        clip="recording" if upload is not None else "text",
        path=None if upload is None else upload.path,
        transcript=question.transcript,
    )
    return asked.service.submit(
        AnalyzeRequest(
            clip,
            question.settings(body.max_completion_tokens or body.max_tokens),
            None if upload is None else upload.sha256,
            faces_only=question.task == "detection",
        )
    )


def _said(body: ChatBody, question: Question, done: Done) -> tuple[str, dict[str, Any] | None]:
    if done.analysis is None:
        return boxes_text(done.faces.boxes), None
    return spoken(question, done.analysis), _logprobs(body, question, done.analysis)


def _logprobs(body: ChatBody, question: Question, analysis: Analysis) -> dict[str, Any] | None:
    if not body.logprobs or question.task != "emotion":
        return None
    return label_logprobs(analysis, body.top_logprobs or 0)


def _refused(reply: Reply, text: str, stream: bool) -> Response:
    if not stream:
        return JSONResponse(reply.whole(text, text, None, None))

    async def chunks() -> AsyncIterator[bytes]:
        yield sse(None, reply.chunk({"role": "assistant", "content": text, "refusal": text}))
        yield sse(None, reply.chunk({}, "stop"))
        yield sse(None, "[DONE]")

    return event_stream(chunks())


class _Telling:
    """Events of an analysis → chunks of the answer."""

    def __init__(self, body: ChatBody, question: Question, reply: Reply) -> None:
        self._body, self._question, self.reply = body, question, reply
        self._speaking = Speaking(question)

    def pieces(self, event: Event) -> list[dict[str, Any]]:
        """The chunks that an event brings."""
        piece = self._speaking.piece(event)
        if not isinstance(event, Done):
            return [self.reply.chunk({"content": piece})] if piece else []
        logprobs = None if event.analysis is None else _logprobs(self._body, self._question, event.analysis)
        last = [self.reply.chunk({"content": piece}, logprobs=logprobs)] if piece else []
        return [*last, self.reply.chunk({}, "stop")]


async def _chunks(asked: Asking, ticket: Ticket, telling: _Telling, held: AsyncExitStack) -> AsyncIterator[bytes]:
    async with held:
        try:
            yield sse(None, telling.reply.chunk({"role": "assistant", "content": ""}))
            async for event in asked.events(ticket):
                if event is None:
                    yield SIGN_OF_LIFE
                    continue
                for piece in telling.pieces(event):
                    yield sse(None, piece)
            yield sse(None, "[DONE]")
        except ClientGone:
            return
        except Exception as error:
            asked.service.metrics.error(as_refusal(error).kind)
            yield sse(None, error_body(as_refusal(error), PATH))
