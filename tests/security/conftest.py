"""A real server for each file of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    home = tmp_path_factory.mktemp("server")
    with JupyterServer(home, options=["--MelleaApp.grace_seconds=1.5"]) as running:
        yield running


@pytest.fixture
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client
