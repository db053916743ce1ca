"""Filters as conditions, orders as columns, and keyset pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, false, func, select, tuple_
from sqlalchemy.schema import Column

from mellea_jupyter.exceptions import InvalidInput
from mellea_jupyter.models.pages import RunFilters, RunQuery
from mellea_jupyter.stores.runs import cursors, rollup
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.parts import Part
from mellea_jupyter.stores.runs.rows import to_ms
from mellea_jupyter.stores.runs.tables import run_tags, runs, shares

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

_EXACT: Final = ("status", "owner_id", "asset_id", "model")
_FEW: Final = ("group_id", "fingerprint")
"""Filters that few runs pass: these are fetched, in whichever order."""
_ENOUGH_COUNTED: Final = 10  # times what makes a walk the better way


def conditions(filters: RunFilters, part: Part, *, walk: bool = False) -> list[ColumnElement[bool]]:
    """The filters on the table `runs`, all of which have to hold.

    `walk`: in a form that tests rows met in the wanted order, instead of fetching all matches.
    """
    where: list[ColumnElement[bool]] = []
    if part.own is not None:
        where.append(_any_of(runs.c.owner_id, [part.own], walk=walk))
    elif part.is_shared:
        where.append(dialect.unary_plus(runs.c.owner_id) != part.owner_id)
        shared = select(shares.c.run_id).where(shares.c.principal.in_(part.principals))
        if walk:
            where.append(shared.where(shares.c.run_id == runs.c.id).exists())
        else:
            where.append(runs.c.id.in_(shared))
    where.extend(
        _any_of(runs.c[name], [str(value) for value in values], walk=walk)
        for name in _EXACT
        if (values := getattr(filters, name))
    )
    for tag in filters.tags:
        tagged = select(run_tags.c.run_id).where(run_tags.c.tag == tag)
        if walk:
            where.append(tagged.where(run_tags.c.run_id == runs.c.id).exists())
        else:
            where.append(runs.c.id.in_(tagged))
    where.extend(
        _any_of(runs.c[name], list(values), walk=False)
        for name in _FEW
        if (values := getattr(filters, name))
    )
    if filters.started_after is not None:
        where.append(runs.c.created_ms >= to_ms(filters.started_after))
    if filters.started_before is not None:
        where.append(runs.c.created_ms < to_ms(filters.started_before))
    if filters.search and filters.search.strip():
        hit = dialect.text_matches(runs.c.n, filters.search, unindexed=walk)
        where.append(false() if hit is None else hit)
    return where


def _any_of(column: Column[Any], values: list[str], *, walk: bool) -> ColumnElement[bool]:
    tested = dialect.unary_plus(column) if walk else column
    return tested == values[0] if len(values) == 1 else tested.in_(values)


def _index_has_order(query: RunQuery, order: Order) -> bool:
    """Whether an index holds the matches in the wanted order, so that nothing is to choose."""
    filtered = {name for name in _EXACT if getattr(query, name)}
    if query.tags or query.search or any(len(getattr(query, name)) > 1 for name in filtered):
        return False
    return order.column is runs.c.created_ms or (
        order.column is runs.c.cost_pico_usd and "asset_id" in filtered
    )


def prefers_walk(connection: Connection, query: RunQuery, order: Order, part: Part) -> bool:
    """Whether a page is found sooner by testing rows in the wanted order.

    The other way is to fetch all matches and sort them. With n runs and m matches, a page of l
    runs costs about l * n / m steps one way and m the other, so the first is better above
    m = sqrt(l * n). The rollup knows m for the usual filters; several filters are taken as
    independent of each other.
    """
    if any(getattr(query, name) for name in _FEW):
        return False
    if not part.is_shared and _index_has_order(query, order):
        return False
    every = rollup.count(connection, RunFilters(), None)
    if not every:
        return False
    enough = math.isqrt(query.limit * every)
    named = {name: getattr(query, name) for name in _EXACT}
    share = rollup.count(connection, RunFilters(**named), part.own) / every
    if part.is_shared:
        shared = select(shares.c.run_id).where(shares.c.principal.in_(part.principals))
        counted = shared.limit(_ENOUGH_COUNTED * enough).subquery()
        share *= (connection.scalar(select(func.count()).select_from(counted)) or 0) / every
    for tag in query.tags:
        tagged = select(run_tags.c.run_id).where(run_tags.c.tag == tag).limit(every)
        share *= (
            connection.scalar(select(func.count()).select_from(tagged.subquery())) or 0
        ) / every
    if query.search and query.search.strip():
        share *= dialect.count_text_matches(connection, query.search, every) / every
    return share * every > enough


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


def rows(
    connection: Connection, where: list[ColumnElement[bool]], order: Order, limit: int
) -> list[Row[Any]]:
    """The first rows after the cursor: the sort value, `id` and `doc`.

    The rows with a value come first and those without last, in both directions. Each half is a
    query of its own, because then each is a plain range of an index.
    """
    found: list[Row[Any]] = []
    if order.after is None or order.after[0] is not None:
        found.extend(connection.execute(_half(where, order, nulls=False).limit(limit)))
    if len(found) < limit and order.column.nullable:
        rest = _half(where, order, nulls=True).limit(limit - len(found))
        found.extend(connection.execute(rest))
    return found


def page(parts: Sequence[list[Row[Any]]], order: Order, limit: int) -> tuple[list[str], str | None]:
    """Documents of a page and the cursor of the next one, None on the last.

    `parts` hold the first `limit + 1` rows of each part, and no row twice.
    """
    found = parts[0] if len(parts) == 1 else _merged([row for part in parts for row in part], order)
    if len(found) <= limit:
        return [row.doc for row in found], None
    last = found[limit - 1]
    return [row.doc for row in found[:limit]], cursors.encode(order.name, last[0], last.id)


def _merged(found: list[Row[Any]], order: Order) -> list[Row[Any]]:
    valued = [row for row in found if row[0] is not None]
    empty = [row for row in found if row[0] is None]
    return [
        *sorted(valued, key=lambda row: (row[0], row.id), reverse=order.descending),
        *sorted(empty, key=lambda row: row.id, reverse=order.descending),
    ]


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
