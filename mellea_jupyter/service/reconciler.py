"""Finds runs that nobody looks after and what other services changed.

A run can be left behind in two ways: its service died, so that nobody holds its lease; or a task
of this service failed. Either way it is taken up where its record and journal say it is. One bad
run never stops the loop.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta

from mellea_jupyter import clock
from mellea_jupyter.exceptions import IllegalTransition, RunNotFound
from mellea_jupyter.lifecycle.transitions import Enqueued, apply
from mellea_jupyter.models.events import RunChanged
from mellea_jupyter.models.run import Run
from mellea_jupyter.service.broker import Broker
from mellea_jupyter.service.dispatcher import Dispatcher
from mellea_jupyter.service.leases import ServiceLease
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.placing import Placer
from mellea_jupyter.service.records import RunRecords
from mellea_jupyter.service.sharing import Sharing
from mellea_jupyter.stores.runs.base import Placement, RunStore

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
CREATED_FOR = timedelta(seconds=10)
LOOK_BACK = 100


class Reconciler:
    """Compares the store with what this service knows, about once a second."""

    def __init__(
        self,
        *,
        store: RunStore,
        records: RunRecords,
        broker: Broker,
        offload: Offload,
        lease: ServiceLease,
        server: str,
        placer: Placer,
        dispatcher: Dispatcher,
        sharing: Sharing,
    ) -> None:
        self._store = store
        self._records = records
        self._broker = broker
        self._offload = offload
        self._lease = lease
        self._server = server
        self._placer = placer
        self._dispatcher = dispatcher
        self._sharing = sharing
        self._changes: int | None = None
        self._versions: dict[str, int] = {}

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            try:
                await self.reconcile()
            except Exception:
                log.exception("Reconciling failed; trying again")
            await asyncio.sleep(INTERVAL_SECONDS)

    async def reconcile(self) -> None:
        """One look at everything."""
        for run, placement in await self._offload.io(self._store.list_placed, self._server):
            try:
                await self._look_after(run, placement)
            except Exception:
                log.exception("run %s could not be taken up; trying again", run.id)
        await self._queue_forgotten()
        await self._tell_foreign_changes()

    async def _look_after(self, run: Run, placement: Placement) -> None:
        if self._placer.holds(run.id):
            return
        held = placement.lease
        if held is not None and held != self._lease.id and self._lease.is_held(held):
            return
        taken = held == self._lease.id or await self._offload.write(
            self._store.take_lease, run.id, lease=self._lease.id, from_lease=held
        )
        if not taken:
            return
        # Read again: between the listing and the lease the run may have moved on.
        fresh = await self._records.get(run.id)
        if fresh.is_terminal or self._placer.holds(run.id):
            return
        placement = await self._offload.io(self._store.get_placement, run.id)
        log.info("run %s (%s) is taken up", run.id, fresh.status)
        await self._placer.adopt(fresh, placement)

    async def _queue_forgotten(self) -> None:
        """Queue runs whose service died between recording and queueing them."""
        for run in await self._offload.io(self._store.list_created, self._server):
            if clock.now() - run.created_at < CREATED_FOR:
                continue
            try:
                await self._records.update(run.id, lambda r: apply(r, Enqueued()))
            except IllegalTransition:
                continue
            self._dispatcher.kick()

    async def _tell_foreign_changes(self) -> None:
        """Publish the runs that another process changed, so that who watches here sees them."""
        changes = await self._offload.io(self._store.changes)
        if changes == self._changes:
            return
        first, self._changes = self._changes is None, changes
        await self._sharing.look()
        versions = await self._offload.io(self._store.newest_versions, LOOK_BACK)
        known, self._versions = self._versions, versions
        if first:
            return
        for run_id, version in versions.items():
            if known.get(run_id) == version or self._broker.has_told(run_id, version):
                continue
            with suppress(RunNotFound):  # deleted since
                self._broker.publish(RunChanged(run=await self._records.get(run_id)))
        self._dispatcher.kick()
