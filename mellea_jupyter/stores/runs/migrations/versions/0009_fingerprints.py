"""Failures: runs that failed in the same way are found by what they have in common."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BATCH = 1000


def upgrade() -> None:
    """Add the column and its index; runs that failed before get what their records say."""
    op.add_column("runs", sa.Column("fingerprint", sa.String(), nullable=True))
    _fill()
    op.create_index(
        "runs_of_fingerprint",
        "runs",
        ["fingerprint", "owner_id", "created_ms", "id", "finished_ms"],
        unique=False,
        sqlite_where=sa.text("fingerprint IS NOT NULL"),
    )


def _fill() -> None:
    runs = sa.table("runs", *map(sa.column, ("n", "status", "doc", "fingerprint")))
    failed = sa.select(runs.c.n, runs.c.doc).where(runs.c.status == "failed").order_by(runs.c.n)
    change = sa.update(runs).where(runs.c.n == sa.bindparam("row"))
    change = change.values(fingerprint=sa.bindparam("found"))
    connection, last = op.get_bind(), 0
    while rows := connection.execute(failed.where(runs.c.n > last).limit(_BATCH)).all():
        last = rows[-1].n
        found = [
            {"row": row.n, "found": why["fingerprint"]}
            for row in rows
            if (why := json.loads(row.doc).get("error_classification"))
        ]
        if found:
            connection.execute(change, found)
