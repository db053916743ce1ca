"""One real server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer

SCENARIOS = Path(__file__).parents[1] / "runtime" / "scenarios"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    home = tmp_path_factory.mktemp("server")
    options = ["--MelleaApp.grace_seconds=1.5", "--MelleaApp.models=acme/one"]
    environment = {"SERVER_ACCESS_TOKEN": "inherited-5b8e0d44"}
    with JupyterServer(home, options=options, environment=environment) as running:
        for path in SCENARIOS.glob("*.py"):
            running.write(path.name, path.read_text("utf-8"))
        yield running


@pytest.fixture
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client
