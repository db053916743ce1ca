"""A complete server on copies of the examples, and the demo model with its own counts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mellea_jupyter.client import MelleaClient
from mellea_jupyter.client.discovery import given
from mellea_jupyter.demo.server import DemoModel
from mellea_jupyter.testing.server import JupyterServer

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoModel]:
    with DemoModel(latency_seconds=0.0) as model:
        yield model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(EXAMPLES, home / "root", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    options = ["--MelleaApp.fork_server_idle_seconds=5"]
    with JupyterServer(home, options=options) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: JupyterServer) -> Iterator[MelleaClient]:
    with MelleaClient(given(server.url, server.token, server.root)) as client:
        yield client
