"""`EnvironmentService`: the environments of this server, and whether they work at present."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mellea_jupyter.environments.interpreter import InterpreterError, Interpreters
from mellea_jupyter.exceptions import EnvironmentNotFound, InvalidInput
from mellea_jupyter.models.environments import Environment

DEFAULT_ENVIRONMENT_ID = "default"


class EnvironmentService:
    """The built-in `default` environment and those an operator configured.

    Synchronous; `get` and `list_all` look up, `probe` may take seconds and belongs in a worker
    thread. Safe for use from several threads.

    Args:
        configured: fields of `Environment` by id. `default` here replaces the built-in one.
        interpreters: shared answers of interpreters.

    Raises:
        InvalidInput: a configured environment has a wrong field; names it.
    """

    def __init__(
        self,
        configured: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        interpreters: Interpreters | None = None,
    ) -> None:
        self._interpreters = interpreters or Interpreters()
        self._lock = threading.Lock()
        default = Environment(id=DEFAULT_ENVIRONMENT_ID, name="This server's Python")
        self._environments = {DEFAULT_ENVIRONMENT_ID: default}
        for environment_id, fields in (configured or {}).items():
            self._environments[environment_id] = _validated(environment_id, fields)

    def get(self, environment_id: str | None = None) -> Environment:
        """The environment with this id; the default one for None.

        Raises:
            EnvironmentNotFound: its hint names those that exist.
        """
        with self._lock:
            found = self._environments.get(environment_id or DEFAULT_ENVIRONMENT_ID)
            if found is None:
                known = ", ".join(sorted(self._environments))
                raise EnvironmentNotFound(str(environment_id), hint=f"There are: {known}.")
            return found

    def list_all(self) -> tuple[Environment, ...]:
        """All environments, ordered by name, with what the last probe found."""
        with self._lock:
            return tuple(sorted(self._environments.values(), key=lambda e: (e.name, e.id)))

    def get_or_create(self, environment_id: str, fields: Mapping[str, Any]) -> Environment:
        """The environment with this id, made from `fields` when there is none yet.

        One that does not work is kept as well: it is shown with its reason.

        Raises:
            InvalidInput: there is none and a field is wrong; names it.
        """
        with self._lock:
            if environment_id not in self._environments:
                self._environments[environment_id] = _validated(environment_id, fields)
            return self._environments[environment_id]

    def probe(self, environment_id: str | None = None) -> Environment:
        """Find out whether runs can start in it now; the answer is kept with the environment.

        Only process environments are asked here, other executors answer for theirs. The
        interpreter is started when it or its packages changed since the last time.

        Raises:
            EnvironmentNotFound
        """
        environment = self.get(environment_id)
        if environment.executor != "process":
            return environment
        reason = self._find_problem(environment)
        probed = environment.model_copy(update={"available": reason is None, "reason": reason})
        with self._lock:
            if self._environments.get(environment.id) == environment:
                self._environments[environment.id] = probed
        return probed

    def probe_all(self) -> tuple[Environment, ...]:
        """All environments, ordered by name, each just probed."""
        return tuple(self.probe(environment.id) for environment in self.list_all())

    def _find_problem(self, environment: Environment) -> str | None:
        try:
            interpreter = self._interpreters.get(environment.python)
        except InterpreterError as error:
            return str(error)
        if interpreter.mellea_version is None:
            return f"mellea is not installed in {interpreter.path}."
        return None


def _validated(environment_id: str, fields: Mapping[str, Any]) -> Environment:
    try:
        return Environment.model_validate({"name": environment_id, **fields, "id": environment_id})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(["environments", environment_id, *map(str, first["loc"])])
        raise InvalidInput(field, first["msg"]) from error
