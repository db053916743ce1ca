"""Which process is meant: pid, start time and boot together, and signals for exactly that one.

A pid alone may belong to somebody else a moment later. Here nothing is ever signalled whose start
time or boot differs from what was recorded.

Only the kernel says that a process is gone. Where it can not be asked, for example because we have
no descriptor left, `OSError` is raised: a living run must not be taken for lost.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_DEAD_STATES = frozenset("ZX")
_NO_PIDFD = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL})
"""An old kernel, or a sandbox that does not know the call."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as `/proc/<pid>/stat` shows it; `start` is its field 22, in clock ticks."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start: int

    @property
    def is_alive(self) -> bool:
        """Whether it still executes; a zombie does not."""
        return self.state not in _DEAD_STATES


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Exactly one process of one boot of one machine."""

    pid: int
    start: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The identity of the process that has this pid now, a zombie included.

        Raises:
            OSError: it can not be told.
        """
        start = _start_of(pid)
        return None if start is None else cls(pid, start, boot_id())

    def is_alive(self) -> bool:
        """Whether this very process exists and executes.

        Raises:
            OSError: it can not be told.
        """
        if self.boot_id != boot_id() or self.pid <= 0:
            return False
        if sys.platform != "linux":
            return _start_of(self.pid) == self.start
        process = read_process(self.pid)
        return process is not None and process.start == self.start and process.is_alive

    def send(self, number: int) -> bool:
        """Signal this very process; False when it is gone, or not ours to signal.

        Raises:
            OSError: it can not be told.
        """
        try:
            descriptor = os.pidfd_open(self.pid) if self.pid > 0 else None
        except ProcessLookupError:
            return False
        except AttributeError:
            descriptor = None
        except OSError as error:
            if error.errno not in _NO_PIDFD:
                raise
            descriptor = None
        try:
            if not self.is_alive():  # after opening: the descriptor stays with what it named then
                return False
            if descriptor is not None:
                signal.pidfd_send_signal(descriptor, number)
            else:
                os.kill(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        finally:
            if descriptor is not None:
                os.close(descriptor)
        return True

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until it is gone; False when it still is there after the time."""
        give_up = time.monotonic() + timeout_seconds
        while self.is_alive():
            if time.monotonic() >= give_up:
                return False
            time.sleep(0.01)
        return True


@cache
def boot_id() -> str:
    """The running boot of this machine."""
    if sys.platform == "linux":
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    import psutil

    return f"{psutil.boot_time():.0f}"


def read_process(pid: int) -> Process | None:
    """The process with this pid, or None (also where there is no `/proc`).

    Raises:
        OSError: it can not be told.
    """
    data = read_proc(pid, "stat")
    if data is None:
        return None
    fields = data[data.rfind(b")") + 2 :].split()  # the name before it may hold anything
    return Process(
        pid=pid,
        state=fields[0].decode(),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        start=int(fields[19]),
    )


def read_proc(pid: int, name: str) -> bytes | None:
    """A file of `/proc/<pid>`; None when there is no such process, or it is hidden from this user.

    Raises:
        OSError: it can not be read for another reason.
    """
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError, PermissionError):
        return None


def iter_processes() -> Iterator[Process]:
    """Yields every process there is, zombies included, in no order; nothing without `/proc`."""
    try:
        names = [entry.name for entry in Path("/proc").iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if name.isdigit() and (process := read_process(int(name))) is not None:
            yield process


def _start_of(pid: int) -> int | None:
    """When a process started: clock ticks since boot on Linux, else hundredths of a second."""
    if sys.platform == "linux":
        process = read_process(pid)
        return None if process is None else process.start
    import psutil

    try:
        return round(psutil.Process(pid).create_time() * 100)
    except psutil.Error:
        return None
