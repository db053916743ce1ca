"""Filters as conditions, orders as columns, and keyset pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, false, select, tuple_
from sqlalchemy.schema import Column

from mellea_jupyter.exceptions import InvalidInput
from mellea_jupyter.models.pages import RunFilters, RunQuery
from mellea_jupyter.stores.runs import cursors
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.rows import to_ms
from mellea_jupyter.stores.runs.tables import run_tags, runs

SORT_COLUMNS: Final[dict[str, Column[Any]]] = {
    "created_at": runs.c.created_ms,
    "started_at": runs.c.started_ms,
    "finished_at": runs.c.finished_ms,
    "duration": runs.c.duration_ms,
    "cost": runs.c.cost_pico_usd,
    "status": runs.c.status,
    "asset": runs.c.asset_name,
    "owner": runs.c.owner_id,
    "model": runs.c.model,
    "llm_calls": runs.c.llm_calls,
    "tokens": runs.c.tokens,
}
"""What each `RunSort` sorts by; the id decides between equals."""


def conditions(filters: RunFilters, visible_to: str | None) -> list[ColumnElement[bool]]:
    """The filters on the table `runs`, all of which have to hold."""
    where: list[ColumnElement[bool]] = []
    if visible_to is not None:
        where.append(runs.c.owner_id == visible_to)
    if filters.status:
        where.append(_any_of(runs.c.status, [s.value for s in filters.status]))
    for name in ("owner_id", "asset_id", "model"):
        if values := getattr(filters, name):
            where.append(_any_of(runs.c[name], list(values)))
    where.extend(
        runs.c.id.in_(select(run_tags.c.run_id).where(run_tags.c.tag == tag))
        for tag in filters.tags
    )
    if filters.started_after is not None:
        where.append(runs.c.created_ms >= to_ms(filters.started_after))
    if filters.started_before is not None:
        where.append(runs.c.created_ms < to_ms(filters.started_before))
    if filters.search and filters.search.strip():
        hit = dialect.text_matches(runs.c.n, filters.search)
        where.append(false() if hit is None else hit)
    return where


def _any_of(column: Column[Any], values: list[str]) -> ColumnElement[bool]:
    return column == values[0] if len(values) == 1 else column.in_(values)


@dataclass(frozen=True, slots=True)
class Order:
    """A sort column, a direction, and where in it to go on."""

    name: str  # as in the query: "-created_at"
    column: Column[Any]
    descending: bool
    after: tuple[cursors.Value, str] | None

    @classmethod
    def of(cls, query: RunQuery) -> Order:
        """The order of a query.

        Raises:
            InvalidInput: `sort` is not a `RunSort`, with or without `-`.
            InvalidCursor: the cursor is not one of this order.
        """
        column = SORT_COLUMNS.get(query.sort.removeprefix("-"))
        if column is None:
            known = ", ".join(SORT_COLUMNS)
            raise InvalidInput("sort", f"unknown order {query.sort!r}", hint=f"One of {known}.")
        kind = column.type.python_type
        after = None if query.cursor is None else cursors.decode(query.cursor, query.sort, kind)
        return cls(query.sort, column, query.sort.startswith("-"), after)


def page(
    connection: Connection, where: list[ColumnElement[bool]], order: Order, limit: int
) -> tuple[list[str], str | None]:
    """Documents of a page and the cursor of the next one, None on the last.

    The rows with a value come first and those without last, in both directions. Each half is a
    query of its own, because then each is a plain range of an index.
    """
    rows: list[Any] = []
    if order.after is None or order.after[0] is not None:
        rows.extend(connection.execute(_half(where, order, nulls=False).limit(limit + 1)))
    if len(rows) <= limit and order.column.nullable:
        rest = _half(where, order, nulls=True).limit(limit + 1 - len(rows))
        rows.extend(connection.execute(rest))
    if len(rows) <= limit:
        return [row.doc for row in rows], None
    last = rows[limit - 1]
    return [row.doc for row in rows[:limit]], cursors.encode(order.name, last[0], last.id)


def _half(where: list[ColumnElement[bool]], order: Order, *, nulls: bool) -> Any:
    column, after = order.column, order.after
    query = select(column, runs.c.id, runs.c.doc).where(*where)
    keys: tuple[ColumnElement[Any], ...] = (runs.c.id,) if nulls else (column, runs.c.id)
    if nulls:
        query = query.where(column.is_(None))
    elif column.nullable:
        query = query.where(column.is_not(None))
    if after is not None and (after[0] is None) == nulls:
        left, right = tuple_(*keys), tuple_(*(after[1:] if nulls else after))
        query = query.where(left < right if order.descending else left > right)
    return query.order_by(*(key.desc() if order.descending else key.asc() for key in keys))
