"""What executors read and write in a run folder (docs/contributing/journal.md).

The program may have replaced anything in it. So everything is opened without following links and
without waiting, must be a regular file, and is read up to a limit; what is malformed is not there.
That this process can not look (no descriptors left, an I/O error) says nothing about a run, and
raises `OSError`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mellea_jupyter.executors.identity import ProcessIdentity

SPEC = "spec.json"
SECRETS = "secrets"
STOP = "stop.json"
PRICES = "prices.json"
ANSWER = "budget.json"
LAUNCH = "launch"

_HEAD_BYTES = 256 * 1024
_RECORD_BYTES = 4096
_LAST_FRAME_BYTES = 64 * 1024 + 1
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_FILE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM}
)
"""Nothing is there, or a link, a socket, or what was closed to its owner: no file of ours."""


@dataclass(frozen=True, slots=True)
class JournalHead:
    """What the first frames say: who supervises, and who the program is."""

    supervisor: ProcessIdentity
    host: str
    isolation: str
    program: ProcessIdentity | None


def read_head(run_dir: Path) -> JournalHead | None:
    """The journal's head; None when no supervisor has begun it.

    Raises:
        OSError: it can not be told.
    """
    started: dict[str, Any] | None = None
    program: dict[str, Any] | None = None
    for line in _read_start(run_dir / "journal", "frames.ndjson").split(b"\n")[:-1]:
        try:
            frame = json.loads(line)
        except (ValueError, RecursionError):
            continue
        kind = frame.get("kind") if isinstance(frame, dict) else None
        if kind == "started" and started is None:
            started = frame
        elif kind == "program" and started is not None:
            program = frame
            break
    if started is None:
        return None
    boot = str(started.get("boot_id"))
    supervisor = _identity(started.get("supervisor_pid"), started.get("supervisor_start"), boot)
    if supervisor is None:
        return None
    return JournalHead(
        supervisor=supervisor,
        host=str(started.get("host")),
        isolation=str(started.get("isolation")),
        program=_identity(program.get("pid"), program.get("start"), boot) if program else None,
    )


def has_end(run_dir: Path) -> bool:
    """Whether the journal's last frame is its end.

    Raises:
        OSError: it can not be told.
    """
    descriptor = _open_regular(run_dir / "journal", "frames.ndjson")
    if descriptor is None:
        return False
    with os.fdopen(descriptor, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_FRAME_BYTES))
        lines = file.read().split(b"\n")
    try:
        return bool(json.loads(lines[-2])["kind"] == "end")
    except (IndexError, ValueError, KeyError, TypeError, RecursionError):
        return False


def read_json(path: Path) -> dict[str, Any]:
    """A small file's object; an empty one where there is none, or it is something else.

    Raises:
        OSError: it can not be told.
    """
    descriptor = _open_regular(path.parent, path.name)
    if descriptor is None:
        return {}
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = json.loads(file.read(_HEAD_BYTES))
        except (ValueError, RecursionError):
            return {}
    return data if isinstance(data, dict) else {}


def is_journal_locked(run_dir: Path) -> bool:
    """Whether a supervisor holds `journal/lock`.

    Looking takes a shared lock for an instant, which a supervisor that begins at this very moment
    would take for another one. So ask only when the journal has a head, or to keep one out.

    Raises:
        OSError: it can not be told.
    """
    with _journal_lock(run_dir, fcntl.LOCK_SH) as is_free:
        return not is_free


def withdraw(run_dir: Path) -> bool:
    """Make sure that no supervisor will ever run this folder; False when one has it already.

    A supervisor takes the lock first and reads `spec.json` second. Taken away while we hold the
    lock, it is either read by one that holds the lock, or never.

    Raises:
        OSError: it can not be told.
    """
    journal = run_dir / "journal"
    with suppress(FileExistsError):
        journal.mkdir(mode=0o700)
    with suppress(FileExistsError, NotADirectoryError):
        os.close(os.open(journal / "lock", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with _journal_lock(run_dir, fcntl.LOCK_EX) as is_free:
        if is_free:
            with suppress(FileNotFoundError):
                (run_dir / SPEC).replace(run_dir / f"{SPEC}.withdrawn")
        return is_free


def write_json(
    path: Path, value: Mapping[str, Any], *, replace: bool = True, mode: int = 0o600
) -> bool:
    """Write a file in one step; with `replace=False` only when there is none yet.

    Returns:
        Whether it was written.

    Raises:
        OSError: it can not be written.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, mode)
            json.dump(value, file)
        if replace:
            Path(temporary).replace(path)
        else:
            os.link(temporary, path)
    except FileExistsError:
        return False
    else:
        return True
    finally:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()


def write_bytes(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file in one step.

    Raises:
        OSError: it can not be written.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_first(path: Path, value: Mapping[str, Any]) -> bool:
    """Write a 0600 file unless there is one, on any file system, and at a full disk if at all.

    In one step where that works; else directly, which nobody may read before it returns.

    Returns:
        Whether it was written.

    Raises:
        OSError: it can not be written.
    """
    try:
        return write_json(path, value, replace=False)
    except OSError:  # no hard links here (exFAT, some shares), or no room for a second file
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


class LaunchRecord:
    """The file `launch`: how far the one launch of a run has come, locked while it is decided.

    Its holder is the only one who may place the run. `state` goes one way::

        None ──> "starting" ──> "placed"       a supervisor exists, `data` finds it
                     └────────> "withdrawn"    it is certain that none exists or ever will

    Who finds `starting` and gets the lock knows that the launcher died in between.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        try:
            content = json.loads(os.pread(descriptor, _RECORD_BYTES, 0) or b"{}")
            self.state: str | None = content.get("state")
            self.data: dict[str, Any] = dict(content.get("data") or {})
        except (ValueError, TypeError, AttributeError, RecursionError):
            self.state, self.data = "starting", {}  # somebody's damage: assume the worst

    def write(self, state: str | None, data: Mapping[str, Any] | None = None) -> None:
        """Go to another state. Its lock is kept."""
        content = json.dumps({"state": state, "data": data or {}}).encode()
        os.pwrite(self._descriptor, content.ljust(_RECORD_BYTES), 0)  # one size: never half old
        self.state, self.data = state, dict(data or {})


@contextmanager
def launch_record(run_dir: Path) -> Iterator[LaunchRecord]:
    """Yields the run's launch record, locked; waits for another launch of it to come to an end.

    Raises:
        OSError: the run folder is gone or can not be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(run_dir / LAUNCH, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield LaunchRecord(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _journal_lock(run_dir: Path, operation: int) -> Iterator[bool]:
    """Yields whether the lock was free; then it is held inside. A lock that is no file is free."""
    descriptor = _open_regular(run_dir / "journal", "lock")
    if descriptor is None:
        yield True
        return
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _read_start(folder: Path, name: str) -> bytes:
    descriptor = _open_regular(folder, name)
    if descriptor is None:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_HEAD_BYTES)


def _open_regular(folder: Path, name: str) -> int | None:
    """Open a regular file for reading; neither it nor its folder may be a link. None: no such file.

    Raises:
        OSError: it can not be told.
    """
    try:
        directory = os.open(folder, _READ | os.O_DIRECTORY)
        try:
            descriptor = os.open(name, _READ, dir_fd=directory)
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _identity(pid: object, start: object, boot: str) -> ProcessIdentity | None:
    if type(pid) is int and type(start) is int and 1 < pid < 2**31 and start > 0:
        return ProcessIdentity(pid, start, boot)
    return None
