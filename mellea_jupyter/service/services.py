"""The service as one thing: how its parts are put together, started and stopped.

Built on a worker thread after the server has started, because the parts import what a server
without runs does not need.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import threading
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mellea_jupyter.auth.owner import User
from mellea_jupyter.auth.signing import LinkSigner
from mellea_jupyter.environments.configured import (
    DEFAULT_ENVIRONMENT_ID,
    configured_environments,
)
from mellea_jupyter.exceptions import LaunchFailed, PermissionDenied, RunNotFound
from mellea_jupyter.executors.base import ExecutorUnreachable, LeavesOrphans, PullsImages
from mellea_jupyter.executors.docker.executor import DockerExecutor, DockerOptions
from mellea_jupyter.executors.kernel.executor import KernelExecutor, KernelOptions
from mellea_jupyter.executors.process import ProcessExecutor
from mellea_jupyter.executors.registry import create_executors
from mellea_jupyter.models.audit import AuditAction
from mellea_jupyter.models.events import RunChanged
from mellea_jupyter.models.ids import RunId
from mellea_jupyter.models.prices import PriceListReply
from mellea_jupyter.models.retention import RetentionReply, SweepReply
from mellea_jupyter.notifications.base import Channel
from mellea_jupyter.retention.policy import RetentionPolicy
from mellea_jupyter.retention.sweeper import Sweeper
from mellea_jupyter.service.assets import AssetService
from mellea_jupyter.service.auditing import AuditTrail, audit_entry
from mellea_jupyter.service.broker import Broker, Subscription
from mellea_jupyter.service.calls import RunCalls
from mellea_jupyter.service.collector import Collector
from mellea_jupyter.service.comparing import RunComparing
from mellea_jupyter.service.datasets import DatasetService
from mellea_jupyter.service.dispatcher import Dispatcher
from mellea_jupyter.service.environments import EnvironmentService
from mellea_jupyter.service.forecasts import Forecasts
from mellea_jupyter.service.kept_bytes import KeptBytes
from mellea_jupyter.service.kernels import KernelService
from mellea_jupyter.service.leases import ServiceLease
from mellea_jupyter.service.log_hub import LogHub
from mellea_jupyter.service.masking import Masking
from mellea_jupyter.service.memory import give_large_buffers_back
from mellea_jupyter.service.notices import MailDesk, NoticeService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.outbox import Outbox
from mellea_jupyter.service.placing import Placer, PlacingOptions
from mellea_jupyter.service.planning import RunDefaults, RunPlanner
from mellea_jupyter.service.preflight import Preflight, PreflightOptions
from mellea_jupyter.service.prices import Prices, Repricing
from mellea_jupyter.service.probing import Probing
from mellea_jupyter.service.reconciler import Reconciler
from mellea_jupyter.service.recording import RunRecorder
from mellea_jupyter.service.records import RunRecords
from mellea_jupyter.service.results import RunResults
from mellea_jupyter.service.run_folder import RunFolders
from mellea_jupyter.service.runs import RunService
from mellea_jupyter.service.sharing import Sharing
from mellea_jupyter.stores.artifacts.object_store import ObjectArtifactStore
from mellea_jupyter.stores.journals.file import FileJournalStore
from mellea_jupyter.stores.notices.sql import SqlNoticeStore
from mellea_jupyter.stores.runs.sql import SqlRunStore
from mellea_jupyter.telemetry.setup import OtlpSettings, make_collector

if TYPE_CHECKING:
    from mellea_jupyter.models.calls import CallContent
    from mellea_jupyter.telemetry.spans import Trace

log = logging.getLogger(__name__)

ORPHAN_SECONDS = 3600.0
SWEEP_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What an operator decides; the traits of `MelleaApp` give it."""

    data_dir: Path
    root_dir: Path
    default_model: str | None = None
    models: Sequence[str] = ()
    max_runs: int = 4
    max_runs_per_owner: int = 4
    max_timeout_seconds: float = 7 * 24 * 3600.0
    grace_seconds: float = 10.0
    max_group_runs: int = 100
    log_cap_bytes: int = 256 << 20
    pricing_file: str = ""
    budget_ask_seconds: float = 600.0
    artifacts_url: str = ""
    retention: RetentionPolicy = field(default_factory=RetentionPolicy)
    environments: Sequence[Mapping[str, Any]] = ()
    environment_defaults: Mapping[str, Any] = field(default_factory=dict)
    default_environment_id: str = DEFAULT_ENVIRONMENT_ID
    environment_check_seconds: float = 30.0
    max_dataset_bytes: int = 10 << 30
    fork_server_idle_seconds: float = 1800.0
    prewarm: bool = True
    docker: DockerOptions = field(default_factory=DockerOptions)
    kernel: KernelOptions = field(default_factory=KernelOptions)
    keep_kernel_seconds: float = 1800.0
    server_name: str = ""
    channels: Sequence[Channel] = ()
    mail: MailDesk = field(default_factory=MailDesk)
    otlp: OtlpSettings = field(default_factory=OtlpSettings)


class Services:
    """Everything the handlers call."""

    _subscription: Subscription | None = None

    def __init__(self, options: ServiceOptions) -> None:
        """Open the stores and put the parts together; nothing runs before `start`. Blocks.

        Raises:
            InvalidInput: an environment of the settings is wrong; nothing was opened.
            StoreError: the database can not be used.
            OSError: the data folder can not be used.
        """
        give_large_buffers_back()
        self.options = options
        configured = configured_environments(options.environments, options.environment_defaults)
        data_dir = options.data_dir
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lease = ServiceLease(data_dir / "services")
        self._offload = Offload()
        self._store = SqlRunStore.open(data_dir / "runs.sqlite")
        executors = create_executors(
            {
                ProcessExecutor.name: {"warm_idle_seconds": options.fork_server_idle_seconds},
                KernelExecutor.name: {"options": options.kernel},
                DockerExecutor.name: {"data_dir": data_dir, "options": options.docker},
            }
        )
        self._executors = executors.by_name
        self._demo = _DemoModel()
        journals = FileJournalStore(data_dir / "runs")
        artifacts = ObjectArtifactStore(options.artifacts_url or data_dir / "artifacts")
        folders = self._folders = RunFolders(data_dir / "runs")
        self.broker = Broker()
        notices = SqlNoticeStore(self._store.transactions)
        collector = make_collector(options.otlp)
        channels = [*options.channels]
        if collector is not None:
            from mellea_jupyter.telemetry.channel import OtlpChannel

            channels.append(OtlpChannel(collector, self._read_trace))
        self.notices = NoticeService(
            store=notices,
            offload=self._offload,
            lease=self._lease.id,
            channels=channels,
            mail=options.mail,
        )
        self._outbox = Outbox(
            store=notices, offload=self._offload, lease=self._lease, channels=channels
        )
        self.sharing = Sharing(
            store=self._store, broker=self.broker, notices=self.notices, offload=self._offload
        )
        records = RunRecords(
            store=self._store,
            broker=self.broker,
            offload=self._offload,
            retention=options.retention,
            notices=self.notices,
        )
        probing = Probing(
            probers={name: executor.probe for name, executor in self._executors.items()},
            problems=executors.problems,
            offload=self._offload,
            max_age_seconds=options.environment_check_seconds,
        )
        self.environments = EnvironmentService(
            store=self._store,
            offload=self._offload,
            probing=probing,
            configured=configured,
            defaults=options.environment_defaults,
            default_id=options.default_environment_id,
            executors=frozenset((*self._executors, *executors.problems)),
        )
        self.assets = AssetService(
            store=self._store,
            environments=self.environments,
            root=options.root_dir,
            sources_dir=data_dir / "sources",
            offload=self._offload,
        )
        self.datasets = DatasetService(
            store=self._store,
            root=options.root_dir,
            store_dir=data_dir / "datasets",
            offload=self._offload,
            max_bytes=options.max_dataset_bytes,
        )
        masking = Masking(
            store=self._store,
            folders=folders,
            load_environment=self.environments.load,
            server_environment=os.environ,
        )
        self.logs = LogHub(journals=journals, offload=self._offload, get_run=records.get)
        self.prices = Prices(options.pricing_file or None)
        self.repricing = Repricing(
            store=self._store, prices=self.prices, broker=self.broker, offload=self._offload
        )
        self._placer = Placer(
            store=self._store,
            journals=journals,
            folders=folders,
            records=records,
            collector=Collector(artifacts=artifacts, masking=masking, offload=self._offload),
            environments=self.environments,
            datasets=self.datasets,
            executors=self._executors,
            executor_problems=executors.problems,
            offload=self._offload,
            lease=self._lease.id,
            prices=self.prices,
            options=PlacingOptions(
                options.grace_seconds,
                options.log_cap_bytes,
                options.budget_ask_seconds,
                options.keep_kernel_seconds,
            ),
            demo_url=self._demo.url,
            slot_freed=self._slot_freed,
        )
        self._dispatcher = Dispatcher(
            store=self._store,
            broker=self.broker,
            offload=self._offload,
            lease=self._lease.id,
            server=options.server_name,
            host=platform.node(),
            limit=options.max_runs,
            owner_limit=options.max_runs_per_owner,
            place=self._placer.place,
            pulling={n for n, e in self._executors.items() if isinstance(e, PullsImages)},
        )
        self._reconciler = Reconciler(
            store=self._store,
            records=records,
            broker=self.broker,
            offload=self._offload,
            lease=self._lease,
            server=options.server_name,
            placer=self._placer,
            dispatcher=self._dispatcher,
            sharing=self.sharing,
        )
        defaults = RunDefaults(
            options.default_model,
            options.max_timeout_seconds,
            options.grace_seconds,
            options.max_group_runs,
            options.server_name,
        )
        planner = RunPlanner(
            store=self._store,
            assets=self.assets,
            environments=self.environments,
            datasets=self.datasets,
            folders=folders,
            placer=self._placer,
            offload=self._offload,
            defaults=defaults,
        )
        self.runs = RunService(
            store=self._store,
            artifacts=artifacts,
            planner=planner,
            recorder=RunRecorder(
                store=self._store,
                assets=self.assets,
                folders=folders,
                broker=self.broker,
                dispatcher=self._dispatcher,
                offload=self._offload,
            ),
            folders=folders,
            records=records,
            broker=self.broker,
            dispatcher=self._dispatcher,
            placer=self._placer,
            offload=self._offload,
            sharing=self.sharing,
            defaults=defaults,
        )
        self.forecasts = Forecasts(store=self._store, offload=self._offload)
        self.results = RunResults(
            store=self._store,
            journals=journals,
            artifacts=artifacts,
            folders=folders,
            signer=LinkSigner(data_dir / "signing.key"),
            offload=self._offload,
            get_run=self.runs.get,
            find_user=self.sharing.find_user,
            masking=masking,
        )
        self.audit = AuditTrail(store=self._store, offload=self._offload, get_run=self.runs.get)
        self.kernels = KernelService(
            runs=self.runs,
            store=self._store,
            folders=folders,
            offload=self._offload,
            manager=options.kernel.manager,
        )
        self.calls = RunCalls(
            store=self._store,
            journals=journals,
            broker=self.broker,
            offload=self._offload,
            get_run=self.runs.get,
        )
        self.comparing = RunComparing(
            store=self._store,
            results=self.results,
            calls=self.calls,
            offload=self._offload,
            get_run=self.runs.get,
            list_runs=self.runs.list,
        )
        self.preflight = Preflight(
            runs=self.runs,
            planner=planner,
            assets=self.assets,
            environments=self.environments,
            prices=self.prices,
            forecasts=self.forecasts,
            offload=self._offload,
            options=PreflightOptions(
                options.root_dir, data_dir / "sources", options.models, options.default_model
            ),
        )
        self._kept = KeptBytes(
            data_dir=data_dir, folders=folders, journals=journals, artifacts=artifacts
        )
        self._sweeper = Sweeper(
            store=self._store,
            records=records,
            offload=self._offload,
            size_of=self._kept.size_of,
            remove=self._kept.remove,
        )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def active_runs(self) -> int:
        """Runs that this server executes or has queued; they keep it from being culled.

        Runs of other servers on the same store do not count: those keep their own server.
        """
        return self._placer.held + self._dispatcher.waiting

    def _slot_freed(self) -> None:
        self._dispatcher.kick()

    async def start(self) -> None:
        """Take up what was left behind, then keep the queue moving."""
        self._subscription = self.broker.subscribe()
        self._spawn("changes", self._watch_changes(self._subscription))
        self._spawn("dispatcher", self._dispatcher.run())
        self._spawn("reconciler", self._reconciler.run())
        self._spawn("orphans", self._remove_orphans())
        self._spawn("sweep", self._sweep())
        self._spawn("datasets", self._sweep_datasets())
        self._spawn("notices", self.notices.run())
        self._spawn("outbox", self._outbox.run())
        self._spawn("sweeper", self._sweeper.run())
        if self.options.prewarm:
            self._spawn("prewarm", self._prewarm())

    def _spawn(self, name: str, work: Awaitable[None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("The service's task %r ended with an error", name)

        self._tasks.append(asyncio.create_task(guarded(), name=f"mellea-{name}"))

    async def _watch_changes(self, subscription: Subscription) -> None:
        """Complete log streams of runs that end."""
        async for event in subscription:
            if isinstance(event, RunChanged):
                self.logs.run_changed(event.run)

    async def price_list(self) -> PriceListReply:
        """Where prices come from."""
        return await self._offload.io(self.prices.reply)

    async def _read_trace(self, run_id: str, owner_id: str) -> Trace:
        """What is exported of a run that has ended. Raises RunNotFound."""
        from mellea_jupyter.telemetry.spans import Trace

        user = User(id=owner_id, owner_id=owner_id, is_admin=False)
        run = await self.runs.get(run_id, user)
        calls = await self.calls.all_calls(run_id, user)
        contents: dict[int, CallContent] = {}
        if self.options.otlp.content and not run.artifacts_purged:
            for call in calls:
                if call.has_content:
                    contents[call.call] = await self.calls.get_content(run_id, call.call, user)
        return Trace(
            run=run,
            calls=calls,
            loops=await self.calls.all_loops(run_id, user),
            contents=contents,
            tells_content=self.options.otlp.content,
        )

    async def retention(self) -> RetentionReply:
        """The policy and the disk that is used; walks the data folder."""
        used, free = await self._offload.scan(self._kept.disk_use)
        return RetentionReply(days=self.options.retention.days, used_bytes=used, free_bytes=free)

    async def sweep(self, user: User, *, dry_run: bool) -> SweepReply:
        """Remove what has expired, or say what it would be.

        Raises:
            PermissionDenied: the user is no administrator.
        """
        if not user.is_admin:
            raise PermissionDenied(
                "Only administrators sweep", hint="What has expired goes by itself within an hour."
            )
        swept = await self._sweeper.sweep(dry_run=dry_run)
        if not dry_run:
            entry = audit_entry(
                user, AuditAction.SWEEP, runs=len(swept.runs), size_bytes=swept.size_bytes
            )
            await self._offload.write(self._store.audit, entry)
        return swept

    async def _remove_orphans(self) -> None:
        """Remove folders of runs that were never recorded, or whose deletion was interrupted."""
        for run_id in await self._offload.collect(self._folders.list_abandoned, ORPHAN_SECONDS):
            try:
                await self._offload.io(self._store.get_run, run_id)
            except RunNotFound:
                log.warning("run folder %s belongs to no run; removing it", run_id)
                await self._offload.collect(self._folders.delete, run_id)

    async def _sweep(self) -> None:
        """Have executors remove what ended runs left with them, now and again."""
        while True:
            for name, executor in self._executors.items():
                if isinstance(executor, LeavesOrphans):
                    try:
                        await self._offload.place(executor.sweep, self._is_active)
                    except ExecutorUnreachable as error:
                        log.debug("executor %s is not there to be swept: %s", name, error)
                    except LaunchFailed as error:
                        log.debug("executor %s can not be used: %s", name, error)
            await asyncio.sleep(SWEEP_SECONDS)

    def _is_active(self, run_id: RunId) -> bool:
        try:
            return not self._store.get_run(run_id).is_terminal
        except RunNotFound:
            return False

    async def _sweep_datasets(self) -> None:
        """Remove bytes of datasets that were deleted or never came to be."""
        while True:
            await self._offload.fetch(self.datasets.sweep, ORPHAN_SECONDS)
            await asyncio.sleep(ORPHAN_SECONDS)

    async def _prewarm(self) -> None:
        for environment in self.environments.to_prepare():
            executor = self._executors.get(environment.executor)
            if executor is not None:
                await self._offload.place(executor.prepare, environment)

    async def stop(self) -> None:
        """Stop watching; placed runs go on. Then close what `__init__` opened. Idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.sharing.close()
        await self.environments.close()
        await self.kernels.close()
        await self._placer.close()
        await self.logs.close()
        self.broker.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._offload.close()
        for executor in self._executors.values():
            executor.close()
        self._demo.close()
        self._store.close()
        self._lease.close()


class _DemoModel:
    """The scripted demo endpoint, started when the first run asks for it."""

    def __init__(self) -> None:
        self._model: Any = None
        self._url = ""
        self._lock = threading.Lock()

    def url(self) -> str:
        """The endpoint's base URL. Blocks for a moment the first time."""
        from mellea_jupyter.demo.server import DemoModel

        with self._lock:
            if self._model is None:
                model = DemoModel()
                self._url = model.start()
                self._model = model
            return self._url

    def close(self) -> None:
        if self._model is not None:
            self._model.stop()
            self._model = None
