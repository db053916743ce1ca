"""The headless server of this Python installation: found by its state file, or started.

One for each installation (`sys.prefix`), because a run executes in the server's own environment
unless it names another. Its files are in Jupyter's runtime folder, readable by this user only:
`headless-<hash>.json` (URL, token, process), `.lock` (held while one is being started), `.log`.
`headless.py` is the server itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.errors import ClientError, ServerError, ServerNotFound

# A server that dies is noticed at once; this is for slow and busy machines.
READY_SECONDS: Final = 45.0
STARTING_SECONDS: Final = 90.0
STOP_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.05
_LOG_TAIL_LINES: Final = 15

Probe = Callable[[Connection], ClientError | None]
"""Asks a server whether it answers as ours: None, or what is wrong."""


@dataclass(frozen=True, slots=True)
class StateFiles:
    """Where the headless server of one Python installation keeps its state."""

    folder: Path
    name: str

    @property
    def state(self) -> Path:
        """URL, token and process of the server, as JSON, mode 0600."""
        return self.folder / f"{self.name}.json"

    @property
    def lock(self) -> Path:
        """Held (flock) by whoever is starting the server."""
        return self.folder / f"{self.name}.lock"

    @property
    def log(self) -> Path:
        """What the server printed since its start, mode 0600."""
        return self.folder / f"{self.name}.log"


def state_files() -> StateFiles:
    """The files of this process's installation."""
    digest = hashlib.sha256(os.fsencode(sys.prefix)).hexdigest()[:12]
    return StateFiles(Path(jupyter_runtime_dir()) / "mellea-jupyter", f"headless-{digest}")


def find() -> Connection | None:
    """The server that the state file names, if its process lives; it is not asked anything."""
    try:
        state = json.loads(state_files().state.read_bytes())
        connection = Connection(
            state["url"],
            token=state["token"],
            root_dir=Path(state["root_dir"]),
            found="the headless server",
            pid=state["pid"],
            has_lab=False,
        )
        started = psutil.Process(state["pid"]).create_time()
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    # The same process, not another that got its number; create_time() counts whole clock ticks.
    return connection if abs(started - state["process_started"]) < 1 else None


def find_or_start(probe: Probe) -> Connection:
    """The headless server, started when there is none that answers. Concurrent callers share one.

    Args:
        probe: asks a server whether it answers; gives what is wrong otherwise.

    Raises:
        ServerNotFound: it did not become ready; the text holds the end of its log.
    """
    files = state_files()
    files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock(files.lock):
        found = find()
        if found is not None and probe(found) is None:
            return found
        return _start(files, probe)


def _start(files: StateFiles, probe: Probe) -> Connection:
    files.state.unlink(missing_ok=True)
    files.log.unlink(missing_ok=True)
    descriptor = os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    with open(descriptor, "ab") as log:  # noqa: PTH123 - opened with its mode above
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "mellea_jupyter.client.headless"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        found = find()
        if found is not None and found.pid == server.pid:
            problem = probe(found)
            if problem is None:
                server.returncode = 0  # it is meant to outlive us: no warning that it still runs
                return found
            if isinstance(problem, ServerError):  # it answers; asking again changes nothing
                _end(server)
                raise _not_ready(files, f"does not work: {problem.message}")
        if server.poll() is not None:
            raise _not_ready(files, f"ended with code {server.returncode}")
        time.sleep(_LOOK_SECONDS)
    _end(server)
    raise _not_ready(files, f"was not ready after {READY_SECONDS:.0f} s")


def _end(server: subprocess.Popen[bytes]) -> None:
    """Stop a server that is of no use, and leave no zombie."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _environment() -> dict[str, str]:
    """Our environment, without what belongs to the Jupyter server this process may be part of."""
    prefixes = (
        "JPY_", "JUPYTERHUB_", "JUPYTER_SERVER_", "JUPYTER_TOKEN",
        "MELLEA_JUPYTER_URL", "MELLEA_JUPYTER_TOKEN", "MELLEA_JUPYTER_ROOT",
    )  # fmt: skip
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def _not_ready(files: StateFiles, what: str) -> ServerNotFound:
    try:
        lines = files.log.read_text("utf-8", "replace").splitlines()[-_LOG_TAIL_LINES:]
    except OSError:
        lines = []
    tail = "\n".join(f"  {line}" for line in lines) or "  (its log is empty)"
    return ServerNotFound(
        f"The headless server {what}. The end of its log:\n{tail}",
        hint=f"The whole log: {files.log}",
    )


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock; waits while another process starts the server.

    Raises:
        ServerNotFound: the other one does not come to an end.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServerNotFound(
                        "Another process is starting the headless server and does not finish",
                        hint=f"Find out who holds {path}, and end it.",
                    ) from None
                time.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(descriptor)
