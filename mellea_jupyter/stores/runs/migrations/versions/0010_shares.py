"""Shares of runs and assets, who is in which group, and more of the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; what was recorded before is shared with nobody."""
    op.create_table(
        "shares",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("shared_by", sa.String(), nullable=False),
        sa.Column("shared_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "principal"),
        sqlite_with_rowid=False,
    )
    op.create_index("shares_of_principal", "shares", ["principal", "run_id"], unique=False)
    op.create_table(
        "asset_shares",
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("shared_by", sa.String(), nullable=False),
        sa.Column("shared_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("asset_id", "principal"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "asset_shares_of_principal", "asset_shares", ["principal", "asset_id"], unique=False
    )
    op.create_table(
        "identities",
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "identity_groups",
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["identities.owner_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("name", "owner_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("identity_groups_of_owner", "identity_groups", ["owner_id"], unique=False)
    op.add_column("audit", sa.Column("owner_id", sa.String()))
    op.add_column("audit", sa.Column("admin_override", sa.Boolean()))
    op.create_index("audit_of_user", "audit", ["user", "n"], unique=False)
    op.create_index("audit_of_action", "audit", ["action", "n"], unique=False)
