"""Works through the queue of jobs, one after the other, whenever nobody waits for an answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

from emotion_llama.clip import Analysis
from emotion_llama.errors import RequestError
from emotion_llama.serve.asking import clip_of
from emotion_llama.serve.bodies import AnalyzeBody
from emotion_llama.serve.jobs import Job, JobStore
from emotion_llama.serve.refusals import as_refusal, error_body
from emotion_llama.serve.service import AnalyzeRequest, Service, Ticket

LOOK_AGAIN_S = 5.0
CLEAN_S = 600.0

log = logging.getLogger(__name__)


class JobRunner:
    """Runs the jobs of a store through a service."""

    def __init__(self, store: JobStore, service: Service) -> None:
        self._store, self._service = store, service
        self._added = asyncio.Event()
        self._stopping = False
        self._running: tuple[str, Ticket] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work, as soon as the model is loaded."""
        self._task = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        """Finish the job that runs; the others wait for the next start."""
        self._stopping = True
        self._added.set()
        if self._task is not None:
            await self._task

    def wake(self) -> None:
        """Say that jobs were added."""
        self._added.set()

    def cancel(self, job: Job) -> None:
        """End a job that runs; its record is the caller's to remove."""
        if self._running is not None and self._running[0] == job.id:
            self._running[1].cancel()

    async def _go_on(self) -> None:
        """Work, whatever happens to the queue's disk: a full one may have room again."""
        while not self._stopping:
            try:
                await self._work()
            except Exception as error:
                log.error("the queue of jobs failed; it is tried again in %.0f s", LOOK_AGAIN_S, exc_info=error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._added.wait(), LOOK_AGAIN_S)

    async def _work(self) -> None:
        cleaned_s = float("-inf")
        while not self._stopping:
            now_s = asyncio.get_running_loop().time()
            if now_s - cleaned_s > CLEAN_S:
                cleaned_s = now_s
                await asyncio.to_thread(self._store.remove_older, self._service.settings.retention_days * 86_400)
                await asyncio.to_thread(self._service.remove_old)
            self._added.clear()
            job = await asyncio.to_thread(self._store.next) if self._service.ready else None
            if job is not None:
                await self._run(job)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._added.wait(), LOOK_AGAIN_S if self._service.ready else 0.1)

    async def _run(self, job: Job) -> None:
        try:
            # no time limit: others go first, and what a recording can cost is bounded by its size
            analysis = await self._analysis(job)
        except Exception as error:
            refusal = as_refusal(error)
            if refusal.status >= 500:
                log.error("job %s: %s", job.id, refusal.kind, exc_info=error)
            self._service.metrics.error(refusal.kind)
            text = json.dumps(error_body(refusal, "/v1/jobs"))
            await asyncio.to_thread(self._store.finish, job, error=text)
        else:
            await asyncio.to_thread(self._store.finish, job, result=analysis.model_dump_json())

    async def _analysis(self, job: Job) -> Analysis:
        body = AnalyzeBody.model_validate_json(job.body)
        path = self._store.file_of(job)
        clip = clip_of(job.clip, path, body.transcript, (body.start_s, body.end_s))
        if path is not None and job.sha256 is not None:
            await self._service.check(path, job.clip, job.sha256)
        ticket = self._service.submit(AnalyzeRequest(clip, body.settings(), job.sha256, background=True))
        self._running = (job.id, ticket)
        try:
            return await _unless_cancelled(ticket)
        finally:
            self._running = None
            ticket.cancel()


async def _unless_cancelled(ticket: Ticket) -> Analysis:
    """Wait for the result, looking now and then whether the job was deleted: then nothing would ever come."""
    result = asyncio.create_task(ticket.result())
    try:
        while not ticket.cancelled.is_set():
            done, _ = await asyncio.wait({result}, timeout=0.1)
            if done:
                return result.result()
    finally:
        result.cancel()
    raise RequestError("the job was deleted", status=410, kind="deleted")
