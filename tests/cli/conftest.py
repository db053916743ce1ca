"""The fake server, announced by the variables a Jupyter server sets for its terminals."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mellea_jupyter.client import launch
from tests.client.fake_server import TOKEN, FakeServer


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    root = tmp_path / "root"
    root.mkdir()
    (root / "trip.py").write_text("print('hi')")
    token_file = tmp_path / "token"
    token_file.touch(0o600)
    token_file.write_text(TOKEN)
    for name in [name for name in os.environ if name.startswith(("JUPYTERHUB", "JPY", "OPENAI"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(root)
    monkeypatch.setattr(launch, "_default", None)
    with FakeServer(root) as server:
        monkeypatch.setenv("MELLEA_JUPYTER_URL", server.url)
        monkeypatch.setenv("MELLEA_JUPYTER_TOKEN_FILE", str(token_file))
        monkeypatch.setenv("MELLEA_JUPYTER_ROOT_DIR", str(root))
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
        yield server
        if launch._default is not None:
            launch._default.close()
