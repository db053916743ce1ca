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
from mellea_jupyter.executors.base import LaunchSpec, RunHandle
from mellea_jupyter.executors.run_folder import LaunchRecord
from mellea_jupyter.executors.supervised import SupervisedExecutor, spawn_supervisor
from mellea_jupyter.models.environments import Environment, EnvironmentProbe
from mellea_jupyter.models.run import StatusReason
from mellea_jupyter.runtime.forkserver import RUN_ID_VARIABLE

LAUNCH: Final = "kernel.json"
FRESH_REASON: Final = "each run has a kernel of its own"
LOCAL_PROVISIONER: Final = "local-provisioner"


@dataclass(frozen=True, slots=True)
class KernelOptions:
    """What the server's kernels are configured with.

    Attributes:
        specs: the server's kernelspec manager; None is jupyter's default one.
        config: traitlets sections by class name, for kernel managers and provisioners.
    """

    specs: Any = None
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
        if spec.secrets:
            run_folder.write_json(spec.run_dir / run_folder.SECRETS, spec.secrets)
        content = {
            **spec.spec,
            "env": {**(spec.spec.get("env") or {}), RUN_ID_VARIABLE: spec.run_id},
            "isolation": "fresh",
            "fresh_reason": FRESH_REASON,
        }
        run_folder.write_json(spec.run_dir / run_folder.SPEC, content)
        record.write("starting")
        command = [sys.executable, "-m", "mellea_jupyter.executors.kernel", str(spec.run_dir)]
        try:
            supervisor = spawn_supervisor(
                command, spec.run_dir, env={**os.environ, RUN_ID_VARIABLE: spec.run_id}
            )
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

    def cleanup(self, handle: RunHandle, run_dir: Path) -> None:
        """Remove what only the supervisor needed."""
        super().cleanup(handle, run_dir)
        (run_dir / "connection.json").unlink(missing_ok=True)
