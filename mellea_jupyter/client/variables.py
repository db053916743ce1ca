"""Which environment variables of this process a run needs to be told about.

Providers are configured by variables. One that was set here, after the server had started, is not
in the environment that the server gives to its runs, so it is sent along (as a secret where its
name looks like one). What the server has anyway is not sent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import psutil

from mellea_jupyter.models.variables import is_provider_variable


def provider_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The provider variables in `environ`, by name."""
    return {name: environ[name] for name in sorted(environ) if is_provider_variable(name)}


def variables_to_forward(server_pid: int | None) -> dict[str, str]:
    """Provider variables of this process that the server does not have, or has otherwise.

    Compared with the environment the server was started with where it runs beside us as the same
    user. Otherwise with the one this process was started with: then only what was set in the
    notebook since is sent, and nothing that its owner did not set for this session.

    Args:
        server_pid: the server's process on this machine; None when not known.
    """
    own = provider_variables(os.environ)
    if not own:
        return {}
    known = _initial_environment(server_pid)
    if known is None:
        known = _initial_environment(os.getpid())
    if known is None:
        return {}
    return {name: value for name, value in own.items() if known.get(name) != value}


def _initial_environment(pid: int | None) -> dict[str, str] | None:
    """The environment a process was started with; None when it can not be read."""
    if pid is None:
        return None
    try:
        return psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return None
