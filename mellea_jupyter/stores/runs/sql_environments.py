"""Environments that users made, in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from mellea_jupyter.exceptions import EnvironmentNotFound, NameTaken
from mellea_jupyter.models.environments import Environment
from mellea_jupyter.stores.runs.sql_part import SqlPart
from mellea_jupyter.stores.runs.tables import environments


class SqlEnvironments(SqlPart):
    """Where runs execute."""

    def add_environment(self, environment: Environment) -> Environment:
        with self._writing() as connection:
            same = _environment_of_name(connection, environment)
            if same is not None:
                return same
            columns = {"id": environment.id, **_environment_columns(environment)}
            connection.execute(insert(environments), columns)
        return environment

    def get_environment(self, environment_id: str) -> Environment:
        query = select(environments.c.doc).where(environments.c.id == environment_id)
        with self._reading() as connection:
            doc = connection.scalar(query)
        if doc is None:
            raise EnvironmentNotFound(environment_id)
        return Environment.model_validate_json(doc)

    def list_environments(self, *, visible_to: str | None) -> list[Environment]:
        query = select(environments.c.doc).order_by(environments.c.name, environments.c.id)
        if visible_to is not None:
            owner_id = environments.c.owner_id
            query = query.where(owner_id.is_(None) | (owner_id == visible_to))
        with self._reading() as connection:
            return [Environment.model_validate_json(doc) for doc in connection.scalars(query)]

    def save_environment(self, environment: Environment) -> None:
        with self._writing() as connection:
            same = _environment_of_name(connection, environment)
            if same is not None and same.id != environment.id:
                raise NameTaken("environment", same.name, same.id)
            known = update(environments).where(environments.c.id == environment.id)
            if not connection.execute(known.values(_environment_columns(environment))).rowcount:
                raise EnvironmentNotFound(environment.id)

    def delete_environment(self, environment_id: str) -> None:
        known = delete(environments).where(environments.c.id == environment_id)
        with self._writing() as connection:
            if not connection.execute(known).rowcount:
                raise EnvironmentNotFound(environment_id)


def _environment_of_name(connection: Connection, like: Environment) -> Environment | None:
    """What the owner has under this name."""
    same = (
        environments.c.owner_id.is_not_distinct_from(like.owner_id),
        environments.c.name == like.name,
    )
    doc = connection.scalar(select(environments.c.doc).where(*same))
    return None if doc is None else Environment.model_validate_json(doc)


def _environment_columns(environment: Environment) -> dict[str, Any]:
    doc = environment.model_dump_json(exclude={"available", "reason", "checked_at", "facts"})
    return {"owner_id": environment.owner_id, "name": environment.name, "doc": doc}
