"""Executors whose runs are held by a supervisor: a process of this machine, outliving the server.

The supervisor is found again by the journal's lock and by process identities, never by pid alone.

**One launch a run.** The file `launch` of the run folder is locked while a launch is decided, and
says how far it came (`LaunchRecord`). A launcher that dies half-way leaves `starting`: `find` then
waits a moment for the supervisor, and otherwise takes `spec.json` away under the journal's lock, so
that none can begin any more. From then on `find` gives None and `launch` raises
`LaunchFailed(reason="lost")`: the reconciler may simply call `launch` again for a run that `find`
does not know, and gets either its one launch or a run that is lost before its start.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors import run_folder
from mellea_jupyter.executors.base import Executor, LaunchSpec, Liveness, RunHandle
from mellea_jupyter.executors.forkservers import Undecided
from mellea_jupyter.executors.identity import ProcessIdentity, boot_id
from mellea_jupyter.executors.run_folder import LaunchRecord, launch_record, read_head
from mellea_jupyter.executors.tree import find_tree, kill_tree
from mellea_jupyter.models.ids import RunId
from mellea_jupyter.models.run import StatusReason

START_PATIENCE_SECONDS = 5.0
INTERRUPT_PATIENCE_SECONDS = 5.0
KILL_PATIENCE_SECONDS = 10.0


class SupervisedExecutor(Executor):
    """Places runs under a supervisor of this machine; what places it is the subclass's."""

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

    @abstractmethod
    def _place(self, spec: LaunchSpec, record: LaunchRecord) -> RunHandle:
        """Start the one supervisor of a run and note it in the record, which is locked.

        Raises:
            LaunchFailed: nothing was placed.
            Undecided: whether something was placed can not be told now.
        """

    def _placed(
        self, run_id: RunId, supervisor: ProcessIdentity, record: LaunchRecord
    ) -> RunHandle:
        """The handle of a run that this supervisor holds, noted in the record."""
        handle = RunHandle(
            executor=self.name,
            run_id=run_id,
            host=socket.gethostname(),
            boot_id=supervisor.boot_id,
            data={"supervisor_pid": supervisor.pid, "supervisor_start": supervisor.start},
        )
        with suppress(OSError):  # the disk is full: `find` asks the journal then
            record.write("placed", handle.to_json())
        return handle

    def _supervisor(self, handle: RunHandle, run_dir: Path) -> ProcessIdentity:
        """The supervisor of a placed run; one that no process matches when none is named."""
        pid, start = handle.data.get("supervisor_pid"), handle.data.get("supervisor_start")
        if isinstance(pid, int) and isinstance(start, int):
            return ProcessIdentity(pid, start, handle.boot_id)
        return ProcessIdentity(0, 0, handle.boot_id)

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
        return self._placed(run_id, supervisor, record)

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
        if self._supervisor(handle, run_dir).is_alive():
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
        supervisor = self._supervisor(handle, run_dir)
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
        supervisor = self._supervisor(handle, run_dir)
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


def write_beside_spec(spec: LaunchSpec) -> None:
    """What a run's spec does not hold: secret values, and the prices of a budget in money."""
    if spec.secrets:
        run_folder.write_json(spec.run_dir / run_folder.SECRETS, spec.secrets)
    if spec.prices is not None:
        run_folder.write_bytes(spec.run_dir / run_folder.PRICES, spec.prices)


def spawn_supervisor(
    command: Sequence[str], run_dir: Path, *, env: Mapping[str, str]
) -> ProcessIdentity:
    """Start a supervisor in a session of its own; what it says on stderr is kept with the run.

    Raises:
        OSError: it can not be started.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    log = os.open(run_dir / "supervisor.log", flags, 0o600)
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            cwd="/", env=env,
            start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(log)
    identity = _identify(process)
    threading.Thread(target=process.wait, name="mellea-supervisor-wait", daemon=True).start()
    return identity


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


def _write_stop(run_dir: Path, reason: str, by: str, grace_seconds: float) -> None:
    stop = {"v": 1, "reason": reason, "by": by, "grace_seconds": grace_seconds}
    with suppress(OSError):  # a full disk must not keep a run from being stopped
        run_folder.write_first(run_dir / run_folder.STOP, stop)
