"""The environments that every user of a server has: the built-in one and the operator's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from mellea_jupyter.exceptions import InvalidInput
from mellea_jupyter.models.environments import Environment, executor_heeds

DEFAULT_ENVIRONMENT_ID: Final = "default"


def configured_environments(
    settings: Iterable[Mapping[str, Any]], defaults: Mapping[str, Any]
) -> dict[str, Environment]:
    """The environments of these settings by id, the built-in `default` among them.

    Args:
        settings: fields of `Environment`, each with an `id`; one called `default` replaces the
            built-in one. `name` is the id where it is absent.
        defaults: fields for those that do not say otherwise.

    Raises:
        InvalidInput: a field is wrong, or an id is missing or there twice; names the setting.
    """
    check_defaults(defaults)
    found: dict[str, Environment] = {}
    for index, fields in enumerate(settings):
        where = f"environments[{index}]"
        environment_id = fields.get("id")
        if not isinstance(environment_id, str):
            raise InvalidInput(f"{where}.id", "an environment in the settings needs an id")
        if environment_id in found:
            raise InvalidInput(f"{where}.id", f"there is another {environment_id!r}")
        described = with_defaults({"name": environment_id, **fields}, defaults)
        found[environment_id] = _validated({**described, "is_configured": True}, where)
    if DEFAULT_ENVIRONMENT_ID not in found:
        built_in = with_defaults({"executor": "process", "name": "This server's Python"}, defaults)
        found[DEFAULT_ENVIRONMENT_ID] = _validated(
            {**built_in, "id": DEFAULT_ENVIRONMENT_ID, "is_configured": True},
            "environment_defaults",
        )
    return found


def with_defaults(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """These fields, and the operator's defaults for those that are absent.

    A default counts only where the field means something: `network` says nothing of a process.
    """
    executor = str(fields.get("executor", defaults.get("executor", "process")))
    wanted = {n: v for n, v in defaults.items() if executor_heeds(executor, n)}
    return {**wanted, **fields}


def check_defaults(defaults: Mapping[str, Any]) -> None:
    """Raises InvalidInput: a default is not a field of environments, or a wrong value of one."""
    any_executor = {"executor": "any", **defaults, "name": "any"}
    _validated({**any_executor, "id": "any"}, "environment_defaults")


def _validated(fields: Mapping[str, Any], where: str) -> Environment:
    try:
        return Environment.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join([where, *map(str, first["loc"])])
        raise InvalidInput(field, first["msg"].removeprefix("Value error, ")) from error
