"""The kernel executor: each run in a Jupyter kernel of its own, through the kernel's provisioner.

The kernel is held by a supervisor (`supervisor.py`), found again as the process executor's is. It
is not started through the server's own kernel manager, which stops its kernels with the server and
listens only while the server does; what that manager is configured with (kernelspecs, provisioners,
encryption) is used all the same. See docs/contributing/kernels.md.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mellea_jupyter.environments.interpreter import InterpreterError, Interpreters
from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors import run_folder
from mellea_jupyter.executors.base import LaunchSpec, Liveness, RunHandle
from mellea_jupyter.executors.identity import ProcessIdentity, boot_id
from mellea_jupyter.executors.run_folder import LaunchRecord, launch_record
from mellea_jupyter.executors.supervised import (
    SupervisedExecutor,
    spawn_supervisor,
    write_beside_spec,
)
from mellea_jupyter.models.environments import Environment, EnvironmentProbe
from mellea_jupyter.models.run import StatusReason
from mellea_jupyter.runtime.forkserver import RUN_ID_VARIABLE

LAUNCH: Final = "kernel.json"
FRESH_REASON: Final = "each run has a kernel of its own"
LOCAL_PROVISIONER: Final = "local-provisioner"
STATE: Final = "kernel-state.json"
CONNECTION: Final = "connection.json"
TAKEN_OVER: Final = "taken-over.json"
MAX_TAKE_OVERS: Final = 3
"""How many supervisors of one run may die before it is given up."""

GONE_MESSAGE: Final = (
    "The process that held the run's kernel is gone, and the kernel can not be found again. "
    "What it had printed until then is kept."
)


@dataclass(frozen=True, slots=True)
class KernelOptions:
    """What the server's kernels are configured with.

    Attributes:
        specs: the server's kernelspec manager; None is jupyter's default one.
        manager: the server's kernel manager, which kept kernels are shown to.
        config: traitlets sections by class name, for kernel managers and provisioners.
    """

    specs: Any = None
    manager: Any = None
    config: Mapping[str, Any] = field(default_factory=dict)


class KernelExecutor(SupervisedExecutor):
    """Places runs in kernels.

    Args:
        options: what the server's kernels are configured with.
        interpreters: shared answers of interpreters.

    Raises:
        LaunchFailed: the server's kernels are behind a gateway.
    """

    name = "kernel"

    def __init__(
        self,
        *,
        options: KernelOptions | None = None,
        interpreters: Interpreters | None = None,
    ) -> None:
        self._options = options or KernelOptions()
        self._interpreters = interpreters or Interpreters()
        self._specs = self._options.specs
        if self._specs is None:
            from jupyter_client.kernelspec import KernelSpecManager

            self._specs = KernelSpecManager()
        elif inspect.iscoroutinefunction(self._specs.get_kernel_spec):
            msg = "This server's kernels run behind a gateway, where runs can not be held"
            hint = "Use the process or docker executor, or a provisioner instead of a gateway."
            raise LaunchFailed(msg, reason=StatusReason.ENVIRONMENT_UNAVAILABLE, hint=hint)

    def _place(self, spec: LaunchSpec, record: LaunchRecord) -> RunHandle:
        kernel = self._kernel_spec(spec.environment)
        launch = {
            "name": spec.environment.kernel_name,
            "spec": kernel.to_dict(),
            "resource_dir": kernel.resource_dir,
            "config": dict(self._options.config),
        }
        run_folder.write_json(spec.run_dir / LAUNCH, launch)
        write_beside_spec(spec)
        content = {
            **spec.spec,
            "env": {**(spec.spec.get("env") or {}), RUN_ID_VARIABLE: spec.run_id},
            "isolation": "fresh",
            "fresh_reason": FRESH_REASON,
        }
        run_folder.write_json(spec.run_dir / run_folder.SPEC, content)
        record.write("starting")
        try:
            supervisor = _spawn(spec.run_id, spec.run_dir)
        except OSError as error:
            record.write(None)
            msg = f"{sys.executable} can not be started: {error.strerror or error}"
            raise LaunchFailed(msg, hint="Try again when the machine has room.") from error
        return self._placed(spec.run_id, supervisor, record)

    def _kernel_spec(self, environment: Environment) -> Any:
        """The kernelspec of an environment.

        Raises:
            LaunchFailed: `environment_unavailable`: there is none of this name, or it is damaged.
        """
        from jupyter_client.kernelspec import NoSuchKernel

        name = environment.kernel_name or ""
        try:
            return self._specs.get_kernel_spec(name)
        except NoSuchKernel:
            problem = f"there is no kernel {name!r}"
            hint = f"{self._known()} `jupyter kernelspec list` shows where they are."
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"its kernelspec {name!r} can not be read: {error}"
            hint = "Repair it, or install the kernel again."
        msg = f"The environment {environment.name!r} does not work: {problem}"
        raise LaunchFailed(msg, reason=StatusReason.ENVIRONMENT_UNAVAILABLE, hint=hint)

    def _known(self) -> str:
        names = ", ".join(sorted(self._specs.find_kernel_specs()))
        return f"There are: {names}." if names else "There is none at all."

    def probe(self, environment: Environment) -> EnvironmentProbe:
        """Whether its kernelspec exists, and its python has what runs need, where it is here."""
        try:
            kernel = self._kernel_spec(environment)
        except LaunchFailed as error:
            return EnvironmentProbe(available=False, reason=f"{error}. {error.hint}")
        facts = {"kernel": kernel.display_name, "language": kernel.language}
        provisioner = (kernel.metadata.get("kernel_provisioner") or {}).get("provisioner_name")
        if provisioner not in {None, LOCAL_PROVISIONER}:
            facts["provisioner"] = str(provisioner)
            return EnvironmentProbe(available=True, facts=facts)
        if kernel.language.lower() != "python" or not kernel.argv:
            return EnvironmentProbe(available=True, facts=facts)
        return self._probe_python(kernel.argv[0], facts)

    def _probe_python(self, command: str, facts: dict[str, str]) -> EnvironmentProbe:
        here = {"python", f"python{sys.version_info[0]}"}  # jupyter_client takes these as its own
        try:
            interpreter = self._interpreters.get(sys.executable if command in here else command)
        except InterpreterError as error:
            return EnvironmentProbe(available=False, reason=str(error), facts=facts)
        facts |= {"interpreter": interpreter.path, "python": interpreter.version_text}
        if interpreter.mellea_version is None:
            reason = (
                f"mellea is not installed in {interpreter.path}. "
                f"Install it: {interpreter.path} -m pip install mellea"
            )
            return EnvironmentProbe(available=False, reason=reason, facts=facts)
        facts["mellea"] = interpreter.mellea_version
        return EnvironmentProbe(available=True, facts=facts)

    # -- a supervisor that has died -----------------------------------------------------------

    def poll(self, handle: RunHandle, run_dir: Path) -> Liveness:
        """As of any supervised run; a supervisor that died is replaced while its kernel lives.

        A run whose kernel can not be found again has ended as `server_stopped`.

        Raises:
            OSError: it can not be told.
        """
        liveness = super().poll(handle, run_dir)
        if (
            liveness.alive
            or run_folder.has_end(run_dir)
            or run_folder.read_json(run_dir / run_folder.STOP)
        ):
            return liveness
        if handle.boot_id == boot_id() and self._take_over(handle, run_dir):
            return Liveness(alive=True)
        message = liveness.message or GONE_MESSAGE
        return Liveness(alive=False, reason=StatusReason.SERVER_STOPPED, message=message)

    def _take_over(self, handle: RunHandle, run_dir: Path) -> bool:
        """Start another supervisor for a kernel that lives; whether there is one."""
        with launch_record(run_dir):
            if super().poll(handle, run_dir).alive:  # somebody else was quicker
                return True
            state = run_folder.read_json(run_dir / STATE)
            before = run_folder.read_json(run_dir / TAKEN_OVER)
            count = before.get("count", 0)
            if not _may_live(state, handle.boot_id) or count >= MAX_TAKE_OVERS:
                return False
            supervisor = _spawn(handle.run_id, run_dir, "--resume")
            found = {"count": count + 1, "pid": supervisor.pid, "start": supervisor.start}
            run_folder.write_json(run_dir / TAKEN_OVER, found)
        return True

    def _supervisor(self, handle: RunHandle, run_dir: Path) -> ProcessIdentity:
        """The last one that took over, else the one of the handle."""
        later = run_folder.read_json(run_dir / TAKEN_OVER)
        pid, start = later.get("pid"), later.get("start")
        if isinstance(pid, int) and isinstance(start, int):
            return ProcessIdentity(pid, start, handle.boot_id)
        return super()._supervisor(handle, run_dir)

    def cleanup(self, handle: RunHandle, run_dir: Path) -> None:
        """Remove what only the supervisor needed."""
        super().cleanup(handle, run_dir)
        if not self._supervisor(handle, run_dir).is_alive():  # it may keep the kernel
            (run_dir / CONNECTION).unlink(missing_ok=True)


def _spawn(run_id: str, run_dir: Path, *options: str) -> ProcessIdentity:
    """Start a supervisor.

    Raises:
        OSError: it can not be started.
    """
    command = [sys.executable, "-m", "mellea_jupyter.executors.kernel", str(run_dir), *options]
    return spawn_supervisor(command, run_dir, env={**os.environ, RUN_ID_VARIABLE: run_id})


def _may_live(state: Mapping[str, Any], boot: str) -> bool:
    """Whether the kernel of a supervisor's notes may still be there; one elsewhere is asked."""
    pid, start = state.get("pid"), state.get("start")
    if not isinstance(pid, int) or not isinstance(start, int):
        return False
    return pid == 0 or ProcessIdentity(pid, start, boot).is_alive()
