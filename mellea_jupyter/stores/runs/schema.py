"""The version of the stored schema: making it, bringing it up to date, refusing a newer one.

Alembic is imported only where a stored schema has to be brought up to date. A new database is made
from the metadata at once and marked with the newest revision; a test holds that both ways give the
same schema.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text

from mellea_jupyter.exceptions import SchemaTooNew
from mellea_jupyter.stores.notices import tables as _notices  # noqa: F401 - adds its tables
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.tables import metadata

MIGRATIONS: Final = Path(__file__).parent / "migrations"
REVISIONS: Final = (
    "0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011",
)  # fmt: skip
"""All revisions in `migrations/versions`, oldest first."""


def prepare(
    engine: Engine, path: Path, *, revisions: Sequence[str] = REVISIONS,
    migrations: Path = MIGRATIONS,
) -> None:  # fmt: skip
    """Make the schema, or migrate it to the newest of `revisions`; idempotent.

    Safe when several processes do it at once: it happens under the exclusive lock of the database,
    and whoever comes second finds nothing to do. Before a migration the database is copied beside
    itself (`<name>.<old revision>.<Unix seconds>.bak`).

    Raises:
        SchemaTooNew: a newer version of this package wrote the store.
    """
    with engine.connect() as connection:
        if _stored(connection) == revisions[-1]:
            return
    with engine.connect().execution_options(**dialect.EXCLUSIVE) as connection, connection.begin():
        stored = _stored(connection)
        if stored == revisions[-1]:
            return
        if stored is None:
            _create(connection, revisions[-1])
        elif stored in revisions:
            dialect.back_up(path, path.with_name(f"{path.name}.{stored}.{int(time.time())}.bak"))
            _upgrade(connection, migrations)
        else:
            raise SchemaTooNew(
                f"{path} has schema {stored}, and this version knows it up to {revisions[-1]}",
                hint="Upgrade mellea-jupyter, or choose another data folder.",
                stored=stored,
                known=revisions[-1],
            )


def _stored(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    stored = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if stored is None else str(stored)


def _create(connection: Connection, revision: str) -> None:
    metadata.create_all(connection)
    for statement in dialect.SEARCH_TABLES:
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"),
                       {"revision": revision})  # fmt: skip


def _upgrade(connection: Connection, migrations: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
