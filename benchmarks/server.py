"""A real Jupyter server in its own process, and the few REST calls the benchmarks make."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A started server: its base URL, without slash at the end, and what opens it."""

    url: str
    token: str
    root: Path

    def client(self) -> httpx.Client:
        """A client that stays connected, as the project's own client does."""
        headers = {"Authorization": f"token {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60.0)

    def register(self, client: httpx.Client, path: Path) -> str:
        """The id of the asset for a program below the server's root."""
        body = {"path": path.relative_to(self.root).as_posix()}
        return str(_json(client.post("/api/assets", json=body))["id"])

    def create(self, client: httpx.Client, asset_id: str, **config: object) -> str:
        """Create a run and return its id."""
        reply = client.post("/api/runs", json={"asset_id": asset_id, "config": config})
        return str(_json(reply)["id"])


def _json(reply: httpx.Response) -> dict[str, object]:
    if reply.is_error:
        raise RuntimeError(f"{reply.request.url}: {reply.status_code} {reply.text}")
    body: dict[str, object] = reply.json()
    return body


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(home: Path, port: int, token: str, *, enabled: bool = True) -> subprocess.Popen[bytes]:
    """Start ``jupyter server`` with its folders below ``home``; the caller ends it.

    Args:
        home: an existing folder; `home/root` becomes the server's root.
        port: where it listens, on the loopback interface.
        token: its token.
        enabled: whether our extension is loaded. All others are as installed.
    """
    (home / "root").mkdir(exist_ok=True)
    config = home / f"config-{enabled}"
    config.mkdir(exist_ok=True)
    (config / "jupyter_server_config.json").write_text(
        json.dumps({"ServerApp": {"jpserver_extensions": {"mellea_jupyter": enabled}}})
    )
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_TOKEN": token,
    }
    options = [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--no-browser"]
    if os.geteuid() == 0:
        options.append("--allow-root")
    with (home / "server.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *options],
            cwd=home / "root",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def wait_until_ready(process: subprocess.Popen[bytes], port: int, token: str) -> float:
    """Wait for the first answer of ``/api/status`` and return `time.monotonic` of it.

    Raises:
        RuntimeError: the server ended, or did not answer within a minute.
    """
    headers = {"Authorization": f"token {token}"}
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(headers=headers, timeout=30.0) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.get(f"http://127.0.0.1:{port}/api/status").raise_for_status()
                return time.monotonic()
            except httpx.TransportError:
                time.sleep(0.005)  # the port does not listen yet
    raise RuntimeError(f"no Jupyter server on port {port}, exit code {process.poll()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, by force after twenty seconds."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def running_server() -> Iterator[Server]:
    """A server with our extension, gone afterwards together with its folders.

    Raises:
        RuntimeError: it does not start; the text ends with its log.
    """
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="mellea-bench-") as folder:
        home, port = Path(folder), free_port()
        process = launch(home, port, token)
        try:
            wait_until_ready(process, port, token)
            yield Server(f"http://127.0.0.1:{port}", token, home / "root")
        except Exception as error:
            error.add_note((home / "server.log").read_text(errors="replace")[-3000:])
            raise
        finally:
            stop(process)
