"""The audit trail in SQL: entries are added, and never changed or removed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select

from mellea_jupyter.clock import from_unix
from mellea_jupyter.models.audit import AuditAction, AuditEntry, AuditPage, AuditQuery
from mellea_jupyter.stores.runs import cursors
from mellea_jupyter.stores.runs.base import NewAudit
from mellea_jupyter.stores.runs.rows import to_ms
from mellea_jupyter.stores.runs.sql_part import SqlPart
from mellea_jupyter.stores.runs.tables import audit

_ORDER = "audit"
_SHARING = (AuditAction.SHARE.value, AuditAction.UNSHARE.value)


def record(connection: Connection, entries: Iterable[NewAudit]) -> None:
    """Write entries as part of the transaction that does what they tell of."""
    rows = [
        {
            "at_ms": to_ms(each.at),
            "user": each.user,
            "action": str(each.action),
            "run_id": each.run_id,
            "owner_id": each.owner_id,
            "admin_override": each.admin_override,
            "details": json.dumps(dict(each.details)),
        }
        for each in entries
    ]
    if rows:
        connection.execute(insert(audit), rows)


class SqlAudit(SqlPart):
    """Who did what."""

    def audit(self, entry: NewAudit) -> None:
        with self._writing() as connection:
            record(connection, [entry])

    def list_audit(self, query: AuditQuery) -> AuditPage:
        where: list[ColumnElement[bool]] = [
            audit.c[name].in_([str(value) for value in values])
            for name in ("user", "action", "run_id", "owner_id")
            if (values := getattr(query, name))
        ]
        if query.since is not None:
            where.append(audit.c.at_ms >= to_ms(query.since))
        if query.until is not None:
            where.append(audit.c.at_ms < to_ms(query.until))
        if query.cursor is not None:
            last, _ = cursors.decode(query.cursor, _ORDER, int)
            where.append(audit.c.n < (last or 0))
        latest = select(audit).where(*where).order_by(audit.c.n.desc()).limit(query.limit + 1)
        with self._reading() as connection:
            rows = connection.execute(latest).all()
        following = None
        if len(rows) > query.limit:
            rows = rows[: query.limit]
            following = cursors.encode(_ORDER, rows[-1].n, "")
        return AuditPage(entries=tuple(map(_entry, rows)), next=following)

    def last_audit(self) -> int:
        with self._reading() as connection:
            return connection.scalar(select(func.max(audit.c.n))) or 0

    def list_sharing_after(self, entry_id: int) -> list[AuditEntry]:
        later = select(audit).where(audit.c.n > entry_id, audit.c.action.in_(_SHARING))
        with self._reading() as connection:
            return list(map(_entry, connection.execute(later.order_by(audit.c.n))))


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.n,
        at=from_unix(row.at_ms / 1000),
        user=row.user,
        action=row.action,
        run_id=row.run_id,
        owner_id=row.owner_id,
        admin_override=bool(row.admin_override),
        details=json.loads(row.details),
    )
