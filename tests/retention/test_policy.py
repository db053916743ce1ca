"""When what expires: pure, with the time as an argument."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from mellea_jupyter.models.artifacts import ArtifactRef
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.retention.policy import RetentionPolicy, is_due, purged, settled
from tests.stores.runs.conftest import NOON, make_run

TWO_WEEKS = RetentionPolicy(14)


def ended(at: datetime = NOON, **fields: Any) -> Run:
    return make_run(status=RunStatus.SUCCEEDED, finished_at=at, **fields)


def test_a_run_expires_the_given_days_after_it_ended() -> None:
    assert TWO_WEEKS.stamped(ended(), NOON).expires_at == NOON + timedelta(days=14)


@pytest.mark.parametrize(
    "run", [make_run(), ended(pinned=True), ended(artifacts_purged=True)]
)  # fmt: skip
def test_active_pinned_and_expired_runs_get_no_date(run: Run) -> None:
    assert TWO_WEEKS.stamped(run, NOON).expires_at is None


def test_an_owner_may_have_another_term() -> None:
    policy = RetentionPolicy(14, {"ada": 90, "bob": 0})
    assert policy.stamped(ended(), NOON).expires_at == NOON + timedelta(days=90)
    assert policy.stamped(ended(owner_id="bob"), NOON).expires_at is None


def test_no_days_keep_runs_for_good() -> None:
    assert RetentionPolicy(0).stamped(ended(), NOON).expires_at is None


def test_a_date_that_was_given_stays_when_the_policy_changes() -> None:
    run = TWO_WEEKS.stamped(ended(), NOON)
    assert RetentionPolicy(1).stamped(run, NOON) == run


def test_a_pin_takes_the_date_away_and_its_removal_gives_a_day_at_least() -> None:
    later = NOON + timedelta(days=100)
    run = TWO_WEEKS.stamped(ended(), NOON).changed(pinned=True)
    pinned = TWO_WEEKS.stamped(run, later)
    assert pinned.expires_at is None
    unpinned = TWO_WEEKS.stamped(pinned.changed(pinned=False), later)
    assert unpinned.expires_at == later + timedelta(days=1)


def test_a_term_under_a_day_is_kept_as_it_is() -> None:
    assert RetentionPolicy(0.5).stamped(ended(), NOON).expires_at == NOON + timedelta(hours=12)


def test_a_run_is_due_from_its_date_on_and_until_its_bytes_are_gone() -> None:
    artifact = ArtifactRef(
        id="art_1", run_id="r", name="a", path="a", content_type="text/plain",
        size_bytes=1, created_at=NOON, checksum="0" * 64,
    )  # fmt: skip
    run = TWO_WEEKS.stamped(ended(artifacts=(artifact,)), NOON)
    assert run.expires_at is not None
    assert not is_due(run, run.expires_at - timedelta(milliseconds=1))
    assert is_due(run, run.expires_at)
    half = purged(run, run.expires_at)
    assert (half.artifacts, half.artifacts_purged) == ((), True)
    assert half.artifacts_purged_at == run.expires_at
    assert is_due(half, run.expires_at), "the next sweep finds one that was interrupted"
    assert purged(half, NOON).artifacts_purged_at == run.expires_at
    assert not is_due(settled(half), run.expires_at)
