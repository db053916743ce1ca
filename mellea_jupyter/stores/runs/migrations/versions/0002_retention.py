"""When a run's log and artifacts expire. Runs that have ended by now are kept 14 days more."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and its index, and stamp the ended runs that are not pinned."""
    op.add_column("runs", sa.Column("expires_ms", sa.BigInteger(), nullable=True))
    op.create_index("runs_by_expires_ms", "runs", ["expires_ms"], unique=False)
    moment = datetime.fromtimestamp(int(time.time()), UTC) + timedelta(days=14)
    stamp = sa.text(
        "UPDATE runs SET expires_ms = :ms, doc = json_set(doc, '$.expires_at', :text) "
        "WHERE finished_ms IS NOT NULL AND NOT json_extract(doc, '$.pinned')"
    )
    op.get_bind().execute(
        stamp, {"ms": int(moment.timestamp()) * 1000, "text": f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"}
    )
