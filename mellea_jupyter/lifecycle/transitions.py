"""The life of a run as a pure table: a run and an event give the next run, or `IllegalTransition`.

Nothing else writes `Run.status`. The store applies the result by compare-and-set on `version`, so
of two services (or a cancel and an exit) that act on the same version only one succeeds; the other
reads the run again and meets the new status here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mellea_jupyter.exceptions import IllegalTransition
from mellea_jupyter.lifecycle.statuses import ACTIVE, PLACED, TERMINAL, WAITING
from mellea_jupyter.models.run import ErrorDetails, Run, RunImage, RunStatus, StatusReason

S = RunStatus


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The run is recorded completely and may be claimed."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A dispatcher took the run; `pulls_image` when its image is not present yet."""

    host: str
    queue_ms: int
    pulls_image: bool = False


@dataclass(frozen=True, slots=True)
class ImagePulled:
    """The image is present."""

    image: RunImage | None = None


@dataclass(frozen=True, slots=True)
class ProgramStarted:
    """The program's process exists."""

    at: datetime
    startup_ms: int
    isolation: str
    isolation_reason: str | None = None


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody wants the run stopped; a run nothing was launched for is cancelled at once."""

    at: datetime
    by: str
    kill_at: datetime
    reason: str = StatusReason.USER


@dataclass(frozen=True, slots=True)
class ProgramEnded:
    """The program is gone, and how is known.

    `stopped` is the reason of a stop that was delivered while the program lived (`user`, `admin`,
    `timeout`, `out_of_memory` …), else None: then the exit code alone decides.
    """

    at: datetime
    exit_code: int | None
    stopped: str | None = None
    execution_ms: int = 0
    requirements_unmet: bool = False
    message: str | None = None
    error: ErrorDetails | None = None


@dataclass(frozen=True, slots=True)
class LaunchRefused:
    """The executor could not start the program; nothing of it runs."""

    at: datetime
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The program is verified gone (or was killed for that), and nobody knows how it ended."""

    at: datetime
    message: str
    reason: str = StatusReason.LOST


Event = (
    Enqueued | Claimed | ImagePulled | ProgramStarted | StopRequested | ProgramEnded
    | LaunchRefused | Lost
)  # fmt: skip

EXPECTED: Final[dict[type[Event], frozenset[RunStatus]]] = {
    Enqueued: frozenset({S.CREATED}),
    Claimed: frozenset({S.QUEUED}),
    ImagePulled: frozenset({S.PULLING_IMAGE}),
    ProgramStarted: frozenset({S.STARTING}),
    StopRequested: ACTIVE,
    # From `starting` too: a short program may be gone before anybody read that it started.
    ProgramEnded: frozenset({S.STARTING, S.RUNNING}),
    # From `queued`: an environment that stopped working is found when the run's turn comes.
    LaunchRefused: WAITING | {S.PULLING_IMAGE, S.STARTING},
    Lost: PLACED,
}
"""The statuses in which each event may happen. Terminal ones are in none."""

_CANCEL_REASONS: Final = frozenset({StatusReason.USER, StatusReason.OPERATOR, StatusReason.ADMIN})


def apply(run: Run, event: Event) -> Run:
    """The run after the event, its `version` one higher.

    Raises:
        IllegalTransition: the run's status does not allow the event. A second `StopRequested`
            is allowed and changes nothing but the version: the first deadline stands.
    """
    expected = EXPECTED[type(event)]
    if run.status not in expected:
        raise IllegalTransition(
            type(event).__name__,
            run.status,
            tuple(s.value for s in RunStatus if s in expected),
            hint="The run has already ended." if run.status in TERMINAL else "",
        )
    match event:
        case Enqueued():
            return run.changed(status=S.QUEUED)
        case Claimed():
            return _claimed(run, event)
        case ImagePulled():
            return run.changed(status=S.STARTING, image=event.image or run.image)
        case ProgramStarted():
            return _program_started(run, event)
        case StopRequested():
            return _stop_requested(run, event)
        case ProgramEnded():
            return _program_ended(run, event)
        case LaunchRefused():
            return _refused(run, event)
        case Lost():
            return _lost(run, event)


def _claimed(run: Run, event: Claimed) -> Run:
    return run.changed(
        status=S.PULLING_IMAGE if event.pulls_image else S.STARTING,
        host=event.host,
        queue_position=None,
        queue_reason=None,
        metrics=run.metrics.model_copy(
            update={
                "queue_duration_ms": event.queue_ms,
                "total_duration_ms": event.queue_ms,
            }
        ),
    )


def _program_started(run: Run, event: ProgramStarted) -> Run:
    total = run.metrics.queue_duration_ms + event.startup_ms
    return run.changed(
        status=S.RUNNING,
        started_at=event.at,
        isolation=event.isolation,
        isolation_reason=event.isolation_reason,
        metrics=run.metrics.model_copy(
            update={"startup_duration_ms": event.startup_ms, "total_duration_ms": total}
        ),
    )


def _stop_requested(run: Run, event: StopRequested) -> Run:
    if run.is_stop_requested:
        return run.changed()
    asked = {
        "cancel_requested_at": event.at,
        "cancel_requested_by": event.by,
        "cancel_reason": event.reason,
        "kill_at": event.kill_at,
    }
    if run.status not in WAITING:
        return run.changed(**asked)
    return _finished(
        run.changed(**asked), S.CANCELLED, event.reason, event.at, cancelled_by=event.by
    )


def _program_ended(run: Run, event: ProgramEnded) -> Run:
    metrics = run.metrics
    total = metrics.queue_duration_ms + metrics.startup_duration_ms + event.execution_ms
    run = run.model_copy(
        update={
            "exit_code": event.exit_code,
            "metrics": metrics.model_copy(
                update={"execution_duration_ms": event.execution_ms, "total_duration_ms": total}
            ),
        }
    )
    if event.stopped == StatusReason.TERMINATED and run.is_stop_requested:
        # The stop was delivered, its reason was not: the file that says it could not be written.
        return _cancelled(run, run.cancel_reason, event.at)
    if event.stopped in _CANCEL_REASONS:
        return _cancelled(run, event.stopped, event.at)
    problem = {"error_message": event.message, "error": event.error}
    if event.stopped is not None:
        return _finished(run.changed(), S.FAILED, event.stopped, event.at, **problem)
    if event.exit_code == 0 and event.requirements_unmet:
        reason = StatusReason.REQUIREMENTS_UNMET
        return _finished(run.changed(), S.FAILED, reason, event.at, **problem)
    if event.exit_code == 0:
        return _finished(run.changed(), S.SUCCEEDED, None, event.at)
    died = event.exit_code is not None and event.exit_code < 0
    reason = StatusReason.SIGNAL if died else StatusReason.EXIT_CODE
    return _finished(run.changed(), S.FAILED, reason, event.at, **problem)


def _refused(run: Run, event: LaunchRefused) -> Run:
    if run.is_stop_requested:
        return _cancelled(run, run.cancel_reason, event.at)
    return _finished(run.changed(), S.FAILED, event.reason, event.at, error_message=event.message)


def _lost(run: Run, event: Lost) -> Run:
    if run.is_stop_requested:  # the program is gone without a word of its own: the wish is met
        return _cancelled(run, run.cancel_reason, event.at)
    return _finished(run.changed(), S.FAILED, event.reason, event.at, error_message=event.message)


def _cancelled(run: Run, reason: str | None, at: datetime) -> Run:
    by = run.cancel_requested_by
    return _finished(run.changed(), S.CANCELLED, reason, at, cancelled_by=by)


def _finished(
    run: Run, status: RunStatus, reason: str | None, at: datetime, **fields: object
) -> Run:
    return run.model_copy(
        update={
            **fields,
            "status": status,
            "status_reason": reason,
            "finished_at": at,
            "queue_position": None,
            "queue_reason": None,
        }
    )
