"""A fake server and clients of it; the environment has no server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mellea_jupyter.client import MelleaClient, launch
from tests.client.fake_server import FakeServer


@pytest.fixture(autouse=True)
def no_server_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("MELLEA_JUPYTER_URL", "JUPYTERHUB_SERVICE_URL", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setattr(launch, "_default", None)
    yield
    if launch._default is not None:
        launch._default.close()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeServer]:
    root = tmp_path / "root"
    root.mkdir()
    with FakeServer(root) as server:
        yield server


@pytest.fixture
def client(fake: FakeServer) -> Iterator[MelleaClient]:
    with MelleaClient(fake.connection) as client:
        yield client
