"""One real server for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mellea_jupyter.executors.registry import GROUP
from mellea_jupyter.testing.server import JupyterServer

PACKAGE_ROOT = Path(__file__).parents[2]
SCENARIOS = Path(__file__).parents[1] / "runtime" / "scenarios"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, broken_executor: Path
) -> Iterator[JupyterServer]:
    home = tmp_path_factory.mktemp("server")
    options = ["--MelleaApp.grace_seconds=1.5", "--MelleaApp.models=acme/one"]
    environment = {
        "SERVER_ACCESS_TOKEN": "inherited-5b8e0d44",
        "LAB_PASSCODE": "passed-key-0b1c2d3e",
        "PYTHONPATH": os.pathsep.join((str(PACKAGE_ROOT), str(broken_executor))),
    }
    with JupyterServer(home, options=options, environment=environment) as running:
        for path in SCENARIOS.glob("*.py"):
            running.write(path.name, path.read_text("utf-8"))
        yield running


@pytest.fixture(scope="session")
def broken_executor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a package that offers the executor `broken`, whose module is not there.

    The same for all servers: with other folders on their path they would share no fork server.
    """
    folder = tmp_path_factory.mktemp("packages")
    info = folder / "broken_executor-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-executor\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{GROUP}]\nbroken = broken_executor.executor:BrokenExecutor\n"
    )
    return folder


@pytest.fixture
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client
