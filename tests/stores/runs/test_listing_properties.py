"""Properties of pages and summaries over many orders of events."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.pages import RunFilters, RunQuery, RunSort, SummaryReply
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.stores.runs import queries, rollup
from mellea_jupyter.stores.runs.base import Viewer
from mellea_jupyter.stores.runs.parts import EVERYTHING, Part
from mellea_jupyter.stores.runs.sql import SqlRunStore
from mellea_jupyter.testing.seeding import FIRST, seed_runs
from tests.stores.runs.conftest import NOON, make_run, new

pytestmark = pytest.mark.timeout(300)  # much computing: 87 s beside three other workers

SORTS = [sign + name for name in get_args(RunSort) for sign in ("", "-")]

few = st.integers(0, 3)
maybe_cost = st.none() | st.integers(0, 3).map(Decimal)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Runs with many equal and missing values, which is where pages go wrong."""
    started = NOON + timedelta(minutes=draw(few)) if draw(st.booleans()) else None
    ended = NOON + timedelta(minutes=draw(few)) if draw(st.booleans()) else None
    return make_run(
        draw(st.integers(-90, 90) | st.integers(-2000, 2000)) if draw(st.booleans()) else 0,
        model=draw(st.sampled_from([None, "m", "n"])),
        owner_id=draw(st.sampled_from(["ada", "bob"])),
        asset_id=f"prog_{draw(few)}",
        asset_name=draw(st.sampled_from(["a.py", "b.py"])),
        status=draw(st.sampled_from(RunStatus)),
        started_at=started,
        finished_at=ended,
        metrics=_metrics(draw(few), draw(maybe_cost)),
    )


def _metrics(number: int, cost: Decimal | None) -> RunMetrics:
    return RunMetrics(
        llm_calls=number,
        input_tokens=number * 10,
        output_tokens=number,
        estimated_cost_usd=cost,
        total_duration_ms=number * 1000,
        unpriced_calls=number % 2,
        calls_without_usage=number % 3,
        useful_cost_usd=cost,
        judge_cost_usd=cost and cost * 2,
        accepted_outputs=number,
    )


@settings(max_examples=15, deadline=None)
@given(st.lists(runs(), max_size=12), st.integers(1, 5))
def test_pages_visit_each_run_once_in_order(made: list[Run], limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqlRunStore.open(Path(folder, "runs.db"))
        try:
            store.add_runs([new(run) for run in made])
            for sort in SORTS:
                seen = _all_pages(store, RunQuery(sort=sort, limit=limit))
                assert sorted(r.id for r in seen) == sorted(r.id for r in made), sort
                _assert_ordered(seen, sort)
        finally:
            store.close()


def _all_pages(store: SqlRunStore, query: RunQuery) -> list[Run]:
    seen: list[Run] = []
    while True:
        page = store.list_runs(query, visible_to=None)
        assert len(page.runs) <= query.limit
        seen += page.runs
        if page.next is None:
            return seen
        query = query.model_copy(update={"cursor": page.next})


def _assert_ordered(seen: list[Run], sort: str) -> None:
    keys = [(_sort_value(run, sort.removeprefix("-")), run.id) for run in seen]
    known = [key for key in keys if key[0] is not None]
    unknown = [key[1] for key in keys if key[0] is None]
    descending = sort.startswith("-")
    assert keys == [*known, *((None, run_id) for run_id in unknown)], "nulls are last"
    assert known == sorted(known, reverse=descending)
    assert unknown == sorted(unknown, reverse=descending)


def _sort_value(run: Run, name: str) -> object:
    metrics = run.metrics
    reached = run.started_at or run.finished_at
    return {
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "duration": metrics.total_duration_ms if reached else None,
        "cost": metrics.estimated_cost_usd,
        "status": run.status.value,
        "asset": run.asset_name,
        "owner": run.owner_id,
        "model": run.config.model,
        "llm_calls": metrics.llm_calls,
        "tokens": metrics.input_tokens + metrics.output_tokens,
    }[name]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(runs(), max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.none() | st.tuples(st.sampled_from(RunStatus), few)),
             max_size=10),
    st.sampled_from([0, 300, -660, 840]),
)  # fmt: skip
def test_the_rollup_equals_the_runs_after_any_saves(
    made: list[Run], changes: list[tuple[int, tuple[RunStatus, int] | None]], offset: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqlRunStore.open(Path(folder, "runs.db"))
        try:
            stored = {i: store.create_run(new(run)).run for i, run in enumerate(made)}
            for index, change in changes:
                run = stored.pop(index, None)
                if run is not None and change is None:
                    store.delete_run(run.id, expected_version=run.version)
                elif run is not None and change is not None:
                    metrics = _metrics(change[1], None if change[1] == 2 else Decimal(change[1]))
                    stored[index] = run.changed(status=change[0], metrics=metrics)
                    store.save_run(stored[index], expected_version=run.version)
            _assert_rollup_equals_runs(store, offset)
        finally:
            store.close()


FILTERS = [
    RunFilters(),
    RunFilters(owner_id=("ada",)),
    RunFilters(owner_id=("ada", "bob"), status=(RunStatus.FAILED, RunStatus.RUNNING)),
    RunFilters(asset_id=("prog_1",), model=("m", "n")),
    RunFilters(model=("m",), started_after=NOON),
    RunFilters(started_after=NOON - timedelta(hours=1), started_before=NOON + timedelta(hours=1)),
    RunFilters(started_after=NOON - timedelta(hours=12), started_before=NOON + timedelta(hours=12)),
    RunFilters(started_before=NOON - timedelta(hours=12)),
]


def _assert_rollup_equals_runs(store: SqlRunStore, offset: int) -> None:
    for filters in FILTERS:
        for group in (None, "day", "owner", "asset", "model", "status"):
            for visible_to in (None, "bob"):
                kept = _summary(store, filters, group, visible_to, offset)
                assert rollup.find_grain(filters, group, offset, visible_to) is not None
                counted = _summary(store, filters, group, visible_to, offset, from_runs=True)
                assert kept == counted
    with store._reading() as connection:
        left = "SELECT count(*) FROM rollup WHERE runs <= 0"
        assert connection.exec_driver_sql(left).scalar() == 0


def _summary(
    store: SqlRunStore, filters: RunFilters, group: rollup.GroupBy | None, visible_to: str | None,
    offset: int, *, from_runs: bool = False,
) -> SummaryReply:  # fmt: skip
    if not from_runs:
        viewer = None if visible_to is None else Viewer(visible_to)
        return store.summarize(filters, visible_to=viewer, group_by=group,
                               utc_offset_minutes=offset)  # fmt: skip
    with store._reading() as connection:
        where = queries.conditions(filters, Part(visible_to))
        return rollup._reply(rollup._from_runs(connection, where, group, offset), group)


def test_a_summary_in_plain_numbers(tmp_path: Path) -> None:
    store = SqlRunStore.open(tmp_path / "runs.db")
    try:
        for minute, status, cost in ((0, "succeeded", 1), (1, "failed", 2), (2, "running", None)):
            metrics = _metrics(2, None if cost is None else Decimal(cost) / 10**6)
            run = make_run(minute, status=RunStatus(status), metrics=metrics, started_at=NOON)
            store.create_run(new(run))
        total = store.summarize(RunFilters(), visible_to=None)
        assert total.by_status == {"failed": 1, "running": 1, "succeeded": 1}
        assert total.success_rate == 0.5
        assert total.total_cost_usd == Decimal("0.000003")
        assert (total.input_tokens, total.output_tokens, total.total_tokens) == (60, 6, 66)
        assert total.average_duration_ms == 2000
        assert total.groups == ()
        assert SummaryReply.model_validate_json(total.model_dump_json()) == total
    finally:
        store.close()


def test_an_empty_store_has_an_empty_summary(tmp_path: Path) -> None:
    store = SqlRunStore.open(tmp_path / "runs.db")
    try:
        assert store.summarize(RunFilters(), visible_to=None, group_by="day") == SummaryReply()
    finally:
        store.close()


@pytest.mark.parametrize(("offset", "days"), [(0, 1), (11 * 60, 1), (12 * 60, 2), (690, 2)])
def test_days_are_those_of_the_asked_zone(tmp_path: Path, offset: int, days: int) -> None:
    store = SqlRunStore.open(tmp_path / "runs.db")
    try:
        for minute in (-1, 31):
            store.create_run(new(make_run(minute)))
        reply = store.summarize(RunFilters(), visible_to=None, group_by="day",
                                utc_offset_minutes=offset)  # fmt: skip
        assert [g.key for g in reply.groups] == ["2026-03-01", "2026-03-02"][:days]
    finally:
        store.close()


def test_both_ways_to_find_a_page_give_the_same_runs(tmp_path: Path) -> None:
    store = SqlRunStore.open(tmp_path / "runs.db")
    try:
        seed_runs(store, 600, days=5, owners=3, programs=4)
        for fields in (
            {"status": ("failed", "cancelled")},
            {"tags": ("demo",), "sort": "-tokens"},
            {"search": "bad luck", "owner_id": ("owner-1",), "sort": "duration"},
            {"model": ("openai/gpt-4o",), "started_after": FIRST + timedelta(days=2)},
        ):
            query = RunQuery.model_validate({"limit": 7, **fields})
            order = queries.Order.of(query)
            with store._reading() as connection:
                one, other = (
                    queries.rows(
                        connection, queries.conditions(query, EVERYTHING, walk=w), order, 7
                    )
                    for w in (False, True)
                )
            assert one == other
            assert len(one) == 7
    finally:
        store.close()
