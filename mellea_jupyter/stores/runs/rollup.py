"""Totals of runs: what each run contributes, the rollup that adds it up, and summaries of both.

A run counts in one rollup row of each *grain*: a choice of what rows are told apart by. A summary
reads the coarsest grain that knows all it filters and groups by, so that the total of everything
is a handful of rows however many runs there are. How many runs have which status is in columns of
each row, so a chart by day reads one row a day in UTC and one an hour in other zones. Where no
grain knows enough (tags, groups, search, bounds within an hour), the same totals are taken from the
runs themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from operator import add
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Connection, String, bindparam, delete, func, literal, select

from mellea_jupyter.lifecycle.statuses import TERMINAL
from mellea_jupyter.models.calls import CallShare
from mellea_jupyter.models.pages import RunFilters, SummaryReply
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.parts import Part
from mellea_jupyter.stores.runs.rows import to_ms, to_usd
from mellea_jupyter.stores.runs.tables import ROLLUP_SUMS, RUN_SUMS, STATUS_COUNTS, rollup, runs

GroupBy = Literal["day", "owner", "asset", "model", "status"]
Key = tuple[int, str, str, str, int, str]
Totals = tuple[Any, ...]  # the key of a group, then `ROLLUP_SUMS`

HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * HOUR_MS

GRAINS: Final[tuple[frozenset[str], ...]] = (
    frozenset({"status"}),
    frozenset({"owner_id", "status"}),
    frozenset({"asset_id", "status"}),
    frozenset({"model", "status"}),
    frozenset({"owner_id", "asset_id", "status"}),
    frozenset({"owner_id", "model", "status"}),
    frozenset({"owner_id", "asset_id", "model", "status"}),
    frozenset({"day"}),
    frozenset({"owner_id", "day"}),
    frozenset({"hour"}),
    frozenset({"owner_id", "hour"}),
    frozenset({"hour", "status"}),
    frozenset({"owner_id", "asset_id", "model", "hour", "status"}),
)
"""Coarsest first; the number of a grain in the table is its place here.

A day is one of UTC, and in the table its first hour.
"""

_GROUP_COLUMNS: Final = {
    "owner": "owner_id", "asset": "asset_id", "model": "model", "status": "status"
}  # fmt: skip
_NAMED: Final = ("owner_id", "asset_id", "model")
_KEY_COLUMNS: Final = ("grain", "owner_id", "asset_id", "model", "hour", "status")


class Deltas:
    """Changes of contributions within one transaction, written together at its end."""

    def __init__(self) -> None:
        # Totals as far as `ended_ms`; keys with the status also where the grain has it not.
        self._sums: dict[Key, list[int]] = {}

    def add(self, columns: Mapping[str, Any], sign: int) -> None:
        """Count a run with these columns of `runs` in (`sign` 1) or out (-1)."""
        ended_ms = columns["duration_ms"] or 0 if columns["status"] in TERMINAL else 0
        values = [sign, *(sign * (columns[name] or 0) for name in RUN_SUMS), sign * ended_ms]
        for key in _keys(columns):
            sums = self._sums.get(key)
            self._sums[key] = values if sums is None else list(map(add, sums, values))

    def write(self, connection: Connection) -> None:
        """Add everything to the rollup, and remove rows in which no run is left."""
        # In the order of the keys, so that neighbours in the table are written together.
        changed = [_row(key, sums) for key, sums in sorted(self._sums.items()) if any(sums)]
        if not changed:
            return
        connection.exec_driver_sql(_ADD, changed)
        if emptied := [row for row in changed if row[_RUNS] < 0]:
            keys = [dict(zip(_KEY_PARAMETERS, row[:_RUNS], strict=True)) for row in emptied]
            connection.execute(_DELETE_EMPTY, keys)


_ADD: Final = dialect.positional(dialect.upsert(rollup, add=ROLLUP_SUMS))
_RUNS: Final = len(_KEY_COLUMNS)  # place of the column `runs` in a row
_KEY_PARAMETERS: Final = tuple(f"key_{name}" for name in _KEY_COLUMNS)
_DELETE_EMPTY: Final = delete(rollup).where(
    rollup.c.runs == 0, *(rollup.c[name] == bindparam(f"key_{name}") for name in _KEY_COLUMNS)
)
_STATUS_NAMES: Final = tuple(status.value for status in RunStatus)  # as in STATUS_COUNTS


def _keys(columns: Mapping[str, Any]) -> Iterable[Key]:
    owner, asset, model = columns["owner_id"], columns["asset_id"], columns["model"] or ""
    hour, status = columns["created_ms"] // HOUR_MS, columns["status"]
    for number, (has_owner, has_asset, has_model, has_hour, has_day) in enumerate(_KEPT):
        yield (
            number,
            owner if has_owner else "",
            asset if has_asset else "",
            model if has_model else "",
            hour if has_hour else hour - hour % 24 if has_day else 0,
            status,
        )


_KEPT: Final = tuple(tuple(name in kept for name in (*_NAMED, "hour", "day")) for kept in GRAINS)


def _row(key: Key, sums: list[int]) -> tuple[Any, ...]:
    """All columns of the rollup, in their order."""
    *others, status = key
    counts = (sums[0] if status == counted else 0 for counted in _STATUS_NAMES)
    return *others, status if "status" in GRAINS[key[0]] else "", *sums, *counts


def summarize(
    connection: Connection,
    filters: RunFilters,
    parts: Sequence[tuple[Part, list[ColumnElement[bool]]]],
    *,
    group_by: GroupBy | None,
    utc_offset_minutes: int,
) -> SummaryReply:
    """The summary of the filters over all parts of a view.

    Each part comes with the same filters on the table `runs`. Who shares which runs is in no grain,
    so what is shared is added up from the runs.
    """
    groups: dict[Any, list[int]] = {}
    for part, conditions in parts:
        grain = None
        if not part.is_shared:
            grain = find_grain(filters, group_by, utc_offset_minutes, part.own)
        if grain is None:
            rows = _from_runs(connection, conditions, group_by, utc_offset_minutes)
        else:
            where = _rollup_conditions(grain, filters, part.own)
            rows = _from_rollup(connection, where, group_by, utc_offset_minutes)
        for key, *sums in rows:
            known = groups.get(key)
            groups[key] = list(sums) if known is None else list(map(add, known, sums))
    return _reply([(key, *sums) for key, sums in groups.items()], group_by)


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
    if (
        filters.tags
        or filters.group_id
        or filters.fingerprint
        or filters.search
        or any(bound % HOUR_MS for bound in bounds)
    ):
        return None
    if group_by == "day" and utc_offset_minutes % 60:
        return None
    needed = {name for name in (*_NAMED, "status") if getattr(filters, name)}
    if visible_to is not None:
        needed.add("owner_id")
    if any(bound % _DAY_MS for bound in bounds) or (group_by == "day" and utc_offset_minutes):
        needed.add("hour")
    elif bounds or group_by == "day":
        needed.add("day")
    if group_by in _GROUP_COLUMNS:
        needed.add(_GROUP_COLUMNS[group_by])
    return next(number for number, kept in enumerate(GRAINS) if needed <= _known(kept))


def _known(grain: frozenset[str]) -> frozenset[str]:
    return grain | {"day"} if "hour" in grain else grain


def _rollup_conditions(
    grain: int, filters: RunFilters, visible_to: str | None
) -> list[ColumnElement[bool]]:
    kept = GRAINS[grain]
    where: list[ColumnElement[bool]] = [rollup.c.grain == grain]
    for name in _NAMED:
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
) -> list[Totals]:
    if group_by == "day":
        key: ColumnElement[Any] = (rollup.c.hour + utc_offset_minutes // 60) // 24
    elif group_by in _GROUP_COLUMNS:
        key = rollup.c[_GROUP_COLUMNS[group_by]]
    else:
        key = literal("", String)
    sums = [func.sum(rollup.c[name]) for name in ROLLUP_SUMS]
    query = select(key, *sums).where(*where).group_by(key)
    return [tuple(row) for row in connection.execute(query)]


def _from_runs(
    connection: Connection,
    conditions: list[ColumnElement[bool]],
    group_by: GroupBy | None,
    utc_offset_minutes: int,
) -> list[Totals]:
    if group_by == "day":
        key: ColumnElement[Any] = (runs.c.created_ms + utc_offset_minutes * 60_000) // _DAY_MS
    elif group_by in _GROUP_COLUMNS:
        key = func.coalesce(runs.c[_GROUP_COLUMNS[group_by]], "")
    else:
        key = literal("", String)
    sums = [func.sum(func.coalesce(runs.c[name], 0)) for name in RUN_SUMS]
    ended = runs.c.status.in_([status.value for status in TERMINAL])
    ended_ms = func.coalesce(func.sum(runs.c.duration_ms).filter(ended), 0)
    counts = [func.count().filter(runs.c.status == status.value) for status in RunStatus]
    query = select(key, func.count(), *sums, ended_ms, *counts).where(*conditions).group_by(key)
    return [tuple(row) for row in connection.execute(query)]


def _reply(groups: list[Totals], group_by: GroupBy | None) -> SummaryReply:
    total = [sum(column) for column in zip(*(sums for _, *sums in groups), strict=True)]
    if not total:
        return SummaryReply()
    reply = _summary(total)
    if group_by is not None:
        reply["groups"] = [
            {"key": _day(key) if group_by == "day" else key, "summary": _summary(sums)}
            for key, *sums in sorted(groups)
        ]
    return SummaryReply.model_validate(reply)


def _summary(sums: Sequence[int]) -> dict[str, Any]:
    """The fields of a summary of these `ROLLUP_SUMS`."""
    total = dict(zip(ROLLUP_SUMS, sums, strict=True))
    counts = (total[name] for name in STATUS_COUNTS)
    by_status = {name: number for name, number in zip(_STATUS_NAMES, counts, strict=True) if number}
    ended = sum(by_status.get(status, 0) for status in TERMINAL)
    accepted = total["accepted_outputs"]
    spent = {share: total[f"{share}_pico_usd"] for share in CallShare}
    return {
        "total_runs": total["runs"],
        "by_status": dict(sorted(by_status.items())),
        "success_rate": by_status.get(RunStatus.SUCCEEDED, 0) / ended if ended else None,
        "input_tokens": total["input_tokens"],
        "output_tokens": total["output_tokens"],
        "total_tokens": total["input_tokens"] + total["output_tokens"],
        "llm_calls": total["llm_calls"],
        "total_cost_usd": to_usd(total["cost_pico_usd"]),
        **{f"{share}_cost_usd": to_usd(pico) for share, pico in spent.items()},
        "accepted_outputs": accepted,
        "cost_per_accepted_output_usd": (
            to_usd(round(sum(spent.values()) / accepted)) if accepted else None
        ),
        "unpriced_calls": total["unpriced_calls"],
        "calls_without_usage": total["calls_without_usage"],
        "average_duration_ms": total["ended_ms"] / ended if ended else None,
    }


def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
