"""The kinds of executor that the contract suite runs against, and what differs between them.

A kind says how to make its executor and its environments, and looks at its runs from outside: the
processes of one are this machine's, those of another are behind an engine.
"""

from __future__ import annotations

import os
import signal
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from mellea_jupyter.environments import Interpreters
from mellea_jupyter.executors.base import Executor, LaunchSpec, RunHandle
from mellea_jupyter.executors.docker.executor import DockerExecutor
from mellea_jupyter.executors.kernel.executor import KernelExecutor
from mellea_jupyter.executors.process import ProcessExecutor
from mellea_jupyter.executors.tree import find_tree
from mellea_jupyter.models.environments import Environment
from tests.conftest import require

from .runs import program_identity, supervisor_identity

INTERPRETERS = Interpreters()
BARE_IMAGE = "mellea-jupyter-test/base:1"
MELLEA_IMAGE = "mellea-jupyter-test/mellea:1"


class Kind(ABC):
    """One kind of executor under test."""

    name: str
    stop_signals: tuple[str, ...] = ("SIGTERM",)
    """What a program gets before SIGKILL when it is stopped, the first thing first."""

    @abstractmethod
    def executor(self) -> Executor:
        """Another executor of this kind, sharing nothing in memory with the others."""

    @abstractmethod
    def environment(self, **fields: Any) -> Environment:
        """One that works."""

    @abstractmethod
    def broken(self, folder: Path) -> tuple[Environment, str, str]:
        """One that does not work, part of the text that says so, and the reason."""

    def variables(self, folder: Path) -> dict[str, str]:
        """What a program needs besides what its run gives it."""
        return {}

    @abstractmethod
    def fields(self, environment: Environment) -> dict[str, Any]:
        """What `spec.json` says of an environment's limits."""

    @abstractmethod
    def kill_supervisor(self, handle: RunHandle, spec: LaunchSpec) -> None:
        """SIGKILL what holds the run, as the kernel or an operator would."""

    @abstractmethod
    def is_anything_left(self, handle: RunHandle, spec: LaunchSpec) -> bool:
        """Whether any process of the run executes."""

    @abstractmethod
    def close(self) -> None:
        """Stop what the kind keeps ready, and assert that no run is left behind."""


class ProcessKind(Kind):
    """Processes of this machine."""

    name = "process"

    def __init__(self, folder: Path) -> None:
        self._sockets = folder / "s"

    def executor(self) -> Executor:
        return ProcessExecutor(
            socket_folder=self._sockets, warm_idle_seconds=60, interpreters=INTERPRETERS
        )

    def environment(self, **fields: Any) -> Environment:
        given = {"python": sys.executable, "preload": ("json", "decimal"), **fields}
        return Environment(id="e", name="Here", **given)

    def broken(self, folder: Path) -> tuple[Environment, str, str]:
        broken = self.environment(python=str(folder / "nope"))
        return broken, "no interpreter", "environment_unavailable"

    def variables(self, folder: Path) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(folder)}

    def fields(self, environment: Environment) -> dict[str, Any]:
        return {"memory_limit_mb": environment.memory_mb}

    def kill_supervisor(self, handle: RunHandle, spec: LaunchSpec) -> None:
        supervisor_identity(handle).send(signal.SIGKILL)

    def is_anything_left(self, handle: RunHandle, spec: LaunchSpec) -> bool:
        known = {supervisor_identity(handle), program_identity(spec.run_dir)}
        return bool(find_tree(spec.run_id, known))

    def close(self) -> None:
        ProcessExecutor(socket_folder=self._sockets).forkservers.stop_all()


class KernelKind(Kind):
    """Kernels of this machine, each held by a supervisor."""

    name = "kernel"
    stop_signals = ("SIGINT", "SIGTERM")

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def executor(self) -> Executor:
        return KernelExecutor(interpreters=INTERPRETERS)

    def environment(self, **fields: Any) -> Environment:
        given = {"kernel_name": "python3", **fields}
        return Environment(id="e", name="Kernel", executor="kernel", **given)

    def broken(self, folder: Path) -> tuple[Environment, str, str]:
        return self.environment(kernel_name="nope"), "no kernel 'nope'", "environment_unavailable"

    def variables(self, folder: Path) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(folder)}

    def fields(self, environment: Environment) -> dict[str, Any]:
        return {"memory_limit_mb": environment.memory_mb}

    def kill_supervisor(self, handle: RunHandle, spec: LaunchSpec) -> None:
        supervisor, kernel = supervisor_identity(handle), program_identity(spec.run_dir)
        supervisor.send(signal.SIGKILL)
        assert supervisor.wait(10)  # else it may see the kernel's end
        kernel.send(signal.SIGKILL)
        assert kernel.wait(10)  # else it may be taken over

    def is_anything_left(self, handle: RunHandle, spec: LaunchSpec) -> bool:
        known = {supervisor_identity(handle), program_identity(spec.run_dir)}
        return bool(find_tree(spec.run_id, known))

    def close(self) -> None:
        """Nothing is kept ready; the folder's fixture looks for processes that are left."""


class DockerKind(Kind):
    """Containers of a real engine."""

    name = "docker"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.engine = engine_or_leave()

    def executor(self) -> Executor:
        return DockerExecutor(self._folder)

    def environment(self, **fields: Any) -> Environment:
        given = {"image": BARE_IMAGE, "network": "none", **fields}
        return Environment(id="e", name="Bare image", executor="docker", **given)

    def broken(self, folder: Path) -> tuple[Environment, str, str]:
        return self.environment(image="localhost/nope:1"), "no image", "image_pull_failed"

    def fields(self, environment: Environment) -> dict[str, Any]:
        return {}

    def kill_supervisor(self, handle: RunHandle, spec: LaunchSpec) -> None:
        self.engine.kill(handle.data["container"], "SIGKILL")

    def is_anything_left(self, handle: RunHandle, spec: LaunchSpec) -> bool:
        state = self.engine.inspect_container(handle.data["container"])["State"]
        return bool(state["Running"] or state["Pid"])

    def ours(self) -> list[dict[str, Any]]:
        """Containers that mount something of this test's folder."""
        found = []
        for each in self.engine.containers(all=True, filters={"label": "mellea-jupyter=1"}):
            sources = [str(mount.get("Source")) for mount in each.get("Mounts") or ()]
            if any(source.startswith(f"{self._folder}/") for source in sources):
                found.append(each)
        return found

    def close(self) -> None:
        executor = DockerExecutor(self._folder)
        executor.sweep(lambda _: False)
        executor.close()
        left = self.ours()
        self.engine.close()
        assert left == []


def engine_or_leave() -> Any:
    """A client of the engine with the images of the tests, or leave the test."""
    try:
        import docker
        import docker.errors
    except ImportError:
        require("docker", "the Python package `docker` is not installed")
    try:
        client = docker.APIClient(version="auto", timeout=30, **docker.utils.kwargs_from_env())
    except docker.errors.DockerException as error:
        require("docker", f"no engine answers ({error}); .ci/docker_engine.sh starts one")
    try:
        client.inspect_image(BARE_IMAGE)
        client.inspect_image(MELLEA_IMAGE)
    except docker.errors.ImageNotFound as error:
        client.close()
        require("docker", f"{error.explanation}; .ci/docker_engine.sh builds it")
    return client


KINDS: dict[str, type[ProcessKind | KernelKind | DockerKind]] = {
    ProcessKind.name: ProcessKind,
    KernelKind.name: KernelKind,
    DockerKind.name: DockerKind,
}
