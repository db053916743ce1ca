"""A real server for each file of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def offer_environments(home: Path, environments: list[dict[str, Any]]) -> None:
    """Write a server's configuration file with these environments."""
    folder = home / "config"
    folder.mkdir()
    settings = {"MelleaApp": {"environments": environments}}
    (folder / "jupyter_server_config.json").write_text(json.dumps(settings))
