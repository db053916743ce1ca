"""All processes of one run, found without its supervisor's help, and killed until none is left.

While the supervisor lives it is the subreaper of everything below it and needs no help. This is for
a supervisor that was killed or hangs: its program may live on, and what that has started may have
left its session, its process group and its parents. Where there is no `/proc` to search (macOS),
only the processes named by the handle and the journal are found.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

from mellea_jupyter.executors.identity import (
    Process,
    ProcessIdentity,
    boot_id,
    iter_processes,
    read_proc,
)
from mellea_jupyter.runtime.forkserver import RUN_ID_VARIABLE

UNNAMED_RUN_ID = "0" * 36
"""What a fork server has as `MELLEA_RUN_ID`; each process that it forks overwrites it in place."""


def find_tree(run_id: str, roots: Iterable[ProcessIdentity]) -> set[ProcessIdentity]:
    """The living processes of a run.

    Args:
        run_id: processes that carry it in their environment belong to the run.
        roots: processes known to belong to it, dead ones included. With each belong its session,
            its process group, and all descendants. A root that is this process, or above it, was
            named by a forged journal and counts for nothing.

    Raises:
        OSError: the processes can not be looked at.
    """
    boot = boot_id()
    if sys.platform != "linux":  # nothing to search; see the module's docstring
        return {root for root in roots if root.is_alive()}
    processes = {p.pid: p for p in iter_processes() if p.is_alive}
    judges = _own_ancestry(processes)
    known = {root for root in roots if root.boot_id == boot and root.pid not in judges}
    found: dict[int, Process] = {}
    for process in processes.values():
        if process.pid in judges:
            continue
        if (named := _run_id_of(process)) is not None:
            belongs = named == run_id
        else:
            belongs = any(_belongs_to(process, root, processes) for root in known)
        if belongs:
            found[process.pid] = process
    _add_descendants(found, processes)
    return {ProcessIdentity(p.pid, p.start, boot) for p in found.values()}


def kill_tree(run_id: str, roots: Iterable[ProcessIdentity], timeout_seconds: float) -> bool:
    """SIGKILL the run's processes until two looks in a row find none; False after the time."""
    give_up = time.monotonic() + timeout_seconds
    known = set(roots)
    quiet_looks = 0
    while quiet_looks < 2:
        if quiet_looks == 0 and time.monotonic() >= give_up:
            return False
        alive = find_tree(run_id, known)
        known |= alive
        for process in alive:
            process.send(signal.SIGKILL)
        quiet_looks = 0 if alive else quiet_looks + 1
        time.sleep(0.02)
    return True


def _belongs_to(process: Process, root: ProcessIdentity, alive: dict[int, Process]) -> bool:
    """Whether it is the root, or in the session or group that the root leads.

    A pid that leads a session or group is not given away while anybody is in it. So if it belongs
    to another process now, whoever is in a session of that number is not ours.
    """
    leader = alive.get(root.pid)
    if leader is not None and leader.start != root.start:
        return False
    if process.pid == root.pid:
        return True
    return root.pid in (process.session, process.group) and process.start >= root.start


def _add_descendants(found: dict[int, Process], processes: dict[int, Process]) -> None:
    children: dict[int, list[Process]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process)
    waiting = list(found)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child.pid not in found:
                found[child.pid] = child
                waiting.append(child.pid)


def _own_ancestry(processes: dict[int, Process]) -> set[int]:
    """This process and everything above it: never part of a run that it judges."""
    pids, pid = {0, 1}, os.getpid()
    while pid not in pids:
        pids.add(pid)
        pid = processes[pid].parent if pid in processes else 0
    return pids


def _run_id_of(process: Process) -> str | None:
    """The run that a process names in its environment, where that can be read."""
    environment = read_proc(process.pid, "environ") or b""
    prefix = RUN_ID_VARIABLE.encode() + b"="
    for variable in environment.split(b"\0"):
        if variable.startswith(prefix):
            return variable[len(prefix) :].decode("ascii", "replace")
    return None
