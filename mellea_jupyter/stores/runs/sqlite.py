"""Everything about the runs store that holds for SQLite only.

Connections and their settings, how a transaction begins, which errors mean "busy", the full-text
index, upserts, the number that tells of other writers, and the backup before a migration. Another
database needs a module with the same names.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Integer,
    QueuePool,
    Select,
    Table,
    TextClause,
    UnaryExpression,
    bindparam,
    column,
    create_engine,
    event,
    func,
    select,
    table,
    text,
)
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.operators import custom_op

from mellea_jupyter.exceptions import StoreBusy, StoreError

READ: Final = {"begin": "BEGIN"}
WRITE: Final = {"begin": "BEGIN IMMEDIATE"}
WRITE_DURABLE: Final = {"begin": "BEGIN IMMEDIATE", "synchronous": "FULL"}
EXCLUSIVE: Final = {"begin": "BEGIN EXCLUSIVE", "synchronous": "FULL"}
"""Execution options of a connection: how its next transaction begins."""

SEARCH_TABLES: Final = (
    """
    CREATE VIRTUAL TABLE runs_text USING fts5(
        text, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    )
    """,
)
"""The full-text index: its rowid is `runs.n`."""

_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def make_engine(path: Path, busy_timeout_seconds: float) -> Engine:
    """An engine whose connections may move between threads and wait this long for a lock."""
    # The pool does the settings per connection: WAL stays with the file, the rest does not.
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=32,
        connect_args={
            "timeout": busy_timeout_seconds,
            "check_same_thread": False,
            "cached_statements": 512,
        },
    )
    event.listen(engine, "connect", lambda connection, _: _set_up(connection))
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -16384")  # 16 MiB; negative means KiB
    connection.execute("PRAGMA temp_store = MEMORY")


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    # Not changeable inside a transaction, and a connection is used for both kinds.
    connection.exec_driver_sql(f"PRAGMA synchronous = {options.get('synchronous', 'NORMAL')}")
    connection.exec_driver_sql(options.get("begin", "BEGIN"))


def enable_wal(path: Path, busy_timeout_seconds: float) -> None:
    """Switch the file to write-ahead logging, creating it when absent.

    SQLite answers "busy" at once, without waiting, where two connections switch together.

    Raises:
        StoreError: the file can not be opened or is no database.
    """
    deadline = time.monotonic() + busy_timeout_seconds
    while True:
        try:
            with _closing(path) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
            if not busy or time.monotonic() > deadline:
                kind = StoreBusy if busy else StoreError
                raise kind(f"The run store {path} can not be opened: {error}") from error
            time.sleep(0.01)
        else:
            return


def is_busy(error: DBAPIError) -> bool:
    """Whether the error says that somebody else held the lock for too long."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _BUSY


def is_missing_parent(error: DBAPIError) -> bool:
    """Whether a row was refused because the row that it belongs to does not exist."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY


def is_duplicate(error: DBAPIError) -> bool:
    """Whether a row was refused because one with its key is there."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


def upsert(target: Table, *, keys: Sequence[str] = (), add: Sequence[str] = ()) -> Insert:
    """An insert that replaces the row of the same `keys` (by default, the primary key).

    Columns in `add` are added to what is stored, and the others of the row then stay.
    """
    statement = insert(target)
    keys = keys or [c.name for c in target.primary_key]
    values = {
        c.name: c + statement.excluded[c.name] if add else statement.excluded[c.name]
        for c in target.columns
        if c.name not in keys and not c.primary_key and (not add or c.name in add)
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=values)


def positional(statement: Insert) -> str:
    """The insert as text with one `?` for each column of the table, in their order.

    For many rows: with tuples, `exec_driver_sql` costs a third of `execute` with dictionaries.
    """
    return str(statement.compile(dialect=sqlite_dialect(paramstyle="qmark")))


class DataVersion:
    """`PRAGMA data_version` on a connection of its own, which never writes."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)

    def read(self) -> int:
        """A number that differs after any commit, by this process too."""
        row = self._connection.execute("PRAGMA data_version").fetchone()
        return int(row[0])

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._connection.close()


def back_up(source: Path, target: Path) -> None:
    """A consistent copy of the database, also while others read it or hold the write lock."""
    with _closing(source) as from_, _closing(target) as to:
        from_.backup(to)


@contextmanager
def _closing(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    try:
        yield connection
    finally:
        connection.close()


# Full-text search

_TEXT_OF: Final = text("SELECT text FROM runs_text WHERE rowid = :n")
_DELETE_TEXT: Final = text("DELETE FROM runs_text WHERE rowid = :n")
_INSERT_TEXT: Final = text("INSERT INTO runs_text (rowid, text) VALUES (:n, :text)")
_UPDATE_TEXT: Final = text("UPDATE runs_text SET text = :text WHERE rowid = :n")


def insert_texts(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Index new runs; each row has `n` and `text`."""
    connection.execute(_INSERT_TEXT, rows)


def update_text(connection: Connection, n: int, words: str) -> None:
    """Index a run's changed text; an unchanged one costs a read only."""
    if connection.scalar(_TEXT_OF, {"n": n}) != words:
        connection.execute(_UPDATE_TEXT, {"n": n, "text": words})


def delete_text(connection: Connection, n: int) -> None:
    """Take a run out of the index."""
    connection.execute(_DELETE_TEXT, {"n": n})


def text_matches(
    n: ColumnElement[int], search: str, *, unindexed: bool
) -> ColumnElement[bool] | None:
    """The condition that a run's text holds all the words, the last one as a prefix.

    None when there is no word in `search`, so that nothing can match. `unindexed`: test each
    row against the matches instead of fetching the matches.
    """
    hits = _matches(search)
    if hits is None:
        return None
    return (unary_plus(n) if unindexed else n).in_(hits)


def count_text_matches(connection: Connection, search: str, most: int) -> int:
    """How many runs match, counted up to `most`."""
    hits = _matches(search)
    if hits is None:
        return 0
    return connection.scalar(select(func.count()).select_from(hits.limit(most).subquery())) or 0


def unary_plus(column_: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column in a form that no index is used for."""
    return UnaryExpression(column_, operator=custom_op("+"), type_=column_.type)


def _matches(search: str) -> Select[int] | None:
    words = [w for w in search.replace("\0", " ").split() if any(map(str.isalnum, w))]
    if not words:
        return None
    # A quoted string is text to FTS5, whatever operators it holds.
    phrases = " ".join('"' + w.replace('"', '""') + '"' for w in words) + " *"
    hit: TextClause = text("runs_text MATCH :words").bindparams(
        bindparam("words", phrases, unique=True)
    )
    return select(column("rowid", Integer)).select_from(table("runs_text")).where(hit)
