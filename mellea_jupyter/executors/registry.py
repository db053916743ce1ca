"""Executors by name: the built-in ones, and those that other packages register.

A package offers an executor under the entry point group `mellea_jupyter.executors`; its name is
what environments say in `executor`. A built-in name can not be taken over.
"""

from __future__ import annotations

import logging
import sys
from importlib.metadata import EntryPoint, entry_points

from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors.base import Executor
from mellea_jupyter.models.run import StatusReason

log = logging.getLogger(__name__)

GROUP = "mellea_jupyter.executors"

_BUILT_IN = {
    "process": EntryPoint(
        "process", "mellea_jupyter.executors.process:ProcessExecutor", group=GROUP
    ),
}


def create_executors(*, fork_server_idle_seconds: float = 1800.0) -> dict[str, Executor]:
    """One executor of each kind that works here, by name.

    A registered class is called without arguments. One that does not load is left out and logged:
    runs of its environments are refused, others go on.
    """
    executors: dict[str, Executor] = {}
    for name in list_executors():
        try:
            loaded = load_executor(name)
        except LaunchFailed as error:
            log.warning("%s. %s", error, error.hint)
            continue
        options = {"warm_idle_seconds": fork_server_idle_seconds} if name == "process" else {}
        executors[name] = loaded(**options)
    return executors


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
