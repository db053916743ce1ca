"""What the parts of `SqlRunStore` share: their transactions, and tables of registered things.

Each part stores one group of tables in a module of its own; `sql.py` puts them together.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Table, select, tuple_

from mellea_jupyter.models.assets import Asset
from mellea_jupyter.models.datasets import Dataset
from mellea_jupyter.stores.runs import cursors
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.base import RunStore
from mellea_jupyter.stores.runs.rows import to_ms
from mellea_jupyter.stores.runs.transactions import Transactions

Registered = TypeVar("Registered", Asset, Dataset)


class SqlPart(RunStore):
    """Some of the store's methods, over transactions that all parts share."""

    def __init__(self, transactions: Transactions) -> None:
        self.transactions = transactions
        """For other stores in the same database."""
        self._reading = transactions.reading
        self._writing = transactions.writing

    def _newest(
        self, table: Table, *, visible: ColumnElement[bool] | None, limit: int, cursor: str | None
    ) -> tuple[list[str], str | None]:
        """Documents of a page of assets or datasets, and the cursor of the next page."""
        where = [] if visible is None else [visible]
        if cursor is not None:
            value, row_id = cursors.decode(cursor, table.name, int)
            where.append(tuple_(table.c.updated_ms, table.c.id) < tuple_(value, row_id))
        query = select(table.c.updated_ms, table.c.id, table.c.doc).where(*where)
        query = query.order_by(table.c.updated_ms.desc(), table.c.id.desc()).limit(limit + 1)
        with self._reading() as connection:
            rows = connection.execute(query).all()
        following = None
        if len(rows) > limit:
            rows = rows[:limit]
            following = cursors.encode(table.name, rows[-1].updated_ms, rows[-1].id)
        return [row.doc for row in rows], following


def upsert_by_origin(
    connection: Connection, table: Table, value: Registered, origin: str, keep: Collection[str]
) -> Registered:
    """Record what was registered; where its origin is known, under the id of the first time."""
    known = connection.scalar(select(table.c.doc).where(table.c.origin == origin))
    if known is not None:
        first = type(value).model_validate_json(known)
        kept = {name: getattr(first, name) for name in ("id", "created_at", *keep)}
        value = value.model_copy(update=kept)
    columns = {
        "id": value.id,
        "origin": origin,
        "owner_id": value.owner_id,
        "updated_ms": to_ms(value.updated_at),
        "doc": value.model_dump_json(),
    }
    connection.execute(dialect.upsert(table), columns)
    return value
