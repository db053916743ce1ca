"""Sends what notices left in the outbox: one task a channel, so that a slow one holds up no other.

A delivery is this service's from the transaction that wrote it, or since the service that wrote it
died. Failed attempts are repeated with growing pauses; mail waits for the end of quiet hours.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from mellea_jupyter import clock
from mellea_jupyter.notifications import rules
from mellea_jupyter.notifications.base import Channel, DeliveryFailed, Message
from mellea_jupyter.service.leases import ServiceLease
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.notices.base import Batch, NoticeStore

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
SEND_SECONDS = 60.0
STOP_SECONDS = 5.0
KEPT_FOR = timedelta(days=90)
SWEEP_SECONDS = 3600.0


class Outbox:
    """Delivers, takes over from services that died, and forgets old notices."""

    def __init__(
        self,
        *,
        store: NoticeStore,
        offload: Offload,
        lease: ServiceLease,
        channels: Sequence[Channel],
    ) -> None:
        self._store = store
        self._offload = offload
        self._lease = lease
        self._channels = tuple(channels)

    async def run(self) -> None:
        """Work until cancelled; what is being sent then may finish."""
        async with asyncio.TaskGroup() as tasks:
            for channel in self._channels:
                tasks.create_task(self._serve(channel), name=f"mellea-outbox-{channel.name}")
            tasks.create_task(self._take_over_and_sweep(), name="mellea-outbox")

    async def _serve(self, channel: Channel) -> None:
        while True:
            try:
                while await self.deliver_next(channel):
                    pass
            except Exception:
                log.exception("The outbox for %s failed; trying again", channel.name)
            await asyncio.sleep(LOOK_SECONDS)

    async def _take_over_and_sweep(self) -> None:
        swept_at = float("-inf")
        while True:
            try:
                await self.take_over()
                if clock.monotonic() - swept_at > SWEEP_SECONDS:
                    swept_at = clock.monotonic()
                    before = clock.now() - KEPT_FOR
                    await self._offload.write(self._store.delete_before, before)
            except Exception:
                log.exception("The outbox could not be looked through; trying again")
            await asyncio.sleep(LOOK_SECONDS)

    async def take_over(self) -> None:
        """Make the deliveries of services that are gone our own."""
        names = [channel.name for channel in self._channels]
        for lease in await self._offload.io(self._store.waiting_leases):
            if await self._offload.io(self._lease.is_held, lease):
                continue
            taken = await self._offload.write(
                self._store.take_over, lease=self._lease.id, from_lease=lease, channels=names
            )
            if taken:
                log.info("%s deliveries of a service that is gone are taken over", taken)

    async def deliver_next(self, channel: Channel) -> bool:
        """Attempt what is due first; whether there was anything."""
        at = clock.now()
        lease, name = self._lease.id, channel.name
        if not await self._offload.io(self._store.has_due, lease=lease, channel=name, at=at):
            return False
        batch = await self._offload.write(
            self._store.begin, lease=lease, channel=name, at=at, groups=channel.groups
        )
        if batch is None:
            return False
        attempt = asyncio.ensure_future(self._attempt(channel, batch))
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            # Cut off now, a mail might be out without our knowing, and go out once more.
            await asyncio.wait({attempt}, timeout=STOP_SECONDS)
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
            raise
        return True

    async def _attempt(self, channel: Channel, batch: Batch) -> None:
        at = clock.now()
        numbers, lease = batch.numbers, self._lease.id
        quiet_until = rules.quiet_until(batch.preferences, at) if channel.groups else None
        if quiet_until is not None:
            await self._offload.write(
                self._store.postpone, numbers, lease=lease, due_at=quiet_until, error=None
            )
            return
        first = batch.deliveries[0]
        message = Message(
            key=f"{channel.name}-{first.notice_id}-{first.n}",
            user_id=first.user_id,
            preferences=batch.preferences,
            notices=batch.notices,
            run=first.run,
        )
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await channel.deliver(message)
        except Exception as error:  # noqa: BLE001 - whatever a channel does is noted and repeated
            await self._failed(channel, batch, error)
        else:
            await self._offload.write(self._store.finish, numbers, lease=lease, at=clock.now())

    async def _failed(self, channel: Channel, batch: Batch, error: Exception) -> None:
        """Try again later, or never; a fault of ours counts as one that may pass."""
        if not isinstance(error, DeliveryFailed | TimeoutError):
            log.error("%s failed in delivering", channel.name, exc_info=error)
        at, first = clock.now(), batch.deliveries[0]
        said = rules.one_line(str(error) or type(error).__name__, 500)
        is_final = isinstance(error, DeliveryFailed) and error.is_final
        again = None if is_final else rules.next_attempt(first.attempts, first.first_due_at, at)
        lease = self._lease.id
        if again is None:
            log.warning("%s for %s is given up: %s", channel.name, first.notice_id, said)
            await self._offload.write(
                self._store.give_up, batch.numbers, lease=lease, at=at, error=said
            )
        else:
            log.warning("%s for %s failed, trying again: %s", channel.name, first.notice_id, said)
            await self._offload.write(
                self._store.postpone, batch.numbers, lease=lease, due_at=again, error=said
            )
