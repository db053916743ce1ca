"""The contract of a channel: carries one message out of the server.

The outbox (`service/outbox.py`) calls channels; nothing of a run waits for one. A channel is asked
at least once for each message and, as long as no server dies between sending and noting it,
exactly once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mellea_jupyter.models.notifications import Notice, NoticeRun, NotificationPreferences


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a channel carries.

    Attributes:
        key: stays the same when the message is tried again, so that receivers can tell.
        user_id: who is told.
        preferences: the user's, as they are now.
        notices: for channels that group: at least one notice of the user, oldest first.
        run: for channels that carry each run by itself; None for those that group.
    """

    key: str
    user_id: str
    preferences: NotificationPreferences
    notices: Sequence[Notice] = ()
    run: NoticeRun | None = None


class DeliveryFailed(Exception):
    """A channel could not deliver.

    Attributes:
        is_final: trying again can not help.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Channel(ABC):
    """One way out: mail, a webhook, Jupyter's events."""

    name: ClassVar[str]
    """Stored with each delivery; never changes."""

    groups: ClassVar[bool]
    """Whether runs that end together are one message (for people) or one each (for programs)."""

    @abstractmethod
    def wants(self, run: NoticeRun, preferences: NotificationPreferences, user_id: str) -> bool:
        """Whether to tell this user of the run by this channel.

        Called in the transaction of the run's end, so it is pure and quick.
        """

    @abstractmethod
    async def deliver(self, message: Message) -> None:
        """Carry the message; return when the other side has taken it.

        Raises:
            DeliveryFailed: it has not. Any other exception counts as one that may pass.
        """
