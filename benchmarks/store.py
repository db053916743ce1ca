"""Times the run store: filtered pages and summaries over many runs.

    python -m benchmarks.store [--runs 100000] [--days 90] [--rounds 60]

All cases are interleaved in each round and their medians printed, with the processor time of the
calling thread, which a busy machine does not change as much. The target at 100,000 runs is 5 ms
for every case marked `*`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.pages import RunFilters, RunQuery
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.stores.runs.base import Viewer
from mellea_jupyter.stores.runs.sql import SqlRunStore
from mellea_jupyter.testing.seeding import FIRST, seed_runs

FEW, MANY = "group:few", "group:many"


def cases(store: SqlRunStore, days: int) -> dict[str, Callable[[], object]]:
    """What is timed, by its printed name."""
    failed, active = (RunStatus.FAILED,), (RunStatus.QUEUED, RunStatus.RUNNING)
    week = FIRST + timedelta(days=days - 7)

    def page(**fields: object) -> Callable[[], object]:
        query = RunQuery.model_validate(fields)
        return lambda: store.list_runs(query, visible_to=None)

    def summary(group: object = None, offset: int = 0, **fields: object) -> Callable[[], object]:
        filters = RunFilters.model_validate(fields)
        return lambda: store.summarize(
            filters, visible_to=None, group_by=group, utc_offset_minutes=offset  # type: ignore[arg-type]
        )  # fmt: skip

    def view(viewer: Viewer, **fields: object) -> Callable[[], object]:
        query = RunQuery.model_validate(fields)
        return lambda: store.list_runs(query, visible_to=viewer)

    def totals(viewer: Viewer) -> Callable[[], object]:
        return lambda: store.summarize(RunFilters(), visible_to=viewer)

    few, many, none = (Viewer("owner-3", (name,)) for name in (FEW, MANY, "user:nobody"))
    deep = store.list_runs(RunQuery(limit=1000), visible_to=None).next
    one = store.list_runs(RunQuery(limit=1), visible_to=None).runs[0]
    clock = iter(range(1, 1 << 30))

    def tick() -> None:
        run = store.get_run(one.id)
        metrics = RunMetrics.model_validate({**dict(run.metrics), "llm_calls": next(clock)})
        store.save_run(run.changed(metrics=metrics), expected_version=run.version)

    return {
        "* page: newest 50": page(),
        "* page: failed": page(status=failed),
        "* page: active, none is": page(status=active),
        "* page: owner, failed, last 7 days": page(
            owner_id=("owner-3",), status=failed, started_after=week
        ),
        "* page: failed or cancelled": page(status=("failed", "cancelled")),
        "* page: asset, by cost": page(asset_id=("asset-7",), sort="-cost"),
        "* page: owner, by tokens": page(owner_id=("owner-3",), sort="-tokens"),
        "* page: all, by duration, ascending": page(sort="duration"),
        "* page: deep in": page(cursor=deep),
        "  page: tag": page(tags=("paper",)),
        "  page: search, frequent words": page(search="bad luck"),
        "  page: search, prefix of one program": page(search="program_17.p"),
        "* view: own, nothing is shared": view(none),
        "* view: own, and 200 that are shared": view(few),
        "* view: own, and half of all that is shared": view(many),
        "  view: the 200, by cost": view(few, sort="-cost", shared="with_me"),
        "  view: half of all, by cost": view(many, sort="-cost", shared="with_me"),
        "  view: half of all, failed": view(many, status=failed),
        "  summary of a view: 200 are shared": totals(few),
        "  summary of a view: half of all is shared": totals(many),
        "* summary: all": summary(),
        "* summary: by owner": summary("owner"),
        "* summary: by status": summary("status"),
        "* summary: by day": summary("day"),
        "* summary: by day at UTC-5": summary("day", -300),
        "  summary: one owner by day": summary("day", owner_id=("owner-3",)),
        "  summary: last 7 days by asset": summary("asset", started_after=week),
        "  summary: by day at UTC+5:30 (from the runs)": summary("day", 330),
        "  read and save metrics": tick,
    }


def share_some(store: SqlRunStore, runs: int) -> None:
    """Share 200 runs with one group, and every other run with another one."""
    with store.transactions.writing() as connection:
        ids = list(connection.exec_driver_sql("SELECT id FROM runs ORDER BY n").scalars())
        step = max(runs // 200, 1)
        rows = [(run_id, FEW) for run_id in ids[::step]] + [(run_id, MANY) for run_id in ids[::2]]
        insert = "INSERT INTO shares (run_id, principal, role, shared_by, shared_ms) VALUES"
        connection.exec_driver_sql(f"{insert} (?, ?, 'viewer', 'x', 0)", rows)


def main() -> None:
    """Seed a store, time all cases, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = SqlRunStore.open(Path(folder, "runs.db"))
        try:
            began = time.perf_counter()
            seed_runs(store, options.runs, days=options.days)
            share_some(store, options.runs)
            print(f"{options.runs} runs seeded in {time.perf_counter() - began:.1f} s")
            timed = cases(store, options.days)
            times: dict[str, list[float]] = {name: [] for name in timed}
            cpus: dict[str, list[float]] = {name: [] for name in timed}
            for _ in range(options.rounds):
                for name, call in timed.items():
                    start, cpu = time.perf_counter(), time.thread_time()
                    call()
                    times[name].append(time.perf_counter() - start)
                    cpus[name].append(time.thread_time() - cpu)
            print(f"{'ms':<48}{'p50':>8}{'p95':>8}{'cpu p50':>9}")
            for name, values in times.items():
                p95 = sorted(values)[int(len(values) * 0.95)]
                p50, cpu = statistics.median(values), statistics.median(cpus[name])
                print(f"{name:<48}{p50 * 1e3:8.2f}{p95 * 1e3:8.2f}{cpu * 1e3:9.2f}")
        finally:
            store.close()


if __name__ == "__main__":
    main()
