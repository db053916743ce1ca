"""Every implementation of the notice store, in the database of a runs store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mellea_jupyter import clock
from mellea_jupyter.models.notifications import Notice, NoticeRun, NoticeType
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.notifications import rules
from mellea_jupyter.stores.notices.base import NewDelivery, NoticeStore, Tell, Told
from mellea_jupyter.stores.notices.sql import SqlNoticeStore
from mellea_jupyter.stores.runs.base import RunStore
from mellea_jupyter.stores.runs.sql import SqlRunStore
from tests.stores.runs.conftest import make_run, new

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

End = Callable[..., Run]


class Stores(NamedTuple):
    runs: RunStore
    notices: NoticeStore


def seconds(number: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=number)


@pytest.fixture(params=["sqlite"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    opened = SqlRunStore.open(tmp_path / "runs.db")
    yield Stores(opened, SqlNoticeStore(opened.transactions))
    opened.close()


@pytest.fixture
def notices(stores: Stores) -> NoticeStore:
    return stores.notices


def tell(
    run: NoticeRun, at: datetime, *, user_id: str = "ada", lease: str = "me",
    channels: tuple[tuple[str, bool], ...] = (),
) -> Tell:  # fmt: skip
    """Tells of the run as the service does; `channels` are names and whether they group."""

    def compose(open_notice: Notice | None, preferences: Any) -> Told:
        notice = rules.joined(
            open_notice,
            run,
            notice_id=clock.new_id("ntc"),
            user_id=user_id,
            type_=NoticeType.RUN_COMPLETE,
            at=at,
        )
        closes_at = rules.closes_at(notice)
        return Told(
            notice=notice,
            closes_at=closes_at,
            deliveries=tuple(
                NewDelivery(channel=name, due_at=closes_at)
                if groups
                else NewDelivery(channel=name, due_at=at, run=run)
                for name, groups in channels
            ),
        )

    return Tell(user_id=user_id, type=NoticeType.RUN_COMPLETE, at=at, lease=lease, compose=compose)


@pytest.fixture
def end(stores: Stores) -> End:
    """Ends a new run at a time and tells of it; the run as it was stored."""

    def end(at: float = 0, *, status: RunStatus = RunStatus.SUCCEEDED, **how: Any) -> Run:
        run = make_run()
        stores.runs.create_run(new(run))
        ended = run.changed(status=status, finished_at=seconds(at))
        told = tell(rules.facts(ended, seconds(at)), seconds(at), **how)
        stores.runs.save_run(ended, expected_version=run.version, tell=(told,))
        return ended

    return end
