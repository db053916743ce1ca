"""Pricing the calls of ended runs anew, a batch of runs in the transaction of the caller.

What changes of a run is the difference of its stored calls' prices: calls that were not stored,
over the most that a run's list holds, keep their price. Its sampling loops and its cost over time
follow, and so does the rollup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from mellea_jupyter.lifecycle.statuses import TERMINAL
from mellea_jupyter.models.calls import SamplingLoop, UsageSeries
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.prices import RepricedRun
from mellea_jupyter.models.run import Run
from mellea_jupyter.stores.runs.base import CallPrice, CallRow, RepriceBatch
from mellea_jupyter.stores.runs.rows import load_run, to_ms
from mellea_jupyter.stores.runs.tables import calls, loops, runs, usage_series

_PICO: Final = Decimal(10) ** 12
_PAID: Final = ("finished", "cancelled")
"""Calls that cost something; of others nobody pays, or nobody knows yet."""
_SHARES: Final = {"repair": "repair_cost_usd", "judge": "judge_cost_usd"}

_UPDATE_CALL: Final = (
    update(calls)
    .where(calls.c.run_id == bindparam("of_run"), calls.c.call == bindparam("of_call"))
    .values(
        cost_pico_usd=bindparam("cost"),
        price_source=bindparam("source"),
        price_version=bindparam("version"),
        price_dated=bindparam("dated"),
    )
)

Price = Callable[[CallRow], CallPrice | None]
Save = Callable[[Connection, Run, int], None]


@dataclass(slots=True)
class _Changes:
    """What other prices mean for one run; money in pico-dollars."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    priced: int = 0
    unpriced: int = 0  # how many more calls are unpriced than before
    spent: int = 0
    shares: Counter[str] = field(default_factory=Counter)
    loop_spent: Counter[int] = field(default_factory=Counter)
    loop_repair: Counter[int] = field(default_factory=Counter)
    loop_unpriced: Counter[int] = field(default_factory=Counter)
    moments: list[tuple[float, int]] = field(default_factory=list)

    def add(self, call: CallRow, price: CallPrice | None, run: Run) -> None:
        """Take a call with its new price into account."""
        new = None if price is None else price.picodollars
        old = call.cost_pico_usd
        self.priced += new is not None
        if new == old:
            return
        self.calls.append(
            {
                "of_run": run.id,
                "of_call": call.call,
                "cost": new,
                "source": None if price is None else price.source,
                "version": None if price is None else price.version,
                "dated": None if price is None else price.dated,
            }
        )
        more, unpriced = (new or 0) - (old or 0), (new is None) - (old is None)
        self.spent += more
        self.unpriced += unpriced
        self.shares[_share(call)] += more
        if call.loop is not None:
            self.loop_spent[call.loop] += more
            self.loop_repair[call.loop] += more if call.purpose == "repair" else 0
            self.loop_unpriced[call.loop] += unpriced
        self.moments.append((call.started_at + (call.latency_ms or 0) / 1000, more))


def reprice(
    connection: Connection,
    price: Price,
    save: Save,
    *,
    after: str,
    limit: int,
    since: datetime | None,
    model: str | None,
    visible_to: str | None,
    dry_run: bool,
) -> RepriceBatch:
    """The next `limit` ended runs with calls whose id is above `after`; `save` replaces a run."""
    where = [runs.c.status.in_([s.value for s in TERMINAL]), runs.c.llm_calls > 0]
    where.append(runs.c.id > after)
    if since is not None:
        where.append(runs.c.created_ms >= to_ms(since))
    if visible_to is not None:
        where.append(runs.c.owner_id == visible_to)
    query = select(runs.c.doc).where(*where).order_by(runs.c.id).limit(limit)
    found = [load_run(doc) for doc in connection.scalars(query)]
    batch = RepriceBatch(next=found[-1].id if len(found) == limit else None)
    for run in found:
        batch.runs_seen += 1
        changes = _find_changes(connection, run, price, batch, model)
        if changes.calls:
            changed = run.changed(metrics=_repriced(run.metrics, changes))
            batch.changed.append(_told(run, changed, len(changes.calls)))
            if not dry_run:
                _write(connection, run, changes)
                save(connection, changed, run.version)
                batch.saved.append(changed)
    return batch


def _find_changes(
    connection: Connection, run: Run, price: Price, batch: RepriceBatch, model: str | None
) -> _Changes:
    columns = [column for column in calls.c if column is not calls.c.run_id]
    query = select(*columns).where(calls.c.run_id == run.id, calls.c.status.in_(_PAID))
    changes = _Changes()
    for row in connection.execute(query):
        call = CallRow.model_validate(row._asdict())
        if _is_of(call, model):
            batch.calls_seen += 1
            changes.add(call, price(call), run)
        else:
            changes.priced += call.cost_pico_usd is not None
    return changes


def _is_of(call: CallRow, model: str | None) -> bool:
    names = (call.model, call.response_model)
    full = (f"{call.provider}/{name}" for name in names if name)
    return model is None or model in (*names, *full)


def _share(call: CallRow) -> str:
    """The part of the metrics that the call's money is counted in."""
    if call.status == "cancelled":
        return "wasted_cost_usd"
    return _SHARES.get(call.purpose, "useful_cost_usd")


def _repriced(metrics: RunMetrics, changes: _Changes) -> RunMetrics:
    """The metrics with other costs; the parts of the whole only where they were told apart."""
    cost = (metrics.estimated_cost_usd or Decimal(0)) + _usd(changes.spent)
    unpriced = max(0, metrics.unpriced_calls + changes.unpriced)
    is_known = changes.priced > 0 or unpriced == 0 or cost > 0
    changed: dict[str, Any] = {
        "estimated_cost_usd": cost if is_known else None,
        "unpriced_calls": unpriced,
    }
    was_told_apart = metrics.useful_cost_usd is not None or metrics.estimated_cost_usd is None
    for name in ("useful_cost_usd", "repair_cost_usd", "judge_cost_usd", "wasted_cost_usd"):
        part = (getattr(metrics, name) or Decimal(0)) + _usd(changes.shares[name])
        changed[name] = part if is_known and was_told_apart else None
    if metrics.accepted_outputs:
        each = (cost / metrics.accepted_outputs).quantize(Decimal(1) / _PICO)
        changed["cost_per_accepted_output_usd"] = each if is_known else None
    return metrics.model_copy(update=changed)


def _usd(picodollars: int) -> Decimal:
    return Decimal(picodollars).scaleb(-12)


def _told(run: Run, changed: Run, number: int) -> RepricedRun:
    return RepricedRun(
        run_id=run.id,
        asset_name=run.asset_name,
        calls=number,
        before_usd=run.metrics.estimated_cost_usd,
        after_usd=changed.metrics.estimated_cost_usd,
        unpriced_before=run.metrics.unpriced_calls,
        unpriced_after=changed.metrics.unpriced_calls,
    )


def _write(connection: Connection, run: Run, changes: _Changes) -> None:
    """Write the calls, the loops they belong to and those around, and the cost over time."""
    connection.execute(_UPDATE_CALL, changes.calls)
    if changes.loop_spent:
        _write_loops(connection, run, changes)
    of_run = usage_series.c.run_id == run.id
    doc = connection.scalar(select(usage_series.c.doc).where(of_run))
    if doc is not None:
        series = _shifted(UsageSeries.model_validate_json(doc), changes.moments)
        connection.execute(update(usage_series).where(of_run).values(doc=series.model_dump_json()))


def _write_loops(connection: Connection, run: Run, changes: _Changes) -> None:
    query = select(loops.c.loop, loops.c.doc).where(loops.c.run_id == run.id)
    found = {
        row.loop: SamplingLoop.model_validate_json(row.doc) for row in connection.execute(query)
    }
    spent, repair, unpriced = Counter[int](), Counter[int](), Counter[int]()
    for number in changes.loop_spent:
        place: int | None = number
        seen: set[int] = set()
        while place is not None and place in found and place not in seen:  # outwards
            seen.add(place)
            spent[place] += changes.loop_spent[number]
            repair[place] += changes.loop_repair[number]
            unpriced[place] += changes.loop_unpriced[number]
            place = found[place].parent
    for number in spent:
        loop = found[number]
        missing = max(0, loop.unpriced_calls + unpriced[number])
        cost = (loop.cost_usd or Decimal(0)) + _usd(spent[number])
        is_known = cost > 0 or not missing
        part = (loop.repair_cost_usd or Decimal(0)) + _usd(repair[number])
        changed = loop.model_copy(
            update={
                "cost_usd": cost if is_known else None,
                "repair_cost_usd": part if is_known else None,
                "unpriced_calls": missing,
            }
        )
        of_loop = (loops.c.run_id == run.id, loops.c.loop == number)
        connection.execute(update(loops).where(*of_loop).values(doc=changed.model_dump_json()))


def _shifted(series: UsageSeries, moments: list[tuple[float, int]]) -> UsageSeries:
    """The series with the other prices of calls that had ended at each of its points."""
    points = []
    for point in series.points:
        ended = [more for at, more in moments if at <= point.t]
        cost = (point.cost_usd or Decimal(0)) + _usd(sum(ended))
        points.append(point.model_copy(update={"cost_usd": cost}) if ended else point)
    return series.model_copy(update={"points": tuple(points)})
