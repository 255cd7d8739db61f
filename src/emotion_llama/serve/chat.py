"""A conversation as OpenAI's clients send it → one question about one recording."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from emotion_llama.clip import Task
from emotion_llama.errors import RequestError
from emotion_llama.labels import parse_label_set
from emotion_llama.serve.limits import MOST_NEW_TOKENS
from emotion_llama.settings import AnalyzeSettings

Asked = Literal["emotion", "reason", "visual", "audio", "detection"]
ASKED: tuple[Asked, ...] = get_args(Asked)
FACES = re.compile(r"(?:(?:the|all|every|a|person'?s)\s+)*faces?(?:\s+in .*)?[.?!]?", re.IGNORECASE)

_TAG = re.compile(r"\[\s*([A-Za-z_0-9]{1,20})\s*\]")
_SAYS = re.compile(r"the person in (?:the )?video says\s*:\s*(.*)", re.IGNORECASE | re.DOTALL)
_LISTED = re.compile(r"represents?\s*:\s*([^.?!\n]+)", re.IGNORECASE)
_MEDIA = {"video_url", "image_url", "input_audio"}
_NOT_SPOKEN = ("tools", "tool_choice", "functions", "function_call", "response_format", "audio", "prediction")


class ChatMessage(BaseModel):
    """One message: text, or parts (text, video_url, image_url, input_audio)."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[dict[str, Any]] | None = None


class ChatBody(BaseModel):
    """The body of `POST /v1/chat/completions`. `labels` is ours: a label set, or words with commas between them.

    Answers are always the likeliest ones, so `temperature`, `top_p` and `seed` change nothing.
    """

    model_config = ConfigDict(extra="allow")

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=200)]
    stream: bool | None = False
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = 1
    max_tokens: Annotated[int, Field(ge=1, le=MOST_NEW_TOKENS)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=MOST_NEW_TOKENS)] | None = None
    labels: str | None = None


@dataclass(frozen=True)
class Question:
    """What is asked now: the task (`None`: a free question), the words after its tag, the recording and its words.

    `recording` is a data URI, the last one of the conversation; `None` where there is none.
    """

    task: Asked | None
    tag: str
    text: str
    recording: str | None
    transcript: str | None
    labels: tuple[str, ...] | None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of the analysis that answers it."""
        return ("emotion",) if self.task is None or self.task == "detection" else (self.task,)

    def settings(self, max_new_tokens: int | None = None) -> AnalyzeSettings:
        """The settings of the analysis that answers it."""
        changes: dict[str, Any] = {"tasks": self.tasks}
        if self.labels is not None:
            changes["labels"] = self.labels
        if max_new_tokens is not None:
            changes["max_new_tokens"] = max_new_tokens
        return AnalyzeSettings(**changes)


def question_of(body: ChatBody) -> Question:
    """Find the question of a conversation. Raises `RequestError` for what is no question, or not understood."""
    for name in _NOT_SPOKEN:
        given = (body.model_extra or {}).get(name)
        if given and given != {"type": "text"}:
            raise _bad(f"{name}: the service writes plain text only; leave it out")
    if body.messages[-1].role != "user":
        raise _bad("messages: expected the last one to be the user's")
    recording = transcript = None
    text = ""
    for place, message in enumerate(body.messages):
        if message.role != "user":
            continue
        text, found = _parts(message.content, place)
        recording = found or recording
        transcript = words_said(text, found is not None, transcript)
    return read_question(text, recording, transcript, body.labels)


def read_question(text: str, recording: str | None, transcript: str | None, labels: str | None) -> Question:
    """Read one message about a recording (any name for it; `None`: there is none) and what is said in it."""
    tags = list(_TAG.finditer(text))
    tag = tags[0][1].lower() if tags else ""
    words = text[tags[0].end() :].strip() if tags else text.strip()
    if not tags and _SAYS.search(words):
        words = words[: _SAYS.search(words).start()].strip()  # type: ignore[union-attr]
    task: Asked | None = next((one for one in ASKED if one == tag), None)
    if not tag and not words and (recording is not None or transcript is not None):
        task = "reason"
    listed = _LISTED.search(words) if task == "emotion" else None
    named = labels or (listed[1] if listed is not None and "," in listed[1] else None)
    return Question(task, tag, words, recording, transcript, None if named is None else parse_label_set(named))


def words_said(text: str, new_recording: bool, before: str | None) -> str | None:
    """What the person says, as the paper's demonstration has it typed; it belongs to the recording it came with."""
    match = _SAYS.search(_TAG.split(text)[0])
    if match is None:
        return None if new_recording else before
    return match[1].strip()


def _parts(content: str | list[dict[str, Any]] | None, place: int) -> tuple[str, str | None]:
    if not isinstance(content, list):
        return content or "", None
    texts: list[str] = []
    found: list[str] = []
    for part in content:
        kind = part.get("type")
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind in _MEDIA:
            found.append(_uri(part.get(kind), str(kind), place))
        else:
            raise _bad(
                f"messages[{place}]: expected parts text, video_url, image_url or input_audio, found {kind!r:.40}"
            )
    if len(found) > 1:
        raise _bad(f"messages[{place}]: expected one recording a message, found {len(found)}")
    return " ".join(texts), found[0] if found else None


def _uri(value: Any, kind: str, place: int) -> str:
    if kind == "input_audio":
        data = value.get("data") if isinstance(value, dict) else None
        if isinstance(data, str):
            return data if data.startswith("data:") else f"data:audio/x;base64,{data}"
    else:
        url = value.get("url") if isinstance(value, dict) else value
        if isinstance(url, str):
            return url
    raise _bad(f"messages[{place}]: expected {kind} with the recording as a data URI (input_audio: base64 in `data`)")


def _bad(text: str) -> RequestError:
    return RequestError(text, status=400, kind="wrong_request")
