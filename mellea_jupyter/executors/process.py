"""The process executor: runs as processes of this machine, which outlive the server.

A run is held by its supervisor (`runtime/supervisor.py`), a session of its own. It comes from a
fork server (warm, milliseconds) or from a new interpreter (fresh), and is found again by the
journal's lock and by process identities, never by a pid alone (`supervised.py`).

**Platforms.** Linux in full. On macOS every run starts fresh, and a tree whose supervisor was
killed is found as far as the supervisor itself: there is no `/proc` to search. Windows is refused
(`registry.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mellea_jupyter.environments.interpreter import Interpreter, InterpreterError, Interpreters
from mellea_jupyter.environments.variables import inherited_variables
from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors import run_folder
from mellea_jupyter.executors.base import LaunchSpec, RunHandle
from mellea_jupyter.executors.forkservers import (
    STILL_STARTING,
    Forked,
    ForkServers,
    Unanswered,
    Undecided,
    UnsafeFolder,
)
from mellea_jupyter.executors.identity import ProcessIdentity
from mellea_jupyter.executors.run_folder import LaunchRecord
from mellea_jupyter.executors.supervised import (
    SupervisedExecutor,
    spawn_supervisor,
    write_beside_spec,
)
from mellea_jupyter.models.environments import Environment, EnvironmentProbe
from mellea_jupyter.models.run import StatusReason
from mellea_jupyter.runtime.forkserver import IMPORT_TIME_PREFIXES, RUN_ID_VARIABLE

_SUPERVISOR_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


class ProcessExecutor(SupervisedExecutor):
    """Places runs as processes of this machine.

    Args:
        runtime_dir: folder of the runtime; None is the one of this package.
        socket_folder: where fork servers listen; None is the user's runtime folder.
        warm: whether runs may start warm at all.
        warm_idle_seconds: a fork server nobody asked for so long ends.
        interpreters: shared answers of interpreters.
    """

    name = "process"

    def __init__(
        self,
        *,
        runtime_dir: Path | None = None,
        socket_folder: Path | None = None,
        warm: bool = True,
        warm_idle_seconds: float = 1800.0,
        interpreters: Interpreters | None = None,
    ) -> None:
        self._runtime_dir = runtime_dir or Path(__file__).resolve().parents[1] / "runtime"
        self._interpreters = interpreters or Interpreters()
        self._warm = warm and sys.platform == "linux"
        self.forkservers = ForkServers(
            self._runtime_dir, folder=socket_folder, idle_seconds=warm_idle_seconds
        )

    # -- placing ----------------------------------------------------------------------------

    def _place(self, spec: LaunchSpec, record: LaunchRecord) -> RunHandle:
        interpreter = self._interpreter(spec.environment)
        content = {
            **spec.spec,
            "env": {**(spec.spec.get("env") or {}), RUN_ID_VARIABLE: spec.run_id},
        }
        write_beside_spec(spec)
        reason = self._find_fresh_reason(content)
        if reason is None:
            _write_spec(spec.run_dir, content, "warm", None)
            record.write("starting")
            forked = self._fork(spec, content, interpreter)
            if isinstance(forked, ProcessIdentity):
                return self._placed(spec.run_id, forked, record)
            reason = forked
        _write_spec(spec.run_dir, content, "fresh", reason)
        record.write("starting")
        if self._warm and reason != STILL_STARTING:
            forked = self._fork(spec, content, interpreter, start=False)
            if isinstance(forked, ProcessIdentity):
                return self._placed(spec.run_id, forked, record)
        try:
            supervisor = self._spawn(spec, interpreter)
        except OSError as error:
            record.write(None)
            msg = f"{interpreter.path} can not be started: {error.strerror or error}"
            raise LaunchFailed(msg, hint="Try again when the machine has room.") from error
        return self._placed(spec.run_id, supervisor, record)

    def _interpreter(self, environment: Environment) -> Interpreter:
        try:
            return self._interpreters.get(environment.python)
        except InterpreterError as error:
            raise LaunchFailed(
                f"The environment {environment.name!r} does not work: {error}",
                reason=StatusReason.ENVIRONMENT_UNAVAILABLE,
                hint="Repair it, or choose another environment.",
            ) from error

    def _find_fresh_reason(self, spec: Mapping[str, Any]) -> str | None:
        """Why the run can not start warm, as far as that is known without a fork server."""
        if spec.get("isolation") == "fresh":
            return spec.get("fresh_reason") or "isolation fresh was asked for"
        if not self._warm:
            return "warm start is not available here"
        for name in sorted(spec.get("env_var_names") or ()):
            if name.startswith(IMPORT_TIME_PREFIXES):
                return f"the variable {name} is read when modules are imported"
        return None

    def _fork(
        self,
        spec: LaunchSpec,
        content: Mapping[str, Any],
        interpreter: Interpreter,
        *,
        start: bool = True,
    ) -> ProcessIdentity | str:
        """The supervisor, forked from the fork server, or why there is none."""
        env = self._template_variables(spec, content)
        try:
            answer = self.forkservers.ask(
                interpreter, spec.environment.preload, env, spec.run_dir, start=start
            )
        except Unanswered:
            try:
                found = run_folder.is_journal_locked(spec.run_dir) and self._await_supervisor(
                    spec.run_id, spec.run_dir
                )
            except OSError as error:
                raise Undecided(str(error)) from error
            if found:
                return found
            return "the warm interpreter did not answer"
        return answer.supervisor if isinstance(answer, Forked) else answer.reason

    @staticmethod
    def _template_variables(spec: LaunchSpec, content: Mapping[str, Any]) -> dict[str, str]:
        """The variables of the template this run may come from: all that are the server's own.

        What a program inherits under a secret's name travels in `secrets`, and what is the run's
        own may stand in either: the template has the server's value of both.
        """
        inherited = {k: v for k, v in spec.secrets.items() if os.environ.get(k) == v}
        env = {**content["env"], **inherited}
        for name in content.get("env_var_names") or ():
            env.pop(name, None)
            if name in os.environ:
                env[name] = os.environ[name]
        return env

    def _spawn(self, spec: LaunchSpec, interpreter: Interpreter) -> ProcessIdentity:
        command = [
            interpreter.path, "-I", "-S", str(self._runtime_dir), "supervise", str(spec.run_dir),
        ]  # fmt: skip
        env = {name: os.environ[name] for name in _SUPERVISOR_NAMES if name in os.environ}
        return spawn_supervisor(command, spec.run_dir, env={**env, RUN_ID_VARIABLE: spec.run_id})

    def probe(self, environment: Environment) -> EnvironmentProbe:
        """Whether its interpreter starts and has mellea.

        The interpreter is started only when it or its packages changed since the last time.
        """
        try:
            interpreter = self._interpreters.get(environment.python)
        except InterpreterError as error:
            return EnvironmentProbe(available=False, reason=str(error))
        facts = {"interpreter": interpreter.path, "python": interpreter.version_text}
        if interpreter.mellea_version is None:
            reason = (
                f"mellea is not installed in {interpreter.path}. "
                f"Install it: {interpreter.path} -m pip install mellea"
            )
            return EnvironmentProbe(available=False, reason=reason, facts=facts)
        facts["mellea"] = interpreter.mellea_version
        return EnvironmentProbe(available=True, facts=facts)

    def prepare(self, environment: Environment) -> None:
        """Start the environment's fork server, with what its programs inherit of this server."""
        if not self._warm:
            return
        variables = inherited_variables(environment, os.environ)
        try:
            interpreter = self._interpreters.get(environment.python)
            self.forkservers.prepare(interpreter, environment.preload, variables)
        except (InterpreterError, UnsafeFolder):
            return  # each run says why it does not start, or not warm


def _write_spec(run_dir: Path, spec: Mapping[str, Any], isolation: str, reason: str | None) -> None:
    content = {**spec, "isolation": isolation, "fresh_reason": reason}
    run_folder.write_json(run_dir / run_folder.SPEC, content)
