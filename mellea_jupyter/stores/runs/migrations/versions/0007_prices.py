"""What pricing a call anew needs, and the list behind its price."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; calls from before have neither."""
    for name in ("response_model", "price_source", "price_version", "price_dated"):
        op.add_column("calls", sa.Column(name, sa.String()))
    for name in ("cached_tokens", "cache_write_tokens", "reasoning_tokens"):
        op.add_column("calls", sa.Column(name, sa.BigInteger()))
