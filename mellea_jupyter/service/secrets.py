"""Secret variables: split off at the door, kept in a file of the run, never in the record.

A variable is secret when its name says so (`is_secret_name`). Its value goes into `secrets` in the
run's folder (0600) and nowhere else; the stored config holds a mask.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mellea_jupyter.environments.variables import secret_names
from mellea_jupyter.models.config import MASK, RunConfig
from mellea_jupyter.models.environments import Environment
from mellea_jupyter.models.variables import is_secret_name

FILE_NAME = "secrets"


def split(config: RunConfig) -> tuple[RunConfig, dict[str, str]]:
    """The config with secret values masked, and those values by name."""
    secrets = {name: value for name, value in config.env_vars.items() if is_secret_name(name)}
    if not secrets:
        return config, {}
    masked = {name: MASK if name in secrets else value for name, value in config.env_vars.items()}
    return config.model_copy(update={"env_vars": masked}), secrets


def take_from(variables: dict[str, str], environment: Environment) -> dict[str, str]:
    """Remove the secret variables from a program's variables and return them.

    What the program inherits of the server holds keys as well: they belong with the run's own.
    """
    names = secret_names(environment, variables)
    return {name: variables.pop(name) for name in names}


def restore(config: RunConfig, kept: Mapping[str, str]) -> RunConfig:
    """The config with the kept values in the place of masks, for a run that repeats another.

    A mask without a kept value stays: a program may have a reason to be told so.
    """
    values = {
        name: kept.get(name, value) if value == MASK else value
        for name, value in config.env_vars.items()
    }
    return config.model_copy(update={"env_vars": values})


def write(run_dir: Path, secrets: Mapping[str, str]) -> None:
    """Write the run's secrets file, readable by its owner alone. Nothing is written for none."""
    import orjson

    if not secrets:
        return
    path = run_dir / FILE_NAME
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(orjson.dumps(dict(secrets)))


def read(run_dir: Path) -> dict[str, str]:
    """The run's secrets by name; empty when it has none."""
    import orjson

    try:
        fd = os.open(run_dir / FILE_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    with os.fdopen(fd, "rb") as file:
        found: dict[str, Any] = orjson.loads(file.read())
    return {str(name): str(value) for name, value in found.items()}
