"""Which servers may execute a run, where several users' servers share a store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; runs that were recorded before are any server's."""
    op.add_column("placements", sa.Column("server", sa.String(), nullable=False, server_default=""))
