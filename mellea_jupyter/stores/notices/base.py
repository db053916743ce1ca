"""The contract of the store of notices, of preferences and of the outbox.

It lives in the database of the runs store, because a notice is written in the transaction that ends
its run (`RunStore.save_run(…, tell=…)`). Synchronous; every method is one transaction.

The outbox: a delivery belongs to the service whose lease it carries, from the transaction that
wrote it until it is sent or given up, so of many services on one store exactly one sends it. The
deliveries of a service that died are taken over by compare-and-set on the lease.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from mellea_jupyter.models.base import Model, Timestamp
from mellea_jupyter.models.notifications import (
    Notice,
    NoticePage,
    NoticeRun,
    NoticeType,
    NotificationPreferences,
)


class NewDelivery(Model):
    """One way that a notice is to go out by."""

    channel: str = Field(description="The channel's name.")
    due_at: Timestamp = Field(description="Not before; replaces that of a grouped one.")
    run: NoticeRun | None = Field(None, description="For channels that carry each run by itself.")


class Told(Model):
    """What is stored for one reader of a run's end."""

    notice: Notice
    closes_at: Timestamp = Field(description="Until when further runs may join the notice.")
    deliveries: tuple[NewDelivery, ...] = ()


Compose = Callable[[Notice | None, NotificationPreferences], Told]
"""Decides, given the user's open notice and preferences. Called inside the transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Tell one user that a run ended: `compose` says how, `lease` who sends what is to be sent.

    `compose` gets the user's notice of this type that is open at `at`: its burst lasts and nothing
    of it was sent yet.
    """

    user_id: str
    type: NoticeType
    at: datetime
    lease: str
    compose: Compose


class Delivery(Model):
    """A stored way out of a notice."""

    n: int = Field(description="Its number.")
    notice_id: str
    user_id: str
    channel: str
    run: NoticeRun | None
    attempts: int = Field(description="How often it was begun, this time included.")
    first_due_at: Timestamp = Field(description="When it was due for the first time.")


class Batch(Model):
    """What one attempt carries."""

    deliveries: tuple[Delivery, ...] = Field(description="At least one, oldest first.")
    notices: tuple[Notice, ...] = Field(description="Their notices, oldest first.")
    preferences: NotificationPreferences = Field(description="The user's, as they are now.")

    @property
    def numbers(self) -> tuple[int, ...]:
        """The deliveries' numbers."""
        return tuple(delivery.n for delivery in self.deliveries)


class NoticeStore(ABC):
    """Notices, preferences, outbox. See the module's docstring for the rules."""

    # The list

    @abstractmethod
    def list_notices(
        self, user_id: str, *, unread_only: bool, limit: int, cursor: str | None
    ) -> NoticePage:
        """A user's notices: unread ones first, the latest first in both parts.

        Raises:
            InvalidCursor: not a cursor of this listing.
        """

    @abstractmethod
    def count_unread(self, user_id: str) -> int:
        """How many notices the user has not read."""

    @abstractmethod
    def mark_notice(self, notice_id: str, user_id: str, *, read_at: datetime | None) -> Notice:
        """Mark as read, or as unread with None. A read one keeps the time it was read first.

        Raises:
            NoticeNotFound: the user has none of this id.
        """

    @abstractmethod
    def mark_all_read(self, user_id: str, *, read_at: datetime, until: datetime | None) -> int:
        """Mark all that were last updated at or before `until` as read; how many there were."""

    @abstractmethod
    def latest_revision(self) -> int:
        """The revision of the latest change to any notice; 0 without one. Cheap."""

    @abstractmethod
    def list_changed(self, user_id: str, *, after: int, limit: int) -> list[Notice]:
        """The user's notices that changed after this revision, in that order."""

    @abstractmethod
    def delete_before(self, moment: datetime) -> int:
        """Remove notices last updated before, with what was not sent; how many there were."""

    # Preferences

    @abstractmethod
    def get_preferences(self, user_id: str) -> NotificationPreferences:
        """The user's preferences; the defaults where nothing was changed."""

    @abstractmethod
    def change_preferences(
        self, user_id: str, change: Callable[[NotificationPreferences], NotificationPreferences]
    ) -> NotificationPreferences:
        """Store `change(preferences)`; the new ones."""

    # The outbox

    @abstractmethod
    def has_due(self, *, lease: str, channel: str, at: datetime) -> bool:
        """Whether `begin` would give something. Cheap: asked about once a second."""

    @abstractmethod
    def begin(self, *, lease: str, channel: str, at: datetime, groups: bool) -> Batch | None:
        """Begin an attempt: the oldest due delivery, or all due ones of its user if it `groups`.

        Counts the attempt. A channel that groups sends the notices as they are then, so they are
        closed for further runs.
        """

    @abstractmethod
    def finish(self, numbers: Sequence[int], *, lease: str, at: datetime) -> None:
        """They were sent."""

    @abstractmethod
    def postpone(
        self, numbers: Sequence[int], *, lease: str, due_at: datetime, error: str | None
    ) -> None:
        """Try again then. Without an error it was no attempt: the hour is quiet."""

    @abstractmethod
    def give_up(self, numbers: Sequence[int], *, lease: str, at: datetime, error: str) -> None:
        """They will not be sent; the reason is kept."""

    @abstractmethod
    def waiting_leases(self) -> Collection[str]:
        """The leases of all deliveries that wait."""

    @abstractmethod
    def take_over(self, *, lease: str, from_lease: str, channels: Sequence[str]) -> int:
        """Take what waits for these channels if it still is `from_lease`'s; how many there were."""
