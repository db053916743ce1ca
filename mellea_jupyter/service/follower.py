"""One run from its placement to its end: journal frames become metrics, calls and status.

Only the lease holder follows a run. The journal is folded from its first frame, also after a
restart, and totals are written with the frame they reach, so folding again gives the same record.
The executor's word decides on life and death; the journal's end frame says how a program ended
where the executor has no better evidence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mellea_jupyter import clock
from mellea_jupyter.accounting.usage import Pricer, UsageState
from mellea_jupyter.exceptions import IllegalTransition
from mellea_jupyter.executors.base import Executor, ExecutorUnreachable, Liveness, RunHandle
from mellea_jupyter.lifecycle.transitions import Lost, ProgramEnded, ProgramStarted, apply
from mellea_jupyter.models.artifacts import ArtifactList
from mellea_jupyter.models.frames import LogStream
from mellea_jupyter.models.run import Run, RunStatus, StatusReason
from mellea_jupyter.service import endings
from mellea_jupyter.service.budgets import BudgetWatch
from mellea_jupyter.service.calls import new_reports
from mellea_jupyter.service.collector import Collector
from mellea_jupyter.service.failures import ERROR_LINES, Traces, explained
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.outputs import MAX_OUTPUTS
from mellea_jupyter.service.records import RunRecords
from mellea_jupyter.stores.journals.base import JournalReader, JournalStore, LogQuery, Position
from mellea_jupyter.stores.runs.base import RunStore

log = logging.getLogger(__name__)

SAVE_SECONDS = 0.5
POLL_SECONDS = 1.0
ENDING_POLL_SECONDS = 0.01
ENDING_SECONDS = 10.0
"""How long the executor is asked often after an end frame that proves nothing by itself."""
QUICK_SECONDS = 0.004
QUICK_FOR_SECONDS = 2.0
SLOW_SECONDS = 0.05
_NOBODY_KNOWS = frozenset({StatusReason.LOST, StatusReason.SERVER_STOPPED})
OVERDUE_SECONDS = 5.0
"""How long after `kill_at` (or the timeout's end) the supervisor may still report the end itself,
before the executor is told to kill whatever is left."""


@dataclass(slots=True)
class _Seen:
    """What the frames so far say of the program."""

    started: dict[str, Any] = field(default_factory=dict)
    program: dict[str, Any] = field(default_factory=dict)
    exception: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)
    progress: dict[str, Any] | None = None
    budget: BudgetWatch = field(default_factory=BudgetWatch)


class Follower:
    """Follows one placed run to its final status."""

    def __init__(
        self,
        *,
        run: Run,
        handle: RunHandle,
        run_dir: Path,
        executor: Executor,
        journals: JournalStore,
        store: RunStore,
        records: RunRecords,
        collector: Collector,
        price: Pricer,
        offload: Offload,
        placed_at: float | None,
        grace_seconds: float,
        deliver_stop: Callable[[Run, RunHandle], Awaitable[None]],
        memory_limit: Callable[[str], float | None],
    ) -> None:
        """Take over a run that was placed.

        `placed_at` is when it was claimed, on the monotonic clock, and None after a restart;
        `deliver_stop` passes a recorded stop request on to the executor; `memory_limit` says how
        much memory a run's environment allows, in MiB, and may block.
        """
        self._run = run
        self._handle = handle
        self._run_dir = run_dir
        self._executor = executor
        self._journals = journals
        self._store = store
        self._records = records
        self._collector = collector
        self._offload = offload
        self._placed_at = placed_at
        self._grace_seconds = grace_seconds
        self._deliver_stop = deliver_stop
        self._memory_limit = memory_limit
        self._stop_delivered = False
        self._ended_at = 0.0
        self._unreachable_since: float | None = None
        self._usage = UsageState(price)
        self._seen = _Seen()
        self._position = Position()
        self._saved_seq = 0
        self._saved_at = 0.0
        self._followed_since = clock.monotonic()

    async def follow(self) -> Run:
        """Until the run is terminal; the final run.

        Cancelling leaves the run as it is: it goes on, and whoever follows it next starts over.
        """
        reader = self._journals.open(self._run.id)
        try:
            liveness = await self._until_gone(reader)
        finally:
            reader.close()
        return await self._finish(liveness)

    async def _until_gone(self, reader: JournalReader) -> Liveness:
        """Fold frames until the end frame was read, or until no frame can come any more."""
        size = -1
        polled_at = grown_at = clock.monotonic()
        while True:
            if (grown := reader.size()) != size:
                size = grown
                grown_at = clock.monotonic()
                await self._fold_new(reader)
            now = clock.monotonic()
            if self._seen.end is not None:
                if self._executor.trusts_journal:
                    return Liveness(alive=False)
                self._ended_at = self._ended_at or now
            is_ending = self._ended_at > 0 and now - self._ended_at < ENDING_SECONDS
            if now - polled_at >= (ENDING_POLL_SECONDS if is_ending else POLL_SECONDS):
                polled_at = now
                await self._save_if_due(now)
                if (gone := await self._poll(reader)) is not None:
                    return gone
            quick = now - max(grown_at, self._followed_since) < QUICK_FOR_SECONDS
            await asyncio.sleep(QUICK_SECONDS if quick else SLOW_SECONDS)

    async def _fold_new(self, reader: JournalReader) -> None:
        while frames := await self._offload.io(reader.read_frames, self._position):
            for frame in frames:
                self._usage.fold(frame)
                await self._note(frame)
        await self._save_if_due(clock.monotonic())

    async def _note(self, frame: Mapping[str, Any]) -> None:
        seen = self._seen
        match frame.get("kind"):
            case "started":
                seen.started = dict(frame)
            case "program":
                seen.program = dict(frame)
                await self._program_started(frame)
            case "exception":
                seen.exception = dict(frame)
            case "structured_output" if len(seen.outputs) < MAX_OUTPUTS:
                seen.outputs.append(dict(frame))
            case "progress":
                seen.progress = endings.progress(frame)
            case "budget":
                seen.budget.note(frame)
            case "end":
                seen.end = dict(frame)

    async def _program_started(self, frame: Mapping[str, Any]) -> None:
        at = endings.frame_time(frame)
        if self._placed_at is not None:
            startup = clock.monotonic() - self._placed_at
        else:
            claimed = self._run.created_at.timestamp() + (
                self._run.metrics.queue_duration_ms / 1000
            )
            startup = max(0.0, at.timestamp() - claimed)
        started = ProgramStarted(
            at=at,
            startup_ms=round(startup * 1000),
            isolation=str(self._seen.started.get("isolation", "fresh")),
            isolation_reason=endings.text(self._seen.started.get("reason")),
        )
        if self._run.status == RunStatus.STARTING:
            await self._update(lambda run: apply(run, started))

    async def _update(self, change: Any) -> None:
        """Change the record; a status that somebody else made final stays."""
        try:
            self._run = await self._records.update(self._run.id, change)
        except IllegalTransition:
            self._run = await self._records.get(self._run.id)

    async def _save_if_due(self, now: float) -> None:
        if self._position.seq == self._saved_seq or now - self._saved_at < SAVE_SECONDS:
            return
        self._saved_at = now
        await self._save()

    async def _save(self) -> None:
        if self._run.is_terminal:
            return
        seq = self._position.seq
        await self._save_reports()
        self._run = await self._records.update(self._run.id, self._with_usage, folded_seq=seq)
        self._saved_seq = seq

    async def _save_reports(self) -> None:
        reports = new_reports(self._usage)
        if reports:
            await self._offload.write(self._store.save_reports, self._run.id, reports)

    def _with_usage(self, run: Run) -> Run:
        if run.is_terminal:
            return run
        return run.changed(
            metrics=run.metrics.model_copy(update=self._usage.metrics()),
            models_used=self._usage.models_used(),
            progress=self._seen.progress,
            waiting=self._seen.budget.waiting,
            budget=self._seen.budget.state(run.config),
        )

    async def _poll(self, reader: JournalReader) -> Liveness | None:
        """The executor's word that the run is gone, else None; overdue runs are killed.

        The record is read anew, since a stop may have been asked for through another service.
        """
        self._run = await self._records.get(self._run.id)
        try:
            if self._run.is_stop_requested and not self._stop_delivered:
                await self._deliver_stop(self._run, self._handle)
                self._stop_delivered = True
            liveness = await self._offload.io(self._executor.poll, self._handle, self._run_dir)
            if liveness.alive and self._is_overdue():
                log.warning("run %s did not end in time; killing it", self._run.id)
                await self._kill()
        except ExecutorUnreachable as error:
            return self._given_up(error)
        self._unreachable_since = None
        if liveness.alive:
            return None
        await self._fold_new(reader)  # what was written between our last look and its death
        return liveness

    def _given_up(self, error: ExecutorUnreachable) -> Liveness | None:
        """The run as lost, once its executor has been silent for too long; else None."""
        now = clock.monotonic()
        if self._unreachable_since is None:
            self._unreachable_since = now
            log.warning("run %s: %s; asking again", self._run.id, error)
        patience = self._executor.patience_seconds
        if now - self._unreachable_since < patience:
            return None
        message = (
            f"{error} It has been silent for {patience:.0f} s, so nobody can say how it ended."
        )
        return Liveness(alive=False, reason=StatusReason.LOST, message=message)

    async def _kill(self) -> None:
        """Kill what is left of the run; whoever still reports its end says why it was killed."""
        reason = self._run.cancel_reason or StatusReason.TERMINATED
        if not self._run.is_stop_requested and self._is_overdue():
            reason = StatusReason.TIMEOUT
        by = self._run.cancel_requested_by or ""

        def kill() -> None:
            self._executor.kill(self._handle, self._run_dir, reason=reason, by=by)

        await self._offload.place(kill)

    def _is_overdue(self) -> bool:
        if self._run.kill_at is not None:
            # Wall clock, because a restarted server has no other; at worst a kill comes late.
            late = (clock.now() - self._run.kill_at).total_seconds()
            return late > OVERDUE_SECONDS
        longest = self._run.config.timeout_seconds + self._grace_seconds + OVERDUE_SECONDS
        return clock.monotonic() - self._followed_since > longest

    async def _finish(self, liveness: Liveness) -> Run:
        """Make sure that nothing lives, keep what the run produced, and write the final status."""
        if self._seen.end is None:
            with suppress(ExecutorUnreachable):  # then what is left is swept when it is back
                await self._kill()
        at = clock.now()
        await self._save_reports()
        kept = await self._collector.collect(self._run, self._run_dir)
        outputs = await self._collector.outputs(self._run, self._run_dir, self._seen.outputs, kept)
        for output in outputs:
            await self._offload.write(self._store.save_output, self._run.id, output)

        traces = await self._traces()

        def final(run: Run) -> Run:
            ended = self._final(self._with_usage(run), at, liveness, kept)
            return explained(run, ended, traces)

        try:
            self._run = await self._records.update(
                self._run.id, final, folded_seq=self._position.seq
            )
        except IllegalTransition:
            self._run = await self._records.get(self._run.id)
        with suppress(ExecutorUnreachable):
            await self._offload.io(self._executor.cleanup, self._handle, self._run_dir)
        return self._run

    async def _traces(self) -> Traces:
        """What tells why the run failed; its output only where neither code nor exception does."""
        lines: tuple[str, ...] = ()
        if not self._seen.exception and (self._seen.end or {}).get("exit_code") != 0:
            lines = await self._offload.scan(self._last_error_lines)
        limit = await self._offload.io(self._memory_limit, self._run.id)
        return Traces(
            executor=self._executor.name,
            exception=self._seen.exception,
            calls=self._usage.calls,
            error_output=lines,
            memory_limit_mb=limit,
        )

    def _last_error_lines(self) -> tuple[str, ...]:
        query = LogQuery(tail=ERROR_LINES, streams=frozenset({LogStream.STDERR}))
        try:
            with self._journals.open(self._run.id, complete=True) as reader:
                return tuple(frame.message for frame in reader.read(query).frames)
        except Exception:  # whatever it is, the run has to get its final status
            log.exception("run %s: its last lines could not be read", self._run.id)
            return ()

    def _final(self, run: Run, at: datetime, liveness: Liveness, kept: ArtifactList) -> Run:
        if run.status == RunStatus.STARTING and self._seen.program:
            run = apply(
                run,
                ProgramStarted(at=endings.frame_time(self._seen.program), startup_ms=0,
                               isolation=str(self._seen.started.get("isolation", "fresh"))),
            )  # fmt: skip
        run = run.model_copy(
            update={
                "artifacts": kept.artifacts,
                "artifacts_skipped": kept.skipped,
                "waiting": None,
                "kernel": endings.kept_kernel(self._seen.end),
            }
        )
        end = self._seen.end
        if liveness.reason in _NOBODY_KNOWS or (
            end is None
            and liveness.exit_code is None
            and liveness.reason is None
            and liveness.otherwise is None
        ):
            message = liveness.message or endings.LOST_MESSAGE
            reason = liveness.reason or StatusReason.LOST
            return apply(run, Lost(at=at, message=message, reason=reason))
        if not self._executor.trusts_journal:
            end, liveness = endings.vetted(end, liveness, asked=run.cancel_reason)
        error = endings.error_details(self._seen.exception)
        ended = endings.Ending.of(end or {}, liveness)
        if endings.is_over_budget(
            ended, self._seen.exception, refused=self._seen.budget.refused_calls
        ):
            ended = replace(ended, stopped=StatusReason.BUDGET_EXCEEDED)
        return apply(
            run,
            ProgramEnded(
                at=at,
                exit_code=ended.exit_code,
                stopped=ended.stopped,
                execution_ms=ended.execution_ms,
                requirements_unmet=run.config.strict_requirements
                and run.metrics.loops_exhausted > 0,
                message=endings.sentence(run, ended, error),
                error=error if ended.stopped in (None, StatusReason.BUDGET_EXCEEDED) else None,
            ),
        )
