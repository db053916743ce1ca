"""Which of the server's variables the programs of an environment get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mellea_jupyter.models.environments import Environment
from mellea_jupyter.models.variables import (
    SERVER_PREFIXES,
    is_provider_variable,
    is_secret_name,
)

LOCAL_EXECUTORS: Final = frozenset({"process", "kernel"})
"""Executors whose programs run on the server's machine, in its file system and as its user."""

_NEEDED: Final = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "SSL_CERT_DIR",
        "SSL_CERT_FILE", "TEMP", "TMP", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV",
    }
)  # fmt: skip
"""What a program on this machine gets in any case: without them hardly anything starts."""


def inherited_variables(environment: Environment, server: Mapping[str, str]) -> dict[str, str]:
    """What a program inherits of the server's variables: never those of the server itself.

    Args:
        environment: without `env_passthrough`, programs on this machine get all, and others those
            that configure model providers.
        server: the server's variables.
    """
    is_local = environment.executor in LOCAL_EXECUTORS
    named = environment.env_passthrough

    def is_given(name: str) -> bool:
        if named is None:
            return is_local or is_provider_variable(name)
        return name in named or (is_local and (name in _NEEDED or name.startswith("LC_")))

    return {
        name: value
        for name, value in server.items()
        if is_given(name) and not name.startswith(SERVER_PREFIXES)
    }


def secret_names(environment: Environment, names: Mapping[str, str]) -> list[str]:
    """Those of the names whose values are secrets: by their name, or because they were passed.

    What was named in `env_passthrough` counts as a key, unless it is known as a setting of a
    provider (an address, a region).
    """
    passed = environment.env_passthrough or ()
    return [
        name
        for name in names
        if is_secret_name(name) or (name in passed and not is_provider_variable(name)
                                    and name not in _NEEDED)
    ]  # fmt: skip
