"""Warm start: a process with mellea imported that forks a supervisor on request.

One fork server per interpreter, environment and set of installed packages; it lives outside the
Jupyter server and ends by itself when nobody asked for a while. It listens on a Unix socket inside
a folder that only its user may enter, and answers that user alone. One JSON line each way and
connection:

    {"run_dir": "/…/runs/<run_id>"}  ->  {"ok": true, "pid": 4711, "start": 123456}
                                     or  {"ok": false, "reason": "…"}: start it fresh instead
    {"command": "status"}            ->  {"ok": true, "pid": …, "version": "1", "preloaded": [...]}
    {"command": "exit"}              ->  {"ok": true}, and the server ends; runs go on

When it answers `ok`, the run's `journal/lock` is already held. It must be started with the values
the runs have of the variables that matter while modules are imported; a run that differs is
refused.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
import warnings
from contextlib import ExitStack
from types import FrameType
from typing import Any, Dict, List, NoReturn, Optional, Sequence, Set, Tuple

from . import RUNTIME_VERSION
from .processes import start_time
from .program import INTERPRETER_MODULES, run_warm, shadowed_modules
from .spec import DATASET_PREFIX, RunSpec, SpecError, load_spec
from .supervisor import Start, lock_journal, supervise

IMPORT_TIME_PREFIXES = (
    "PYTHON",
    "LD_",
    "MELLEA_",
    "OTEL_",
    "HF_",
    "TRANSFORMERS_",
    "TOKENIZERS_",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "CUDA_",
    "TQDM_",
    "AZURE_OPENAI_",
    "OPENAI_API_TYPE",
    "OPENAI_API_VERSION",
    "OPENAI_LOG",
)
"""Variables that are read while modules are imported; a later change would not be seen."""

RUN_ID_VARIABLE = "MELLEA_RUN_ID"
FOLLOWED_VARIABLES = frozenset(("MELLEA_OUTPUT_DIR", RUN_ID_VARIABLE))
"""Begin like those, but a warm run does see its own value."""

REQUEST_BYTES = 64 * 1024
REQUEST_SECONDS = 5.0
HELD_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

EXIT_OTHER_SERVER = 75
EXIT_UNSAFE = 70


def main(arguments: Sequence[str]) -> int:
    """The `forkserver` command.

    Returns:
        0 when idle or asked to end; 75 when another server has this socket; 70 when a preloaded
        module opened a network connection, which no child could share.
    """
    parser = argparse.ArgumentParser(prog="mellea_runtime forkserver")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--preload", default="")
    parser.add_argument("--idle-seconds", type=float, default=1800.0)
    options = parser.parse_args(list(arguments))
    os.environ.setdefault("MELLEA_LOGS_CONSOLE", "false")  # as in each run, see spec.py
    try:
        os.setsid()
    except OSError:
        pass  # already the leader of its session
    with ExitStack() as stack:
        lock = os.open(f"{options.socket}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return EXIT_OTHER_SERVER
        preload([name for name in options.preload.split(",") if name])
        if has_network_connection():
            print("mellea_runtime: a preloaded module opened a connection", file=sys.stderr)
            return EXIT_UNSAFE
        kept = tuple(int(name) for name in os.listdir("/proc/self/fd") if int(name) != lock)
        server = ForkServer(options.socket, options.idle_seconds, kept)
        stack.callback(server.close)
        return server.serve()


def preload(names: Sequence[str]) -> None:
    """Import modules for all runs to come; one that cannot be imported is left to the runs."""
    import logging  # noqa: F401  # what each run uses anyway
    import traceback  # noqa: F401

    from . import failure, llm_events, notebook, records  # noqa: F401

    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            print(f"mellea_runtime: {name} is not preloaded: {error!r}", file=sys.stderr)
    gc.collect()
    gc.freeze()  # children share these pages as long as the collector never touches them


def has_network_connection() -> bool:
    """Whether this process holds an Internet socket, which forked children must not share."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(name))) as copy:
                if copy.family in (socket.AF_INET, socket.AF_INET6):
                    return True
        except OSError:
            continue  # the listing's own descriptor
    return False


def loaded_modules() -> Set[str]:
    """Top-level modules that a fork of this process would have already."""
    return {name.partition(".")[0] for name in sys.modules} - INTERPRETER_MODULES


def why_fresh(spec: RunSpec, preloaded: Set[str]) -> Optional[str]:
    """Why this run must not start warm from this process, or None."""
    for name in sorted(set(spec.env) | set(os.environ)):
        is_followed = name in FOLLOWED_VARIABLES or name.startswith(DATASET_PREFIX)
        matters = name.startswith(IMPORT_TIME_PREFIXES) and not is_followed
        if matters and spec.env.get(name) != os.environ.get(name):
            return f"the variable {name} is read when modules are imported"
    shadowed = shadowed_modules(spec.import_dir, preloaded)
    if shadowed:
        return f"the program's own {min(shadowed)} replaces a preloaded module"
    return None


class ForkServer:
    """Accepts requests on a socket and forks a supervisor for each.

    Args:
        path: Where to listen; its folder must admit nobody else.
        idle_seconds: Ends after so long without a request.
        template_descriptors: What preloaded modules have open; all that a child keeps.
    """

    def __init__(
        self, path: str, idle_seconds: float, template_descriptors: Tuple[int, ...]
    ) -> None:
        self._path = path
        self._idle_seconds = idle_seconds
        self._preloaded = loaded_modules()
        self._umask = os.umask(0o077)
        self._template_descriptors = template_descriptors
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if os.path.lexists(path):
            os.unlink(path)  # left by a server that was killed: we hold the lock
        self._listener.bind(path)
        os.chmod(path, 0o600)
        self._listener.listen(128)
        self._listener.setblocking(False)  # noqa: FBT003  # it takes no keyword
        self._ends = False
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        self._wakeup = reading
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _on_signal(self, number: int, frame: Optional[FrameType]) -> None:
        self._ends = self._ends or number == signal.SIGTERM

    def serve(self) -> int:
        """Answer requests until idle for long enough, told to end, or terminated."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            idle_at = time.monotonic() + self._idle_seconds
            while not self._ends:
                left = idle_at - time.monotonic()
                if left <= 0:
                    break
                for key, _ in selector.select(left):
                    if key.fileobj is self._listener:
                        self._accept()
                        idle_at = time.monotonic() + self._idle_seconds
                    else:
                        os.read(self._wakeup, 4096)
                _reap()
        return 0

    def close(self) -> None:
        """Remove the socket first, so that nobody connects to a server that ends."""
        try:
            os.unlink(self._path)
        except OSError:
            pass
        self._listener.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # the peer left again
        with connection:
            connection.settimeout(REQUEST_SECONDS)
            if peer_uid(connection) != os.getuid():
                return
            try:
                answer = self._answer(read_line(connection))
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except (OSError, ValueError) as error:
                print(f"mellea_runtime: request failed: {error!r}", file=sys.stderr)

    def _answer(self, request: Dict[str, Any]) -> Dict[str, Any]:
        command = request.get("command")
        if command == "status":
            return {
                "ok": True,
                "pid": os.getpid(),
                "start": start_time(os.getpid()),
                "version": RUNTIME_VERSION,
                "preloaded": sorted(self._preloaded),
            }
        if command == "exit":
            self._ends = True
            return {"ok": True}
        run_dir = os.path.abspath(str(request["run_dir"]))
        try:
            spec = load_spec(run_dir)
        except SpecError:
            spec = None  # the supervisor writes the journal that explains it
        is_fresh = spec is not None and spec.isolation == "fresh"
        reason = None if spec is None or is_fresh else why_fresh(spec, self._preloaded)
        if reason is not None:
            return {"ok": False, "reason": reason}
        return self._fork_supervisor(run_dir, is_fresh=is_fresh)

    def _fork_supervisor(self, run_dir: str, *, is_fresh: bool) -> Dict[str, Any]:
        try:
            os.makedirs(os.path.join(run_dir, "journal"), mode=0o700, exist_ok=True)
            lock = lock_journal(run_dir)
        except OSError as error:
            return {"ok": False, "reason": f"the journal cannot be opened: {error}"}
        if lock is None:
            return {"ok": False, "reason": "another supervisor has this run"}
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
        try:
            pid = fork_quietly()
            if pid == 0:
                self._become_supervisor(run_dir, lock, is_fresh=is_fresh)
        except OSError as error:
            return {"ok": False, "reason": f"the fork failed: {error}"}
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
            os.close(lock)
        return {"ok": True, "pid": pid, "start": start_time(pid)}

    def _become_supervisor(self, run_dir: str, lock: int, *, is_fresh: bool) -> NoReturn:
        """In the forked child, with signals held back: supervise, then leave.

        Fresh means that the program gets an interpreter of its own; its supervisor still comes
        from here, which saves the start of one more interpreter.
        """
        status = 1
        try:
            os.umask(self._umask)
            name_run(os.path.basename(run_dir))
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1):
                os.dup2(null, descriptor)
            template = () if is_fresh else self._template_descriptors
            kept = {0, 1, 2, lock, *template}
            for name in os.listdir("/proc/self/fd"):
                if int(name) not in kept:
                    close_quietly(int(name))
            if is_fresh:
                start = Start("fresh", lock=lock)
            else:
                start = Start("warm", None, become_program, template, lock)
            status = supervise(run_dir, start)
        except BaseException as error:
            print(f"mellea_runtime: supervisor of {run_dir}: {error!r}", file=sys.stderr)
        finally:
            os._exit(status)


def name_run(run_id: str) -> None:
    """Put the run's id into this process's `/proc/<pid>/environ`, where its children have it too.

    So a process of the run is found even when its supervisor was killed and it has left session,
    group and parents. A fork shares the environment that the kernel shows with the template, whose
    value is therefore overwritten in place; that needs a value of the same length there.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            start = int(file.read().rpartition(b")")[2].split()[47])  # field 50, env_start
        with open("/proc/self/environ", "rb") as file:
            environ = file.read()
        prefix = RUN_ID_VARIABLE.encode() + b"="
        at = (b"\0" + environ).find(b"\0" + prefix)
        if at < 0 or environ[at:].partition(b"\0")[0][len(prefix) :].strip(b"0"):
            return
        value = run_id.encode()
        if len(value) != len(environ[at:].partition(b"\0")[0]) - len(prefix):
            return
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start + at + len(prefix))
            memory.write(value)
    except (OSError, ValueError, IndexError):
        pass  # not Linux, or /proc is restricted: the other ways to find it remain


def become_program(spec: RunSpec, channel: int) -> NoReturn:
    """In a child forked from the template: make it the run's process, and run the program."""
    os.environ.clear()
    os.environ.update(spec.env)
    time.tzset()
    _reseed()
    _point_ollama()
    gc.enable()
    run_warm(spec, channel)


def _point_ollama() -> None:
    """Give the client that `import ollama` makes the run's host and key; mellea makes its own.

    Source: `ollama/_client.py` of ollama 0.6. Made differently, only `ollama.chat` and the like
    would miss the run's variables.
    """
    host, key = os.environ.get("OLLAMA_HOST"), os.environ.get("OLLAMA_API_KEY")
    if "ollama" not in sys.modules or not (host or key):
        return
    try:
        client: Any = sys.modules["ollama"]._client._client  # noqa: SLF001  # nothing public
        parse_host: Any = sys.modules["ollama._client"]._parse_host  # noqa: SLF001  # the same
        client.base_url = parse_host(host)
        if key:
            client.headers["authorization"] = f"Bearer {key}"
    except (KeyError, AttributeError):
        pass


def _reseed() -> None:
    """Give this child random numbers and a character locale of its own."""
    import locale

    try:
        locale.setlocale(locale.LC_CTYPE, "")
    except locale.Error:
        pass  # as python does when the environment names an unknown locale
    random = sys.modules.get("random")
    if random is not None:
        random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def fork_quietly() -> int:
    """Fork without the warning of Python ≥ 3.12 about threads.

    mellea's import starts one thread, which waits in its event loop and holds no lock; mellea makes
    a new one in the child.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def peer_uid(connection: socket.socket) -> int:
    """The user on the other end of a Unix socket (Linux)."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    fields: Tuple[int, int, int] = struct.unpack("3i", credentials)
    return fields[1]  # between the process and the group


def read_line(connection: socket.socket) -> Dict[str, Any]:
    """One JSON object, ended by a newline or by the peer.

    Raises:
        ValueError: It is no JSON object, or longer than 64 KiB.
    """
    parts: List[bytes] = []
    while sum(map(len, parts)) < REQUEST_BYTES:
        part = connection.recv(REQUEST_BYTES)
        parts.append(part)
        if not part or part.endswith(b"\n"):
            break
    request = json.loads(b"".join(parts))
    if not isinstance(request, dict) or not ("command" in request or "run_dir" in request):
        raise ValueError("expected an object with run_dir or command")
    return request


def close_quietly(descriptor: int) -> None:
    """Close a descriptor that may be closed already."""
    try:
        os.close(descriptor)
    except OSError:
        pass


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
