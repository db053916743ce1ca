"""The sweep: removes the logs and artifacts that have expired.

The record says "purged" before a byte is removed, and forgets `expires_at` after the last one is.
A sweep that dies in between is repeated by the next, nobody is offered bytes that are gone, and a
run that was pinned in time is left alone because the record is compared when it is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, Protocol

from mellea_jupyter import clock
from mellea_jupyter.exceptions import MelleaJupyterError
from mellea_jupyter.models.retention import SweepReply, SweptRun
from mellea_jupyter.models.run import Run
from mellea_jupyter.retention.policy import is_due, purged, settled
from mellea_jupyter.stores.runs.base import RunStore

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 3600.0
BATCH: Final = 500
"""Most runs of one sweep; whoever asked is told that there are more."""


class _NotDue(Exception):
    """Somebody pinned or deleted the run in the meantime."""


class Records(Protocol):
    """How the sweeper changes a run."""

    async def update(self, run_id: str, change: Callable[[Run], Run]) -> Run:
        """Apply `change` to the stored run; the new run."""


class Offload(Protocol):
    """Where the sweeper blocks."""

    async def io(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Read from the store."""

    async def collect(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Count or remove bytes."""


class Sweeper:
    """Finds expired runs and removes what they kept; one bad run never stops the sweep."""

    def __init__(
        self,
        *,
        store: RunStore,
        records: Records,
        offload: Offload,
        size_of: Callable[[Run], int],
        remove: Callable[[str], None],
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        """`size_of` and `remove` are of a run's bytes; they block, and `remove` is idempotent."""
        self._store = store
        self._records = records
        self._offload = offload
        self._size_of = size_of
        self._remove = remove
        self._now = now

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Sweep about once an hour until cancelled."""
        while True:
            try:
                while (await self.sweep()).more:
                    await sleep(0)
            except MelleaJupyterError:
                log.exception("The sweep failed; trying again in an hour")
            await sleep(INTERVAL_SECONDS)

    async def sweep(self, *, dry_run: bool = False) -> SweepReply:
        """Remove what has expired, up to `BATCH` runs; `dry_run` only says what it would be."""
        now = self._now()
        due = await self._offload.io(self._store.list_expired, now, limit=BATCH + 1)
        swept = []
        failed = 0
        for run in due[:BATCH]:
            try:
                if (one := await self._sweep_run(run, now, dry_run=dry_run)) is not None:
                    swept.append(one)
            except Exception:  # whatever it is, the others are due as well
                failed += 1
                log.exception("run %s could not be swept; trying again in an hour", run.id)
        return SweepReply(
            dry_run=dry_run,
            runs=tuple(swept),
            size_bytes=sum(one.size_bytes for one in swept),
            failed=failed,
            # Those that failed come first again; with nothing but them there is no end.
            more=len(due) > BATCH and bool(swept),
        )

    async def _sweep_run(self, run: Run, now: datetime, *, dry_run: bool) -> SweptRun | None:
        swept = SweptRun(
            run_id=run.id,
            asset_name=run.asset_name,
            owner_id=run.owner_id,
            expired_at=run.expires_at or now,
            size_bytes=await self._offload.collect(self._size_of, run),
        )
        if dry_run:
            return swept

        def purge(current: Run) -> Run:
            if not is_due(current, now):
                raise _NotDue
            return purged(current, now)

        try:
            await self._records.update(run.id, purge)
        except (_NotDue, LookupError):
            return None
        await self._offload.collect(self._remove, run.id)
        await self._records.update(run.id, settled)
        log.info("run %s expired: %d bytes of log and artifacts removed", run.id, swept.size_bytes)
        return swept
