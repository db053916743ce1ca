"""The Python client: run programs, follow and steer runs, find or start a server.

Names are imported when they are first used, so that `import mellea_jupyter.client` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mellea_jupyter.lazy import lazy_names

if TYPE_CHECKING:
    from mellea_jupyter.client.aio import AsyncMelleaClient
    from mellea_jupyter.client.connection import Connection
    from mellea_jupyter.client.errors import (
        ClientError,
        ConnectionFailed,
        InvalidConfig,
        InvalidProgram,
        RunFailed,
        ServerError,
        ServerNotFound,
        UnexpectedReply,
        WaitTimeout,
    )
    from mellea_jupyter.client.group import RunGroupHandle
    from mellea_jupyter.client.handle import RunHandle
    from mellea_jupyter.client.handle_async import AsyncRunHandle
    from mellea_jupyter.client.launch import connect, run, run_async, run_group
    from mellea_jupyter.client.sync import MelleaClient

_MODULES = {
    "AsyncMelleaClient": "aio",
    "AsyncRunHandle": "handle_async",
    "ClientError": "errors",
    "Connection": "connection",
    "ConnectionFailed": "errors",
    "InvalidConfig": "errors",
    "InvalidProgram": "errors",
    "MelleaClient": "sync",
    "RunFailed": "errors",
    "RunGroupHandle": "group",
    "RunHandle": "handle",
    "ServerError": "errors",
    "ServerNotFound": "errors",
    "UnexpectedReply": "errors",
    "WaitTimeout": "errors",
    "connect": "launch",
    "run": "launch",
    "run_async": "launch",
    "run_group": "launch",
}

__all__ = [
    "AsyncMelleaClient",
    "AsyncRunHandle",
    "ClientError",
    "Connection",
    "ConnectionFailed",
    "InvalidConfig",
    "InvalidProgram",
    "MelleaClient",
    "RunFailed",
    "RunGroupHandle",
    "RunHandle",
    "ServerError",
    "ServerNotFound",
    "UnexpectedReply",
    "WaitTimeout",
    "connect",
    "run",
    "run_async",
    "run_group",
]


__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
