"""Pricing the calls of ended runs anew, a batch of runs in the transaction of the caller.

What changes of a run is the difference of its stored calls' prices: calls that were not stored,
over the most that a run's list holds, keep their price. The rollup follows each changed run.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from mellea_jupyter.lifecycle.statuses import TERMINAL
from mellea_jupyter.models.prices import RepricedRun
from mellea_jupyter.models.run import Run
from mellea_jupyter.stores.runs.base import CallPrice, CallRow, RepriceBatch
from mellea_jupyter.stores.runs.rows import load_run, to_ms
from mellea_jupyter.stores.runs.tables import calls, runs

_PICO: Final = Decimal(10) ** 12
_PAID: Final = ("finished", "cancelled")
"""Calls that cost something; of others nobody pays, or nobody knows yet."""

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


def reprice(
    connection: Connection,
    price: Callable[[CallRow], CallPrice | None],
    save: Callable[[Connection, Run, int], None],
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
        _reprice_run(connection, run, price, save, batch, model=model, dry_run=dry_run)
    return batch


def _reprice_run(
    connection: Connection,
    run: Run,
    price: Callable[[CallRow], CallPrice | None],
    save: Callable[[Connection, Run, int], None],
    batch: RepriceBatch,
    *,
    model: str | None,
    dry_run: bool,
) -> None:
    batch.runs_seen += 1
    columns = [column for column in calls.c if column is not calls.c.run_id]
    query = select(*columns).where(calls.c.run_id == run.id, calls.c.status.in_(_PAID))
    changed: list[dict[str, Any]] = []
    spent = unpriced = priced = 0
    for row in connection.execute(query):
        call = CallRow.model_validate(row._asdict())
        new = call.cost_pico_usd
        if _is_of(call, model):
            batch.calls_seen += 1
            found = price(call)
            new = None if found is None else found.picodollars
            if new != call.cost_pico_usd:
                changed.append(_columns(run, call, found))
        spent += (new or 0) - (call.cost_pico_usd or 0)
        unpriced += (new is None) - (call.cost_pico_usd is None)
        priced += new is not None
    if not changed:
        return
    after = _repriced(run, spent, unpriced, priced)
    batch.changed.append(
        RepricedRun(
            run_id=run.id,
            asset_name=run.asset_name,
            calls=len(changed),
            before_usd=run.metrics.estimated_cost_usd,
            after_usd=after.metrics.estimated_cost_usd,
            unpriced_before=run.metrics.unpriced_calls,
            unpriced_after=after.metrics.unpriced_calls,
        )
    )
    if not dry_run:
        connection.execute(_UPDATE_CALL, changed)
        save(connection, after, run.version)
        batch.saved.append(after)


def _is_of(call: CallRow, model: str | None) -> bool:
    names = (call.model, call.response_model)
    full = (f"{call.provider}/{name}" for name in names if name)
    return model is None or model in (*names, *full)


def _columns(run: Run, call: CallRow, price: CallPrice | None) -> dict[str, Any]:
    return {
        "of_run": run.id,
        "of_call": call.call,
        "cost": None if price is None else price.picodollars,
        "source": None if price is None else price.source,
        "version": None if price is None else price.version,
        "dated": None if price is None else price.dated,
    }


def _repriced(run: Run, spent: int, unpriced: int, priced: int) -> Run:
    """The run with its cost and its unpriced calls changed by so much."""
    metrics = run.metrics
    cost = (metrics.estimated_cost_usd or Decimal(0)) + Decimal(spent) / _PICO
    unknown = max(0, metrics.unpriced_calls + unpriced)
    is_known = priced > 0 or unknown == 0 or cost > 0
    changed = {"estimated_cost_usd": cost if is_known else None, "unpriced_calls": unknown}
    return run.changed(metrics=metrics.model_copy(update=changed))
