"""Requests as they are sent: JSON and forms → what to analyse and how."""

from __future__ import annotations

import json
from typing import Any, get_origin

from pydantic import ConfigDict, Field, ValidationError, create_model, model_validator
from starlette.datastructures import FormData, UploadFile
from starlette.requests import ClientDisconnect, Request

from emotion_llama.clip import Record
from emotion_llama.errors import RequestError
from emotion_llama.labels import parse_label_set
from emotion_llama.settings import AnalyzeSettings

FILES_OF_THE_SERVER = (
    "baseline",
    *(name for name, field in AnalyzeSettings.model_fields.items() if "Path" in repr(field.annotation)),
)
"""Settings that name files (`baseline` as plain words): not to be had over HTTP."""

_PATHS = (*FILES_OF_THE_SERVER, "path", "file", "video_path")


class SentClip(Record):
    """A recording inside JSON: its content as a data URI, and what it is to be called."""

    data: str = Field(description="data:video/mp4;base64,… (any kind of recording; its content decides)")
    name: str | None = None


class Body(Record):
    """What every body has; the settings of an analysis are added below, each optional."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: SentClip | None = None
    transcript: str | None = Field(default=None, description="What is said; the recogniser is not asked.")
    start_s: float | None = Field(default=None, ge=0)
    end_s: float | None = Field(default=None, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _written_lists(cls, values: Any) -> Any:
        """Words with commas between them are lists; `labels` may be the name of a set."""
        if not isinstance(values, dict):
            return values
        for name in _PATHS:
            if name in values:
                raise ValueError(
                    f"{name}: the service opens no files of its own machine; send the recording itself (multipart "
                    "field `clip`, or `clip.data` as a data URI)"
                )
        found = dict(values)
        for name, field in AnalyzeSettings.model_fields.items():
            if isinstance(found.get(name), str) and get_origin(field.annotation) is tuple and name != "labels":
                found[name] = [word.strip() for word in found[name].split(",") if word.strip()]
        if isinstance(found.get("labels"), str):
            found["labels"] = list(parse_label_set(found["labels"]))
        return found

    def settings(self) -> AnalyzeSettings:
        """Give the settings of the analysis. Raises `ValidationError` for values that do not go together."""
        asked = {name: getattr(self, name) for name in SETTINGS if getattr(self, name) is not None}
        return AnalyzeSettings.model_validate(asked)


SETTINGS = tuple(name for name in AnalyzeSettings.model_fields if name not in FILES_OF_THE_SERVER)
_optional: dict[str, Any] = {name: (AnalyzeSettings.model_fields[name].annotation | None, None) for name in SETTINGS}  # type: ignore[operator]

AnalyzeBody: type[Body] = create_model("AnalyzeBody", __base__=Body, **_optional)
"""The JSON of one request: a clip or a transcript or both, and any setting of `emotion-llama analyze`."""


async def read_body(request: Request, model: type[Body] = AnalyzeBody) -> tuple[Body, list[UploadFile]]:
    """Read JSON or a form: fields, and the files of the form. Raises `RequestError`."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = await read_form(request)
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        sent = {name: value for name, value in form.items() if isinstance(value, str)}
        return checked_body({name: _value(name, text) for name, text in sent.items()}, model), files
    if kind != "application/json":
        raise RequestError(
            f"content type {kind or 'missing'}: expected multipart/form-data with a file `clip`, or application/json",
            status=415,
            kind="wrong_content_type",
        )
    return checked_body(await read_json(request), model), []


def checked_body(sent: Any, model: type[Body]) -> Body:
    """Check what was sent. Raises `RequestError` naming the field."""
    try:
        body = model.model_validate(sent)
        body.settings()
    except ValidationError as error:
        raise wrong(error) from None
    return body


async def read_json(request: Request) -> Any:
    """Read a JSON body. Raises `RequestError`."""
    try:
        sent = json.loads(await request.body())
        json.dumps(sent, ensure_ascii=False).encode()  # half characters, which no answer could repeat
        return sent
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {str(error)[:200]}", status=400, kind="wrong_json") from None


async def read_form(request: Request) -> FormData:
    """Read a multipart body; its files are unnamed temporary ones. Raises `RequestError`."""
    try:
        return await request.form(max_files=64, max_fields=64)
    except (RequestError, ClientDisconnect):
        raise
    except Exception as error:  # the parser's own errors, of several kinds
        text = str(getattr(error, "detail", error))[:200]
        raise RequestError(f"the form cannot be read: {text}", status=400, kind="wrong_form") from None


def wrong(error: ValidationError) -> RequestError:
    """Say in one sentence each what was wrong, without what was sent."""
    told = [": ".join([*map(str, e["loc"]), str(e["msg"]).removeprefix("Value error, ")]) for e in error.errors()]
    text = "; ".join(told)[:1000].encode("utf-8", "backslashreplace").decode()
    return RequestError(text, status=422, kind="wrong_request")


def _value(name: str, text: str) -> Any:
    """A form knows text only: an empty field is one that was not given; `labels` and the like have commas."""
    return None if text == "" and name != "transcript" else text
