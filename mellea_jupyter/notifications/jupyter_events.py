"""Jupyter's own event bus: each run that ends is an event that other extensions can listen to.

Source: https://jupyter-events.readthedocs.io. The schema is a published contract; another meaning
needs a new version of it beside this one.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Protocol

from mellea_jupyter.models.notifications import NoticeRun, NotificationPreferences
from mellea_jupyter.notifications.base import Channel, DeliveryFailed, Message

SCHEMA_ID: Final = "urn:mellea-jupyter:events:run:v1"
"""The schema of `event_schemas/run/v1.yaml`, which the extension registers when it loads."""


class EventLogger(Protocol):
    """What we use of `jupyter_events.EventLogger`."""

    def emit(self, *, schema_id: str, data: dict[str, Any]) -> dict[str, Any] | None:
        """Validate the event and give it to handlers and listeners."""


class JupyterEventsChannel(Channel):
    """Emits an event on the server that recorded the run's end."""

    name: ClassVar[str] = "jupyter_events"
    groups: ClassVar[bool] = False

    def __init__(self, logger: EventLogger) -> None:
        self._logger = logger

    def wants(self, run: NoticeRun, preferences: NotificationPreferences, user_id: str) -> bool:
        """Every run once, with its owner as the one who is told."""
        return run.owner_id == user_id

    async def deliver(self, message: Message) -> None:
        """Emit the event.

        Raises:
            DeliveryFailed: final, where there is no run to tell of.
        """
        if message.run is None:
            raise DeliveryFailed("there is no run to tell of", is_final=True)
        data = message.run.to_json()
        self._logger.emit(schema_id=SCHEMA_ID, data={"action": "ended", **data})
