"""What happens to a run from outside: to its supervisor, its container or its engine."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from mellea_jupyter.testing.server import JupyterServer
from tests.docker.own_engine import OwnEngine
from tests.executors.runs import frames, wait_until


@dataclass(frozen=True)
class Scene:
    """A run, the server that has it, and its engine where it has one."""

    server: JupyterServer
    http: httpx.Client
    run: dict[str, Any]
    own_engine: OwnEngine | None


def _when_it_prints(scene: Scene) -> None:
    """Once its program runs and the journal names it."""
    scene.server.wait_for(scene.http, scene.run["id"], ("running",))
    run_dir = scene.server.data_dir / "runs" / scene.run["id"]
    wait_until(lambda: frames(run_dir, "program"), "a program")


def _signal_supervisor(scene: Scene, number: signal.Signals) -> None:
    _when_it_prints(scene)
    run_dir = scene.server.data_dir / "runs" / scene.run["id"]
    [started] = frames(run_dir, "started")
    os.kill(started["supervisor_pid"], number)


def _kill_supervisor(scene: Scene) -> None:
    _signal_supervisor(scene, signal.SIGKILL)


def _terminate_supervisor(scene: Scene) -> None:
    _signal_supervisor(scene, signal.SIGTERM)


def _signal_kernel(scene: Scene, number: signal.Signals) -> None:
    _when_it_prints(scene)
    [program] = frames(scene.server.data_dir / "runs" / scene.run["id"], "program")
    os.kill(program["pid"], number)


def _kill_kernel(scene: Scene) -> None:
    _signal_kernel(scene, signal.SIGKILL)


def _crash_kernel(scene: Scene) -> None:
    _signal_kernel(scene, signal.SIGBUS)


def _container_of(scene: Scene) -> tuple[Any, str]:
    import docker

    _when_it_prints(scene)
    client = docker.APIClient(version="auto", timeout=60)
    for each in client.containers(filters={"label": "mellea-jupyter=1"}):
        sources = [str(mount.get("Source")) for mount in each["Mounts"]]
        if any(scene.run["id"] in source for source in sources):
            return client, each["Id"]
    msg = f"the run {scene.run['id']} has no container"
    raise LookupError(msg)


def _remove_container(scene: Scene) -> None:
    client, container = _container_of(scene)
    client.remove_container(container, force=True)
    client.close()


def _stop_container(scene: Scene) -> None:
    client, container = _container_of(scene)
    client.stop(container, timeout=10)
    client.close()


def _restart_engine(scene: Scene) -> None:
    assert scene.own_engine is not None
    _when_it_prints(scene)
    scene.own_engine.stop()
    scene.own_engine.start()


def _kill_engine(scene: Scene) -> None:
    assert scene.own_engine is not None
    _when_it_prints(scene)
    scene.own_engine.stop(signal.SIGKILL)
    scene.own_engine.start()


ACTS: Final[dict[str, Callable[[Scene], None]]] = {
    "kill_supervisor": _kill_supervisor,
    "terminate_supervisor": _terminate_supervisor,
    "kill_kernel": _kill_kernel,
    "crash_kernel": _crash_kernel,
    "remove_container": _remove_container,
    "stop_container": _stop_container,
    "restart_engine": _restart_engine,
    "kill_engine": _kill_engine,
}
