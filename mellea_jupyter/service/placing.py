"""Placing claimed runs and following them: one task a run this service holds."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mellea_jupyter import clock
from mellea_jupyter.environments.service import EnvironmentService
from mellea_jupyter.exceptions import (
    EnvironmentNotFound,
    IllegalTransition,
    LaunchFailed,
    RunNotFound,
)
from mellea_jupyter.executors.base import Executor, LaunchSpec, RunHandle
from mellea_jupyter.lifecycle.transitions import LaunchRefused, apply
from mellea_jupyter.models.ids import RunId
from mellea_jupyter.models.run import Run, StatusReason
from mellea_jupyter.service import secrets
from mellea_jupyter.service.collector import Collector
from mellea_jupyter.service.follower import Follower
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.records import RunRecords
from mellea_jupyter.service.run_folder import DEMO_PREFIX, RunFolders, build_spec
from mellea_jupyter.stores.journals.base import JournalStore
from mellea_jupyter.stores.runs.base import Placement, RunStore

log = logging.getLogger(__name__)


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
        self._offload = offload
        self._lease = lease
        self._options = options
        self._demo_url = demo_url
        self._slot_freed = slot_freed
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def holds(self, run_id: str) -> bool:
        """Whether a task of this service is at work on the run."""
        return run_id in self._tasks

    async def place(self, run: Run) -> None:
        """Launch and follow a run that was just claimed. Returns at once."""
        self._start(run, self._launch_and_follow(run, clock.monotonic()))

    async def adopt(self, run: Run, placement: Placement) -> None:
        """Go on with a placed run whose service is gone. Returns at once."""
        self._start(run, self._resume(run, placement))

    async def stop_asked(self, run: Run, *, reason: str, by: str) -> None:
        """Pass a recorded stop request on to the executor, if the run is placed."""
        placement = await self._offload.io(self._store.get_placement, run.id)
        if placement.handle is None:
            return  # the launch in hand looks for the request when it is done
        await self._cancel(run, RunHandle.model_validate(placement.handle), reason=reason, by=by)

    async def close(self) -> None:
        """Let go of all runs; they go on without us."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, run: Run, work: object) -> None:
        task = asyncio.create_task(self._guarded(run, work), name=f"run-{run.id}")
        self._tasks[run.id] = task

    async def _guarded(self, run: Run, work: object) -> None:
        try:
            await work  # type: ignore[misc]  # a coroutine of this class
        except asyncio.CancelledError:
            raise
        except RunNotFound:
            log.warning("run %s: its record was deleted while it was placed", run.id)
        except Exception:
            # The lease stays with us and the reconciler tries again.
            log.exception("run %s: following it failed", run.id)
            await asyncio.sleep(1.0)
        finally:
            self._tasks.pop(run.id, None)
            self._slot_freed()

    async def _launch_and_follow(self, run: Run, placed_at: float) -> None:
        try:
            handle = await self._launch(run)
        except LaunchFailed as error:
            await self._refuse(run, error.reason, str(error))
            return
        await self._follow(run, handle, placed_at)

    async def _launch(self, run: Run) -> RunHandle:
        """Raises LaunchFailed."""
        placement = await self._offload.io(self._store.get_placement, run.id)
        try:
            environment = self._environments.get(placement.environment_id)
        except EnvironmentNotFound as error:
            raise LaunchFailed(str(error), reason=StatusReason.ENVIRONMENT_UNAVAILABLE) from error
        executor = self._executor(environment.executor)
        run_dir = self._folders.path(run.id)
        extra = await self._demo_variables(run)

        def launch() -> RunHandle:
            try:
                spec = build_spec(
                    run, placement, environment, run_dir,
                    server_environment=os.environ,
                    extra_environment=extra,
                    grace_seconds=self._options.grace_seconds,
                    log_cap_bytes=self._options.log_cap_bytes,
                )  # fmt: skip
                kept = {**secrets.take_from(spec["env"]), **secrets.read(run_dir)}
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
                )  # fmt: skip
            )

        handle = await self._offload.place(launch)
        await self._offload.write(self._store.save_handle, run.id, handle.model_dump(mode="json"))
        return handle

    async def _demo_variables(self, run: Run) -> dict[str, str]:
        """Where the demo model answers, for a run that asks for it and does not say otherwise."""
        if not (run.config.model or "").startswith(DEMO_PREFIX):
            return {}
        url = await self._offload.place(self._demo_url)
        return {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": f"demo-{run.id}"}

    async def _follow(self, run: Run, handle: RunHandle, placed_at: float | None) -> None:
        run = await self._records.get(run.id)
        if run.is_terminal:
            return
        if run.is_stop_requested:
            by = run.cancel_requested_by or ""
            reason = StatusReason.USER if by == run.owner_id else StatusReason.ADMIN
            await self._cancel(run, handle, reason=reason, by=by)
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

    async def _refuse(self, run: Run, reason: str, message: str) -> None:
        def refused(current: Run) -> Run:
            at = clock.now()
            return apply(current, LaunchRefused(at=at, reason=reason, message=message))

        try:
            await self._records.update(run.id, refused)
        except IllegalTransition:
            log.info("run %s ended before its launch was refused", run.id)
        await self._offload.write(self._store.release_lease, run.id, lease=self._lease)

    async def _cancel(self, run: Run, handle: RunHandle, *, reason: str, by: str) -> None:
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
            msg = f"There is no executor {name!r} in this installation"
            raise LaunchFailed(msg, reason=StatusReason.ENVIRONMENT_UNAVAILABLE) from None
