"""The process executor: runs as processes of this machine, which outlive the server.

A run is held by its supervisor (`runtime/supervisor.py`), a session of its own. It comes from a
fork server (warm, milliseconds) or from a new interpreter (fresh), and is found again by the
journal's lock and by process identities, never by a pid alone.

**One launch a run.** The file `launch` of the run folder is locked while a launch is decided, and
says how far it came (`LaunchRecord`). A launcher that dies half-way leaves `starting`: `find` then
waits a moment for the supervisor, and otherwise takes `spec.json` away under the journal's lock, so
that none can begin any more. From then on `find` gives None and `launch` raises
`LaunchFailed(reason="lost")`: the reconciler may simply call `launch` again for a run that `find`
does not know, and gets either its one launch or a run that is lost before its start.

**Platforms.** Linux in full. On macOS every run starts fresh, and a tree whose supervisor was
killed is found as far as the supervisor itself: there is no `/proc` to search. Windows is refused
(`registry.py`).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mellea_jupyter.environments.interpreter import Interpreter, InterpreterError, Interpreters
from mellea_jupyter.environments.variables import inherited_variables
from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors import run_folder
from mellea_jupyter.executors.base import Executor, LaunchSpec, Liveness, RunHandle
from mellea_jupyter.executors.forkservers import (
    STILL_STARTING,
    Forked,
    ForkServers,
    Unanswered,
    Undecided,
    UnsafeFolder,
)
from mellea_jupyter.executors.identity import ProcessIdentity, boot_id
from mellea_jupyter.executors.run_folder import LaunchRecord, launch_record, read_head
from mellea_jupyter.executors.tree import find_tree, kill_tree
from mellea_jupyter.models.environments import Environment, EnvironmentProbe
from mellea_jupyter.models.ids import RunId
from mellea_jupyter.models.run import StatusReason
from mellea_jupyter.runtime.forkserver import IMPORT_TIME_PREFIXES, RUN_ID_VARIABLE

START_PATIENCE_SECONDS = 5.0
INTERRUPT_PATIENCE_SECONDS = 5.0
KILL_PATIENCE_SECONDS = 10.0

_SUPERVISOR_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


class ProcessExecutor(Executor):
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

    def launch(self, spec: LaunchSpec) -> RunHandle:
        """Place the run, or give the handle of the launch it already had.

        Raises:
            LaunchFailed: nothing was placed. `environment_unavailable`: its interpreter does not
                work. `lost`: an earlier launch died half-way, and nothing of it runs.
            Undecided: whether something was placed can not be told now; `find` will tell.
        """
        try:
            with launch_record(spec.run_dir) as record:
                if record.state is None:
                    return self._place(spec, record)
                handle = self._find_known(spec, record)
        except OSError as error:  # all before a supervisor exists
            msg = f"The run's folder can not be used: {error.strerror or error}"
            raise LaunchFailed(msg, hint="Check the disk that holds the runs.") from error
        if handle is None:
            msg = "The server stopped while it started this run, before the program began."
            raise LaunchFailed(msg, reason=StatusReason.LOST, hint="Retry the run.")
        return handle

    def _place(self, spec: LaunchSpec, record: LaunchRecord) -> RunHandle:
        interpreter = self._interpreter(spec.environment)
        content = {
            **spec.spec,
            "env": {**(spec.spec.get("env") or {}), RUN_ID_VARIABLE: spec.run_id},
        }
        if spec.secrets:
            run_folder.write_json(spec.run_dir / run_folder.SECRETS, spec.secrets)
        if spec.prices is not None:
            run_folder.write_bytes(spec.run_dir / run_folder.PRICES, spec.prices)
        reason = self._find_fresh_reason(content)
        if reason is None:
            _write_spec(spec.run_dir, content, "warm", None)
            record.write("starting")
            forked = self._fork(spec, content, interpreter)
            if isinstance(forked, ProcessIdentity):
                return _placed(spec.run_id, forked, record)
            reason = forked
        _write_spec(spec.run_dir, content, "fresh", reason)
        record.write("starting")
        if self._warm and reason != STILL_STARTING:
            forked = self._fork(spec, content, interpreter, start=False)
            if isinstance(forked, ProcessIdentity):
                return _placed(spec.run_id, forked, record)
        try:
            supervisor = self._spawn(spec, interpreter)
        except OSError as error:
            record.write(None)
            msg = f"{interpreter.path} can not be started: {error.strerror or error}"
            raise LaunchFailed(msg, hint="Try again when the machine has room.") from error
        return _placed(spec.run_id, supervisor, record)

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
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        log = os.open(spec.run_dir / "supervisor.log", flags, 0o600)
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                cwd="/", env={**env, RUN_ID_VARIABLE: spec.run_id},
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)
        identity = _identify(process)
        threading.Thread(target=process.wait, name="mellea-supervisor-wait", daemon=True).start()
        return identity

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

    # -- finding ----------------------------------------------------------------------------

    def find(self, run_id: RunId, run_dir: Path) -> RunHandle | None:
        """The handle of a run's one launch; waits for a launch that goes on at this moment.

        None: there was none, or it is certain that it will not come to a program any more.

        Raises:
            OSError: it can not be told.
        """
        if not run_dir.is_dir():
            return None
        with launch_record(run_dir) as record:
            return self._find_launched(run_id, run_dir, record)

    def _find_known(self, spec: LaunchSpec, record: LaunchRecord) -> RunHandle | None:
        """The handle of a launch that began earlier.

        Raises:
            Undecided
        """
        try:
            return self._find_launched(spec.run_id, spec.run_dir, record)
        except OSError as error:
            raise Undecided(str(error)) from error

    def _find_launched(
        self, run_id: RunId, run_dir: Path, record: LaunchRecord
    ) -> RunHandle | None:
        if record.state == "placed":
            try:
                return RunHandle.model_validate(record.data)
            except ValueError:
                pass  # the program has damaged it; the journal knows as well
        elif record.state != "starting":
            return None
        supervisor = self._await_supervisor(run_id, run_dir)
        if supervisor is None:
            record.write("withdrawn")
            return None
        return _placed(run_id, supervisor, record)

    def _await_supervisor(self, run_id: RunId, run_dir: Path) -> ProcessIdentity | None:
        """The supervisor of a launch nobody remembers; None when none can come any more."""
        give_up = time.monotonic() + START_PATIENCE_SECONDS
        while (head := read_head(run_dir)) is None:
            if time.monotonic() >= give_up:
                if run_folder.withdraw(run_dir):
                    break
                kill_tree(run_id, (), KILL_PATIENCE_SECONDS)  # holds the lock, says nothing
                if run_folder.withdraw(run_dir):
                    break
                give_up = time.monotonic() + START_PATIENCE_SECONDS
            time.sleep(0.02)
        return None if head is None else head.supervisor

    def poll(self, handle: RunHandle, run_dir: Path) -> Liveness:
        """Alive while the supervisor holds the journal's lock, or has not come to take it.

        Raises:
            OSError: it can not be told.
        """
        if _supervisor(handle).is_alive():
            return Liveness(alive=True)
        if read_head(run_dir) is not None and run_folder.is_journal_locked(run_dir):
            return Liveness(alive=True)
        if handle.boot_id != boot_id():
            return Liveness(alive=False, message="The machine was restarted.")
        return Liveness(alive=False)

    # -- stopping ---------------------------------------------------------------------------

    def cancel(
        self, handle: RunHandle, run_dir: Path, *, reason: str, by: str, grace_seconds: float
    ) -> None:
        """Write why, then SIGTERM the supervisor, which stops the tree. The first reason stands."""
        supervisor = _supervisor(handle)
        if supervisor.is_alive():
            _write_stop(run_dir, reason, by, grace_seconds)
            supervisor.send(signal.SIGTERM)

    def answer(self, handle: RunHandle, run_dir: Path, answer: Mapping[str, Any]) -> None:
        """Write the answer where the runtime looks for it."""
        run_folder.write_json(run_dir / run_folder.ANSWER, answer)

    def kill(
        self, handle: RunHandle, run_dir: Path, *, reason: str = "terminated",
        by: str = "",
    ) -> bool:  # fmt: skip
        """Have the supervisor kill its tree, then kill the supervisor, then search for the rest.

        Takes up to 20 seconds, usually some milliseconds.
        """
        supervisor = _supervisor(handle)
        head = read_head(run_dir)
        known = {supervisor} if supervisor.start else set()
        if head is not None:
            known |= {head.supervisor, head.program or head.supervisor}
        if handle.boot_id != boot_id():
            return True  # nothing survives a restart of the machine
        _write_stop(run_dir, reason, by, 0.0)
        known |= find_tree(handle.run_id, known)
        if supervisor.send(signal.SIGINT) and not supervisor.wait(INTERRUPT_PATIENCE_SECONDS):
            supervisor.send(signal.SIGKILL)
            supervisor.wait(INTERRUPT_PATIENCE_SECONDS)
        return kill_tree(handle.run_id, known, KILL_PATIENCE_SECONDS)

    def cleanup(self, handle: RunHandle, run_dir: Path) -> None:
        """Remove an empty supervisor's log. `secrets` stays until the run is deleted: retry."""
        log = run_dir / "supervisor.log"
        try:
            if log.stat().st_size == 0:
                log.unlink()
        except OSError:
            return


def _identify(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    """The identity of a child that is not reaped yet.

    Raises:
        OSError: it can not be told. The child, whose interpreter has hardly begun, is killed.
    """
    identity = None
    with suppress(OSError):
        identity = ProcessIdentity.of(process.pid)
    if identity is None:
        process.kill()
        process.wait()
        raise OSError(0, "its process can not be identified")
    return identity


def _placed(run_id: RunId, supervisor: ProcessIdentity, record: LaunchRecord) -> RunHandle:
    handle = RunHandle(
        executor=ProcessExecutor.name,
        run_id=run_id,
        host=socket.gethostname(),
        boot_id=supervisor.boot_id,
        data={"supervisor_pid": supervisor.pid, "supervisor_start": supervisor.start},
    )
    with suppress(OSError):  # the disk is full: `find` asks the journal then
        record.write("placed", handle.to_json())
    return handle


def _supervisor(handle: RunHandle) -> ProcessIdentity:
    """The supervisor that a handle names; one that no process matches when it names none."""
    pid, start = handle.data.get("supervisor_pid"), handle.data.get("supervisor_start")
    if isinstance(pid, int) and isinstance(start, int):
        return ProcessIdentity(pid, start, handle.boot_id)
    return ProcessIdentity(0, 0, handle.boot_id)


def _write_spec(run_dir: Path, spec: Mapping[str, Any], isolation: str, reason: str | None) -> None:
    content = {**spec, "isolation": isolation, "fresh_reason": reason}
    run_folder.write_json(run_dir / run_folder.SPEC, content)


def _write_stop(run_dir: Path, reason: str, by: str, grace_seconds: float) -> None:
    stop = {"v": 1, "reason": reason, "by": by, "grace_seconds": grace_seconds}
    with suppress(OSError):  # a full disk must not keep a run from being stopped
        run_folder.write_first(run_dir / run_folder.STOP, stop)
