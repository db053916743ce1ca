"""Tokens that a call wrote into its provider's cache, which have a price of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, null for calls made before."""
    op.add_column("calls", sa.Column("cache_write_tokens", sa.BigInteger()))
