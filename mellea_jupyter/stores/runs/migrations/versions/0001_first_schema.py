"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables, indexes and the full-text index."""
    op.create_table(
        "assets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("origin"),
    )
    op.create_index("assets_by_updated", "assets", ["updated_ms", "id"], unique=False)
    op.create_index("assets_of_owner", "assets", ["owner_id", "updated_ms", "id"], unique=False)
    op.create_table(
        "audit",
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("n"),
    )
    op.create_index("audit_of_run", "audit", ["run_id"], unique=False)
    op.create_table(
        "pinned_files",
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("checksum", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("content_hash", "path"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup",
        sa.Column("grain", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("llm_calls", sa.BigInteger(), nullable=False),
        sa.Column("cost_pico_usd", sa.BigInteger(), nullable=False),
        sa.Column("unpriced_calls", sa.BigInteger(), nullable=False),
        sa.Column("calls_without_usage", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_runs", sa.BigInteger(), nullable=False),
        sa.Column("queued_runs", sa.BigInteger(), nullable=False),
        sa.Column("pulling_image_runs", sa.BigInteger(), nullable=False),
        sa.Column("starting_runs", sa.BigInteger(), nullable=False),
        sa.Column("running_runs", sa.BigInteger(), nullable=False),
        sa.Column("succeeded_runs", sa.BigInteger(), nullable=False),
        sa.Column("failed_runs", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_runs", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("grain", "owner_id", "asset_id", "model", "hour", "status"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("asset_name", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=True),
        sa.Column("finished_ms", sa.BigInteger(), nullable=True),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("llm_calls", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_pico_usd", sa.BigInteger(), nullable=True),
        sa.Column("unpriced_calls", sa.BigInteger(), nullable=False),
        sa.Column("calls_without_usage", sa.BigInteger(), nullable=False),
        sa.Column("retry_root", sa.String(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("n"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("runs_by_asset_name", "runs", ["asset_name", "id", "owner_id"], unique=False)
    op.create_index(
        "runs_by_cost_pico_usd", "runs", ["cost_pico_usd", "id", "owner_id"], unique=False
    )
    op.create_index("runs_by_created_ms", "runs", ["created_ms", "id", "owner_id"], unique=False)
    op.create_index("runs_by_duration_ms", "runs", ["duration_ms", "id", "owner_id"], unique=False)
    op.create_index("runs_by_finished_ms", "runs", ["finished_ms", "id", "owner_id"], unique=False)
    op.create_index("runs_by_llm_calls", "runs", ["llm_calls", "id", "owner_id"], unique=False)
    op.create_index("runs_by_model", "runs", ["model", "id", "owner_id"], unique=False)
    op.create_index("runs_by_owner_id", "runs", ["owner_id", "id"], unique=False)
    op.create_index("runs_by_started_ms", "runs", ["started_ms", "id", "owner_id"], unique=False)
    op.create_index("runs_by_status", "runs", ["status", "id", "owner_id"], unique=False)
    op.create_index("runs_by_tokens", "runs", ["tokens", "id", "owner_id"], unique=False)
    op.create_index("runs_of_asset_cost", "runs", ["asset_id", "cost_pico_usd", "id"], unique=False)
    op.create_index("runs_of_asset_id", "runs", ["asset_id", "created_ms", "id"], unique=False)
    op.create_index("runs_of_model", "runs", ["model", "created_ms", "id"], unique=False)
    op.create_index("runs_of_owner_id", "runs", ["owner_id", "created_ms", "id"], unique=False)
    op.create_index(
        "runs_of_owner_status", "runs", ["owner_id", "status", "created_ms", "id"], unique=False
    )
    op.create_index("runs_of_retry_root", "runs", ["retry_root"], unique=False)
    op.create_index("runs_of_status", "runs", ["status", "created_ms", "id"], unique=False)
    op.create_table(
        "calls",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("call", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("latency_ms", sa.Float(), nullable=True),
        sa.Column("cost_pico_usd", sa.BigInteger(), nullable=True),
        sa.Column("loop", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "call"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner_id", "key"),
    )
    op.create_index("idempotency_keys_of_run", "idempotency_keys", ["run_id"], unique=False)
    op.create_table(
        "outputs",
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("artifact_id", sa.String(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("n"),
        sa.UniqueConstraint("run_id", "artifact_id"),
    )
    op.create_table(
        "placements",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("handle", sa.Text(), nullable=True),
        sa.Column("folded_seq", sa.BigInteger(), nullable=False),
        sa.Column("environment_id", sa.String(), nullable=False),
        sa.Column("executor", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("entry_point", sa.String(), nullable=False),
        sa.Column("program_dir", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_table(
        "run_tags",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tag", "run_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("run_tags_of_run", "run_tags", ["run_id"], unique=False)
    op.execute(
        """
        CREATE VIRTUAL TABLE runs_text USING fts5(
            text, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
        )
        """
    )
