"""Transactions of the one database that several stores share.

Writers of one process take turns under a lock; the database's own lock keeps processes apart.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from mellea_jupyter.exceptions import StoreBusy, StoreError
from mellea_jupyter.stores.runs import sqlite as dialect


class Transactions:
    """Begins and ends them; safe to use from several threads."""

    def __init__(self, engine: Engine, *, busy_timeout_seconds: float) -> None:
        self._engine = engine
        self._busy_timeout_seconds = busy_timeout_seconds
        self._write_lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database.

        Raises:
            StoreError: the database failed.
        """
        with store_errors(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """A write transaction; `durable` ones are on the disk when it returns.

        Raises:
            StoreBusy: others held the lock for too long.
            StoreError: the database failed.
        """
        options = dialect.WRITE_DURABLE if durable else dialect.WRITE
        if not self._write_lock.acquire(timeout=self._busy_timeout_seconds):
            raise StoreBusy("The run store is busy", hint="Try again in a moment.")
        try:
            with (
                store_errors(),
                self._engine.connect().execution_options(**options) as connection,
                connection.begin(),
            ):
                yield connection
        finally:
            self._write_lock.release()


@contextmanager
def store_errors() -> Iterator[None]:
    """Errors of the database as errors of the store."""
    try:
        yield
    except DBAPIError as error:
        if dialect.is_busy(error):
            raise StoreBusy("The run store is busy", hint="Try again in a moment.") from error
        raise StoreError(
            f"The run store failed: {error.orig}", hint="Check the disk that holds it."
        ) from error
