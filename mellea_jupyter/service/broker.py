"""Run events inside one service: from whoever changed a run to whoever watches.

A subscriber that is slow sees the latest state of each run, not every step: events of one run
replace each other while they wait, so a subscription holds at most one event a run, and one for
each change of access to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

from mellea_jupyter.models.events import RunChanged, RunEvent

KNOWN_RUNS = 10_000


@dataclass(frozen=True, slots=True)
class AccessChanged:
    """What somebody may do to a run is not what it was. Stays within the service.

    Attributes:
        principal: with whom it is, or was, shared (`Principal.key`).
    """

    run_id: str
    owner_id: str
    principal: str


BrokerEvent = RunEvent | AccessChanged


def _key(event: BrokerEvent) -> tuple[str, str]:
    """Of the waiting events with the same key only the last one counts."""
    if isinstance(event, RunChanged):
        return event.run.id, ""
    return event.run_id, event.principal if isinstance(event, AccessChanged) else ""


class Subscription:
    """Waiting events of one subscriber; an async iterator that ends when it is closed."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._waiting: dict[tuple[str, str], BrokerEvent] = {}
        self._wake = asyncio.Event()
        self._closed = False

    def push(self, event: BrokerEvent) -> None:
        """Called by the broker."""
        self._waiting[_key(event)] = event
        self._wake.set()

    def close(self) -> None:
        """End the iteration and leave the broker. Idempotent."""
        self._closed = True
        self._wake.set()
        self._broker.forget(self)

    def __aiter__(self) -> AsyncIterator[BrokerEvent]:
        return self

    async def __anext__(self) -> BrokerEvent:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.pop(next(iter(self._waiting)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class Broker:
    """Gives each event to every subscription."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._versions: dict[str, int] = {}

    def subscribe(self) -> Subscription:
        """A new subscription; close it, or use it as a context manager."""
        subscription = Subscription(self)
        self._subscriptions.add(subscription)
        return subscription

    def publish(self, event: BrokerEvent) -> None:
        """Tell all subscribers; call it after the change is in the store.

        A record that is older than the last one told of its run is dropped: lists are read on
        threads, and a run may have gone on meanwhile.
        """
        if isinstance(event, RunChanged):
            if event.run.version < self._versions.get(event.run.id, 0):
                return
            self._versions[event.run.id] = event.run.version
            while len(self._versions) > KNOWN_RUNS:
                del self._versions[next(iter(self._versions))]
        for subscription in tuple(self._subscriptions):
            subscription.push(event)

    def has_told(self, run_id: str, version: int) -> bool:
        """Whether this version of a run, or a later one, was told."""
        return self._versions.get(run_id, 0) >= version

    def forget(self, subscription: Subscription) -> None:
        """Called by a subscription that closes."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End all subscriptions."""
        for subscription in tuple(self._subscriptions):
            subscription.close()
