"""The database under the journal: opened by URL, and what goes wrong with it said in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from emotion_llama.errors import EmotionLlamaError, ManifestError, OutputError, UsageError

DAMAGE = ("malformed", "not a database", "no such column", "no such table", "Could not decode")
"""What SQLite says of a file that is none of its own, of another program's, or with bytes that were overwritten."""


def open_database(url: str, tables: sql.MetaData) -> Engine:
    """Open a database and make the tables that are not there yet; SQLite in write-ahead mode.

    Raises `UsageError` for what is no URL, `ManifestError` for a damaged file or another program's, `OutputError` where
    nothing can be written.
    """
    try:
        engine = sql.create_engine(url)
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise UsageError(f"journal {_shown(url)}: expected a database URL that SQLAlchemy opens ({error})") from error
    if engine.dialect.name == "sqlite":
        sql.event.listen(engine, "connect", _into_wal)
    with writing(engine) as connection:
        _leave_others_alone(engine, connection, tables)
        tables.create_all(connection)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection to read with. Raises `ManifestError` for a damaged database, `OutputError` as `writing`."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise _explained(engine, error, "read") from error


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a transaction: all of it or nothing. Raises `OutputError` (a full disk), `ManifestError` (damage)."""
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise _explained(engine, error, "written") from error


def damaged(engine: Engine, why: str) -> ManifestError:
    """Give the error of a damaged database: which file, what was found, what to do."""
    return ManifestError(
        f"journal {_shown(engine.url)}: damaged, or no journal of a data set ({why}); put a copy of it back, or move "
        "it away together with its -wal and -shm files and build again: everything is then done and asked anew"
    )


def _leave_others_alone(engine: Engine, connection: Connection, tables: sql.MetaData) -> None:
    """Write nothing into another program's database: tables of our names must have our columns."""
    look = sql.inspect(connection)
    there = set(look.get_table_names())
    for table in tables.sorted_tables:
        found = {one["name"] for one in look.get_columns(table.name)} if table.name in there else None
        if found is not None and not found >= set(table.columns.keys()):
            raise damaged(engine, f"its table {table.name} has other columns")


def _into_wal(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=30000")


def _explained(engine: Engine, error: DBAPIError, done: str) -> EmotionLlamaError:
    why = str(error.orig or error).splitlines()[0]
    where = f"journal {_shown(engine.url)}"
    if any(word in why for word in DAMAGE):
        return damaged(engine, why)
    if "full" in why or "disk I/O error" in why:
        return OutputError(
            f"{where}: cannot be written ({why}); make room on its disk, or see that it is there, and give the same "
            "command again: it goes on where it stopped"
        )
    words = f"{where}: cannot be {done} ({why}); give the same command again when it can"
    return OutputError(words) if done == "written" else ManifestError(words)


def _shown(url: str | URL) -> str:
    """The URL without a password; of SQLite, the file."""
    try:
        made = sql.engine.make_url(url)
    except SQLAlchemyError:
        return repr(url)
    is_file = made.get_backend_name() == "sqlite" and made.database
    return str(made.database) if is_file else made.render_as_string(hide_password=True)
