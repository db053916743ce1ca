"""`NoticeService`: the verbs of notices, and what a run's end tells whom.

What happened reaches watchers by revision: the store counts every change to any notice, one task
looks at that number, and each watcher reads what is new for its user. So changes of another
service on the same store are seen like our own, and nothing grows with a slow watcher.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mellea_jupyter import clock
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import InvalidInput, MailNotSent
from mellea_jupyter.models.notifications import (
    Notice,
    NoticeChanged,
    NoticeEvent,
    NoticePage,
    NoticesChanged,
    NoticeType,
    NotificationPreferences,
    NotificationPreferencesPatch,
    NotificationSettings,
    TestMailReply,
    UnreadCount,
)
from mellea_jupyter.models.run import Run
from mellea_jupyter.notifications import rules
from mellea_jupyter.notifications.base import Channel, DeliveryFailed
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.notices.base import NewDelivery, NoticeStore, Tell, Told

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
MANY = 20
"""Over so many changes at once a watcher is told to read the list anew."""


@dataclass(frozen=True, slots=True)
class MailDesk:
    """What users have to know of the server's mail.

    Attributes:
        unavailable_reason: why no mail can be sent; None when it can.
        address_template: where mail goes without an address of the user's own; `{username}`
            stands for their name.
        send_test: sends a test mail to an address; raises DeliveryFailed.
    """

    unavailable_reason: str | None = "The operator of this server has not set up mail."
    address_template: str = ""
    send_test: Callable[[str], Awaitable[None]] | None = None

    def default_address(self, user_id: str) -> str | None:
        """The address the template gives; None without one, or where it makes no address."""
        return rules.address_from(self.address_template, user_id)


class NoticeService:
    """List, mark, prefer, watch; and compose what is told when a run ends."""

    def __init__(
        self,
        *,
        store: NoticeStore,
        offload: Offload,
        lease: str,
        channels: Sequence[Channel] = (),
        mail: MailDesk | None = None,
    ) -> None:
        self._store = store
        self._offload = offload
        self._lease = lease
        self._channels = tuple(channels)
        self._mail = mail or MailDesk()
        self._revision = 0
        self._moved = asyncio.Event()
        self._look = asyncio.Event()

    # -- the user's verbs -----------------------------------------------------------------------

    async def list(
        self, user: User, *, unread_only: bool, limit: int, cursor: str | None
    ) -> NoticePage:
        """A page of the user's own notices, unread ones first.

        Raises:
            InvalidCursor: not a cursor of this listing.
        """
        return await self._offload.io(
            self._store.list_notices,
            user.owner_id,
            unread_only=unread_only,
            limit=limit,
            cursor=cursor,
        )

    async def mark(self, notice_id: str, user: User, *, read: bool) -> Notice:
        """Mark one as read or unread.

        Raises:
            NoticeNotFound: the user has none of this id.
        """
        read_at = clock.now() if read else None
        notice = await self._offload.write(
            self._store.mark_notice, notice_id, user.owner_id, read_at=read_at
        )
        self.look()
        return notice

    async def mark_all_read(self, user: User, *, until: datetime | None) -> UnreadCount:
        """Mark all, or those that were updated up to a time, as read; how many are left."""
        await self._offload.write(
            self._store.mark_all_read, user.owner_id, read_at=clock.now(), until=until
        )
        self.look()
        unread = await self._offload.io(self._store.count_unread, user.owner_id)
        return UnreadCount(unread=unread)

    async def settings(self, user: User) -> NotificationSettings:
        """The user's preferences, and what this server can do with them."""
        preferences = await self._offload.io(self._store.get_preferences, user.owner_id)
        return self._settings(preferences, user)

    async def change_preferences(
        self, patch: NotificationPreferencesPatch, user: User
    ) -> NotificationSettings:
        """Change what is given; null in a field without a null of its own changes nothing.

        Raises:
            InvalidInput: mail is switched on, and there is no address it could go to.
        """
        given = {name: getattr(patch, name) for name in patch.model_fields_set}
        nullable = ("quiet_hours", "email_address")
        given = {name: value for name, value in given.items() if value is not None
                 or name in nullable}  # fmt: skip

        def change(preferences: NotificationPreferences) -> NotificationPreferences:
            changed = preferences.model_copy(update=given)
            wants_mail = changed.email_on_run_complete or changed.email_on_shared_complete
            if wants_mail and self._address(changed, user) is None:
                raise InvalidInput(
                    "email_address",
                    "is needed for mail",
                    hint="Give the address that mail is to go to, or switch mail off.",
                )
            return changed

        preferences = await self._offload.write(
            self._store.change_preferences, user.owner_id, change
        )
        return self._settings(preferences, user)

    async def send_test_mail(self, user: User, address: str | None) -> TestMailReply:
        """Send a mail now, to `address` or wherever the user's mails go.

        Raises:
            InvalidInput: there is no address.
            MailNotSent: this server can not send mail, or the mail server did not take it.
        """
        if self._mail.send_test is None:
            raise MailNotSent(self._mail.unavailable_reason or "This server can not send mail.")
        preferences = await self._offload.io(self._store.get_preferences, user.owner_id)
        address = address or self._address(preferences, user)
        if address is None:
            raise InvalidInput("email_address", "is needed for mail", hint="Save one first.")
        try:
            await self._mail.send_test(address)
        except DeliveryFailed as error:
            raise MailNotSent(
                rules.one_line(f"The mail was not sent: {error}", 300),
                hint="Check the address, or tell the operator of this server.",
            ) from error
        return TestMailReply(address=address)

    def _address(self, preferences: NotificationPreferences, user: User) -> str | None:
        return preferences.email_address or self._mail.default_address(user.owner_id)

    def _settings(self, preferences: NotificationPreferences, user: User) -> NotificationSettings:
        reason = self._mail.unavailable_reason
        return NotificationSettings(
            **dict(preferences),
            email_available=reason is None,
            email_unavailable_reason=reason,
            default_email_address=self._mail.default_address(user.owner_id),
        )

    # -- watching -------------------------------------------------------------------------------

    async def watch(self, user: User) -> AsyncGenerator[NoticeEvent | None]:
        """Yields None once, when nothing that happens from then on is missed; then what changed.

        Changes of one notice in quick succession may come as their last one. Never ends by itself.
        """
        seen = await self._offload.io(self._store.latest_revision)
        yield None
        while True:
            if self._revision <= seen:
                await self._moved.wait()
            # Noted before reading: what comes in between is read again rather than missed.
            revision = self._revision
            changed = await self._offload.io(
                self._store.list_changed, user.owner_id, after=seen, limit=MANY + 1
            )
            seen = max(seen, revision)
            if not changed:
                continue
            unread = await self._offload.io(self._store.count_unread, user.owner_id)
            if len(changed) > MANY:
                yield NoticesChanged(unread=unread)
            else:
                for notice in changed:
                    yield NoticeChanged(notice=notice, unread=unread)

    def look(self) -> None:
        """Something was written here: look at once."""
        self._look.set()

    async def run(self) -> None:
        """Tell watchers of changes, also those of other services, until cancelled."""
        while True:
            try:
                revision = await self._offload.io(self._store.latest_revision)
            except Exception:
                log.exception("Notices can not be looked at; trying again")
            else:
                self._advance(revision)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look.wait()
            except TimeoutError:
                continue
            self._look.clear()

    def _advance(self, revision: int) -> None:
        if revision > self._revision:
            self._revision = revision
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()

    # -- a run's end ----------------------------------------------------------------------------

    def tell(self, run: Run, readers: Sequence[str] = ()) -> tuple[Tell, ...]:
        """Who is told that this run ended, and what; for the transaction that ends it.

        Its owner, and the `readers` whom it is shared with. `run.seen` is what its owner is told of
        how often it has failed so.
        """
        at = clock.now()
        shared = (self._tell(run, reader, NoticeType.SHARED_RUN_COMPLETE, at) for reader in readers)
        return (self._tell(run, run.owner_id, NoticeType.RUN_COMPLETE, at), *shared)

    def tell_shared(self, run: Run, readers: Sequence[str], *, by: str) -> tuple[Tell, ...]:
        """What those are told whom a run is newly shared with; for the transaction that does it.

        In-app and as a toast only: nobody asked for a mail.
        """
        at = clock.now()
        shared = rules.facts(run, at)

        def tell(reader: str) -> Tell:
            def compose(open_notice: Notice | None, _: NotificationPreferences) -> Told:
                notice = rules.joined(
                    open_notice,
                    shared,
                    notice_id=clock.new_id("ntc"),
                    user_id=reader,
                    type_=NoticeType.RUN_SHARED,
                    at=at,
                    by=by,
                )
                return Told(notice=notice, closes_at=rules.closes_at(notice))

            return Tell(
                user_id=reader, type=NoticeType.RUN_SHARED, at=at, lease=self._lease,
                compose=compose,
            )  # fmt: skip

        return tuple(map(tell, readers))

    def _tell(self, run: Run, user_id: str, type_: NoticeType, at: datetime) -> Tell:
        if user_id != run.owner_id:
            run = run.model_copy(update={"seen": None})  # it counts runs that they may not see
        ended = rules.facts(run, at)

        def compose(open_notice: Notice | None, preferences: NotificationPreferences) -> Told:
            notice = rules.joined(
                open_notice,
                ended,
                notice_id=clock.new_id("ntc"),
                user_id=user_id,
                type_=type_,
                at=at,
            )
            closes_at = rules.closes_at(notice)
            wanting = [
                channel for channel in self._channels if channel.wants(ended, preferences, user_id)
            ]
            return Told(
                notice=notice,
                closes_at=closes_at,
                deliveries=tuple(
                    NewDelivery(channel=channel.name, due_at=closes_at)
                    if channel.groups
                    else NewDelivery(channel=channel.name, due_at=at, run=ended)
                    for channel in wanting
                ),
            )

        return Tell(user_id=user_id, type=type_, at=at, lease=self._lease, compose=compose)
