"""Groups: runs that were started together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and its index."""
    op.add_column("runs", sa.Column("group_id", sa.String(), nullable=True))
    op.create_index(
        "runs_of_group_id",
        "runs",
        ["group_id", "created_ms", "id"],
        unique=False,
        sqlite_where=sa.text("group_id IS NOT NULL"),
    )
