"""A real server whose environments are images, a registry, and images to pull from it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from socket import AF_INET
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import httpx
import psutil
import pytest

from mellea_jupyter.runtime.ports import free_port
from mellea_jupyter.testing.server import JupyterServer
from tests.conftest import require
from tests.executors.kinds import BARE_IMAGE, MELLEA_IMAGE, engine_or_leave
from tests.executors.runs import wait_until

SCENARIOS = Path(__file__).parents[1] / "runtime" / "scenarios"


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """The SDK's client of the engine."""
    client = engine_or_leave()
    yield client
    client.close()


class Registry:
    """A registry on loopback that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "registry.yml"
        self._config.write_text(
            "version: 0.1\n"
            f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}'}}\n"
            "log: {level: error}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def name(self, path: str) -> str:
        """An image's name in this registry."""
        return f"127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        """Start it; returns when it answers."""
        program = shutil.which("docker-registry") or "docker-registry"
        self._process = subprocess.Popen(
            [program, "serve", str(self._config)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        give_up = time.monotonic() + 30
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/v2/", timeout=5):
                    return
            except (URLError, ConnectionError):
                assert time.monotonic() < give_up, "the registry does not answer"
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def registry(engine: Any) -> Iterator[Registry]:
    """A registry with `mellea-test/small:1` (three layers) and `mellea-test/large:1` (96 MiB)."""
    if shutil.which("docker-registry") is None:
        require("docker-registry", "no such program; Debian has it as a package of that name")
    with tempfile.TemporaryDirectory(prefix="mj-registry-") as folder:
        registry = Registry(Path(folder))
        registry.start()
        push(engine, registry.name("mellea-test/small:1"), layer_sizes=(1 << 20, 2 << 20))
        push(engine, registry.name("mellea-test/large:1"), layer_sizes=(96 << 20,))
        yield registry
        registry.stop()
        for name in ("small", "large"):
            remove_image(engine, registry.name(f"mellea-test/{name}:1"))


def push(engine: Any, name: str, *, layer_sizes: tuple[int, ...]) -> None:
    """Build an image with layers of random bytes upon the bare one, push it, and forget it."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        lines = [f"FROM {BARE_IMAGE}"]
        for number, size in enumerate(layer_sizes):
            lines.append(f"COPY layer{number} /opt/layer{number}")
            add(archive, f"layer{number}", os.urandom(size))
        add(archive, "Dockerfile", "\n".join(lines).encode())
    context.seek(0)
    for line in engine.build(
        fileobj=context, custom_context=True, tag=name, rm=True, forcerm=True, decode=True
    ):
        assert "error" not in line, line
    for line in engine.push(name, stream=True, decode=True):
        assert "error" not in line, line
    remove_image(engine, name)


def remove_image(engine: Any, name: str) -> None:
    """Remove an image with every name it has."""
    import docker.errors

    try:
        found = engine.inspect_image(name)
    except docker.errors.ImageNotFound:
        return
    engine.remove_image(found["Id"], force=True)


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """Put a file into an archive."""
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def environments(**further: dict[str, Any]) -> list[str]:
    """The server's options that configure environments."""
    configured = {
        "bare": {"executor": "docker", "image": BARE_IMAGE, "network": "none"},
        "mellea": {"executor": "docker", "image": MELLEA_IMAGE},
        "inside": {"executor": "docker", "image": MELLEA_IMAGE, "network": "internal"},
        **further,
    }
    return [
        f"--MelleaApp.environments={ ({'id': id_, **fields})!r}"
        for id_, fields in configured.items()
    ]


@pytest.fixture(scope="module")
def server(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """A server with the environments `bare`, `mellea` and `inside`."""
    home = tmp_path_factory.mktemp("server")
    options = [
        "--MelleaApp.grace_seconds=1.5",
        "--MelleaApp.prewarm=False",
        *environments(small={"executor": "docker", "image": MELLEA_IMAGE, "memory_mb": 64}),
    ]
    with JupyterServer(home, options=options) as running:
        for path in SCENARIOS.glob("*.py"):
            running.write(path.name, path.read_text("utf-8"))
        yield running
        wait_until(lambda: containers_of(engine, running) == [], "no container left")


@pytest.fixture
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client


def containers_of(engine: Any, server: JupyterServer) -> list[str]:
    """Names of containers that mount something of a server's data folder."""
    return [
        each["Names"][0]
        for each in engine.containers(all=True, filters={"label": "mellea-jupyter=1"})
        if any(str(m.get("Source")).startswith(f"{server.data_dir}/") for m in each["Mounts"])
    ]


def log_of(http: httpx.Client, run: dict[str, Any]) -> str:
    """The whole log of a run as text."""
    return http.get(f"api/runs/{run['id']}/logs", params={"download": "text"}).text


def host_address() -> str:
    """This machine's address on the engine's default bridge."""
    [address] = [a.address for a in psutil.net_if_addrs()["docker0"] if a.family == AF_INET]
    return str(address)
