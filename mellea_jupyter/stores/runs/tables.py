"""The tables of the runs store, as SQLAlchemy metadata.

Every column that a filter, an order or a total uses is a column of its own; `doc` holds the whole
record as JSON. Timestamps are Unix milliseconds, money is integer pico-dollars. The full-text
index is not here because it is different in each database (`sqlite.py`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from mellea_jupyter.models.run import RunStatus

metadata = MetaData()

SPENDING: Final = (
    "useful_pico_usd", "repair_pico_usd", "judge_pico_usd", "wasted_pico_usd", "accepted_outputs",
)  # fmt: skip
"""Columns of `runs` and of the rollup that came with revision 0006."""


def _of_run() -> Column[str]:
    return Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False)


runs = Table(
    "runs",
    metadata,
    Column("n", Integer, primary_key=True),  # row of the full-text index
    Column("id", String, nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("owner_id", String, nullable=False),
    Column("asset_id", String, nullable=False),
    Column("asset_name", String, nullable=False),
    Column("model", String),  # the default model of the configuration
    Column("status", String, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("started_ms", BigInteger),
    Column("finished_ms", BigInteger),
    Column("duration_ms", BigInteger),  # null until the program started or the run ended
    Column("llm_calls", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("cost_pico_usd", BigInteger),  # null: calls were made and none has a price
    Column("unpriced_calls", BigInteger, nullable=False),
    Column("calls_without_usage", BigInteger, nullable=False),
    Column("retry_root", String),  # the first run of the chain of retries; null for a first run
    Column("attempt", Integer, nullable=False),
    Column("doc", Text, nullable=False),
    Column("expires_ms", BigInteger),  # null: nothing of the run is to be removed
    # What `cost_pico_usd` was spent on, and for how much; null where that was not told apart.
    *(Column(name, BigInteger) for name in SPENDING),
    Column("group_id", String),
    Column("fingerprint", String),  # of its failure; null for a run that has not failed
)

# One index for each order, and one for each usual filter in the usual order. The id after the
# column makes a keyset page a range of the index. The owner at the end of an order lets a page of
# one owner's runs be found in the index, without a look at the rows of all others.
for _column in (
    "created_ms", "started_ms", "finished_ms", "duration_ms", "cost_pico_usd", "asset_name",
    "llm_calls", "tokens",
):  # fmt: skip
    Index(f"runs_by_{_column}", runs.c[_column], runs.c.id, runs.c.owner_id)
for _column in ("owner_id", "asset_id", "model", "status"):
    Index(f"runs_of_{_column}", runs.c[_column], runs.c.created_ms, runs.c.id)
Index("runs_by_owner_id", runs.c.owner_id, runs.c.id)
for _column in ("model", "status"):
    Index(f"runs_by_{_column}", runs.c[_column], runs.c.id, runs.c.owner_id)
Index("runs_of_owner_status", runs.c.owner_id, runs.c.status, runs.c.created_ms, runs.c.id)
Index("runs_of_asset_cost", runs.c.asset_id, runs.c.cost_pico_usd, runs.c.id)
Index("runs_of_retry_root", runs.c.retry_root)
Index("runs_by_expires_ms", runs.c.expires_ms)
_grouped = runs.c.group_id.is_not(None)  # most runs are in none and cost the index nothing
Index("runs_of_group_id", runs.c.group_id, runs.c.created_ms, runs.c.id, sqlite_where=_grouped)
Index(
    # With the time of the end, so that counting a failure reads the index alone.
    "runs_of_fingerprint",
    runs.c.fingerprint, runs.c.owner_id, runs.c.created_ms, runs.c.id, runs.c.finished_ms,
    sqlite_where=runs.c.fingerprint.is_not(None),
)  # fmt: skip

run_tags = Table(
    "run_tags",
    metadata,
    _of_run(),
    Column("tag", String, nullable=False),
    PrimaryKeyConstraint("tag", "run_id"),
    Index("run_tags_of_run", "run_id"),
    sqlite_with_rowid=False,
)

placements = Table(
    "placements",
    metadata,
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("lease", String),
    Column("handle", Text),
    Column("folded_seq", BigInteger, nullable=False),
    Column("environment_id", String, nullable=False),
    Column("executor", String, nullable=False),
    Column("content_hash", String, nullable=False),
    Column("entry_point", String, nullable=False),
    Column("program_dir", String),
    Column("kind", String, nullable=False),
    Column("server", String, nullable=False, server_default=""),  # "": any server may execute it
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner_id", String, nullable=False),
    Column("key", String, nullable=False),
    _of_run(),
    Column("request_hash", String, nullable=False),
    PrimaryKeyConstraint("owner_id", "key"),
    Index("idempotency_keys_of_run", "run_id"),
)

calls = Table(
    "calls",
    metadata,
    _of_run(),
    Column("call", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("purpose", String, nullable=False),
    Column("provider", String),
    Column("model", String),
    Column("status", String, nullable=False),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("latency_ms", Float),
    Column("cost_pico_usd", BigInteger),
    Column("loop", BigInteger),
    Column("attempt", BigInteger),
    Column("error", Text),
    Column("response_model", String),
    Column("action", String),
    Column("cached_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("ttft_ms", Float),
    Column("streaming", Boolean),  # null in rows that were made without this column
    Column("finish_reason", String),
    Column("requests", BigInteger),
    Column("price_source", String),
    Column("price_version", String),
    Column("price_dated", String),
    Column("chain", BigInteger),
    Column("requirement", BigInteger),
    Column("line", BigInteger),
    Column("has_content", Boolean),
    Column("cache_write_tokens", BigInteger),
    PrimaryKeyConstraint("run_id", "call"),
    Index("calls_by_seq", "run_id", "seq"),
    sqlite_with_rowid=False,
)

loops = Table(
    "loops",
    metadata,
    _of_run(),
    Column("loop", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("doc", Text, nullable=False),
    PrimaryKeyConstraint("run_id", "loop"),
    Index("loops_by_seq", "run_id", "seq"),
    sqlite_with_rowid=False,
)

usage_series = Table(
    "usage_series",
    metadata,
    Column("run_id", String, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("doc", Text, nullable=False),
    sqlite_with_rowid=False,
)

outputs = Table(
    "outputs",
    metadata,
    Column("n", Integer, primary_key=True),  # the order in which they were declared
    _of_run(),
    Column("artifact_id", String, nullable=False),
    Column("doc", Text, nullable=False),
    UniqueConstraint("run_id", "artifact_id"),
)

assets = Table(
    "assets",
    metadata,
    Column("id", String, primary_key=True),
    Column("origin", String, nullable=False, unique=True),
    Column("owner_id", String, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("doc", Text, nullable=False),
    Index("assets_by_updated", "updated_ms", "id"),
    Index("assets_of_owner", "owner_id", "updated_ms", "id"),
)

pinned_files = Table(
    "pinned_files",
    metadata,
    Column("content_hash", String, nullable=False),
    Column("path", String, nullable=False),
    Column("checksum", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("content_hash", "path"),
    sqlite_with_rowid=False,
)

environments = Table(
    "environments",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner_id", String),  # null: shared with everybody
    Column("name", String, nullable=False),
    Column("doc", Text, nullable=False),
    Index("environments_of_owner", "owner_id", "name"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", String, primary_key=True),
    Column("origin", String, nullable=False, unique=True),
    Column("owner_id", String, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("doc", Text, nullable=False),
    Index("datasets_by_updated", "updated_ms", "id"),
    Index("datasets_of_owner", "owner_id", "updated_ms", "id"),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("dataset_id", String, ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
    Column("version", String, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("doc", Text, nullable=False),
    PrimaryKeyConstraint("dataset_id", "version"),
    Index("dataset_versions_of_version", "version"),
    sqlite_with_rowid=False,
)

dataset_files = Table(
    "dataset_files",
    metadata,
    Column("version", String, nullable=False),  # the same for all datasets with this content
    Column("path", String, nullable=False),
    Column("checksum", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("version", "path"),
    Index("dataset_files_of_checksum", "checksum"),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("user", String, nullable=False),
    Column("action", String, nullable=False),
    Column("run_id", String),  # kept after the run is deleted, so no foreign key
    Column("details", Text, nullable=False),
    Column("owner_id", String),  # whose run it was; null in rows of earlier versions
    Column("admin_override", Boolean),
    Index("audit_of_run", "run_id"),
    Index("audit_of_user", "user", "n"),
    Index("audit_of_action", "action", "n"),
)

shares = Table(
    "shares",
    metadata,
    _of_run(),
    Column("principal", String, nullable=False),  # as `Principal.key`
    Column("role", String, nullable=False),
    Column("shared_by", String, nullable=False),
    Column("shared_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "principal"),
    Index("shares_of_principal", "principal", "run_id"),
    sqlite_with_rowid=False,
)

asset_shares = Table(
    "asset_shares",
    metadata,
    Column("asset_id", String, ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("principal", String, nullable=False),
    Column("shared_by", String, nullable=False),
    Column("shared_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("asset_id", "principal"),
    Index("asset_shares_of_principal", "principal", "asset_id"),
    sqlite_with_rowid=False,
)

identities = Table(
    "identities",
    metadata,
    Column("owner_id", String, primary_key=True),
    Column("user_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("is_admin", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

identity_groups = Table(
    "identity_groups",
    metadata,
    Column(
        "owner_id", String, ForeignKey("identities.owner_id", ondelete="CASCADE"), nullable=False
    ),
    Column("name", String, nullable=False),
    PrimaryKeyConstraint("name", "owner_id"),
    Index("identity_groups_of_owner", "owner_id"),
    sqlite_with_rowid=False,
)

RUN_SUMS: Final = (
    "input_tokens", "output_tokens", "llm_calls", "cost_pico_usd", "unpriced_calls",
    "calls_without_usage", *SPENDING,
)  # fmt: skip
"""The columns of `runs` that the rollup adds up as they are."""

STATUS_COUNTS: Final = tuple(f"{status.value}_runs" for status in RunStatus)
"""A column of the rollup for each status: how many runs have it."""

ROLLUP_SUMS: Final = ("runs", *RUN_SUMS, "ended_ms", *STATUS_COUNTS)
"""The totals that the rollup keeps and a summary is made of."""

rollup = Table(
    "rollup",
    metadata,
    Column("grain", Integer, nullable=False),  # which of the next five the row tells apart
    Column("owner_id", String, nullable=False),
    Column("asset_id", String, nullable=False),
    Column("model", String, nullable=False),  # "" also for runs without a model
    Column("hour", Integer, nullable=False),  # hours since 1970 in UTC, of the run's creation
    Column("status", String, nullable=False),
    # Totals of these runs; `ended_ms` is the duration of those that have ended.
    *(
        Column(name, BigInteger, nullable=False, server_default="0" if name in SPENDING else None)
        for name in ROLLUP_SUMS
    ),
    PrimaryKeyConstraint("grain", "owner_id", "asset_id", "model", "hour", "status"),
    sqlite_with_rowid=False,
)
