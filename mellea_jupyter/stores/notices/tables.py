"""The tables of notices, preferences and the outbox, in the metadata of the runs store."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from mellea_jupyter.stores.runs.tables import metadata

UNREAD: Final = 1 << 60
"""Added to the place of unread notices, which come before all read ones."""

notices = Table(
    "notices",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("user_id", String, nullable=False),
    Column("type", String, nullable=False),
    Column("place", BigInteger, nullable=False),  # updated_ms, and UNREAD where it is
    Column("updated_ms", BigInteger, nullable=False),
    Column("read_ms", BigInteger),
    Column("closes_ms", BigInteger, nullable=False),  # no run joins from then on; 0 once begun
    Column("revision", BigInteger, nullable=False),  # grows with every change to any notice
    Column("doc", Text, nullable=False),  # without read_at
    Index("notices_by_place", "user_id", "place", "id"),
    Index("notices_open", "user_id", "closes_ms"),
    Index("notices_by_revision", "revision", "user_id"),
    Index("notices_by_updated", "updated_ms"),
)

preferences = Table(
    "notification_preferences",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("doc", Text, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("notice_id", String, ForeignKey("notices.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("run", Text),  # for channels that carry each run by itself
    Column("lease", String),  # the service that sends it; null once sent or given up
    Column("due_ms", BigInteger, nullable=False),
    Column("first_due_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sent_ms", BigInteger),
    Column("given_up_ms", BigInteger),
    Column("error", Text),
    Index("deliveries_due", "lease", "channel", "due_ms"),
    Index("deliveries_of_notice", "notice_id"),
)
