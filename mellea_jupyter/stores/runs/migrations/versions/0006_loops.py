"""Sampling loops, all that is known of a call, what money was spent on, and use over time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_CALLS = (
    ("response_model", sa.String),
    ("action", sa.String),
    ("cached_tokens", sa.BigInteger),
    ("reasoning_tokens", sa.BigInteger),
    ("ttft_ms", sa.Float),
    ("streaming", sa.Boolean),
    ("finish_reason", sa.String),
    ("requests", sa.BigInteger),
    ("price_source", sa.String),
    ("price_version", sa.String),
    ("price_dated", sa.String),
    ("chain", sa.BigInteger),
    ("requirement", sa.BigInteger),
    ("line", sa.BigInteger),
    ("has_content", sa.Boolean),
)

_SPENDING = (
    "useful_pico_usd",
    "repair_pico_usd",
    "judge_pico_usd",
    "wasted_pico_usd",
    "accepted_outputs",
)


def upgrade() -> None:
    """Add the columns, null for calls and runs made before, and the tables."""
    for name, kind in _CALLS:
        op.add_column("calls", sa.Column(name, kind(), nullable=True))
    op.create_index("calls_by_seq", "calls", ["run_id", "seq"], unique=False)
    op.create_table(
        "loops",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("loop", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "loop"),
        sqlite_with_rowid=False,
    )
    op.create_index("loops_by_seq", "loops", ["run_id", "seq"], unique=False)
    for name in _SPENDING:
        op.add_column("runs", sa.Column(name, sa.BigInteger(), nullable=True))
        op.add_column(
            "rollup", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        )
    op.create_table(
        "usage_series",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
        sqlite_with_rowid=False,
    )
