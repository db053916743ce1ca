"""Every implementation of the runs store, and runs to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.clock import new_run_id
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.failures import ErrorClassification, FailureCategory, FailureType
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.stores.runs.base import NewRun, Placement, RunStore
from mellea_jupyter.stores.runs.sql import SqlRunStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

Add = Callable[..., Run]


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunStore]:
    opened = SqlRunStore.open(tmp_path / "runs.db")
    yield opened
    opened.close()


def make_run(minute: int = 0, *, model: str | None = None, **fields: Any) -> Run:
    """A run created `minute` minutes after noon."""
    defaults: dict[str, Any] = {
        "id": new_run_id(),
        "asset_id": "prog_1",
        "asset_version": "1",
        "asset_name": "trip.py",
        "owner_id": "ada",
        "config": RunConfig(model=model),
        "status": RunStatus.QUEUED,
        "created_at": NOON + timedelta(minutes=minute),
    }
    return Run(**{**defaults, **fields})


def failed(minute: int = 0, fingerprint: str = "f1", **fields: Any) -> Run:
    """A run that failed a minute after it was created."""
    why = ErrorClassification(
        category=FailureCategory.USER_CODE, type=FailureType.RUNTIME_ERROR, confidence=0.9,
        retryable=False, summary="KeyError", suggestion="Look at the line.",
        fingerprint=fingerprint,
    )  # fmt: skip
    end = NOON + timedelta(minutes=minute + 1)
    return make_run(
        minute, status=RunStatus.FAILED, finished_at=end, error_classification=why, **fields
    )


def new(run: Run, **fields: Any) -> NewRun:
    return NewRun(run=run, placement=Placement(run_id=run.id), **fields)


@pytest.fixture
def add(store: RunStore) -> Add:
    """Makes a run and stores it."""

    def add(minute: int = 0, **fields: Any) -> Run:
        return store.create_run(new(make_run(minute, **fields))).run

    return add
