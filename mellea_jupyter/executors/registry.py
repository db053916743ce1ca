"""Executors by name: the built-in ones, and those that other packages register.

A package offers an executor under the entry point group `mellea_jupyter.executors`; its name is
what environments say in `executor`. A built-in name can not be taken over.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors.base import Executor
from mellea_jupyter.models.run import StatusReason

log = logging.getLogger(__name__)

GROUP = "mellea_jupyter.executors"

_BUILT_IN = {
    "docker": EntryPoint(
        "docker", "mellea_jupyter.executors.docker.executor:DockerExecutor", group=GROUP
    ),
    "kernel": EntryPoint(
        "kernel", "mellea_jupyter.executors.kernel.executor:KernelExecutor", group=GROUP
    ),
    "process": EntryPoint(
        "process", "mellea_jupyter.executors.process:ProcessExecutor", group=GROUP
    ),
}


@dataclass(frozen=True, slots=True)
class Executors:
    """The executors of an installation.

    Attributes:
        by_name: those that work here.
        problems: why one that is offered is not among them, in a sentence with a next step.
    """

    by_name: Mapping[str, Executor]
    problems: Mapping[str, str]


def create_executors(options: Mapping[str, Mapping[str, Any]] | None = None) -> Executors:
    """One executor of each kind that works here.

    One that does not load is left out and logged: runs of its environments fail and say why,
    others go on.

    Args:
        options: keyword arguments by executor; none for those it does not name.
    """
    executors: dict[str, Executor] = {}
    problems: dict[str, str] = {}
    for name in list_executors():
        try:
            executors[name] = load_executor(name)(**(options or {}).get(name, {}))
        except LaunchFailed as error:
            problems[name] = f"{error}. {error.hint}"
            log.warning("%s", problems[name])
    return Executors(executors, problems)


def no_executor(name: str) -> str:
    """Why runs of this executor can not start, where nobody offers one of the name."""
    return f"This installation has no {name} executor. Choose another environment."


def list_executors() -> tuple[str, ...]:
    """The names that `load_executor` knows, ordered."""
    return tuple(sorted(_known()))


def load_executor(name: str) -> type[Executor]:
    """The class behind a name, imported now.

    Raises:
        LaunchFailed: `environment_unavailable`: nobody registered it, it can not be imported, or
            it does not work on this platform.
    """
    point = _known().get(name)
    if point is None:
        known = ", ".join(list_executors())
        raise _unavailable(f"There is no executor {name!r}", f"There are: {known}.")
    if name in _BUILT_IN and sys.platform == "win32":
        hint = "Use Linux or macOS, or Windows' Subsystem for Linux."
        raise _unavailable("Runs are not supported on Windows yet", hint)
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as error:
        hint = "Repair or remove the package that offers it."
        raise _unavailable(f"The executor {name!r} can not be loaded: {error}", hint) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Executor)):
        hint = "Repair or remove the package that offers it."
        raise _unavailable(f"{point.value} is not an Executor", hint)
    return loaded


def _known() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)} | _BUILT_IN


def _unavailable(message: str, hint: str) -> LaunchFailed:
    return LaunchFailed(message, reason=StatusReason.ENVIRONMENT_UNAVAILABLE, hint=hint)
