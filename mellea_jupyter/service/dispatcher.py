"""The queue: takes runs in their turn, within the limits, and has them placed.

Limits count the placed runs of all services of one server name (`MelleaApp.server_name`) on the
store, inside the claiming transaction; what other servers are to execute is none of its business.
A queued run's position and reason are what the last look at the queue found.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass

from mellea_jupyter import clock
from mellea_jupyter.lifecycle.transitions import Claimed, apply
from mellea_jupyter.models.events import RunChanged
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.service.broker import Broker
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.runs.base import RunStore

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """Where a queued run stands."""

    position: int
    reason: str


class Dispatcher:
    """Claims queued runs while there are free slots."""

    def __init__(
        self,
        *,
        store: RunStore,
        broker: Broker,
        offload: Offload,
        lease: str,
        server: str,
        host: str,
        limit: int,
        owner_limit: int,
        place: Callable[[Run], Awaitable[None]],
        pulling: Container[str] = frozenset(),
    ) -> None:
        """Put together a queue.

        `server` is the name under which runs are this service's to execute. `place` is called with
        every claimed run, and must not raise or wait for its end; `pulling`
        are the executors whose runs need an image.
        """
        self._store = store
        self._broker = broker
        self._offload = offload
        self._lease = lease
        self._server = server
        self._host = host
        self._limit = limit
        self._owner_limit = owner_limit
        self._place = place
        self._pulling = pulling
        self._kick = asyncio.Event()
        self._places: dict[str, QueuePlace] = {}
        self._queued_since: dict[str, float] = {}
        self._queue_grew = True
        self._looked_at = 0.0

    def kick(self) -> None:
        """Look at the queue now: a run was queued, or a slot became free."""
        self._kick.set()

    def queued(self, run: Run) -> None:
        """Note when a run entered the queue, on the monotonic clock; then look at the queue."""
        self._queued_since[run.id] = clock.monotonic()
        self._queue_grew = True
        self.kick()

    def find_place(self, run_id: str) -> QueuePlace | None:
        """A queued run's place, as of the last look; None before there was one."""
        return self._places.get(run_id)

    @property
    def waiting(self) -> int:
        """How many runs are queued for this server, as of the last look."""
        return len(self._places)

    async def run(self) -> None:
        """Claim until cancelled. A failure is logged and tried again, never the end of the loop."""
        while True:
            self._kick.clear()
            try:
                await self._claim_all()
            except Exception:
                log.exception("The queue could not be read; trying again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._kick.wait()

    async def _claim_all(self) -> None:
        has_queued = self._queue_grew or await self._offload.io(
            self._store.has_queued, self._server
        )
        if not has_queued:
            self._places = {}
            return
        while (run := await self._claim()) is not None:
            self._places.pop(run.id, None)
            self._queued_since.pop(run.id, None)
            self._broker.publish(RunChanged(run=run))
            await self._place(run)
        now = clock.monotonic()
        if self._queue_grew or now - self._looked_at >= POLL_SECONDS:
            self._queue_grew, self._looked_at = False, now
            await self._look_at_queue()

    async def _claim(self) -> Run | None:
        return await self._offload.write(
            self._store.claim,
            lease=self._lease,
            server=self._server,
            limit=self._limit,
            owner_limit=self._owner_limit,
            change=self._claimed,
        )

    def _claimed(self, run: Run, executor: str) -> Run:
        since = self._queued_since.get(run.id)
        if since is not None:
            waited = clock.monotonic() - since
        else:  # queued by a service that is gone: its clock is all there is
            waited = max(0.0, (clock.now() - run.created_at).total_seconds())
        queue_ms = round(waited * 1000)
        pulls = executor in self._pulling
        return apply(run, Claimed(host=self._host, queue_ms=queue_ms, pulls_image=pulls))

    async def _look_at_queue(self) -> None:
        waiting = [
            run
            for run in await self._offload.io(self._store.list_waiting, self._server)
            if run.status == RunStatus.QUEUED
        ]
        placements = await self._offload.io(self._store.list_placed, self._server)
        placed = [run for run, _ in placements]
        by_owner = Counter(run.owner_id for run in placed)
        before, self._places = self._places, {}
        for position, run in enumerate(waiting, start=1):
            if by_owner[run.owner_id] >= self._owner_limit:
                reason = f"{by_owner[run.owner_id]} of {self._owner_limit} slots of its owner busy"
            else:
                reason = f"{len(placed)} of {self._limit} slots busy"
            place = self._places[run.id] = QueuePlace(position, reason)
            if before.get(run.id) != place:
                self._broker.publish(RunChanged(run=self.with_place(run)))
        for run_id in self._queued_since.keys() - self._places.keys():
            del self._queued_since[run_id]

    def with_place(self, run: Run) -> Run:
        """The run as people see it: with its queue position and reason while it is queued."""
        if run.status != RunStatus.QUEUED or (place := self._places.get(run.id)) is None:
            return run
        return run.model_copy(
            update={"queue_position": place.position, "queue_reason": place.reason}
        )
