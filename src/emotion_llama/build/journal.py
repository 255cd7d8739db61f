"""What was done to each clip, by which settings, when and where: an SQL database beside the data set.

Results are kept by content: the key of a result covers the recording, the step with its version and settings, and the
keys of the steps that it reads. So a killed build goes on where it stopped, a changed setting repeats only what depends
on it, and what other settings gave stays. SQLite in write-ahead mode by default; any URL that SQLAlchemy knows.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import sqlalchemy as sql
from pydantic import ValidationError
from sqlalchemy.engine import Connection

from emotion_llama.build.database import damaged, open_database, reading, writing
from emotion_llama.build.step import Found, Outcome, OutcomeKind
from emotion_llama.clip import Clip, Record
from emotion_llama.errors import ManifestError, UsageError

R = TypeVar("R", bound=Record)

JOURNAL = "journal.sqlite"
FORM = "1"
"""Form of the tables; a journal of another form is refused."""

AttemptKind = Literal["done", "rejected", "failed"]

_tables = sql.MetaData()
_facts = sql.Table(
    "facts",
    _tables,
    sql.Column("name", sql.String(80), primary_key=True),
    sql.Column("value", sql.Text, nullable=False),
)
_clips = sql.Table(
    "clips", _tables,
    sql.Column("place", sql.Integer, nullable=False, index=True),
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("clip", sql.Text, nullable=False),
    sql.Column("listed", sql.Boolean, nullable=False),
    sql.Column("round", sql.Integer, nullable=False),
)  # fmt: skip
_outcomes = sql.Table(
    "outcomes", _tables,
    sql.Column("clip", sql.Text, primary_key=True),
    sql.Column("step", sql.String(40), primary_key=True),
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("kind", sql.String(10), nullable=False),
    sql.Column("found", sql.Text, nullable=False),
)  # fmt: skip
_prints = sql.Table(
    "prints", _tables,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("data", sql.LargeBinary, nullable=False),
)  # fmt: skip
_attempts = sql.Table(
    "attempts", _tables,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("clip", sql.Text, nullable=False, index=True),
    sql.Column("step", sql.String(40), nullable=False),
    sql.Column("kind", sql.String(10), nullable=False),
    sql.Column("words", sql.Text, nullable=False),
    sql.Column("ended", sql.Float, nullable=False),
    sql.Column("took_s", sql.Float, nullable=False),
    sql.Column("host", sql.Text, nullable=False),
    sql.Column("pid", sql.Integer, nullable=False),
)  # fmt: skip
_calls = sql.Table(
    "calls", _tables,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("answer", sql.Text, nullable=False),
    sql.Column("model", sql.Text, nullable=False),
    sql.Column("prompt_tokens", sql.Integer),
    sql.Column("completion_tokens", sql.Integer),
    sql.Column("cost", sql.Float, nullable=False),
    sql.Column("at", sql.Float, nullable=False),
)  # fmt: skip
_decisions = sql.Table(
    "decisions", _tables,
    sql.Column("clip", sql.Text, primary_key=True),
    sql.Column("step", sql.String(40), primary_key=True),
    sql.Column("kind", sql.String(10), nullable=False),
    sql.Column("words", sql.Text, nullable=False),
)  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """One try at one step of one clip: how it ended, in words, when (seconds since 1970) and how long it took."""

    clip: str
    step: str
    kind: AttemptKind
    words: str
    took_s: float
    ended: float = 0.0
    host: str = ""
    pid: int = 0


@dataclass(frozen=True)
class Done:
    """What a step gave for a clip, the key it holds for, and a fingerprint of the recording if it took one."""

    key: str
    outcome: Outcome
    print_data: bytes | None = None


@dataclass(frozen=True)
class Call:
    """An answer of a language model that was paid for. `cost` in the currency of the settings."""

    answer: str
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float


class Journal:
    """One data set's journal. Used by one process at a time; its threads may share it.

    Raises `OutputError` where the database cannot be written (a full disk), `ManifestError` where it is none of ours.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_database(url, _tables)
        form = self.fact("form")
        if form is None:
            self.note("form", FORM)
        elif form != FORM:
            raise ManifestError(f"{url}: a journal of form {form}, expected {FORM}; use the version that made it")

    def close(self) -> None:
        """Let go of the database; in SQLite the write-ahead file is folded in."""
        self._engine.dispose()

    def fact(self, name: str) -> str | None:
        """Give what was noted under a name; `None`: nothing."""
        with self._read() as connection:
            value: str | None = connection.execute(sql.select(_facts.c.value).where(_facts.c.name == name)).scalar()
        return value

    def note(self, name: str, value: str) -> None:
        """Keep one fact of the whole data set."""
        with self._write() as connection:
            connection.execute(sql.delete(_facts).where(_facts.c.name == name))
            connection.execute(sql.insert(_facts).values(name=name, value=value))

    def enlist(self, clips: Sequence[Clip]) -> None:
        """Take this as the list of clips; what is known of others stays, unlisted."""
        with self._write() as connection:
            rounds = {name: turn for name, turn in connection.execute(sql.select(_clips.c.name, _clips.c.round))}
            connection.execute(sql.update(_clips).values(listed=False))
            for start in range(0, len(clips), 500):
                part = clips[start : start + 500]
                names = [clip.clip for clip in part]
                connection.execute(sql.delete(_clips).where(_clips.c.name.in_(names)))
                connection.execute(
                    sql.insert(_clips),
                    [
                        {
                            "place": start + n, "name": clip.clip, "clip": clip.model_dump_json(), "listed": True,
                            "round": rounds.get(clip.clip, 0),
                        }
                        for n, clip in enumerate(part)
                    ],
                )  # fmt: skip

    def names(self) -> list[str]:
        """Give the names of the listed clips, in their order."""
        with self._read() as connection:
            query = sql.select(_clips.c.name).where(_clips.c.listed).order_by(_clips.c.place)
            return list(connection.execute(query).scalars())

    def clip(self, name: str) -> tuple[Clip, int]:
        """Give a listed clip and how often its failures were put back. Raises `UsageError` for an unknown name."""
        with self._read() as connection:
            query = sql.select(_clips.c.clip, _clips.c.round).where(_clips.c.name == name, _clips.c.listed)
            row = connection.execute(query).first()
        if row is None:
            raise UsageError(f"{name}: no clip of this data set; `build status` lists how many there are")
        return self._record(Clip, row[0]), int(row[1])

    def another_round(self, names: Sequence[str]) -> None:
        """Ask language models anew for these clips: their answers so far were of no use."""
        with self._write() as connection:
            for name in names:
                connection.execute(sql.update(_clips).where(_clips.c.name == name).values(round=_clips.c.round + 1))

    def outcomes(self, clip: str, keys: Mapping[str, str]) -> dict[str, Outcome]:
        """Give what steps gave for a clip, where they gave it under these keys (step → key)."""
        query = sql.select(_outcomes.c.step, _outcomes.c.key, _outcomes.c.kind, _outcomes.c.found).where(
            _outcomes.c.clip == clip, _outcomes.c.key.in_(list(keys.values()))
        )
        with self._read() as connection:
            rows = connection.execute(query).all()
        return {
            step: Outcome(step=step, kind=_kind(kind), found=self._record(Found, found))
            for step, key, kind, found in rows
            if keys.get(step) == key
        }

    def outcome(self, clip: str, step: str, key: str) -> Outcome | None:
        """Give what one step gave for a clip under a key; `None`: it was not done."""
        return self.outcomes(clip, {step: key}).get(step)

    def keep(self, clip: str, done: Sequence[Done], attempts: Sequence[Attempt]) -> None:
        """Write what steps gave for one clip and the attempts at them, all or nothing."""
        with self._write() as connection:
            for one in done:
                where = (_outcomes.c.clip == clip, _outcomes.c.step == one.outcome.step, _outcomes.c.key == one.key)
                connection.execute(sql.delete(_outcomes).where(*where))
                row = {"clip": clip, "step": one.outcome.step, "key": one.key, "kind": one.outcome.kind}
                found = one.outcome.found.model_dump_json(exclude_defaults=True)
                connection.execute(sql.insert(_outcomes).values(found=found, **row))
                if one.print_data is not None:
                    connection.execute(sql.delete(_prints).where(_prints.c.key == one.key))
                    connection.execute(sql.insert(_prints).values(key=one.key, data=one.print_data))
            for attempt in attempts:
                connection.execute(sql.insert(_attempts).values(**_attempt_row(attempt)))

    def print_data(self, key: str) -> bytes | None:
        """Give the fingerprint that a step left under its key."""
        with self._read() as connection:
            data: bytes | None = connection.execute(sql.select(_prints.c.data).where(_prints.c.key == key)).scalar()
        return data

    def attempts(self, clip: str | None = None) -> Iterator[Attempt]:
        """Give all attempts, of one clip or of all, in order."""
        query = sql.select(_attempts).order_by(_attempts.c.number)
        with self._read() as connection:
            for row in connection.execute(query if clip is None else query.where(_attempts.c.clip == clip)):
                yield Attempt(row.clip, row.step, row.kind, row.words, row.took_s, row.ended, row.host, row.pid)

    def call(self, key: str) -> Call | None:
        """Give the answer to a question that was asked before; `None`: it was not, or not answered."""
        with self._read() as connection:
            row = connection.execute(sql.select(_calls).where(_calls.c.key == key)).first()
        if row is None:
            return None
        return Call(row.answer, row.model, row.prompt_tokens, row.completion_tokens, row.cost)

    def keep_call(self, key: str, call: Call) -> None:
        """Keep an answer, at once: it was paid for."""
        row = {
            "answer": call.answer, "model": call.model, "prompt_tokens": call.prompt_tokens,
            "completion_tokens": call.completion_tokens, "cost": call.cost, "at": time.time(),
        }  # fmt: skip
        with self._write() as connection:
            connection.execute(sql.delete(_calls).where(_calls.c.key == key))
            connection.execute(sql.insert(_calls).values(key=key, **row))

    def spent(self) -> tuple[int, int, float]:
        """Give answered calls, tokens in and out together, and cost, of the whole life of the data set."""
        tokens = sql.func.coalesce(_calls.c.prompt_tokens, 0) + sql.func.coalesce(_calls.c.completion_tokens, 0)
        query = sql.select(sql.func.count(), sql.func.sum(tokens), sql.func.sum(_calls.c.cost)).select_from(_calls)
        with self._read() as connection:
            count, total, cost = connection.execute(query).one()
        return int(count), int(total or 0), float(cost or 0.0)

    def decide(self, decisions: Sequence[tuple[str, str, OutcomeKind, str]]) -> None:
        """Replace what was decided over the whole set: (clip, step, kind, words)."""
        rows = [{"clip": c, "step": s, "kind": k, "words": w} for c, s, k, w in decisions]
        with self._write() as connection:
            connection.execute(sql.delete(_decisions))
            if rows:
                connection.execute(sql.insert(_decisions), rows)

    def decisions(self, clip: str) -> list[tuple[str, OutcomeKind, str]]:
        """Give what was decided over the whole set for one clip: (step, kind, words)."""
        query = sql.select(_decisions.c.step, _decisions.c.kind, _decisions.c.words).where(_decisions.c.clip == clip)
        with self._read() as connection:
            return [(step, _kind(kind), words) for step, kind, words in connection.execute(query)]

    def _read(self) -> AbstractContextManager[Connection]:
        return reading(self._engine)

    def _write(self) -> AbstractContextManager[Connection]:
        return writing(self._engine)

    def _record(self, kind: type[R], text: str) -> R:
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            raise damaged(self._engine, f"a row holds no {kind.__name__}: {error.errors()[0]['msg']}") from error


def journal_url(dataset: Path, url: str | None) -> str:
    """Give the database's URL: as given, or SQLite in the data set's folder."""
    return url or f"sqlite:///{(dataset / JOURNAL).resolve()}"


def _attempt_row(attempt: Attempt) -> dict[str, Any]:
    return {
        "clip": attempt.clip, "step": attempt.step, "kind": attempt.kind, "words": attempt.words,
        "took_s": attempt.took_s, "ended": attempt.ended or time.time(), "host": attempt.host or socket.gethostname(),
        "pid": attempt.pid or os.getpid(),
    }  # fmt: skip


def _kind(word: str) -> OutcomeKind:
    return "rejected" if word == "rejected" else "done"
