"""The outbox's way to a collector: each run that ended, at least once, as one trace."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from mellea_jupyter.exceptions import NotFound
from mellea_jupyter.models.notifications import NoticeRun, NotificationPreferences
from mellea_jupyter.notifications.base import Channel, DeliveryFailed, Message
from mellea_jupyter.telemetry.collector import Collector, ExportFailed
from mellea_jupyter.telemetry.spans import Trace, spans_of

SERVICE_NAME: Final = "mellea-jupyter"

ReadTrace = Callable[[str, str], Awaitable[Trace]]
"""The trace of a run (its id, its owner). Raises NotFound."""


class OtlpChannel(Channel):
    """Exports runs by OTLP."""

    name: ClassVar[str] = "otlp"
    groups: ClassVar[bool] = False

    def __init__(self, collector: Collector, read: ReadTrace) -> None:
        self._collector = collector
        self._read = read

    def wants(self, run: NoticeRun, preferences: NotificationPreferences, user_id: str) -> bool:
        """Every run once."""
        return run.owner_id == user_id

    async def deliver(self, message: Message) -> None:
        """Export the run.

        Raises:
            DeliveryFailed: final where the collector refuses it, or the run is gone.
        """
        if message.run is None:
            raise DeliveryFailed("there is no run to export", is_final=True)
        try:
            trace = await self._read(message.run.run_id, message.user_id)
        except NotFound as error:
            raise DeliveryFailed("the run is gone", is_final=True) from error
        try:
            await export(self._collector, trace)
        except ExportFailed as error:
            raise DeliveryFailed(str(error), is_final=error.is_final) from error


async def export(collector: Collector, trace: Trace) -> None:
    """Export one run. Raises ExportFailed."""
    service = os.environ.get("OTEL_SERVICE_NAME", SERVICE_NAME)
    spans = await asyncio.to_thread(spans_of, trace, service_name=service)
    await collector.export(spans)
