"""`Prices`: the price list in use, and pricing history anew by it."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from mellea_jupyter.accounting.overrides import read_overrides
from mellea_jupyter.accounting.price_table import encode_table
from mellea_jupyter.accounting.pricing import (
    BUNDLED,
    Price,
    PriceList,
    bundled_date,
    bundled_version,
)
from mellea_jupyter.auth.owner import User
from mellea_jupyter.models.audit import AuditAction
from mellea_jupyter.models.events import RunChanged
from mellea_jupyter.models.prices import (
    PriceListReply,
    PriceOverrides,
    RepricedRun,
    RepriceReply,
    RepriceRequest,
)
from mellea_jupyter.service.access import visible_to
from mellea_jupyter.service.auditing import audit_entry
from mellea_jupyter.service.broker import Broker
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.runs.base import CallPrice, CallRow, RunStore

log = logging.getLogger(__name__)

BATCH_RUNS: Final = 50
MAX_REPORTED: Final = 1000


class Prices:
    """Prices calls by the list as it was read last. Safe to use from several threads.

    Args:
        file: An operator's own prices; None for the bundled list alone.
    """

    def __init__(self, file: str | None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._table: tuple[str, bytes] | None = None
        self.list = self.read()

    def read(self) -> PriceList:
        """Read the file again, say what is wrong in it, and use it from now on. Blocks."""
        overrides = read_overrides(self._file) if self._file else None
        for problem in overrides.problems if overrides is not None else ():
            log.error("Prices: %s", problem)
        self.list = PriceList(overrides)
        return self.list

    def price(self, *args: Any, **kwargs: Any) -> Price | None:
        """`PriceList.price` of the list in use."""
        return self.list.price(*args, **kwargs)

    def table(self) -> bytes:
        """The list as the runtime reads it. Blocks for a moment the first time."""
        with self._lock:
            prices = self.list
            if self._table is None or self._table[0] != prices.version:
                self._table = prices.version, encode_table(prices)
            return self._table[1]

    def reply(self) -> PriceListReply:
        """Where prices come from. Blocks for a moment the first time."""
        overrides = self.list.overrides
        own = None
        if overrides is not None:
            own = PriceOverrides(
                file=overrides.file,
                version=overrides.version,
                dated=overrides.dated,
                models=sum(not isinstance(each, str) for each in overrides.rates.values()),
                problems=overrides.problems,
            )
        return PriceListReply(
            source=BUNDLED, version=bundled_version(), dated=bundled_date(), overrides=own
        )


class Repricing:
    """Prices the calls of ended runs anew, from their stored tokens and times."""

    def __init__(
        self, *, store: RunStore, prices: Prices, broker: Broker, offload: Offload
    ) -> None:
        self._store = store
        self._prices = prices
        self._broker = broker
        self._offload = offload

    async def reprice(self, request: RepriceRequest, user: User) -> RepriceReply:
        """Do it for the runs that the user may see, `BATCH_RUNS` in a transaction.

        The price list is read again before. A run that changes meanwhile is left to the next time.
        """
        prices = await self._offload.io(self._prices.read)
        seen = calls_seen = calls_changed = 0
        before, after = Decimal(0), Decimal(0)
        changed: list[RepricedRun] = []
        runs_changed = 0
        cursor = ""
        while True:
            batch = await self._offload.write(
                self._store.reprice,
                lambda call: _price_of(prices, call),
                after=cursor,
                limit=BATCH_RUNS,
                since=request.since,
                model=request.model,
                visible_to=visible_to(user),
                dry_run=request.dry_run,
            )
            seen += batch.runs_seen
            calls_seen += batch.calls_seen
            for item in batch.changed:
                runs_changed += 1
                calls_changed += item.calls
                before += item.before_usd or 0
                after += item.after_usd or 0
            changed += batch.changed[: MAX_REPORTED - len(changed)]
            for run in batch.saved:
                self._broker.publish(RunChanged(run=run))
            if batch.next is None:
                break
            cursor = batch.next
        if not request.dry_run:
            entry = audit_entry(
                user,
                AuditAction.REPRICE,
                calls=calls_changed,
                runs=runs_changed,
                all_owners=user.is_admin,
                version=prices.version,
            )
            await self._offload.write(self._store.audit, entry)
        return RepriceReply(
            dry_run=request.dry_run,
            runs_seen=seen,
            calls_seen=calls_seen,
            runs_changed=runs_changed,
            calls_changed=calls_changed,
            before_usd=before,
            after_usd=after,
            runs=tuple(changed),
            list_version=prices.version,
        )


def _price_of(prices: PriceList, call: CallRow) -> CallPrice | None:
    """The price of a stored call, at the time it ended."""
    seconds = call.started_at + (call.latency_ms or 0) / 1000
    found = prices.price(
        call.provider,
        call.model,
        call.input_tokens,
        call.output_tokens,
        cached_tokens=call.cached_tokens,
        cache_write_tokens=call.cache_write_tokens,
        reasoning_tokens=call.reasoning_tokens,
        response_model=call.response_model,
        at=datetime.fromtimestamp(seconds, UTC) if call.started_at else None,
    )
    if found is None:
        return None
    return CallPrice(found.picodollars, found.source, found.version, found.dated)
