"""`SqlNoticeStore`: notices, preferences and the outbox in the database of the runs store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, tuple_, update

from mellea_jupyter.clock import from_unix
from mellea_jupyter.exceptions import NoticeNotFound
from mellea_jupyter.models.notifications import (
    Notice,
    NoticePage,
    NoticeRun,
    NotificationPreferences,
)
from mellea_jupyter.stores.notices.base import Batch, Delivery, NoticeStore, Tell, Told
from mellea_jupyter.stores.notices.tables import UNREAD, deliveries, notices, preferences
from mellea_jupyter.stores.runs import cursors
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.rows import to_ms
from mellea_jupyter.stores.runs.transactions import Transactions

log = logging.getLogger(__name__)

_SLACK_MS: Final = 60_000
_LONGEST_BURST_MS: Final = 10 * 60_000  # far longer than runs join a notice

_NOTICE: tuple[ColumnElement[Any], ...] = (notices.c.doc, notices.c.read_ms)


def record(connection: Connection, tell: Tell) -> None:
    """Write what a run's end tells one user; part of the transaction that ends the run."""
    open_notices = select(notices.c.doc).where(
        notices.c.user_id == tell.user_id,
        notices.c.type == tell.type.value,
        notices.c.read_ms.is_(None),
        notices.c.closes_ms > to_ms(tell.at),
    )
    doc = connection.scalar(open_notices.order_by(notices.c.closes_ms.desc()).limit(1))
    open_notice = None if doc is None else Notice.model_validate_json(doc)
    told = tell.compose(open_notice, _preferences(connection, tell.user_id))
    _save_notice(connection, told)
    for each in told.deliveries:
        due_ms = to_ms(each.due_at)
        if each.run is None:  # one delivery for all runs of the notice
            of_notice = update(deliveries).where(
                deliveries.c.notice_id == told.notice.id, deliveries.c.channel == each.channel
            )
            later = of_notice.values(due_ms=due_ms, first_due_ms=due_ms)
            if connection.execute(later).rowcount:
                continue
        connection.execute(
            insert(deliveries).values(
                notice_id=told.notice.id,
                user_id=tell.user_id,
                channel=each.channel,
                run=None if each.run is None else each.run.model_dump_json(),
                lease=tell.lease,
                due_ms=due_ms,
                first_due_ms=due_ms,
                attempts=0,
            )
        )


def unlink(connection: Connection, run_id: str, finished_at: datetime) -> None:
    """Take the links to a run out of notices; part of the transaction that deletes the run.

    What was told stays told: a notice may name other runs, and its mail may be under way.
    """
    ended_ms = to_ms(finished_at)
    told = (
        notices.c.updated_ms.between(ended_ms - _SLACK_MS, ended_ms + _LONGEST_BURST_MS),
        notices.c.doc.contains(run_id, autoescape=True),
    )
    for row in connection.execute(select(notices.c.n, notices.c.doc).where(*told)).all():
        notice = Notice.model_validate_json(row.doc)
        runs = tuple(
            run.model_copy(update={"link": None}) if run.run_id == run_id else run
            for run in notice.runs
        )
        link = next((run.link for run in runs if run.link is not None), None)
        doc = notice.model_copy(update={"runs": runs, "link": link}).model_dump_json(
            exclude={"read_at"}
        )
        revision = _latest_revision(connection) + 1
        changed = update(notices).where(notices.c.n == row.n)
        connection.execute(changed.values(doc=doc, revision=revision))


class SqlNoticeStore(NoticeStore):
    """Notices in the database whose transactions it is given."""

    def __init__(self, transactions: Transactions) -> None:
        self._reading = transactions.reading
        self._writing = transactions.writing

    # The list

    def list_notices(
        self, user_id: str, *, unread_only: bool, limit: int, cursor: str | None
    ) -> NoticePage:
        where = [notices.c.user_id == user_id]
        if unread_only:
            where.append(notices.c.place >= UNREAD)
        if cursor is not None:
            place, notice_id = cursors.decode(cursor, "notices", int)
            where.append(tuple_(notices.c.place, notices.c.id) < tuple_(place, notice_id))
        query = select(notices.c.place, notices.c.id, *_NOTICE).where(*where)
        query = query.order_by(notices.c.place.desc(), notices.c.id.desc()).limit(limit + 1)
        with self._reading() as connection:
            rows = connection.execute(query).all()
            unread = _count_unread(connection, user_id)
        following = None
        if len(rows) > limit:
            rows = rows[:limit]
            following = cursors.encode("notices", rows[-1].place, rows[-1].id)
        return NoticePage(notifications=tuple(map(_notice, rows)), next=following, unread=unread)

    def count_unread(self, user_id: str) -> int:
        with self._reading() as connection:
            return _count_unread(connection, user_id)

    def mark_notice(self, notice_id: str, user_id: str, *, read_at: datetime | None) -> Notice:
        own = (notices.c.id == notice_id, notices.c.user_id == user_id)
        with self._writing() as connection:
            row = connection.execute(select(*_NOTICE).where(*own)).one_or_none()
            if row is None:
                raise NoticeNotFound(notice_id)
            if (row.read_ms is None) == (read_at is None):
                return _notice(row)
            connection.execute(update(notices).where(*own).values(_marked(connection, read_at)))
            return _notice(connection.execute(select(*_NOTICE).where(*own)).one())

    def mark_all_read(self, user_id: str, *, read_at: datetime, until: datetime | None) -> int:
        unread = [notices.c.user_id == user_id, notices.c.place >= UNREAD]
        if until is not None:
            unread.append(notices.c.updated_ms <= to_ms(until))
        with self._writing() as connection:
            marked = _marked(connection, read_at)
            return connection.execute(update(notices).where(*unread).values(marked)).rowcount

    def latest_revision(self) -> int:
        with self._reading() as connection:
            return _latest_revision(connection)

    def list_changed(self, user_id: str, *, after: int, limit: int) -> list[Notice]:
        query = select(*_NOTICE).where(notices.c.user_id == user_id, notices.c.revision > after)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(notices.c.revision).limit(limit))
            return list(map(_notice, rows))

    def delete_before(self, moment: datetime) -> int:
        old = delete(notices).where(notices.c.updated_ms < to_ms(moment))
        with self._writing() as connection:
            return connection.execute(old).rowcount

    # Preferences

    def get_preferences(self, user_id: str) -> NotificationPreferences:
        with self._reading() as connection:
            return _preferences(connection, user_id)

    def change_preferences(
        self, user_id: str, change: Callable[[NotificationPreferences], NotificationPreferences]
    ) -> NotificationPreferences:
        with self._writing() as connection:
            changed = change(_preferences(connection, user_id))
            row = {"user_id": user_id, "doc": changed.model_dump_json()}
            connection.execute(dialect.upsert(preferences), row)
        return changed

    # The outbox

    def has_due(self, *, lease: str, channel: str, at: datetime) -> bool:
        query = select(deliveries.c.n).where(*_due(lease, channel, at)).limit(1)
        with self._reading() as connection:
            return connection.scalar(query) is not None

    def begin(self, *, lease: str, channel: str, at: datetime, groups: bool) -> Batch | None:
        due = _due(lease, channel, at)
        first = select(deliveries).where(*due).order_by(deliveries.c.due_ms, deliveries.c.n)
        with self._writing() as connection:
            oldest = connection.execute(first.limit(1)).one_or_none()
            if oldest is None:
                return None
            rows: Sequence[Row[Any]] = [oldest]
            if groups:
                of_user = first.where(deliveries.c.user_id == oldest.user_id)
                rows = connection.execute(of_user.order_by(None).order_by(deliveries.c.n)).all()
            begun = deliveries.c.n.in_([row.n for row in rows])
            attempt = {"attempts": deliveries.c.attempts + 1}
            connection.execute(update(deliveries).where(begun).values(attempt))
            told = notices.c.id.in_({row.notice_id for row in rows})
            if groups:
                connection.execute(update(notices).where(told).values(closes_ms=0))
            named = connection.execute(select(*_NOTICE).where(told).order_by(notices.c.n))
            return Batch(
                deliveries=tuple(map(_delivery, rows)),
                notices=tuple(map(_notice, named)),
                preferences=_preferences(connection, oldest.user_id),
            )

    def finish(self, numbers: Sequence[int], *, lease: str, at: datetime) -> None:
        self._settle(numbers, lease, lease=None, sent_ms=to_ms(at), error=None)

    def postpone(
        self, numbers: Sequence[int], *, lease: str, due_at: datetime, error: str | None
    ) -> None:
        if error is not None:
            self._settle(numbers, lease, due_ms=to_ms(due_at), error=error)
        else:
            due_ms = to_ms(due_at)
            no_attempt = deliveries.c.attempts - 1
            self._settle(numbers, lease, due_ms=due_ms, first_due_ms=due_ms, attempts=no_attempt)

    def give_up(self, numbers: Sequence[int], *, lease: str, at: datetime, error: str) -> None:
        self._settle(numbers, lease, lease=None, given_up_ms=to_ms(at), error=error)

    def _settle(self, numbers: Sequence[int], held_by: str, **values: Any) -> None:
        own = (deliveries.c.n.in_(numbers), deliveries.c.lease == held_by)
        with self._writing() as connection:
            connection.execute(update(deliveries).where(*own).values(values))

    def waiting_leases(self) -> set[str]:
        query = select(deliveries.c.lease).where(deliveries.c.lease.is_not(None)).distinct()
        with self._reading() as connection:
            return set(connection.scalars(query))

    def take_over(self, *, lease: str, from_lease: str, channels: Sequence[str]) -> int:
        theirs = (deliveries.c.lease == from_lease, deliveries.c.channel.in_(channels))
        with self._writing() as connection:
            taken = update(deliveries).where(*theirs).values(lease=lease)
            return connection.execute(taken).rowcount


def _due(lease: str, channel: str, at: datetime) -> tuple[ColumnElement[bool], ...]:
    due = deliveries.c.due_ms <= to_ms(at)
    return (deliveries.c.lease == lease, deliveries.c.channel == channel, due)


def _latest_revision(connection: Connection) -> int:
    return connection.scalar(select(func.max(notices.c.revision))) or 0


def _marked(connection: Connection, read_at: datetime | None) -> dict[str, Any]:
    """New values of notices that are marked as read (at) or unread (None)."""
    unread = UNREAD if read_at is None else 0
    return {
        "read_ms": None if read_at is None else to_ms(read_at),
        "place": notices.c.updated_ms + unread,
        "revision": _latest_revision(connection) + 1,
        "closes_ms": 0,
    }


def _count_unread(connection: Connection, user_id: str) -> int:
    unread = (notices.c.user_id == user_id, notices.c.place >= UNREAD)
    return connection.scalar(select(func.count()).select_from(notices).where(*unread)) or 0


def _preferences(connection: Connection, user_id: str) -> NotificationPreferences:
    query = select(preferences.c.doc).where(preferences.c.user_id == user_id)
    doc = connection.scalar(query)
    if doc is None:
        return NotificationPreferences()
    try:
        return NotificationPreferences.model_validate_json(doc)
    except ValidationError:
        # Stored by a service that knew a time zone which this one does not. A run has to end.
        log.warning("The notification preferences of %s are not valid here", user_id)
        return NotificationPreferences()


def _save_notice(connection: Connection, told: Told) -> None:
    notice = told.notice
    updated_ms = to_ms(notice.updated_at)
    row = {
        "id": notice.id,
        "user_id": notice.user_id,
        "type": notice.type.value,
        "place": updated_ms + UNREAD,
        "updated_ms": updated_ms,
        "read_ms": None,
        "closes_ms": to_ms(told.closes_at),
        "revision": _latest_revision(connection) + 1,
        "doc": notice.model_dump_json(exclude={"read_at"}),
    }
    statement = dialect.upsert(notices, keys=["id"])
    connection.execute(statement, row)


def _notice(row: Row[Any]) -> Notice:
    notice = Notice.model_validate_json(row.doc)
    if row.read_ms is None:
        return notice
    return notice.model_copy(update={"read_at": from_unix(row.read_ms / 1000)})


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        n=row.n,
        notice_id=row.notice_id,
        user_id=row.user_id,
        channel=row.channel,
        run=None if row.run is None else NoticeRun.model_validate_json(row.run),
        attempts=row.attempts + 1,
        first_due_at=from_unix(row.first_due_ms / 1000),
    )
