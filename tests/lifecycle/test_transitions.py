"""Every (status, event) pair, and the property that races end in one final status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mellea_jupyter.exceptions import IllegalTransition, VersionConflict
from mellea_jupyter.lifecycle import statuses
from mellea_jupyter.lifecycle.transitions import (
    EXPECTED,
    Claimed,
    Enqueued,
    Event,
    ImagePulled,
    LaunchRefused,
    Lost,
    ProgramEnded,
    ProgramStarted,
    StopRequested,
    apply,
)
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.run import Run, RunStatus, StatusReason

AT = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
S = RunStatus

EVENTS: list[Event] = [
    Enqueued(),
    Claimed(host="here", queue_ms=5),
    ImagePulled(),
    ProgramStarted(at=AT, startup_ms=7, isolation="warm"),
    StopRequested(at=AT, by="ann", kill_at=AT + timedelta(seconds=10)),
    ProgramEnded(at=AT, exit_code=0),
    LaunchRefused(at=AT, reason="launch_failed", message="no"),
    Lost(at=AT, message="gone"),
]

AFTER: dict[tuple[RunStatus, str], RunStatus] = {
    (S.CREATED, "Enqueued"): S.QUEUED,
    (S.CREATED, "StopRequested"): S.CANCELLED,
    (S.CREATED, "LaunchRefused"): S.FAILED,
    (S.QUEUED, "Claimed"): S.STARTING,
    (S.QUEUED, "StopRequested"): S.CANCELLED,
    (S.QUEUED, "LaunchRefused"): S.FAILED,
    (S.PULLING_IMAGE, "ImagePulled"): S.STARTING,
    (S.PULLING_IMAGE, "StopRequested"): S.PULLING_IMAGE,
    (S.PULLING_IMAGE, "LaunchRefused"): S.FAILED,
    (S.PULLING_IMAGE, "Lost"): S.FAILED,
    (S.STARTING, "ProgramStarted"): S.RUNNING,
    (S.STARTING, "StopRequested"): S.STARTING,
    (S.STARTING, "ProgramEnded"): S.SUCCEEDED,
    (S.STARTING, "LaunchRefused"): S.FAILED,
    (S.STARTING, "Lost"): S.FAILED,
    (S.RUNNING, "StopRequested"): S.RUNNING,
    (S.RUNNING, "ProgramEnded"): S.SUCCEEDED,
    (S.RUNNING, "Lost"): S.FAILED,
}


def a_run(status: RunStatus = S.CREATED, **fields: object) -> Run:
    return Run(
        id="r", asset_id="a", asset_version="v", owner_id="ann", config=RunConfig(),
        created_at=AT,
    ).model_copy(update={"status": status, **fields})  # fmt: skip


@pytest.mark.parametrize("status", list(RunStatus))
@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_every_status_and_event(status: RunStatus, event: Event) -> None:
    run = a_run(status)
    expected = AFTER.get((status, type(event).__name__))
    if expected is None:
        with pytest.raises(IllegalTransition) as caught:
            apply(run, event)
        assert caught.value.status == status
        assert status not in caught.value.expected
        return
    after = apply(run, event)
    assert after.status == expected
    assert after.version == run.version + 1
    assert after.is_terminal == (after.finished_at is not None)


def test_the_table_of_the_test_and_the_table_of_the_lifecycle_agree() -> None:
    pairs = {(status, kind.__name__) for kind, many in EXPECTED.items() for status in many}
    assert pairs == set(AFTER)


def test_named_sets_partition_the_statuses() -> None:
    assert set(RunStatus) == statuses.WAITING | statuses.PLACED | statuses.TERMINAL
    assert not statuses.ACTIVE & statuses.TERMINAL
    assert {s for s in RunStatus if a_run(s).is_terminal} == statuses.TERMINAL


def test_claiming_an_absent_image_pulls_it_first() -> None:
    claimed = apply(a_run(S.QUEUED), Claimed(host="h", queue_ms=0, pulls_image=True))
    assert claimed.status == S.PULLING_IMAGE
    assert apply(claimed, ImagePulled()).status == S.STARTING


@pytest.mark.parametrize(
    ("ended", "status", "reason"),
    [
        (ProgramEnded(at=AT, exit_code=0), S.SUCCEEDED, None),
        (ProgramEnded(at=AT, exit_code=3), S.FAILED, "exit_code"),
        (ProgramEnded(at=AT, exit_code=-11), S.FAILED, "signal"),
        (ProgramEnded(at=AT, exit_code=0, stopped="timeout"), S.FAILED, "timeout"),
        (ProgramEnded(at=AT, exit_code=0, stopped="user"), S.CANCELLED, "user"),
        (ProgramEnded(at=AT, exit_code=-15, stopped="admin"), S.CANCELLED, "admin"),
        (ProgramEnded(at=AT, exit_code=-9, stopped="out_of_memory"), S.FAILED, "out_of_memory"),
        (
            ProgramEnded(at=AT, exit_code=0, requirements_unmet=True),
            S.FAILED,
            "requirements_unmet",
        ),
        (ProgramEnded(at=AT, exit_code=2, requirements_unmet=True), S.FAILED, "exit_code"),
    ],
)
def test_how_a_program_ended_decides(
    ended: ProgramEnded, status: RunStatus, reason: str | None
) -> None:
    after = apply(a_run(S.RUNNING), ended)
    assert (after.status, after.status_reason) == (status, reason)
    assert after.exit_code == ended.exit_code


def test_a_program_that_ended_by_itself_keeps_its_own_status_despite_a_stop_request() -> None:
    stopping = apply(a_run(S.RUNNING), EVENTS[4])
    assert apply(stopping, ProgramEnded(at=AT, exit_code=0)).status == S.SUCCEEDED


def test_a_second_stop_request_keeps_the_first_deadline() -> None:
    first = apply(a_run(S.RUNNING), EVENTS[4])
    later = StopRequested(at=AT, by="bob", kill_at=AT + timedelta(hours=1))
    second = apply(first, later)
    assert (second.kill_at, second.cancel_requested_by) == (first.kill_at, "ann")


def test_a_lost_run_whose_stop_was_asked_for_is_cancelled() -> None:
    lost = apply(apply(a_run(S.RUNNING), EVENTS[4]), Lost(at=AT, message="gone"))
    assert (lost.status, lost.cancelled_by) == (S.CANCELLED, "ann")
    assert apply(a_run(S.RUNNING), Lost(at=AT, message="gone")).status_reason == StatusReason.LOST


def test_the_total_is_the_sum_of_the_phases() -> None:
    run = apply(a_run(S.QUEUED), Claimed(host="h", queue_ms=5))
    run = apply(run, ProgramStarted(at=AT, startup_ms=7, isolation="warm"))
    run = apply(run, ProgramEnded(at=AT, exit_code=0, execution_ms=100))
    assert run.metrics.total_duration_ms == 112


class _Record:
    """A run under compare-and-set, as the store keeps it."""

    def __init__(self) -> None:
        self.run = a_run(S.QUEUED)
        self.finals: list[RunStatus] = []

    def save(self, run: Run, expected_version: int) -> None:
        if self.run.version != expected_version:
            raise VersionConflict("changed meanwhile")
        if run.is_terminal:
            self.finals.append(run.status)
        self.run = run


ACTORS: dict[str, list[Event]] = {
    "engine": [
        Claimed(host="h", queue_ms=1),
        ProgramStarted(at=AT, startup_ms=1, isolation="warm"),
        ProgramEnded(at=AT, exit_code=0),
    ],
    "user": [EVENTS[4], EVENTS[4]],
    "timeout": [ProgramEnded(at=AT, exit_code=-9, stopped="timeout")],
    "reconciler": [Lost(at=AT, message="gone")],
}


@given(st.data())
def test_every_interleaving_of_cancel_exit_timeout_and_lost_has_one_final_status(
    data: st.DataObject,
) -> None:
    """Each actor reads, then writes with compare-and-set; reads and writes interleave freely."""
    record = _Record()
    todo = {name: list(events) for name, events in ACTORS.items()}
    read: dict[str, Run] = {}
    while any(todo.values()):
        name = data.draw(st.sampled_from([n for n, events in todo.items() if events]))
        if name not in read:
            read[name] = record.run
            continue
        seen = read.pop(name)
        try:
            record.save(apply(seen, todo[name][0]), seen.version)
        except VersionConflict:
            continue  # read again and ask the lifecycle again
        except IllegalTransition:
            if seen.version != record.run.version:
                continue
        todo[name].pop(0)
    assert len(record.finals) <= 1
    assert record.run.is_terminal
    assert record.run.status == record.finals[0]
