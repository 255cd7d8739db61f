"""Where judgments are kept: any database of SQLAlchemy, usually reviews.sqlite in the data set's folder.

Rows are only ever added. A new password, a second thought about a clip: each is a row of its own, and the last counts.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    select,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from emotion_llama.build.review.passwords import hash_password, password_fits
from emotion_llama.build.review.records import CRITERIA, Changes, Judgment, Scores, Verdict
from emotion_llama.clip import Record
from emotion_llama.errors import OutputError, UsageError
from emotion_llama.manifest import read_csv_rows

DATABASE = "reviews.sqlite"
LONGEST_NAME = 80

_METADATA = MetaData()
_ANNOTATORS = Table(
    "annotators",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(LONGEST_NAME), nullable=False, index=True),
    Column("password", String(400), nullable=False),
    Column("made_at", String(40), nullable=False),
)
_JUDGMENTS = Table(
    "judgments",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("clip", Text, nullable=False, index=True),
    Column("annotator", String(LONGEST_NAME), nullable=False),
    Column("verdict", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("emotion", Text),
    *(Column(name, Integer) for name in CRITERIA),
    Column("blind", Boolean, nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("made_at", String(40), nullable=False),
)
_EDITS = Table(
    "edits",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("judgment", Integer, ForeignKey("judgments.id"), nullable=False, index=True),
    Column("annotator", String(LONGEST_NAME), nullable=False),
    Column("field", String(20), nullable=False),
    Column("value", Text, nullable=False),
)


class Said(Record):
    """A judgment before it is saved: the fields of `Judgment` that the annotator and the page determine."""

    clip: str
    annotator: str
    verdict: Verdict
    reason: str = ""
    emotion: str | None = None
    scores: Scores = Scores()
    changes: Changes = Changes()
    content_sha256: str


class ReviewStore:
    """The judgments of one data set. Safe to use from several threads, and by several processes at once."""

    def __init__(self, dataset: Path, database: str | None = None) -> None:
        """Open the database and make its tables. Raises `UsageError` for a URL that is none, or cannot be reached."""
        self.url = database or f"sqlite:///{dataset.resolve() / DATABASE}"
        try:
            self._engine = _engine(self.url)
            _METADATA.create_all(self._engine)
        except (ArgumentError, SQLAlchemyError, ImportError) as error:
            raise UsageError(
                f"database {_short(self.url)}: cannot be opened ({_first_line(error)}); give an SQLAlchemy URL such as "
                "sqlite:////data/reviews.sqlite, or a data set folder you may write to"
            ) from error
        self._known: list[Judgment] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def add_annotator(self, name: str, password: str) -> None:
        """Add a person, or give one a new password. Raises `UsageError` for a bad name or a short password."""
        if not name.strip() or name != name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
            raise UsageError(f"annotator {name!r}: expected 1 to {LONGEST_NAME} letters without space at the ends")
        self._write(_ANNOTATORS, {"name": name, "password": hash_password(password), "made_at": _now()})

    def annotators(self) -> tuple[str, ...]:
        """Give the names of those who may sign in, in the order they were added."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(_ANNOTATORS.c.name).order_by(_ANNOTATORS.c.id)).scalars()
            return tuple(dict.fromkeys(rows))

    def signs_in(self, name: str, password: str) -> bool:
        """Whether this is the name and the present password of an annotator."""
        newest = select(_ANNOTATORS.c.password).where(_ANNOTATORS.c.name == name).order_by(_ANNOTATORS.c.id.desc())
        with self._engine.connect() as connection:
            hashed = connection.execute(newest.limit(1)).scalar()
        # an unknown name costs the same time as a wrong password, so that names cannot be found out by trying
        return password_fits(password, hashed or _NOBODY) and hashed is not None

    def add_judgment(self, said: Said) -> Judgment:
        """Save a judgment and give it with its number. Raises `OutputError` if the database takes nothing.

        It is blind if it is the annotator's first of this content, or if nobody else has judged that yet: as soon as
        both have, the page says whether they disagree.
        """
        before = self._judged_by(said.clip, said.content_sha256)
        blind = said.annotator not in before or before == {said.annotator}
        row = said.model_dump(exclude={"scores", "changes"}) | said.scores.model_dump()
        row |= {"blind": blind, "made_at": _now()}
        edits = said.changes.model_dump(exclude_none=True)
        number = self._write(_JUDGMENTS, row, [{"field": field, "value": text} for field, text in edits.items()])
        return Judgment(**said.model_dump(), id=number, blind=blind, made_at=row["made_at"])

    def judgments(self) -> tuple[Judgment, ...]:
        """Give every judgment ever saved, oldest first; only new rows are read from the database."""
        with self._lock, self._engine.connect() as connection:
            count, last = connection.execute(select(func.count(), func.max(_JUDGMENTS.c.id))).one()
            known = self._known[-1].id if self._known else 0
            if (last or 0) > known or count != len(self._known):
                fresh = _read(connection, after=known)
                # a database with several writers may show number 5 before number 4: then all are read again
                self._known = [*self._known, *fresh] if len(self._known) + len(fresh) == count else _read(connection, 0)
            return tuple(self._known)

    def _judged_by(self, clip: str, content_sha256: str) -> set[str]:
        same = (_JUDGMENTS.c.clip == clip) & (_JUDGMENTS.c.content_sha256 == content_sha256)
        with self._engine.connect() as connection:
            return set(connection.execute(select(_JUDGMENTS.c.annotator).where(same)).scalars())

    def _write(self, table: Table, row: Mapping[str, Any], edits: list[dict[str, str]] | None = None) -> int:
        try:
            with self._engine.begin() as connection:
                (number,) = connection.execute(insert(table).values(**row).returning(table.c.id)).scalars()
                if edits:
                    added = {"judgment": number, "annotator": row["annotator"]}
                    connection.execute(insert(_EDITS), [edit | added for edit in edits])
                return int(number)
        except SQLAlchemyError as error:
            raise OutputError(
                f"database {_short(self.url)}: nothing was saved ({_first_line(error)}); make room, or see that the "
                "file may be written, and save again"
            ) from error


def add_annotator(dataset: Path, name: str, password: str, database: str | None = None) -> None:
    """Add a person who may judge a data set, or give one a new password. Raises `UsageError`."""
    store = ReviewStore(dataset, database)
    try:
        store.add_annotator(name, password)
    finally:
        store.close()


def add_annotators(store: ReviewStore, path: Path) -> None:
    """Add those of a CSV with the columns name and password who are new or have another password.

    Raises `ManifestError` or `UsageError` naming file and line.
    """
    for line, row in read_csv_rows(path):
        if set(row) != {"name", "password"}:
            raise UsageError(f"{path}:1: expected the columns name and password, found {', '.join(row)}")
        try:
            if not store.signs_in(row["name"], row["password"]):
                store.add_annotator(row["name"], row["password"])
        except UsageError as error:
            raise UsageError(f"{path}:{line}: {error}") from error


def _engine(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:  # the driver's connection has no common type
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _read(connection: Any, after: int) -> list[Judgment]:
    rows = connection.execute(select(_JUDGMENTS).where(_JUDGMENTS.c.id > after).order_by(_JUDGMENTS.c.id)).mappings()
    judged = [dict(row) for row in rows]  # before the edits, so that one saved in between is not read without its own
    edits: dict[int, dict[str, str]] = {}
    for row in connection.execute(select(_EDITS).where(_EDITS.c.judgment > after).order_by(_EDITS.c.id)).mappings():
        edits.setdefault(row["judgment"], {})[row["field"]] = row["value"]
    return [_judgment(row, edits.get(row["id"], {})) for row in judged]


def _judgment(row: dict[str, Any], edits: dict[str, str]) -> Judgment:
    scores = {name: row.pop(name) for name in CRITERIA}
    return Judgment(**row, scores=Scores(**scores), changes=Changes(**edits))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _short(url: str) -> str:
    """The URL without a password."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://…@{tail}" if at else url


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


_NOBODY = hash_password("nobody signs in with this")
