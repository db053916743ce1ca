"""Real servers that are killed, and a look at what is left of a run's processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., JupyterServer]]:
    """Starts servers; all of them are stopped at the end."""
    servers: list[JupyterServer] = []

    def start(name: str = "one", **kwargs: object) -> JupyterServer:
        options = [
            "--MelleaApp.prewarm=False",
            "--MelleaApp.grace_seconds=1.5",
            *kwargs.pop("options", ()),  # type: ignore[misc]  # a list of strings by convention
        ]
        server = JupyterServer(tmp_path / name, options=options, **kwargs)  # type: ignore[arg-type]
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(start_server: Callable[..., JupyterServer]) -> JupyterServer:
    return start_server()


@pytest.fixture
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client


def processes_of(run_id: str) -> list[int]:
    """Processes whose environment names the run."""
    needle = f"MELLEA_RUN_ID={run_id}".encode()
    found = []
    for entry in (path.name for path in Path("/proc").iterdir()):
        if not entry.isdigit():
            continue
        try:
            environment = Path("/proc", entry, "environ").read_bytes()
            state = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if needle in environment.split(b"\0") and state != "Z":
            found.append(int(entry))
    return found


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Until the condition holds, or TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            msg = f"{condition} did not come true in {seconds} s"
            raise TimeoutError(msg)
        time.sleep(0.02)
