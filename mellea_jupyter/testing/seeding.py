"""Fills a run store with many plausible runs, for benchmarks and tests of listings."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.run import Run, RunStatus, StatusReason
from mellea_jupyter.stores.runs.base import NewRun, Placement
from mellea_jupyter.stores.runs.sql import SqlRunStore

FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)

_STATUSES: Final = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)
_MODELS: Final = (None, "openai/gpt-4o", "openai/gpt-4o-mini", "ollama/granite4:micro",
                  "litellm/claude")  # fmt: skip
_NAMES: Final = (None, None, "nightly", "weekly report", "trip to Lisbon", "translation check")
_TAGS: Final = ((), (), ("nightly",), ("demo", "paper"), ("demo",))


def seed_runs(
    store: SqlRunStore, count: int, *, days: int = 90, owners: int = 20, programs: int = 40,
    seed: int = 1, batch: int = 5000,
) -> None:  # fmt: skip
    """Add `count` ended runs, spread evenly over `days` from `FIRST`, always the same ones.

    Owners are `owner-0` … and assets `asset-0` …; one run in three has no cost because nothing
    has a price, and one in fifty never started. 100,000 runs take about a minute of processor time.
    """
    dice = random.Random(seed)  # noqa: S311 - the same runs each time, no secrets
    step = timedelta(days=days) / max(count, 1)
    for start in range(0, count, batch):
        numbers = range(start, min(start + batch, count))
        store.add_runs([_new_run(dice, FIRST + step * i, owners, programs) for i in numbers])


def _new_run(dice: random.Random, moment: datetime, owners: int, programs: int) -> NewRun:
    run = _run(dice, moment.replace(microsecond=0), owners, programs)
    return NewRun(run=run, placement=Placement(run_id=run.id))


def _run(dice: random.Random, created: datetime, owners: int, programs: int) -> Run:
    program = dice.randrange(programs)
    status = dice.choices(_STATUSES, (80, 15, 5))[0]
    seconds = dice.expovariate(1 / 60)
    started = None if dice.random() < 0.02 else created + timedelta(seconds=1)
    return Run(
        id=str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        asset_id=f"asset-{program}",
        asset_version="1",
        asset_name=f"program_{program}.py",
        owner_id=f"owner-{dice.randrange(owners)}",
        config=RunConfig(model=dice.choice(_MODELS)),
        status=status,
        status_reason=StatusReason.EXIT_CODE if status is RunStatus.FAILED else None,
        created_at=created,
        started_at=started,
        finished_at=created + timedelta(seconds=1 + int(seconds)),
        error_message="ValueError: bad luck" if status is RunStatus.FAILED else None,
        metrics=_metrics(dice, seconds),
        name=dice.choice(_NAMES),
        tags=dice.choice(_TAGS),
        version=4,
    )


def _metrics(dice: random.Random, seconds: float) -> RunMetrics:
    calls = dice.randrange(1, 40)
    priced = dice.random() < 0.66
    return RunMetrics(
        execution_duration_ms=int(seconds * 1000),
        total_duration_ms=int(seconds * 1000) + 1000,
        llm_calls=calls,
        input_tokens=calls * dice.randrange(50, 2000),
        output_tokens=calls * dice.randrange(10, 500),
        estimated_cost_usd=Decimal(dice.randrange(10**9)) / 10**9 if priced else None,
        unpriced_calls=0 if priced else calls,
    )
