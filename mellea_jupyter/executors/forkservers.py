"""Warm starts: one fork server per interpreter, preloaded modules, packages and variables.

A fork server belongs to a user, not to a Jupyter server: several of them share one, it outlives
them, and ends by itself after `idle_seconds` without a run. Everything that decides what its
template has imported is in its name, so whatever changes leads to another one; that is how a
`%pip install` is noticed.

Nothing waits for one to come up: a run that comes too early starts fresh.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import signal
import socket
import stat
import struct
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mellea_jupyter.environments.interpreter import Interpreter
from mellea_jupyter.executors.identity import ProcessIdentity, boot_id
from mellea_jupyter.executors.run_folder import write_json
from mellea_jupyter.executors.tree import UNNAMED_RUN_ID
from mellea_jupyter.runtime.forkserver import (
    EXIT_OTHER_SERVER,
    FOLLOWED_VARIABLES,
    IMPORT_TIME_PREFIXES,
    RUN_ID_VARIABLE,
)

log = logging.getLogger(__name__)

STILL_STARTING = "warm interpreter is still starting"
MAX_SOCKET_PATH_BYTES = 100
REPLY_TIMEOUT_SECONDS = 10.0

_TEMPLATE_NAMES = frozenset(
    {"HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
     "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
)  # fmt: skip
_TEMPLATE_PREFIXES = ("LC_", "XDG_", *IMPORT_TIME_PREFIXES)


@dataclass(frozen=True, slots=True)
class Forked:
    """The fork server made a supervisor, which holds the journal's lock."""

    supervisor: ProcessIdentity


@dataclass(frozen=True, slots=True)
class Refused:
    """No supervisor was made, nor will be; `reason` is why this run starts fresh."""

    reason: str


class Unanswered(Exception):  # a fact about a request, not only a failure
    """The fork server was asked and did not answer; it is killed now.

    It takes the journal's lock before it forks. So if that is free, there is no supervisor.
    """


class Undecided(Exception):
    """Whether a supervisor exists can not be told now; the run's `launch` file says `starting`."""


class UnsafeFolder(Exception):
    """There is no folder for sockets that only this user may enter; the text says why."""


class ForkServers:
    """Starts fork servers in the background and asks them for runs. Safe for several threads.

    Args:
        runtime_dir: folder of the runtime, which the fork server executes.
        folder: where sockets live; None chooses the user's runtime folder.
        idle_seconds: a server nobody asked for so long ends.
    """

    def __init__(
        self, runtime_dir: Path, *, folder: Path | None = None, idle_seconds: float = 1800.0
    ) -> None:
        self._runtime_dir = runtime_dir
        self._given_folder = folder
        self._idle_seconds = idle_seconds
        self._failures: dict[Path, str] = {}  # servers that could not start, by their socket

    def ask(
        self, interpreter: Interpreter, preload: Sequence[str], env: Mapping[str, str],
        run_dir: Path, *, start: bool = True,
    ) -> Forked | Refused:  # fmt: skip
        """Have a run supervised by a fork of the right server, starting that for later if needed.

        Args:
            interpreter: the run's interpreter.
            preload: modules that the template imports.
            env: the run's variables, without those that are its own.
            run_dir: the run's folder, with `spec.json`; its `isolation` says whether the program
                is forked as well or gets an interpreter of its own.
            start: start a server for later runs when there is none.

        Raises:
            Unanswered: whether a supervisor exists is for the journal's lock to say.
            Undecided: whether a supervisor exists can not be told now.
        """
        try:
            path = self._socket_path(interpreter, preload, env)
        except UnsafeFolder as error:
            return Refused(str(error))
        try:
            reply = _request(path, {"run_dir": str(run_dir)})
        except ConnectionError:
            if path in self._failures:
                return Refused(self._failures[path])
            if start:
                self._start(path, interpreter, preload, env)
            return Refused(STILL_STARTING)
        if reply.get("ok") is True:
            identity = ProcessIdentity(int(reply["pid"]), int(reply["start"]), boot_id())
            return Forked(identity)
        return Refused(str(reply.get("reason") or "the warm interpreter refused it"))

    def prepare(
        self, interpreter: Interpreter, preload: Sequence[str], env: Mapping[str, str]
    ) -> bool:
        """Start the server for these unless it is there; whether it can be asked already.

        Raises:
            UnsafeFolder: there is nowhere to put its socket.
        """
        path = self._socket_path(interpreter, preload, env)
        if self.find(interpreter, preload, env) is not None:
            return True
        self._start(path, interpreter, preload, env)
        return False

    def find(
        self, interpreter: Interpreter, preload: Sequence[str], env: Mapping[str, str]
    ) -> ProcessIdentity | None:
        """The server that would be asked, or None while it can not be asked."""
        try:
            reply = _request(self._socket_path(interpreter, preload, env), {"command": "status"})
            return ProcessIdentity(int(reply["pid"]), int(reply["start"]), boot_id())
        except (OSError, KeyError, ValueError, Unanswered, Undecided, UnsafeFolder):
            return None

    def stop_all(self) -> None:
        """End every server of the folder, whoever started it; their runs go on."""
        folder = self._folder()
        for record in folder.glob("*.json"):
            _retire(record)

    def _start(
        self, path: Path, interpreter: Interpreter, preload: Sequence[str], env: Mapping[str, str]
    ) -> None:
        """Start a server unless one is on its way; does not wait for it."""
        record = path.with_suffix(".json")
        lock = os.open(path.with_suffix(".starting"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return  # another one starts it right now
            if (server := _read_record(record)) is not None and server.is_alive():
                return
            self._tidy(path)
            server = self._spawn(path, interpreter, preload, env)
            if server is not None:
                write_json(record, {"pid": server.pid, "start": server.start, "boot": boot_id()})
        finally:
            os.close(lock)

    def _spawn(
        self, path: Path, interpreter: Interpreter, preload: Sequence[str], env: Mapping[str, str]
    ) -> ProcessIdentity | None:
        command = [
            interpreter.path, str(self._runtime_dir), "forkserver", "--socket", str(path),
            "--preload", ",".join(preload), "--idle-seconds", str(self._idle_seconds),
        ]  # fmt: skip
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        output = os.open(path.with_suffix(".log"), flags, 0o600)
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/",
                env=template_env(env) | {RUN_ID_VARIABLE: UNNAMED_RUN_ID},
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            return None  # each run starts fresh and says why that does not work
        finally:
            os.close(output)
        try:
            return ProcessIdentity.of(process.pid)  # exists: it is not reaped yet
        finally:
            threading.Thread(
                target=self._await_end, args=(path, process), name="mellea-forkserver", daemon=True
            ).start()

    def _await_end(self, path: Path, process: subprocess.Popen[bytes]) -> None:
        """Reap a server; one that failed by itself is not tried again while its name stays."""
        code = process.wait()
        if code > 0 and code != EXIT_OTHER_SERVER:
            self._failures[path] = f"the warm interpreter does not start (exit code {code})"
            log.warning("The fork server %s ended with code %d", path, code)

    def _tidy(self, path: Path) -> None:
        """End servers that this one replaces, and remove the files of those that are gone.

        Replaced is one that differs only in its packages or in our version.
        """
        group = path.name.partition("-")[0]
        for record in path.parent.glob("*.json"):
            if record.stem == path.stem:
                continue
            server = _read_record(record)
            if record.name.startswith(f"{group}-") or server is None or not server.is_alive():
                _retire(record)

    def _socket_path(
        self, interpreter: Interpreter, preload: Sequence[str], env: Mapping[str, str]
    ) -> Path:
        keyed = sorted((k, v) for k, v in template_env(env).items() if k != "PATH")
        fixed = [interpreter.path, str(self._runtime_dir), ",".join(preload)]
        group = _digest([*fixed, json.dumps(keyed)])
        stamp = _digest([interpreter.package_stamp(), _folder_stamp(self._runtime_dir)])
        return self._folder() / f"{group}-{stamp}.sock"

    def _folder(self) -> Path:
        """The folder for sockets, made when there is none.

        Raises:
            UnsafeFolder
        """
        given = self._given_folder
        if given is None:
            home = os.environ.get("XDG_RUNTIME_DIR")
            given = Path(home, "mellea-jupyter") if home and Path(home).is_dir() else None
        for folder in (given, Path(f"/tmp/mellea-jupyter-{os.getuid()}")):  # noqa: S108  # verified below  # verified
            if folder and len(os.fsencode(folder / _LONGEST_NAME)) < MAX_SOCKET_PATH_BYTES:
                _make_private(folder)
                return folder
        msg = "there is no folder short enough for a socket"
        raise UnsafeFolder(msg)


_LONGEST_NAME = "0" * 12 + "-" + "0" * 12 + ".sock.lock"


def template_env(env: Mapping[str, str]) -> dict[str, str]:
    """The variables that a template starts with: those that imports read, and `PATH`."""
    return {name: value for name, value in env.items() if _is_for_template(name)}


def _is_for_template(name: str) -> bool:
    if name in FOLLOWED_VARIABLES or name.startswith("MELLEA_JUPYTER_"):
        return False
    return name == "PATH" or name in _TEMPLATE_NAMES or name.startswith(_TEMPLATE_PREFIXES)


def _request(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """One question to a fork server.

    Raises:
        ConnectionError: nobody listens there, or not this user; the question was not asked.
        Unanswered: it was asked, and the server was killed for not answering.
        Undecided: it was asked, and the server could not be killed.
        OSError: it was not asked.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(REPLY_TIMEOUT_SECONDS)
        try:
            connection.connect(os.fspath(path))
        except OSError as error:
            raise ConnectionError(error.errno or errno.EIO, "no fork server there") from error
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, uid, _ = struct.unpack("3i", credentials)
        if uid != os.getuid():
            raise ConnectionRefusedError(errno.EACCES, "the fork server is another user's")
        server = ProcessIdentity.of(pid)
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            reply = json.loads(_read_line(connection))
        except (OSError, ValueError) as error:
            try:
                if server is not None and server.send(signal.SIGKILL):
                    server.wait(REPLY_TIMEOUT_SECONDS)
            except OSError as trouble:  # it may live and fork after all
                raise Undecided(str(trouble)) from error
            raise Unanswered(str(error)) from error
    return reply if isinstance(reply, dict) else {}


def _read_line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < 256 * 1024:
        part = connection.recv(64 * 1024)
        if not part:
            break
        data += part
    return data


def _retire(record: Path) -> None:
    """End the server that a record names and remove its files; its runs go on."""
    server = _read_record(record)
    if server is not None and server.send(signal.SIGTERM) and not server.wait(2.0):
        server.send(signal.SIGKILL)  # it still imports, which nothing interrupts
        server.wait(2.0)
    for suffix in (".json", ".sock", ".sock.lock", ".starting", ".log"):
        with suppress(OSError):
            record.with_suffix(suffix).unlink()


def _read_record(record: Path) -> ProcessIdentity | None:
    try:
        data = json.loads(record.read_bytes())
        return ProcessIdentity(int(data["pid"]), int(data["start"]), str(data["boot"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _make_private(folder: Path) -> None:
    """Make the folder, or verify that only this user may enter it.

    Raises:
        UnsafeFolder
    """
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = os.lstat(folder)
    except OSError as error:
        msg = f"the folder for sockets can not be made: {error.strerror}"
        raise UnsafeFolder(msg) from error
    is_private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    if not is_private or status.st_mode & 0o077:
        msg = f"{folder} is not a folder of this user alone"
        raise UnsafeFolder(msg)


def _folder_stamp(folder: Path) -> str:
    files = sorted(folder.glob("*.py"))
    return _digest(f"{p.name} {(s := p.stat()).st_mtime_ns} {s.st_size}" for p in files)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:12]
