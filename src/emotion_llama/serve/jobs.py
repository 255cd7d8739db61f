"""Jobs that outlive the service: a queue in SQLite, the recordings beside it, both private to the user.

An accepted job is on disk (write-ahead log, synchronous) before it is told to anybody. A job that ran when the service
ended, however it ended, waits again; one that was begun three times without an end is taken to be at fault and fails.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
import time
import uuid
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from emotion_llama.clip import Record
from emotion_llama.errors import UsageError
from emotion_llama.serve.uploads import Upload

State = Literal["queued", "running", "done", "failed"]
MOST_BEGINNINGS = 3
MOST_WAITING = 1000
LEAST_FREE_BYTES = 1_000_000_000
"""Room that jobs leave on the disk."""

_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, clip TEXT NOT NULL, file TEXT, sha256 TEXT, body TEXT NOT NULL,
    state TEXT NOT NULL, begun INTEGER NOT NULL DEFAULT 0, result TEXT, error TEXT,
    created_s REAL NOT NULL, finished_s REAL
)
"""
_INSERT = (
    "INSERT INTO jobs (id, owner, clip, file, sha256, body, state, created_s) VALUES (?, ?, ?, ?, ?, ?, 'queued', ?)"
)
_COLUMNS = "id, owner, clip, file, sha256, body, state, begun, result, error, created_s, finished_s"


class Job(Record):
    """One job: `clip` is the recording's name, `file` the name of its file, `body` what was asked, as JSON.

    `result` is an `Analysis` as JSON, `error` the body of an error as JSON; times in seconds since 1970.
    """

    id: str
    owner: str
    clip: str
    file: str | None
    sha256: str | None
    body: str
    state: State
    begun: int
    result: str | None
    error: str | None
    created_s: float
    finished_s: float | None


class JobStore:
    """The queue on disk. Safe to use from several threads of one process; a second process is refused."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files = path.parent / f"{path.stem}-recordings"
        self._files.mkdir(mode=0o700, exist_ok=True)
        self._files.chmod(0o700)
        self._held = FileLock(path.with_suffix(".lock"), thread_local=False)  # let go of by whichever thread ends
        try:
            self._held.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"{path}: another service uses this queue of jobs; give another --jobs-db") from None
        path.touch(mode=0o600)
        self._lock = threading.Lock()
        self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.execute(_TABLE)
            self._base.execute("UPDATE jobs SET state='queued' WHERE state='running'")
        except sqlite3.DatabaseError as error:
            self.close()
            raise UsageError(f"{path}: expected a queue of jobs, found something else ({error})") from error
        self._remove_strays()

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()
        self._held.release()

    def add(self, owner: str, jobs: list[tuple[str, str, Upload | None]]) -> list[str]:
        """Accept jobs, all or none: (recording's name, what is asked as JSON, recording). Gives their ids.

        The recordings are moved to the queue's folder and flushed first.
        """
        uploads = [upload for _, _, upload in jobs if upload is not None]
        self._check_room(sum(upload.path.stat().st_size for upload in uploads))
        rows = [
            (uuid.uuid4().hex, owner, clip, upload and upload.path.name, upload and upload.sha256, body, time.time())
            for clip, body, upload in jobs
        ]
        try:
            for upload in uploads:
                self._take_in(upload)
            _flush_folder(self._files)
            with self._lock, self._base:  # commits, or takes everything back
                self._base.execute("BEGIN IMMEDIATE")
                self._base.executemany(_INSERT, rows)
        except BaseException:
            for upload in uploads:
                (self._files / upload.path.name).unlink(missing_ok=True)
            raise
        return [row[0] for row in rows]

    def get(self, job_id: str, owner: str) -> Job | None:
        """Give a job of this owner."""
        found = self._rows(f"SELECT {_COLUMNS} FROM jobs WHERE id=? AND owner=?", (job_id, owner))
        return found[0] if found else None

    def next(self) -> Job | None:
        """Begin the job that has waited longest; `None` where none waits. One begun too often fails instead."""
        while True:
            found = self._rows(f"SELECT {_COLUMNS} FROM jobs WHERE state='queued' ORDER BY created_s, rowid LIMIT 1")
            if not found:
                return None
            job = found[0]
            if job.begun < MOST_BEGINNINGS:
                self._run("UPDATE jobs SET state='running', begun=begun+1 WHERE id=?", (job.id,))
                return job
            text = '{"error": {"kind": "job_gave_up", "message": "the service ended three times while at this job"}}'
            self.finish(job, error=text)

    def finish(self, job: Job, *, result: str | None = None, error: str | None = None) -> None:
        """Note the end of a job and remove its recording. A job that was deleted meanwhile stays deleted."""
        state = "done" if result is not None else "failed"
        self._run(
            "UPDATE jobs SET state=?, result=?, error=?, file=NULL, finished_s=? WHERE id=?",
            (state, result, error, time.time(), job.id),
        )
        self._remove_file(job)

    def delete(self, job: Job) -> None:
        """Remove a job with everything of it."""
        self._run("DELETE FROM jobs WHERE id=?", (job.id,))
        self._remove_file(job)

    def remove_older(self, age_s: float) -> None:
        """Remove jobs that ended longer ago than `age_s`."""
        self._run("DELETE FROM jobs WHERE finished_s IS NOT NULL AND finished_s < ?", (time.time() - age_s,))

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        with self._lock:
            rows = self._base.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state").fetchall()
        return {"queued": 0, "running": 0, "done": 0, "failed": 0} | dict(rows)

    def file_of(self, job: Job) -> Path | None:
        """Where a job's recording lies."""
        return None if job.file is None else self._files / job.file

    def _check_room(self, size: int) -> None:
        if shutil.disk_usage(self._files).free < size + LEAST_FREE_BYTES:
            raise OSError(errno.ENOSPC, "no room for the recordings of jobs")

    def _take_in(self, upload: Upload) -> None:
        with upload.path.open("rb") as source, (self._files / upload.path.name).open("xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())

    def _remove_file(self, job: Job) -> None:
        path = self.file_of(job)
        if path is not None:
            path.unlink(missing_ok=True)

    def _remove_strays(self) -> None:
        """Remove recordings of jobs that were never accepted: the service ended while they were written."""
        with self._lock:
            known = {row[0] for row in self._base.execute("SELECT file FROM jobs WHERE file IS NOT NULL")}
        for path in self._files.iterdir():
            if path.name not in known:
                path.unlink(missing_ok=True)

    def _rows(self, sql: str, values: tuple[object, ...] = ()) -> list[Job]:
        with self._lock:
            rows = self._base.execute(sql, values).fetchall()
        return [Job(**dict(zip(_COLUMNS.split(", "), row, strict=True))) for row in rows]

    def _run(self, sql: str, values: tuple[object, ...]) -> None:
        with self._lock:
            self._base.execute(sql, values)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be flushed there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
