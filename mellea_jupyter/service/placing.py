"""Placing claimed runs and following them: one task a run this service holds."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from mellea_jupyter import clock
from mellea_jupyter.exceptions import (
    EnvironmentNotFound,
    IllegalTransition,
    LaunchFailed,
    RunNotFound,
)
from mellea_jupyter.executors.base import Executor, LaunchSpec, RunHandle
from mellea_jupyter.executors.registry import no_executor
from mellea_jupyter.lifecycle.transitions import LaunchRefused, Lost, apply
from mellea_jupyter.models.ids import RunId
from mellea_jupyter.models.run import Run, StatusReason
from mellea_jupyter.service import secrets
from mellea_jupyter.service.collector import Collector
from mellea_jupyter.service.environments import EnvironmentService
from mellea_jupyter.service.follower import Follower
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.records import RunRecords
from mellea_jupyter.service.run_folder import DEMO_PREFIX, RunFolders, build_spec
from mellea_jupyter.stores.journals.base import JournalStore
from mellea_jupyter.stores.runs.base import Placement, RunStore

log = logging.getLogger(__name__)

MAX_FAILURES = 5
FAILURE_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PlacingOptions:
    """Knobs of the operator."""

    grace_seconds: float
    log_cap_bytes: int


class Placer:
    """Launches runs on their executor and keeps a follower on each; cancels what is placed."""

    def __init__(
        self,
        *,
        store: RunStore,
        journals: JournalStore,
        folders: RunFolders,
        records: RunRecords,
        collector: Collector,
        environments: EnvironmentService,
        executors: Mapping[str, Executor],
        executor_problems: Mapping[str, str],
        offload: Offload,
        lease: str,
        options: PlacingOptions,
        demo_url: Callable[[], str],
        slot_freed: Callable[[], None],
    ) -> None:
        """`demo_url` starts the demo model if need be; `slot_freed` is told when a run ends."""
        self._store = store
        self._journals = journals
        self._folders = folders
        self._records = records
        self._collector = collector
        self._environments = environments
        self._executors = executors
        self._executor_problems = executor_problems
        self._offload = offload
        self._lease = lease
        self._options = options
        self._demo_url = demo_url
        self._slot_freed = slot_freed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failures: Counter[str] = Counter()

    def holds(self, run_id: str) -> bool:
        """Whether a task of this service is at work on the run."""
        return run_id in self._tasks

    async def place(self, run: Run) -> None:
        """Launch and follow a run that was just claimed. Returns at once."""
        self._start(run, self._launch_and_follow(run, clock.monotonic()))

    async def adopt(self, run: Run, placement: Placement) -> None:
        """Go on with a placed run whose service is gone. Returns at once."""
        self._start(run, self._resume(run, placement))

    async def stop_asked(self, run: Run) -> None:
        """Pass a recorded stop request on to the executor, if the run is placed."""
        placement = await self._offload.io(self._store.get_placement, run.id)
        if placement.handle is None:
            return  # the launch in hand looks for the request when it is done
        await self._deliver_stop(run, RunHandle.model_validate(placement.handle))

    async def close(self) -> None:
        """Let go of all runs; they go on without us."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, run: Run, work: Coroutine[Any, Any, None]) -> None:
        if run.id in self._tasks:  # somebody was quicker; one task a run
            work.close()
            return
        task = asyncio.create_task(self._guarded(run, work), name=f"run-{run.id}")
        self._tasks[run.id] = task

    async def _guarded(self, run: Run, work: Coroutine[Any, Any, None]) -> None:
        """Do the work; what fails is left to the reconciler to try again, but not for ever."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except RunNotFound:
            log.warning("run %s: its record was deleted while it was placed", run.id)
        except LaunchFailed as error:
            await self._lose(run, error.reason, str(error))
        except Exception as error:
            log.exception("run %s: following it failed", run.id)
            self._failures[run.id] += 1
            if self._failures[run.id] >= MAX_FAILURES:
                problem = f"{type(error).__name__}: {error}"
                message = f"The run could not be followed, {MAX_FAILURES} times: {problem}"
                await self._lose(run, StatusReason.LOST, message)
            else:
                await asyncio.sleep(FAILURE_PAUSE_SECONDS)
        else:
            self._failures.pop(run.id, None)
        finally:
            self._tasks.pop(run.id, None)
            self._slot_freed()

    async def _lose(self, run: Run, reason: str, message: str) -> None:
        """Give a placed run up: kill what is left of it, as far as that can be done, and say so."""
        self._failures.pop(run.id, None)
        try:
            placement = await self._offload.io(self._store.get_placement, run.id)
            executor = self._executors.get(placement.executor)
            if placement.handle is not None and executor is not None:
                handle = RunHandle.model_validate(placement.handle)
                await self._offload.place(executor.kill, handle, self._folders.path(run.id))
        except Exception:
            log.exception("run %s: what is left of it could not be killed", run.id)
        lost = Lost(at=clock.now(), message=message, reason=reason)
        await self._end(run, lambda current: apply(current, lost))

    async def _launch_and_follow(self, run: Run, placed_at: float) -> None:
        try:
            handle = await self._launch(run)
        except LaunchFailed as error:
            refused = LaunchRefused(at=clock.now(), reason=error.reason, message=str(error))
            await self._end(run, lambda current: apply(current, refused))
            return
        await self._follow(run, handle, placed_at)

    async def _launch(self, run: Run) -> RunHandle:
        """Raises LaunchFailed."""
        handle = await self._offload.place(self._launch_now, run)
        await self._offload.write(self._store.save_handle, run.id, handle.model_dump(mode="json"))
        return handle

    def _launch_now(self, run: Run) -> RunHandle:
        """All of a launch on one thread: each change of thread would cost the run's start."""
        placement = self._store.get_placement(run.id)
        try:
            environment = self._environments.load(placement.environment_id)
        except EnvironmentNotFound as error:
            msg = f"The environment {placement.environment_id!r} was deleted"
            raise LaunchFailed(msg, reason=StatusReason.ENVIRONMENT_UNAVAILABLE) from error
        executor = self._executor(environment.executor)
        run_dir = self._folders.path(run.id)
        try:
            spec = build_spec(
                run, placement, environment, run_dir,
                server_environment=os.environ,
                extra_environment=self._demo_variables(run),
                grace_seconds=self._options.grace_seconds,
                log_cap_bytes=self._options.log_cap_bytes,
            )  # fmt: skip
            kept = {**secrets.take_from(spec["env"], environment), **secrets.read(run_dir)}
        except OSError as error:
            msg = f"The run's folder could not be prepared: {error}"
            raise LaunchFailed(msg) from error
        return executor.launch(
            LaunchSpec(
                run_id=RunId(run.id),
                run_dir=run_dir,
                environment=environment,
                spec=spec,
                secrets=kept,
            )
        )

    def _demo_variables(self, run: Run) -> dict[str, str]:
        """Where the demo model answers, for a run that asks for it and does not say otherwise."""
        if not (run.config.model or "").startswith(DEMO_PREFIX):
            return {}
        return {"OPENAI_BASE_URL": self._demo_url(), "OPENAI_API_KEY": f"demo-{run.id}"}

    async def _follow(self, run: Run, handle: RunHandle, placed_at: float | None) -> None:
        run = await self._records.get(run.id)
        if run.is_terminal:
            return
        if run.is_stop_requested:
            await self._deliver_stop(run, handle)
        follower = Follower(
            run=run,
            handle=handle,
            run_dir=self._folders.path(run.id),
            executor=self._executor(handle.executor),
            journals=self._journals,
            store=self._store,
            records=self._records,
            collector=self._collector,
            offload=self._offload,
            placed_at=placed_at,
            grace_seconds=self._options.grace_seconds,
            deliver_stop=self._deliver_stop,
        )
        await follower.follow()
        await self._offload.write(self._store.release_lease, run.id, lease=self._lease)

    async def _resume(self, run: Run, placement: Placement) -> None:
        if placement.handle is not None:
            await self._follow(run, RunHandle.model_validate(placement.handle), None)
            return
        executor = self._executor(placement.executor)
        found = await self._offload.place(executor.find, RunId(run.id), self._folders.path(run.id))
        if found is None:
            await self._launch_and_follow(run, clock.monotonic())
            return
        await self._offload.write(self._store.save_handle, run.id, found.model_dump(mode="json"))
        await self._follow(run, found, None)

    async def _end(self, run: Run, change: Callable[[Run], Run]) -> None:
        """Write a final status, unless the run has one by now, and give the lease up."""
        try:
            await self._records.update(run.id, change)
        except IllegalTransition:
            log.info("run %s had ended already", run.id)
        await self._offload.write(self._store.release_lease, run.id, lease=self._lease)

    async def _deliver_stop(self, run: Run, handle: RunHandle) -> None:
        """Pass a recorded stop request on to the executor."""
        reason = run.cancel_reason or StatusReason.USER
        by = run.cancel_requested_by or ""
        grace = self._options.grace_seconds
        if run.kill_at is not None:
            left = (run.kill_at - clock.now()).total_seconds()
            grace = min(grace, max(0.0, left))
        executor = self._executor(handle.executor)

        def cancel() -> None:
            executor.cancel(
                handle, self._folders.path(run.id), reason=reason, by=by, grace_seconds=grace
            )

        await self._offload.place(cancel)

    def _executor(self, name: str) -> Executor:
        try:
            return self._executors[name]
        except KeyError:
            msg = self._executor_problems.get(name) or no_executor(name)
            raise LaunchFailed(msg, reason=StatusReason.ENVIRONMENT_UNAVAILABLE) from None
