"""`POST /v1/analyze/batch` and `/v1/jobs/{id}`: recordings that are analysed when there is time."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from emotion_llama.clip import Record
from emotion_llama.errors import RequestError
from emotion_llama.serve.asking import Asking, asking, clip_of, received
from emotion_llama.serve.bodies import AnalyzeBody, Body, checked_body, read_body, read_json
from emotion_llama.serve.jobs import MOST_WAITING, Job, JobStore
from emotion_llama.serve.limits import check_settings
from emotion_llama.serve.uploads import Upload

router = APIRouter()
MOST_CLIPS = 64
"""Clips of one batch."""

BATCH: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "requests": {"type": "array", "items": {"$ref": "#/components/schemas/AnalyzeBody"}},
                    },
                    "required": ["requests"],
                }
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"clip": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
        },
    }
}


class JobState(Record):
    """A job as it is told: its state, and its analysis or error once it ended."""

    id: str
    clip: str
    state: str
    created_s: float
    finished_s: float | None
    analysis: dict[str, Any] | None
    error: dict[str, Any] | None


@router.post("/v1/analyze/batch", response_model=None, status_code=202, openapi_extra=BATCH)
async def batch(request: Request) -> Response:
    """Accept up to 64 recordings: a form with several files `clip`, or JSON `{"requests": [...]}`. One job each."""
    async with asking(request) as asked:
        jobs = await received(asked, _jobs(asked))
        store: JobStore = request.app.state.jobs
        counts = await run_in_threadpool(store.counts)
        if counts["queued"] + len(jobs) > MOST_WAITING:
            raise RequestError(
                f"{counts['queued']} jobs wait already, at most {MOST_WAITING} may; ask again later",
                status=429,
                kind="busy",
                retry_after_s=60,
            )
        ids = await run_in_threadpool(store.add, request.scope.get("owner", ""), jobs)
    request.app.state.runner.wake()
    told = [{"id": found, "clip": clip} for found, (clip, _, _) in zip(ids, jobs, strict=True)]
    return JSONResponse({"jobs": told}, status_code=202)


@router.get("/v1/jobs/{job_id}", response_model=None, responses={200: {"model": JobState}})
async def job(request: Request, job_id: str) -> Response:
    """Say how far a job is; with its analysis once it is done."""
    found = await _job(request, job_id)
    state = JobState(
        id=found.id,
        clip=found.clip,
        state=found.state,
        created_s=found.created_s,
        finished_s=found.finished_s,
        analysis=None if found.result is None else json.loads(found.result),
        error=None if found.error is None else json.loads(found.error)["error"],
    )
    return Response(state.model_dump_json(), media_type="application/json")


@router.delete("/v1/jobs/{job_id}", response_model=None, status_code=204)
async def delete_job(request: Request, job_id: str) -> Response:
    """Remove a job with its recording and result; one that runs is ended."""
    found = await _job(request, job_id)
    await run_in_threadpool(request.app.state.jobs.delete, found)
    request.app.state.runner.cancel(found)
    return Response(status_code=204)


async def _job(request: Request, job_id: str) -> Job:
    store: JobStore = request.app.state.jobs
    found = await run_in_threadpool(store.get, job_id, request.scope.get("owner", ""))
    if found is None:
        raise RequestError(
            "no such job: it was never accepted, belongs to another key, or its time is over",
            status=404,
            kind="no_such_job",
        )
    return found


async def _jobs(asked: Asking) -> list[tuple[str, str, Upload | None]]:
    if asked.request.headers.get("content-type", "").startswith("multipart/"):
        body, files = await read_body(asked.request)
        sent: list[tuple[Body, Upload | None]] = [(body, await asked.save_file(file)) for file in files]
    else:
        sent = [await _one(asked, body) for body in _bodies(await read_json(asked.request))]
    if not 1 <= len(sent) <= MOST_CLIPS:
        raise RequestError(
            f"expected 1 to {MOST_CLIPS} recordings, found {len(sent)}", status=422, kind="wrong_request"
        )
    return [_accepted(body, upload) for body, upload in sent]


def _bodies(sent: Any) -> list[Body]:
    rows = sent.get("requests") if isinstance(sent, dict) else None
    if not isinstance(rows, list) or len(rows) > MOST_CLIPS:
        raise RequestError(
            f'expected {{"requests": [...]}} with at most {MOST_CLIPS} requests as /v1/analyze takes them',
            status=422,
            kind="wrong_request",
        )
    return [checked_body(row, AnalyzeBody) for row in rows]


async def _one(asked: Asking, body: Body) -> tuple[Body, Upload | None]:
    if body.clip is None:
        return body, None
    return body, await asked.save_data(body.clip.data, body.clip.name)


def _accepted(body: Body, upload: Upload | None) -> tuple[str, str, Upload | None]:
    name = "text" if upload is None else upload.name
    clip_of(name, None if upload is None else upload.path, body.transcript, (body.start_s, body.end_s))
    check_settings(body.settings(), body.transcript)
    return name, body.model_dump_json(exclude={"clip"}, exclude_none=True), upload
