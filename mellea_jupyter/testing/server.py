"""A real Jupyter server in a process of its own, for tests and benchmarks.

Authentication and XSRF are on. The server has its own configuration, data and runtime folders, and
can be killed and started again on the same data, as happens to real ones.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import quote

import httpx

from mellea_jupyter.certificates import trust_for
from mellea_jupyter.executors.process import ProcessExecutor
from mellea_jupyter.runtime.ports import free_port

START_SECONDS = 60.0


@contextmanager
def shared_fork_servers() -> Iterator[None]:
    """Inside, new servers have their fork servers in common, as those of one user have.

    Each saves the two seconds of processor time that importing mellea takes.
    """
    JupyterServer.shared_runtime_folder = folder = _new_runtime_folder()
    try:
        yield
    finally:
        JupyterServer.shared_runtime_folder = None
        _remove_runtime_folder(folder)


class JupyterServer:
    """Start with `start()` or as a context manager; every process it started is gone at the end.

    Args:
        home: folder for everything the server keeps; `home/root` is its root folder.
        app: `lab`, or `server` for the server alone.
        options: further command-line options, e.g. `--MelleaApp.max_runs=1`.
        environment: variables added to the server's.
        root: another root folder.
        data_dir: another folder of runs, to share a store with another server.
        extension: whether the extension is enabled.
    """

    shared_runtime_folder: ClassVar[Path | None] = None
    """Where new servers have their user's home and sockets; None: a folder for each of them."""

    def __init__(
        self,
        home: Path,
        *,
        app: str = "server",
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        root: Path | None = None,
        data_dir: Path | None = None,
        extension: bool = True,
    ) -> None:
        self.home = home
        self.root = root or home / "root"
        self.data_dir = data_dir or home / "mellea"
        self.token = secrets.token_hex(16)
        self.port = free_port()
        self.log_path = home / "server.log"
        self._app = app
        self._options = list(options)
        self._environment = dict(environment or {})
        self._extension = extension
        self._process: subprocess.Popen[bytes] | None = None
        self._is_sharing = self.shared_runtime_folder is not None
        self._runtime_folder = self.shared_runtime_folder or _new_runtime_folder()

    @property
    def url(self) -> str:
        """Base URL with a trailing slash."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return self._running.pid

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            msg = "the server was not started"
            raise RuntimeError(msg)
        return self._process

    def http(self, *, token: str | None = None, **kwargs: Any) -> httpx.Client:
        """A client with this server's token, or another one."""
        headers = {"Authorization": f"token {token or self.token}"}
        trust = trust_for(self.url)
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, verify=trust, **kwargs)

    def environment(self) -> dict[str, str]:
        """What the server's process gets as its environment."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "JPY", "MELLEA", "OPENAI", "OLLAMA"))
        }
        for name in ("root", "config", "data", "runtime"):
            (self.home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        user_home = self._runtime_folder / "home"  # prepared interpreters are for one home
        user_home.mkdir(parents=True, exist_ok=True, mode=0o700)
        return {
            **inherited,
            "HOME": str(user_home),
            "JUPYTER_CONFIG_DIR": str(self.home / "config"),
            "JUPYTER_DATA_DIR": str(self.home / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
            "JUPYTER_PREFER_ENV_PATH": "1",
            "XDG_RUNTIME_DIR": str(self._runtime_folder),
            "PYTHONPATH": _package_root(),
            **self._environment,
        }

    def command(self) -> list[str]:
        """The server's command line."""
        module = {"server": "jupyter_server", "lab": "jupyterlab"}[self._app]
        extensions = {"mellea_jupyter": self._extension}
        if self._app == "server":
            extensions["jupyter_lsp"] = False  # it asks npm for language servers
        return [
            sys.executable, "-m", module,
            "--no-browser", "--allow-root",
            f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0",
            "--ServerApp.ip=127.0.0.1",
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.root}",
            f"--ServerApp.jpserver_extensions={extensions}",
            *([f"--MelleaApp.data_dir={self.data_dir}"] if self._extension else []),
            *self._options,
        ]  # fmt: skip

    def start(self, *, wait: bool = True) -> Self:
        """Start the server; by default return when it answers."""
        environment = self.environment()
        self.root.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, path: str = "api/status") -> None:
        """Until the server answers, or TimeoutError with the end of its log."""
        deadline = time.monotonic() + START_SECONDS
        with self.http() as http:
            while time.monotonic() < deadline:
                if self._running.poll() is not None:
                    break
                try:
                    if http.get(path).status_code == httpx.codes.OK:
                        return
                except httpx.TransportError:
                    time.sleep(0.02)
        msg = f"The server did not answer:\n{self.log()}"
        raise TimeoutError(msg)

    def log(self) -> str:
        """The end of the server's log."""
        return self.log_path.read_text("utf-8", "replace")[-6000:]

    def kill(self) -> None:
        """SIGKILL, as when the machine's memory is gone. Runs go on."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, the orderly way; SIGKILL if that takes too long. Idempotent.

        Its fork servers, which outlive servers, are stopped as well, unless they are shared.
        """
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
        if not self._is_sharing:
            _remove_runtime_folder(self._runtime_folder)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(20)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- the few calls that most tests make ---------------------------------------------------

    def write(self, name: str, source: str) -> str:
        """Write a program below the root folder; its path as the API wants it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
        return name

    def create(self, http: httpx.Client, path: str, **config: Any) -> dict[str, Any]:
        """Register a program and create a run of it; the run as JSON."""
        asset = http.post("api/assets", json={"path": path})
        asset.raise_for_status()
        run = http.post("api/runs", json={"asset_id": asset.json()["id"], "config": config})
        run.raise_for_status()
        found: dict[str, Any] = run.json()
        return found

    def wait_for(
        self,
        http: httpx.Client,
        run_id: str,
        statuses: Sequence[str] = ("succeeded", "failed", "cancelled"),
        *,
        seconds: float = 60.0,
    ) -> dict[str, Any]:
        """Until the run has one of the statuses, or TimeoutError with the run and the log."""
        deadline = time.monotonic() + seconds
        run: dict[str, Any] = {}
        while time.monotonic() < deadline:
            try:
                run = http.get(f"api/runs/{quote(run_id)}").json()
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if run.get("status") in statuses:
                return run
            time.sleep(0.02)
        msg = f"The run did not become {' or '.join(statuses)}: {run}\n{self.log()}"
        raise TimeoutError(msg)


def _new_runtime_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="mj-"))  # short, because sockets live below it


def _remove_runtime_folder(folder: Path) -> None:
    """Stop the fork servers that listen there, and remove it."""
    sockets = folder / "mellea-jupyter"
    if sockets.is_dir():
        ProcessExecutor(socket_folder=sockets).forkservers.stop_all()
    shutil.rmtree(folder, ignore_errors=True)


def _package_root() -> str:
    return str(Path(__file__).resolve().parents[2])
