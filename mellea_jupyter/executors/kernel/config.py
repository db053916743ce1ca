"""What of a Jupyter server's settings concerns kernels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_SECTIONS: Final = ("Provisioner", "ProvisionerFactory", "KernelManager", "ConnectionFileMixin")
_SERVERS_OWN: Final = ("MappingKernelManager", "MultiKernelManager")


def kernel_config(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The sections for single kernels and their provisioners, as far as JSON holds them.

    What is for the server's manager of many kernels is left out, but for how connections are
    encrypted, which it passes on to each kernel.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, section in config.items():
        if not isinstance(section, Mapping) or not name.endswith(_SECTIONS):
            continue
        given = {key: value for key, value in section.items() if _is_json(value)}
        if name.endswith(_SERVERS_OWN):
            name, given = (  # noqa: PLW2901 - it is told to each kernel's own manager
                "KernelManager",
                {k: v for k, v in given.items() if k == "transport_encryption"},
            )
        if given:
            found.setdefault(name, {}).update(given)
    return found


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
