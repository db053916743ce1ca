"""Placing claimed runs and following them: one task a run this service holds."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from mellea_jupyter import clock
from mellea_jupyter.datasets.objects import Stopped
from mellea_jupyter.exceptions import (
    Conflict,
    EnvironmentNotFound,
    IllegalTransition,
    LaunchFailed,
    RunNotFound,
    StoreError,
)
from mellea_jupyter.executors.base import (
    AnswersRuns,
    Executor,
    ExecutorUnreachable,
    LaunchSpec,
    Pull,
    PullsImages,
    RunHandle,
)
from mellea_jupyter.executors.registry import no_executor
from mellea_jupyter.lifecycle.transitions import ImagePulled, LaunchRefused, Lost, apply
from mellea_jupyter.models.environments import Environment
from mellea_jupyter.models.ids import RunId
from mellea_jupyter.models.run import Run, RunImage, RunStatus, StatusReason
from mellea_jupyter.service import secrets
from mellea_jupyter.service.collector import Collector
from mellea_jupyter.service.datasets import DatasetService
from mellea_jupyter.service.environments import EnvironmentService
from mellea_jupyter.service.follower import Follower
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.prices import Prices
from mellea_jupyter.service.records import RunRecords
from mellea_jupyter.service.run_folder import DEMO_PREFIX, RunFolders, build_spec
from mellea_jupyter.stores.journals.base import JournalStore
from mellea_jupyter.stores.runs.base import Placement, RunStore

log = logging.getLogger(__name__)

MAX_FAILURES = 5
PULL_REPORT_SECONDS = 0.3
FAILURE_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PlacingOptions:
    """Knobs of the operator."""

    grace_seconds: float
    log_cap_bytes: int
    budget_ask_seconds: float
    keep_kernel_seconds: float = 1800.0


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
        datasets: DatasetService,
        executors: Mapping[str, Executor],
        executor_problems: Mapping[str, str],
        offload: Offload,
        lease: str,
        prices: Prices,
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
        self._datasets = datasets
        self._executors = executors
        self._executor_problems = executor_problems
        self._offload = offload
        self._lease = lease
        self._prices = prices
        self._options = options
        self._demo_url = demo_url
        self._slot_freed = slot_freed
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failures: Counter[str] = Counter()
        self._unreachable_since: dict[str, float] = {}
        self._pulls: dict[str, Pull] = {}
        self._filling: dict[str, threading.Event] = {}  # runs whose data is fetched now

    @property
    def held(self) -> int:
        """How many runs tasks of this service are at work on."""
        return len(self._tasks)

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
        if (pull := self._pulls.get(run.id)) is not None:
            await self._offload.place(pull.cancel)
            return
        if (filling := self._filling.get(run.id)) is not None:
            filling.set()
        placement = await self._offload.io(self._store.get_placement, run.id)
        if placement.handle is None:
            return  # the launch in hand looks for the request when it is done
        try:
            await self._deliver_stop(run, RunHandle.model_validate(placement.handle))
        except ExecutorUnreachable as error:  # the follower tries again
            log.warning("run %s can not be told to stop now: %s", run.id, error)

    async def close(self) -> None:
        """Let go of all runs; they go on without us."""
        tasks = tuple(self._tasks.values())
        for stop in self._filling.values():
            stop.set()
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
        except ExecutorUnreachable as error:
            await self._ask_again(run, error)
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
            self._unreachable_since.pop(run.id, None)
        finally:
            self._tasks.pop(run.id, None)
            self._slot_freed()

    async def _ask_again(self, run: Run, error: ExecutorUnreachable) -> None:
        """Leave the run to the reconciler, unless its executor has been silent for too long."""
        now = clock.monotonic()
        since = self._unreachable_since.setdefault(run.id, now)
        placement = await self._offload.io(self._store.get_placement, run.id)
        executor = self._executors.get(placement.executor)
        if executor is None or now - since >= executor.patience_seconds:
            self._unreachable_since.pop(run.id, None)
            await self._lose(run, StatusReason.LOST, str(error))
            return
        if since == now:
            log.warning("run %s: %s; asking again", run.id, error)
        await asyncio.sleep(FAILURE_PAUSE_SECONDS)

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
            run = await self._with_image(run)
            handle = await self._launch(run)
        except LaunchFailed as error:
            refused = LaunchRefused(at=clock.now(), reason=error.reason, message=str(error))
            await self._end(run, lambda current: apply(current, refused))
            return
        await self._follow(run, handle, placed_at)

    async def _with_image(self, run: Run) -> Run:
        """The run with its image, which is pulled where the executor has not got it.

        Raises:
            LaunchFailed: it can not be had, or a stop was asked for meanwhile.
        """
        if run.status != RunStatus.PULLING_IMAGE:
            return run
        pull = await self._offload.place(self._new_pull, run)
        if pull is None:
            return await self._records.update(run.id, lambda now: apply(now, ImagePulled()))
        loop = asyncio.get_running_loop()
        reports: asyncio.Queue[RunImage] = asyncio.Queue()
        self._pulls[run.id] = pull
        try:
            if (await self._records.get(run.id)).is_stop_requested:
                pull.cancel()

            def report(image: RunImage) -> None:
                loop.call_soon_threadsafe(reports.put_nowait, image)

            work = asyncio.create_task(self._offload.fetch(pull.run, report))
            try:
                await self._report_pull(run, pull, reports, work)
                image = await work
            finally:
                if not work.done():  # we are cancelled: the thread has to come back
                    await self._offload.place(pull.cancel)
                    await asyncio.gather(work, return_exceptions=True)
        finally:
            del self._pulls[run.id]
        return await self._records.update(run.id, lambda now: apply(now, ImagePulled(image)))

    def _new_pull(self, run: Run) -> Pull | None:
        """The pull of the run's image; None where its executor needs none."""
        placement = self._store.get_placement(run.id)
        environment = self._environment(placement)
        executor = self._executor(environment.executor)
        if not isinstance(executor, PullsImages):
            return None
        before = None
        if run.retry_of is not None:
            with contextlib.suppress(RunNotFound):
                before = self._store.get_run(run.retry_of).image
        return executor.pull(environment, before)

    async def _report_pull(
        self, run: Run, pull: Pull, reports: asyncio.Queue[RunImage], work: asyncio.Task[RunImage]
    ) -> None:
        """Keep the record up to date until the pull has ended; look for a stop request."""
        looked_at = clock.monotonic()
        shown: RunImage | None = None
        while not work.done():
            await asyncio.wait({work}, timeout=PULL_REPORT_SECONDS)
            newest = None
            while not reports.empty():
                newest = reports.get_nowait()
            if newest is not None and newest != shown and not work.done():
                shown = newest
                await self._records.update(run.id, functools.partial(_with_progress, newest))
            if clock.monotonic() - looked_at >= 1.0:  # through another service, perhaps
                looked_at = clock.monotonic()
                if (await self._records.get(run.id)).is_stop_requested:
                    await self._offload.place(pull.cancel)

    async def _launch(self, run: Run) -> RunHandle:
        """Raises LaunchFailed."""
        datasets = await self._fill_inputs(run) if run.config.datasets else {}
        handle = await self._offload.place(self._launch_now, run, datasets)
        await self._offload.write(self._store.save_handle, run.id, handle.model_dump(mode="json"))
        return handle

    async def _fill_inputs(self, run: Run) -> dict[str, str]:
        """Put the run's datasets into place, which may take long; a stop request ends it.

        Raises:
            LaunchFailed: they can not be had, or the run is to stop.
        """
        stop = self._filling[run.id] = threading.Event()
        try:
            if (await self._records.get(run.id)).is_stop_requested:
                stop.set()
            return await self._offload.fetch(
                self._datasets.fill,
                run.config.datasets,
                self._folders.path(run.id) / "inputs",
                should_stop=stop.is_set,
            )
        except Stopped:
            msg = "The run was stopped while its data was fetched"
            raise LaunchFailed(msg) from None
        except (OSError, StoreError) as error:
            msg = f"The run's data could not be put into place: {error}"
            raise LaunchFailed(msg) from error
        finally:
            del self._filling[run.id]

    def _launch_now(self, run: Run, datasets: Mapping[str, str]) -> RunHandle:
        """All of a launch on one thread: each change of thread would cost the run's start."""
        placement = self._store.get_placement(run.id)
        environment = self._environment(placement)
        executor = self._executor(environment.executor)
        run_dir = self._folders.path(run.id)
        try:
            spec = build_spec(
                run, placement, environment, run_dir,
                server_environment=os.environ,
                extra_environment=self._demo_variables(run),
                datasets=datasets,
                grace_seconds=self._options.grace_seconds,
                log_cap_bytes=self._options.log_cap_bytes,
                budget_ask_seconds=self._options.budget_ask_seconds,
                keep_kernel_seconds=self._options.keep_kernel_seconds,
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
                image_id=run.image.id if run.image is not None else None,
                prices=None if run.config.max_cost_usd is None else self._prices.table(),
            )
        )

    def _environment(self, placement: Placement) -> Environment:
        """Raises LaunchFailed."""
        try:
            return self._environments.load(placement.environment_id)
        except EnvironmentNotFound as error:
            msg = f"The environment {placement.environment_id!r} was deleted"
            raise LaunchFailed(msg, reason=StatusReason.ENVIRONMENT_UNAVAILABLE) from error

    def _memory_limit(self, run_id: str) -> float | None:
        """What the run's environment allows, MiB; None without a limit or an environment."""
        try:
            return self._environment(self._store.get_placement(run_id)).memory_mb
        except (LaunchFailed, RunNotFound, StoreError):
            return None

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
            price=self._prices.price,
            offload=self._offload,
            placed_at=placed_at,
            grace_seconds=self._options.grace_seconds,
            deliver_stop=self._deliver_stop,
            memory_limit=self._memory_limit,
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

    def can_answer(self, executor: str) -> bool:
        """Whether runs of this executor can ask; True for one that is not there to be asked."""
        found = self._executors.get(executor)
        return found is None or isinstance(found, AnswersRuns)

    async def answer(self, run: Run, answer: Mapping[str, Any]) -> None:
        """Pass an answer on to a placed run.

        Raises:
            Conflict: nothing of it runs, or its executor knows no answers.
            OSError: the answer could not be written.
        """
        placement = await self._offload.io(self._store.get_placement, run.id)
        executor = self._executors.get(placement.executor)
        if placement.handle is None or not isinstance(executor, AnswersRuns):
            raise Conflict("The run can not be answered", hint="Cancel it.", run_id=run.id)
        handle = RunHandle.model_validate(placement.handle)
        await self._offload.place(executor.answer, handle, self._folders.path(run.id), answer)

    def _executor(self, name: str) -> Executor:
        try:
            return self._executors[name]
        except KeyError:
            msg = self._executor_problems.get(name) or no_executor(name)
            raise LaunchFailed(msg, reason=StatusReason.ENVIRONMENT_UNAVAILABLE) from None


def _with_progress(image: RunImage, run: Run) -> Run:
    return run if run.status != RunStatus.PULLING_IMAGE else run.changed(image=image)
