"""What every notice store does."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mellea_jupyter.exceptions import InvalidCursor, NoticeNotFound, VersionConflict
from mellea_jupyter.models.notifications import NoticePage, NotificationPreferences
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.notifications import rules
from mellea_jupyter.stores.notices.base import NoticeStore
from tests.stores.notices.conftest import End, Stores, seconds, tell
from tests.stores.runs.conftest import make_run, new

MAIL = (("email", True),)
HOOK = (("webhook", False),)


def page(store: NoticeStore, user_id: str = "ada", **options: Any) -> NoticePage:
    defaults: dict[str, Any] = {"unread_only": False, "limit": 50, "cursor": None}
    return store.list_notices(user_id, **{**defaults, **options})


def titles(store: NoticeStore, **options: Any) -> list[str]:
    return [notice.title for notice in page(store, **options).notifications]


class TestTheEndOfARun:
    def test_tells_in_the_same_transaction(self, stores: Stores) -> None:
        run = make_run()
        stores.runs.create_run(new(run))
        ended = run.changed(status=RunStatus.FAILED, finished_at=seconds(0))
        told = (tell(rules.facts(ended, seconds(0)), seconds(0), channels=MAIL),)
        renamed = run.changed(name="renamed")
        stores.runs.save_run(renamed, expected_version=run.version)
        with pytest.raises(VersionConflict):
            stores.runs.save_run(ended, expected_version=run.version, tell=told)
        assert page(stores.notices).unread == 0
        assert stores.notices.waiting_leases() == set()
        ended = renamed.changed(status=RunStatus.FAILED, finished_at=seconds(0))
        stores.runs.save_run(ended, expected_version=renamed.version, tell=told)
        assert page(stores.notices).unread == 1
        assert stores.notices.waiting_leases() == {"me"}

    def test_is_not_stored_when_nothing_can_be_told_of_it(self, stores: Stores) -> None:
        run = make_run()
        stores.runs.create_run(new(run))
        ended = run.changed(status=RunStatus.FAILED)
        told = tell(rules.facts(ended, seconds(0)), seconds(0))

        def fail(*_: Any) -> Any:
            raise RuntimeError

        broken = tell(rules.facts(ended, seconds(0)), seconds(0), user_id="bob")
        broken = type(broken)(
            user_id="bob", type=broken.type, at=broken.at, lease="me", compose=fail
        )
        with pytest.raises(RuntimeError):
            stores.runs.save_run(ended, expected_version=run.version, tell=(told, broken))
        assert stores.runs.get_run(run.id).status == RunStatus.QUEUED
        assert page(stores.notices).unread == 0

    def test_loses_its_link_when_the_run_is_deleted(
        self, stores: Stores, notices: NoticeStore, end: End
    ) -> None:
        first, second, alone = end(0), end(1), end(500)
        before = notices.latest_revision()
        for run in (first, alone):
            stores.runs.delete_run(run.id, expected_version=stores.runs.get_run(run.id).version)
        later, joined = page(notices).notifications
        assert (later.link, later.runs[0].link) == (None, None)
        assert [run.link is None for run in joined.runs] == [True, False]
        assert joined.link == joined.runs[1].link == rules.link_to(second.id)
        changed = notices.list_changed("ada", after=before, limit=10)
        assert {notice.id for notice in changed} == {later.id, joined.id}
        assert page(notices).unread == 2

    def test_joins_the_open_notice(self, notices: NoticeStore, end: End) -> None:
        ids = [end(n * 0.1).id for n in range(50)]
        (notice,) = page(notices).notifications
        assert (notice.run_count, len(notice.runs)) == (50, 20)
        assert [run.run_id for run in notice.runs] == ids[:20]
        assert notice.title == "50 runs ended: 50 succeeded"

    def test_begins_a_notice_after_the_burst_and_after_it_was_read(
        self, notices: NoticeStore, end: End
    ) -> None:
        end(0)
        end(30)
        (second, _) = page(notices).notifications
        notices.mark_notice(second.id, "ada", read_at=seconds(31))
        end(32)
        assert [n.run_count for n in page(notices).notifications] == [1, 1, 1]

    def test_tells_only_whom_it_concerns(self, notices: NoticeStore, end: End) -> None:
        end(0)
        end(0, user_id="bob")
        assert [page(notices, user).unread for user in ("ada", "bob", "eve")] == [1, 1, 0]


class TestTheList:
    def test_has_unread_ones_first_then_the_latest(self, notices: NoticeStore, end: End) -> None:
        for at in (0, 100, 200, 300):
            end(at)
        found = page(notices).notifications
        assert [n.updated_at for n in found] == [seconds(s) for s in (300, 200, 100, 0)]
        notices.mark_notice(found[0].id, "ada", read_at=seconds(400))
        found = page(notices).notifications
        assert [n.updated_at for n in found] == [seconds(s) for s in (200, 100, 0, 300)]
        assert [n.read_at for n in found] == [None, None, None, seconds(400)]
        assert len(titles(notices, unread_only=True)) == page(notices).unread == 3

    def test_pages_neither_repeat_nor_skip(self, notices: NoticeStore, end: End) -> None:
        for at in range(0, 700, 100):
            end(at)
        whole = [n.id for n in page(notices).notifications]
        seen, cursor = [], None
        for _ in range(4):
            part = page(notices, limit=2, cursor=cursor)
            seen += [n.id for n in part.notifications]
            cursor = part.next
        assert (seen, cursor) == (whole, None)

    def test_refuses_the_cursor_of_another_listing(self, notices: NoticeStore) -> None:
        with pytest.raises(InvalidCursor):
            page(notices, cursor="WyJhIiwxLCJiIl0")

    def test_another_users_notice_does_not_exist(self, notices: NoticeStore, end: End) -> None:
        end(0)
        (notice,) = page(notices).notifications
        with pytest.raises(NoticeNotFound):
            notices.mark_notice(notice.id, "bob", read_at=seconds(1))

    def test_reading_twice_keeps_the_first_time(self, notices: NoticeStore, end: End) -> None:
        end(0)
        (notice,) = page(notices).notifications
        for at in (1, 2):
            marked = notices.mark_notice(notice.id, "ada", read_at=seconds(at))
        assert marked.read_at == seconds(1)
        assert notices.mark_notice(notice.id, "ada", read_at=None).read_at is None
        assert notices.count_unread("ada") == 1

    def test_marking_all_spares_what_came_later(self, notices: NoticeStore, end: End) -> None:
        end(0)
        end(100)
        end(0, user_id="bob")
        assert notices.mark_all_read("ada", read_at=seconds(200), until=seconds(50)) == 1
        assert notices.count_unread("ada") == 1
        assert notices.mark_all_read("ada", read_at=seconds(200), until=None) == 1
        assert (notices.count_unread("ada"), notices.count_unread("bob")) == (0, 1)

    def test_changes_have_revisions(self, notices: NoticeStore, end: End) -> None:
        assert notices.latest_revision() == 0
        end(0)
        end(100)
        first = notices.latest_revision()
        (late, early) = page(notices).notifications
        notices.mark_notice(early.id, "ada", read_at=seconds(101))
        assert notices.latest_revision() > first
        assert [n.id for n in notices.list_changed("ada", after=first, limit=9)] == [early.id]
        changed = notices.list_changed("ada", after=0, limit=9)
        assert [n.id for n in changed] == [late.id, early.id]
        assert notices.list_changed("bob", after=0, limit=9) == []

    def test_old_ones_are_removed_with_what_waits(self, notices: NoticeStore, end: End) -> None:
        end(0, channels=MAIL, lease="dead")
        end(100, channels=MAIL, lease="me")
        assert notices.delete_before(seconds(50)) == 1
        assert notices.waiting_leases() == {"me"}


class TestPreferences:
    def test_begin_with_the_defaults(self, notices: NoticeStore) -> None:
        assert notices.get_preferences("ada") == NotificationPreferences()

    def test_are_kept_for_each_user(self, notices: NoticeStore) -> None:
        wanted = NotificationPreferences(toast_enabled=False, email_address="ada@example.org")
        notices.change_preferences("ada", lambda _: wanted)
        assert notices.get_preferences("ada") == wanted
        assert notices.get_preferences("bob").toast_enabled

    def test_that_are_not_valid_here_do_not_keep_a_run_from_ending(
        self, notices: NoticeStore, end: End
    ) -> None:
        gone = NotificationPreferences().model_copy(update={"time_zone": "Mars/Olympus"})
        notices.change_preferences("ada", lambda _: gone)
        end(0)
        assert notices.count_unread("ada") == 1
        assert notices.get_preferences("ada") == NotificationPreferences()

    def test_a_refused_change_changes_nothing(self, notices: NoticeStore) -> None:
        def refuse(_: NotificationPreferences) -> NotificationPreferences:
            raise ValueError

        with pytest.raises(ValueError):
            notices.change_preferences("ada", refuse)
        assert notices.get_preferences("ada") == NotificationPreferences()


def begin(store: NoticeStore, at: float, **options: Any) -> Any:
    defaults: dict[str, Any] = {"lease": "me", "channel": "email", "groups": True}
    return store.begin(at=seconds(at), **{**defaults, **options})


class TestTheOutbox:
    def test_mail_goes_when_the_burst_is_over(self, notices: NoticeStore, end: End) -> None:
        end(0, channels=MAIL)
        end(4, channels=MAIL)
        due = {"lease": "me", "channel": "email"}
        assert not notices.has_due(at=seconds(8), **due)
        assert begin(notices, 8) is None
        assert notices.has_due(at=seconds(9), **due)
        batch = begin(notices, 9)
        assert [n.run_count for n in batch.notices] == [2]
        assert [d.attempts for d in batch.deliveries] == [1]

    def test_what_was_begun_is_closed_for_further_runs(
        self, notices: NoticeStore, end: End
    ) -> None:
        end(0, channels=MAIL)
        begin(notices, 5)
        end(4.9, channels=MAIL)  # the clock of another service is a little behind
        assert [n.run_count for n in page(notices).notifications] == [1, 1]

    def test_all_due_mail_of_a_user_is_one(self, notices: NoticeStore, end: End) -> None:
        for at in (0, 100, 200):
            end(at, channels=MAIL)
        end(0, user_id="bob", channels=MAIL)
        batches = [begin(notices, 300) for _ in range(2)]
        assert {(b.deliveries[0].user_id, len(b.notices)) for b in batches if b} >= {("ada", 3)}
        notices.finish(batches[0].numbers, lease="me", at=seconds(300))
        (left,) = begin(notices, 300).deliveries
        assert left.user_id == "bob"

    def test_programs_are_told_of_each_run(self, notices: NoticeStore, end: End) -> None:
        runs = [end(n * 0.1, channels=HOOK).id for n in range(3)]
        told = []
        for _ in runs:
            batch = begin(notices, 1, channel="webhook", groups=False)
            told += [delivery.run.run_id for delivery in batch.deliveries]
            notices.finish(batch.numbers, lease="me", at=seconds(1))
        assert told == runs
        assert [n.run_count for n in page(notices).notifications] == [3]
        end(1, channels=HOOK)  # telling programs does not end the burst
        assert [n.run_count for n in page(notices).notifications] == [4]
        notices.finish(
            begin(notices, 1, channel="webhook", groups=False).numbers, lease="me", at=seconds(1)
        )
        assert begin(notices, 1, channel="webhook", groups=False) is None

    def test_only_the_holder_of_the_lease_sends(self, notices: NoticeStore, end: End) -> None:
        end(0, channels=MAIL, lease="other")
        assert begin(notices, 10) is None
        batch = begin(notices, 10, lease="other")
        notices.finish(batch.numbers, lease="me", at=seconds(10))
        assert notices.waiting_leases() == {"other"}
        notices.finish(batch.numbers, lease="other", at=seconds(10))
        assert notices.waiting_leases() == set()

    def test_a_dead_services_deliveries_are_taken_once(
        self, notices: NoticeStore, end: End
    ) -> None:
        end(0, channels=(*MAIL, *HOOK), lease="dead")
        taken = []

        def take(lease: str) -> None:
            count = notices.take_over(lease=lease, from_lease="dead", channels=["email"])
            taken.append(count)

        threads = [threading.Thread(target=take, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == [0, 1]
        assert set(notices.waiting_leases()) - {"one", "two"} == {"dead"}  # the webhook's

    def test_a_failed_attempt_waits_and_counts(self, notices: NoticeStore, end: End) -> None:
        end(0, channels=MAIL)
        batch = begin(notices, 5)
        notices.postpone(batch.numbers, lease="me", due_at=seconds(60), error="421 busy")
        assert begin(notices, 59) is None
        (again,) = begin(notices, 60).deliveries
        assert (again.attempts, again.first_due_at) == (2, seconds(5))

    def test_a_quiet_hour_is_no_attempt(self, notices: NoticeStore, end: End) -> None:
        end(0, channels=MAIL)
        batch = begin(notices, 5)
        notices.postpone(batch.numbers, lease="me", due_at=seconds(3600), error=None)
        (again,) = begin(notices, 3600).deliveries
        assert (again.attempts, again.first_due_at) == (1, seconds(3600))

    def test_what_is_given_up_is_not_tried_again(self, notices: NoticeStore, end: End) -> None:
        end(0, channels=MAIL)
        batch = begin(notices, 5)
        notices.give_up(batch.numbers, lease="me", at=seconds(6), error="550 no such user")
        assert begin(notices, 10**6) is None
        assert notices.waiting_leases() == set()
