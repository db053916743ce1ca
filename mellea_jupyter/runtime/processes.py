"""Look at and signal a tree of processes through `/proc`.

Every process is named by `(pid, start)`, `start` being field 22 of `/proc/<pid>/stat`: a pid alone
may belong to somebody else a moment later.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Dict, List, NamedTuple, Optional, Set

PR_SET_CHILD_SUBREAPER = 36
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1024 * 1024)
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One line of `/proc/<pid>/stat`, as far as it is used."""

    pid: int
    start: int
    parent: int
    state: str
    cpu_seconds: float
    rss_mb: float


def become_subreaper() -> bool:
    """Make orphaned descendants our children (Linux); False where that is not possible."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def memory_kills() -> int:
    """How many processes the kernel has killed in this container for want of memory.

    Source: the kernel's `memory.events` (cgroup v2) and `memory.oom_control` (v1), as a container
    sees its own.
    """
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path) as file:
                fields = dict(line.split()[:2] for line in file if " " in line)
            return int(fields.get("oom_kill", 0))
        except (OSError, ValueError):
            continue
    return 0


def boot_id() -> str:
    """The machine's boot, or an empty text where it is not known."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def read_process(pid: int) -> Optional[Process]:
    """The process with this pid, or None when there is none (or no `/proc`)."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        data = os.read(descriptor, 4096)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    fields = data[data.rfind(b")") + 2 :].split()  # the name before it may hold anything
    return Process(
        pid=pid,
        start=int(fields[19]),
        parent=int(fields[1]),
        state=fields[0].decode(),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND,
        rss_mb=int(fields[21]) * PAGE_MB,
    )


def start_time(pid: int) -> int:
    """Field 22 of the process's stat; 0 when it cannot be read."""
    process = read_process(pid)
    return 0 if process is None else process.start


def descendants(root: int) -> List[Process]:
    """All living processes below `root`, without it; zombies are left out."""
    children: Dict[int, List[Process]] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if name.isdigit():
            process = read_process(int(name))
            if process is not None:
                children.setdefault(process.parent, []).append(process)
    found: List[Process] = []
    waiting: List[int] = [root]
    seen: Set[int] = {root}
    while waiting:
        for process in children.get(waiting.pop(), ()):
            if process.pid not in seen:
                seen.add(process.pid)
                waiting.append(process.pid)
                if process.state not in ("Z", "X"):
                    found.append(process)
    return found


def send_signal(process: Process, number: int) -> None:
    """Signal exactly this process, or nobody when it is gone."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        if start_time(process.pid) == process.start:
            _kill(process.pid, number)
        return
    try:
        if start_time(process.pid) == process.start:
            signal.pidfd_send_signal(descriptor, number)
    except OSError:
        pass  # it ended, or belongs to another user
    finally:
        os.close(descriptor)


def signal_group(group: int, number: int) -> None:
    """Signal a group whose leader is our unreaped child, so that its id cannot be reused."""
    try:
        os.killpg(group, number)
    except OSError:
        pass


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass
