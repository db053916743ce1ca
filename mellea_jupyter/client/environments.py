"""`client.environments`: where runs execute. The awaiting twin has the same methods."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from mellea_jupyter.client import requests
from mellea_jupyter.client.errors import ServerError, invalid_config
from mellea_jupyter.client.requests import AsyncSend, Send
from mellea_jupyter.models.environments import Environment, EnvironmentCreate, EnvironmentPatch


class Environments:
    """Environments of one server, blocking."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def list(self, *, refresh: bool = False) -> tuple[Environment, ...]:
        """Those to choose from, ordered by name; with `refresh` all are checked now."""
        return self._send(requests.list_environments(refresh=refresh))

    def get(self, environment_id: str, *, refresh: bool = False) -> Environment:
        """One environment, and whether it works."""
        return self._send(requests.get_environment(environment_id, refresh=refresh))

    def create(self, name: str, **fields: Any) -> Environment:
        """Make one; the same description gives the same one.

        Args:
            name: shown name.
            fields: of `EnvironmentCreate`: `executor, python, image, kernel_name, cpus,
                memory_mb, pids_limit, network, env_passthrough, preload, prewarm, shared`.

        Raises:
            InvalidConfig: a field has a value it can not have.
            ServerError: 409 where there is one of this name that is described otherwise.
        """
        return self._send(requests.create_environment(_new(name, fields)))

    def get_or_create(self, name: str, **fields: Any) -> Environment:
        """The environment of this name however it is described, made from `fields` if need be."""
        try:
            return self.create(name, **fields)
        except ServerError as error:
            return self.get(_id_of_taken(error))

    def update(self, environment_id: str, **fields: Any) -> Environment:
        """Change fields; None resets one to its default. Raises `InvalidConfig`."""
        return self._send(requests.update_environment(environment_id, _changes(fields)))

    def delete(self, environment_id: str) -> Environment:
        """Delete it; what it was. Its runs stay readable."""
        return self._send(requests.delete_environment(environment_id))


class AsyncEnvironments:
    """`Environments` for `await`."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def list(self, *, refresh: bool = False) -> tuple[Environment, ...]:
        """Those to choose from, ordered by name; with `refresh` all are checked now."""
        return await self._send(requests.list_environments(refresh=refresh))

    async def get(self, environment_id: str, *, refresh: bool = False) -> Environment:
        """One environment, and whether it works."""
        return await self._send(requests.get_environment(environment_id, refresh=refresh))

    async def create(self, name: str, **fields: Any) -> Environment:
        """Make one; as `Environments.create`."""
        return await self._send(requests.create_environment(_new(name, fields)))

    async def get_or_create(self, name: str, **fields: Any) -> Environment:
        """The environment of this name however it is described, made from `fields` if need be."""
        try:
            return await self.create(name, **fields)
        except ServerError as error:
            return await self.get(_id_of_taken(error))

    async def update(self, environment_id: str, **fields: Any) -> Environment:
        """Change fields; None resets one to its default. Raises `InvalidConfig`."""
        return await self._send(requests.update_environment(environment_id, _changes(fields)))

    async def delete(self, environment_id: str) -> Environment:
        """Delete it; what it was. Its runs stay readable."""
        return await self._send(requests.delete_environment(environment_id))


def _id_of_taken(error: ServerError) -> str:
    """The id of the environment that has the name. Raises the error, where it is another one."""
    if error.code != "name_taken":
        raise error
    return str(error.details["id"])


def _new(name: str, fields: dict[str, Any]) -> EnvironmentCreate:
    try:
        return EnvironmentCreate.model_validate({**fields, "name": name})
    except ValidationError as exc:
        raise invalid_config(exc, "environment") from exc


def _changes(fields: dict[str, Any]) -> EnvironmentPatch:
    try:
        return EnvironmentPatch.model_validate(fields)
    except ValidationError as exc:
        raise invalid_config(exc, "environment") from exc
