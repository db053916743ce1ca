"""What Alembic runs: the migrations, inside the transaction of the connection it is given."""

from __future__ import annotations

from alembic import context

from mellea_jupyter.stores.runs.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes most things only by copying the table
)
context.run_migrations()
