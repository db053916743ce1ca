"""Totals of runs: what each run contributes, the rollup that adds it up, and summaries of both.

A run counts in one rollup row of each *grain*: a choice of what rows are told apart by, besides
the status. A summary reads the coarsest grain that knows all it filters and groups by, so that the
total of everything is a handful of rows however many runs there are. Where no grain knows enough
(tags, search, bounds within an hour), the same totals are taken from the runs themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from operator import add
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    bindparam,
    delete,
    func,
    literal,
    select,
)

from mellea_jupyter.lifecycle.statuses import TERMINAL
from mellea_jupyter.models.pages import RunFilters, RunSummary, SummaryGroup, SummaryReply
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.rows import to_ms, to_usd
from mellea_jupyter.stores.runs.tables import ROLLUP_SUMS, rollup, runs

GroupBy = Literal["day", "owner", "asset", "model", "status"]
Key = tuple[int, str, str, str, int, str]

HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * HOUR_MS

GRAINS: Final[tuple[frozenset[str], ...]] = (
    frozenset(),
    frozenset({"owner_id"}),
    frozenset({"asset_id"}),
    frozenset({"model"}),
    frozenset({"owner_id", "asset_id"}),
    frozenset({"owner_id", "model"}),
    frozenset({"owner_id", "asset_id", "model"}),
    frozenset({"hour"}),
    frozenset({"owner_id", "hour"}),
    frozenset({"owner_id", "asset_id", "model", "hour"}),
)
"""Coarsest first; the number of a grain in the table is its place here."""

_GROUP_COLUMNS: Final = {"owner": "owner_id", "asset": "asset_id", "model": "model"}
_KEY_COLUMNS: Final = ("grain", "owner_id", "asset_id", "model", "hour", "status")


class Deltas:
    """Changes of contributions within one transaction, written together at its end."""

    def __init__(self) -> None:
        self._sums: defaultdict[Key, list[int]] = defaultdict(lambda: [0] * len(ROLLUP_SUMS))

    def add(self, columns: Mapping[str, Any], sign: int) -> None:
        """Count a run with these columns of `runs` in (`sign` 1) or out (-1)."""
        values = [1, *(columns[name] or 0 for name in ROLLUP_SUMS[1:])]
        for key in _keys(columns):
            sums = self._sums[key]
            for i, value in enumerate(values):
                sums[i] += sign * value

    def write(self, connection: Connection) -> None:
        """Add everything to the rollup, and remove rows in which no run is left."""
        changed = [
            dict[str, Any](zip((*_KEY_COLUMNS, *ROLLUP_SUMS), (*key, *sums), strict=True))
            for key, sums in self._sums.items() if any(sums)
        ]  # fmt: skip
        if not changed:
            return
        connection.execute(dialect.upsert(rollup, add=ROLLUP_SUMS), changed)
        emptied = [row for row in changed if row["runs"] < 0]
        if emptied:
            connection.execute(_DELETE_EMPTY, [{f"k_{c}": r[c] for c in _KEY_COLUMNS}
                                               for r in emptied])  # fmt: skip


_DELETE_EMPTY: Final = delete(rollup).where(
    *(rollup.c[name] == bindparam(f"k_{name}") for name in _KEY_COLUMNS), rollup.c.runs == 0
)


def _keys(columns: Mapping[str, Any]) -> Iterable[Key]:
    parts = {
        "owner_id": columns["owner_id"],
        "asset_id": columns["asset_id"],
        "model": columns["model"] or "",
        "hour": columns["created_ms"] // HOUR_MS,
    }
    for number, kept in enumerate(GRAINS):
        owner, asset, model = (
            parts[name] if name in kept else "" for name in ("owner_id", "asset_id", "model")
        )
        yield number, owner, asset, model, parts["hour"] if "hour" in kept else 0, columns["status"]


def summarize(
    connection: Connection,
    filters: RunFilters,
    conditions: list[ColumnElement[bool]],
    *,
    group_by: GroupBy | None,
    utc_offset_minutes: int,
    visible_to: str | None,
) -> SummaryReply:
    """The summary of the filters; `conditions` are the same filters on the table `runs`."""
    grain = find_grain(filters, group_by, utc_offset_minutes, visible_to)
    if grain is None:
        rows = _from_runs(connection, conditions, group_by, utc_offset_minutes)
    else:
        where = _rollup_conditions(grain, filters, visible_to)
        rows = _from_rollup(connection, where, group_by, utc_offset_minutes)
    return _reply(rows, group_by)


def count(connection: Connection, filters: RunFilters, visible_to: str | None) -> int:
    """How many runs have these owners, assets, models and statuses; other filters not counted."""
    named = {name: getattr(filters, name) for name in ("status", "owner_id", "asset_id", "model")}
    filters = RunFilters(**named)
    grain = find_grain(filters, None, 0, visible_to)
    where = _rollup_conditions(grain or 0, filters, visible_to)  # the finest grain knows them all
    return connection.scalar(select(func.sum(rollup.c.runs)).where(*where)) or 0


def find_grain(
    filters: RunFilters, group_by: GroupBy | None, utc_offset_minutes: int, visible_to: str | None
) -> int | None:
    """The coarsest grain that can answer, or None when only the runs themselves can."""
    bounds = [to_ms(b) for b in (filters.started_after, filters.started_before) if b is not None]
    if filters.tags or filters.search or any(bound % HOUR_MS for bound in bounds):
        return None
    if group_by == "day" and utc_offset_minutes % 60:
        return None
    needed = {name for name in ("owner_id", "asset_id", "model") if getattr(filters, name)}
    if visible_to is not None:
        needed.add("owner_id")
    if bounds or group_by == "day":
        needed.add("hour")
    if group_by in _GROUP_COLUMNS:
        needed.add(_GROUP_COLUMNS[group_by])
    return next(number for number, kept in enumerate(GRAINS) if needed <= kept)


def _rollup_conditions(
    grain: int, filters: RunFilters, visible_to: str | None
) -> list[ColumnElement[bool]]:
    kept = GRAINS[grain]
    where: list[ColumnElement[bool]] = [rollup.c.grain == grain]
    for name in ("owner_id", "asset_id", "model"):
        if name not in kept:
            where.append(rollup.c[name] == "")  # so that the whole key is a prefix to seek
        elif values := getattr(filters, name):
            where.append(rollup.c[name].in_(values))
    if visible_to is not None:
        where.append(rollup.c.owner_id == visible_to)
    if filters.started_after is not None:
        where.append(rollup.c.hour >= to_ms(filters.started_after) // HOUR_MS)
    if filters.started_before is not None:
        where.append(rollup.c.hour < to_ms(filters.started_before) // HOUR_MS)
    if filters.status:
        where.append(rollup.c.status.in_([s.value for s in filters.status]))
    if filters.model:
        where.append(rollup.c.model != "")  # stands for none here, and is no model there
    return where


def _from_rollup(
    connection: Connection,
    where: list[ColumnElement[bool]],
    group_by: GroupBy | None,
    utc_offset_minutes: int,
) -> Sequence[Sequence[Any]]:
    if group_by == "day":
        key: ColumnElement[Any] = (rollup.c.hour + utc_offset_minutes // 60) // 24
    elif group_by in _GROUP_COLUMNS:
        key = rollup.c[_GROUP_COLUMNS[group_by]]
    else:
        key = literal("", String)
    sums = [func.sum(rollup.c[name]) for name in ROLLUP_SUMS]
    query = select(key, rollup.c.status, *sums).where(*where).group_by(key, rollup.c.status)
    return [tuple(row) for row in connection.execute(query)]


def _from_runs(
    connection: Connection,
    conditions: list[ColumnElement[bool]],
    group_by: GroupBy | None,
    utc_offset_minutes: int,
) -> Sequence[Sequence[Any]]:
    if group_by == "day":
        key: ColumnElement[Any] = (runs.c.created_ms + utc_offset_minutes * 60_000) // _DAY_MS
    elif group_by in _GROUP_COLUMNS:
        key = func.coalesce(runs.c[_GROUP_COLUMNS[group_by]], "")
    else:
        key = literal("", String)
    sums = [func.sum(func.coalesce(runs.c[name], 0)) for name in ROLLUP_SUMS[1:]]
    query = select(key, runs.c.status, func.count(), *sums)
    query = query.where(*conditions).group_by(key, runs.c.status)
    return [tuple(row) for row in connection.execute(query)]


def _reply(rows: Iterable[Sequence[Any]], group_by: GroupBy | None) -> SummaryReply:
    by_key: defaultdict[Any, list[Sequence[Any]]] = defaultdict(list)
    everything = []
    for row in rows:
        everything.append(row)
        by_key[row[1] if group_by == "status" else row[0]].append(row)
    total = _summary(everything)
    if group_by is None:
        return SummaryReply(**dict(total))
    groups = tuple(
        SummaryGroup.model_construct(
            key=_day(key) if group_by == "day" else key, summary=_summary(by_key[key])
        )
        for key in sorted(by_key)
    )
    return SummaryReply(**dict(total), groups=groups)


def _summary(rows: list[Sequence[Any]]) -> RunSummary:
    """The totals of rows `(key, status, *ROLLUP_SUMS)`."""
    by_status: dict[str, int] = {}
    totals = [0] * len(ROLLUP_SUMS)
    ended = ended_ms = 0
    for _, status, *sums in rows:
        by_status[status] = by_status.get(status, 0) + sums[0]
        totals = list(map(add, totals, sums))
        if status in TERMINAL:
            ended += sums[0]
            ended_ms += sums[-1]
    count, input_tokens, output_tokens, llm_calls, cost, unpriced, without_usage, _ = totals
    return RunSummary.model_construct(  # all of it is ours; there may be a thousand groups
        total_runs=count,
        by_status=dict(sorted(by_status.items())),
        success_rate=by_status.get(RunStatus.SUCCEEDED, 0) / ended if ended else None,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=input_tokens + output_tokens,
        llm_calls=llm_calls,
        total_cost_usd=to_usd(cost),
        unpriced_calls=unpriced,
        calls_without_usage=without_usage,
        average_duration_ms=ended_ms / ended if ended else None,
    )


def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
