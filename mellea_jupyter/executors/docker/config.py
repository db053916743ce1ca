"""How a container is made: closed by default, opened only as far as its environment says.

Source: the engine's API 1.41, `POST /containers/create`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mellea_jupyter.executors.docker.folders import RUN, RUNTIME, Account
from mellea_jupyter.models.environments import Environment

LABEL: Final = "mellea-jupyter"
RUN_LABEL: Final = "mellea-jupyter.run"
SIDECAR_LABEL: Final = "mellea-jupyter.sidecar"
NETWORK: Final = "mellea-jupyter-internal"
HOST_NAME: Final = "host.docker.internal"
CONTAINER_UID: Final = 10001
"""Of a container's processes where the server is root: nobody's on a usual machine."""

TMP_BYTES: Final = 512 << 20
ENGINE_LOG: Final = {"type": "json-file", "config": {"max-size": "1m", "max-file": "1"}}
"""The engine's own log holds what fails before our supervisor runs, and nothing a run depends on:
engines lose lines when such a log rotates."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container gets where its environment says nothing."""

    memory_mb: int = 2048
    pids: int = 512
    cpus: float = 2.0


@dataclass(frozen=True, slots=True)
class Body:
    """What differs from container to container."""

    image_id: str
    command: Sequence[str]
    mounts: Iterable[Mapping[str, Any]]
    labels: Mapping[str, str]
    env: Mapping[str, str]


def container_config(
    body: Body, environment: Environment, limits: Limits, account: Account, *, engine_cpus: float
) -> dict[str, Any]:
    """Arguments for `Engine.create`. Needs the SDK."""
    from docker.types import Mount

    memory = (environment.memory_mb or limits.memory_mb) << 20
    network = environment.network or "bridge"
    host: dict[str, Any] = {
        "mounts": [Mount(**mount) for mount in body.mounts],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "read_only": True,
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,size={TMP_BYTES},mode=1777"},  # noqa: S108  # inside
        "pids_limit": environment.pids_limit or limits.pids,
        "mem_limit": memory,
        "memswap_limit": memory,  # memory and swap together: no swap
        "nano_cpus": round(min(environment.cpus or limits.cpus, engine_cpus) * 1e9),
        "init": True,
        "log_config": ENGINE_LOG,
        "network_mode": NETWORK if network == "internal" else network,
    }
    if network != "none":
        host["extra_hosts"] = {HOST_NAME: "host-gateway"}
    return {
        "image": body.image_id,
        "entrypoint": list(body.command),
        "command": [],
        "user": str(account),
        "working_dir": "/",
        "environment": {"HOME": "/tmp", **body.env},  # noqa: S108  # the container's own
        "labels": {LABEL: "1", **body.labels},
        "stop_signal": "SIGTERM",
        "host_config": host,
    }


def cold_command() -> list[str]:
    """What a container for one known run executes: the mounted runtime, with the image's Python."""
    return ["python3", "-I", "-S", RUNTIME, "sidecar", RUN]


def ahead_command(preload: Sequence[str], idle_seconds: float) -> list[str]:
    """What a container made ahead executes: as above, with the program's own interpreter flags."""
    wait = ["--wait", str(idle_seconds), "--preload", ",".join(preload)]
    return ["python3", RUNTIME, "sidecar", RUN, *wait]
