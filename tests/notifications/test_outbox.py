"""From a run's end to the mail server: retried, taken over, sent once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter import clock
from mellea_jupyter.auth.owner import User
from mellea_jupyter.models.notifications import (
    NoticeChanged,
    NoticesChanged,
    NotificationPreferences,
    NotificationPreferencesPatch,
    QuietHours,
)
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.notifications.base import Channel, DeliveryFailed, Message
from mellea_jupyter.retention.policy import RetentionPolicy
from mellea_jupyter.service import outbox as outbox_module
from mellea_jupyter.service.broker import Broker
from mellea_jupyter.service.leases import ServiceLease
from mellea_jupyter.service.notices import MANY, MailDesk, NoticeService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.outbox import Outbox
from mellea_jupyter.service.records import RunRecords
from mellea_jupyter.stores.notices.sql import SqlNoticeStore
from mellea_jupyter.stores.runs.sql import SqlRunStore
from tests.notifications.conftest import Hook, Mailbox, connections_closed
from tests.notifications.test_rules import NOON
from tests.stores.runs.conftest import make_run, new

ADA = User(id="ada", owner_id="ada")
WANTS = NotificationPreferences(email_on_run_complete=True, email_address="ada@example.net")
DEADLINE_SECONDS = 20.0


class Clock:
    """The time of all services of a test."""

    def __init__(self) -> None:
        self.now = NOON

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()

    def now() -> datetime:
        return found.now

    monkeypatch.setattr(clock, "now", now)
    return found


class Service:
    """What of a service notices need, on the store of a folder."""

    def __init__(self, folder: Path, channels: Sequence[Channel] = ()) -> None:
        self.lease = ServiceLease(folder / "services")
        self.runs = SqlRunStore.open(folder / "runs.db")
        self.store = SqlNoticeStore(self.runs.transactions)
        self.offload = Offload()
        self.channels = tuple(channels)
        self.notices = NoticeService(
            store=self.store, offload=self.offload, lease=self.lease.id, channels=channels,
            mail=MailDesk(unavailable_reason=None),
        )  # fmt: skip
        self.outbox = Outbox(
            store=self.store, offload=self.offload, lease=self.lease, channels=channels
        )
        self.records = RunRecords(
            store=self.runs, broker=Broker(), offload=self.offload,
            retention=RetentionPolicy(), notices=self.notices,
        )  # fmt: skip

    async def end_run(self, status: RunStatus = RunStatus.FAILED, **fields: Any) -> str:
        """A run of Ada's ends; its id."""
        run = make_run(**fields)
        self.runs.create_run(new(run))
        end = {"status": status, "finished_at": clock.now(), "status_reason": "exit_code"}
        await self.records.update(run.id, lambda stored: stored.changed(**end))
        return run.id

    async def deliver(self) -> None:
        """Take over and send what is due."""
        await self.outbox.take_over()
        for channel in self.channels:
            while await self.outbox.deliver_next(channel):
                pass

    def close(self) -> None:
        """As a process that ends: its lock is free, nothing else is told."""
        self.offload.close()
        self.runs.close()
        self.lease.close()


Open = Callable[..., Service]


@asynccontextmanager
async def services(folder: Path) -> AsyncIterator[Open]:
    """Opens services on one store; closes them all, and waits for connections to be closed."""
    opened: list[Service] = []

    def open_(*channels: Channel) -> Service:
        opened.append(Service(folder, channels))
        return opened[-1]

    try:
        yield open_
    finally:
        for service in opened:
            service.close()
        await connections_closed()


def scenario(folder: Path, play: Callable[[Open], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with services(folder) as open_:
            await play(open_)

    asyncio.run(whole())


def wish(service: Service, preferences: NotificationPreferences = WANTS) -> None:
    service.store.change_preferences("ada", lambda _: preferences)


def test_a_mail_is_sent_once_when_the_burst_is_over(
    tmp_path: Path, mailbox: Mailbox, time: Clock
) -> None:
    async def play(open_: Open) -> None:
        service = open_(mailbox.channel())
        wish(service)
        for _ in range(50):
            await service.end_run()
            time.pass_seconds(0.1)
        await service.deliver()
        assert mailbox.mails == []
        time.pass_seconds(5)
        for _ in range(3):
            await service.deliver()

    scenario(tmp_path, play)
    assert [mail["Subject"] for mail in mailbox.mails] == ["50 runs ended: 50 failed"]


def test_a_refused_mail_is_tried_again_with_growing_pauses(
    tmp_path: Path, mailbox: Mailbox, time: Clock
) -> None:
    mailbox.answers += ["451 later", "451 later", "451 later"]
    attempts = []

    async def play(open_: Open) -> None:
        service = open_(mailbox.channel())
        wish(service)
        await service.end_run()
        for _ in range(200):
            before = len(mailbox.answers) + len(mailbox.mails)
            await service.deliver()
            if len(mailbox.answers) + len(mailbox.mails) != before or mailbox.mails:
                attempts.append((time.now - NOON).total_seconds())
            if mailbox.mails:
                break
            time.pass_seconds(1)

    scenario(tmp_path, play)
    assert attempts == [5, 20, 50, 110]
    assert len(mailbox.mails) == 1


def test_what_a_dead_service_left_is_sent_by_the_next(
    tmp_path: Path, mailbox: Mailbox, time: Clock
) -> None:
    async def play(open_: Open) -> None:
        first = open_(mailbox.channel())
        wish(first)
        await first.end_run()
        first.close()  # between the outbox and the delivery
        time.pass_seconds(10)
        without_mail = open_()
        await without_mail.deliver()
        assert without_mail.store.waiting_leases() == {first.lease.id}
        second = open_(mailbox.channel())
        for _ in range(2):
            await second.deliver()

    scenario(tmp_path, play)
    assert len(mailbox.mails) == 1


def test_two_services_on_one_store_send_once(tmp_path: Path, mailbox: Mailbox, time: Clock) -> None:
    async def play(open_: Open) -> None:
        one, two = open_(mailbox.channel()), open_(mailbox.channel())
        wish(one)
        for number in range(6):
            await (one, two)[number % 2].end_run(asset_name=f"{number}.py")
            time.pass_seconds(10)
        await asyncio.gather(one.deliver(), two.deliver())
        await asyncio.gather(one.deliver(), two.deliver())

    scenario(tmp_path, play)
    told = "".join(mail.get_body(("plain",)).get_content() for mail in mailbox.mails)  # type: ignore[union-attr]
    assert [told.count(f"{number}.py") for number in range(6)] == [1] * 6


def test_mail_waits_for_the_end_of_quiet_hours_and_is_one_then(
    tmp_path: Path, mailbox: Mailbox, time: Clock
) -> None:
    quiet = WANTS.model_copy(update={"quiet_hours": QuietHours(start="11:00", end="14:00")})

    async def play(open_: Open) -> None:
        service = open_(mailbox.channel())
        wish(service, quiet)
        for _ in range(3):
            await service.end_run()
            time.pass_seconds(1800)
            await service.deliver()
        assert mailbox.mails == []
        time.now = NOON.replace(hour=14)
        await service.deliver()

    scenario(tmp_path, play)
    assert [mail["Subject"] for mail in mailbox.mails] == ["3 runs ended: 3 failed"]


def test_programs_are_told_of_each_run_whatever_people_want(
    tmp_path: Path, hook: Hook, time: Clock
) -> None:
    from mellea_jupyter.notifications.webhook import WebhookChannel

    hook.answers += [503]

    async def play(open_: Open) -> None:
        service = open_(WebhookChannel(url=hook.url))
        for _ in range(2):
            await service.end_run(RunStatus.SUCCEEDED)
        await service.deliver()
        time.pass_seconds(15)
        await service.deliver()

    scenario(tmp_path, play)
    keys = [headers["X-Mellea-Delivery"] for headers, _ in hook.posts]
    assert len(keys) == 3
    assert len(set(keys)) == 2  # the same key when it is tried again


class Slow(Channel):
    """Takes its time, and says when it has begun."""

    name = "slow"
    groups = False

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.delivered = 0

    def wants(self, *_: Any) -> bool:
        return True

    async def deliver(self, message: Message) -> None:
        self.begun.set()
        await self.may_end.wait()
        self.delivered += 1


def test_what_is_being_sent_when_the_server_stops_is_noted(tmp_path: Path) -> None:
    async def play(open_: Open) -> None:
        channel = Slow()
        service = open_(channel)
        await service.end_run()
        running = asyncio.create_task(service.outbox.run())
        async with asyncio.timeout(DEADLINE_SECONDS):
            await channel.begun.wait()
            running.cancel()
            channel.may_end.set()
            with suppress(asyncio.CancelledError):
                await running
        assert channel.delivered == 1
        assert service.store.waiting_leases() == set()

    scenario(tmp_path, play)


class Broken(Channel):
    """Fails each time, in the way it is told."""

    name = "broken"
    groups = False

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def wants(self, *_: Any) -> bool:
        return True

    async def deliver(self, message: Message) -> None:
        self.asked += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (DeliveryFailed("no", is_final=True), 1),
        (DeliveryFailed("not now"), 2),
        (RuntimeError("a fault of ours"), 2),
    ],
)
def test_only_what_may_pass_is_tried_again(
    tmp_path: Path, time: Clock, error: Exception, asked: int
) -> None:
    async def play(open_: Open) -> None:
        channel = Broken(error)
        service = open_(channel)
        await service.end_run()
        await service.deliver()
        time.pass_seconds(20)
        await service.deliver()
        assert channel.asked == asked

    scenario(tmp_path, play)


def test_what_never_works_ends_after_two_days(tmp_path: Path, time: Clock) -> None:
    async def play(open_: Open) -> None:
        service = open_(Broken(DeliveryFailed("not now")))
        await service.end_run()
        while service.store.waiting_leases():
            await service.deliver()
            time.pass_seconds(1800)
        assert timedelta(days=1) < time.now - NOON <= timedelta(days=3)

    scenario(tmp_path, play)


def test_old_notices_are_forgotten(
    tmp_path: Path, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "LOOK_SECONDS", 0.01)

    async def play(open_: Open) -> None:
        service = open_()
        await service.end_run()
        time.pass_seconds(91 * 86400)
        await service.end_run()
        running = asyncio.create_task(service.outbox.run())
        async with asyncio.timeout(DEADLINE_SECONDS):
            while service.store.count_unread("ada") == 2:  # noqa: ASYNC110 - the store has no event
                await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert service.store.count_unread("ada") == 1

    scenario(tmp_path, play)


def test_watchers_see_changes_of_every_service_on_the_store(tmp_path: Path) -> None:
    async def play(open_: Open) -> None:
        one, two = open_(), open_()
        running = asyncio.create_task(one.notices.run())
        watch = one.notices.watch(ADA)
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await anext(watch) is None
            await two.end_run()
            heard = await anext(watch)
            assert isinstance(heard, NoticeChanged)
            assert (heard.notice.run_count, heard.unread) == (1, 1)
            await one.notices.mark(heard.notice.id, ADA, read=True)
            read = await anext(watch)
            assert isinstance(read, NoticeChanged)
            assert (read.notice.read_at is not None, read.unread) == (True, 0)
        await watch.aclose()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    scenario(tmp_path, play)


def test_a_watcher_of_many_changes_is_told_to_read_anew(tmp_path: Path, time: Clock) -> None:
    async def play(open_: Open) -> None:
        service = open_()
        for _ in range(MANY + 1):
            await service.end_run()
            time.pass_seconds(10)
        running = asyncio.create_task(service.notices.run())
        watch = service.notices.watch(ADA)
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await anext(watch) is None
            await service.notices.mark_all_read(ADA, until=None)
            assert await anext(watch) == NoticesChanged(unread=0)
        await watch.aclose()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    scenario(tmp_path, play)


def test_mail_needs_an_address_and_keeps_what_was_not_given(tmp_path: Path) -> None:
    from mellea_jupyter.exceptions import InvalidInput

    async def play(open_: Open) -> None:
        notices = open_().notices
        on = NotificationPreferencesPatch(email_on_run_complete=True)
        with pytest.raises(InvalidInput) as caught:
            await notices.change_preferences(on, ADA)
        assert caught.value.field == "email_address"
        both = NotificationPreferencesPatch(
            email_on_run_complete=True, email_address="ada@example.net"
        )
        await notices.change_preferences(both, ADA)
        off = NotificationPreferencesPatch(toast_enabled=False)
        settings = await notices.change_preferences(off, ADA)
        assert settings.email_on_run_complete
        assert not settings.toast_enabled

    scenario(tmp_path, play)
