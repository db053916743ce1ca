"""Runs in words."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from mellea_jupyter.client import phrases
from mellea_jupyter.models.failures import FailureSeen
from tests.client.fake_server import a_run

NOW = datetime(2026, 3, 4, 15).astimezone()  # a Wednesday


@pytest.mark.parametrize(
    ("count", "ago", "said"),
    [
        (1, timedelta(days=3), ""),
        (2, timedelta(hours=1), "2 times since 14:00"),
        (1200, timedelta(hours=16), "1,200 times since yesterday"),
        (4, timedelta(days=2), "4 times since Monday"),
        (4, timedelta(days=7), "4 times since 2026-02-25"),
    ],
)
def test_how_often_a_failure_was_seen(count: int, ago: timedelta, said: str) -> None:
    seen = FailureSeen(count=count, first_seen_at=NOW - ago, last_seen_at=NOW)
    assert phrases.seen(a_run(seen=seen), NOW) == said


def test_a_run_that_was_not_read_alone_says_nothing_of_that() -> None:
    assert phrases.seen(a_run()) == ""
