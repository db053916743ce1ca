"""One JupyterHub for the tests of this folder, with the servers of its users."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require

from .hub import Hub

PROXY = Path(__file__).parent / "proxy"
PROGRAM = """\
import os
from mellea import start_session
print("on the server of", os.environ["WHOSE_SERVER"])
print("told", sorted(name for name in os.environ if name.startswith("JUPYTERHUB")))
print(start_session().chat("Say hello.").content)
"""
BREAKS = "import os\nraise SystemExit(f'on the server of {os.environ[\"WHOSE_SERVER\"]}')\n"
WAITS = "import time\ntime.sleep(600)\n"


def install_proxy() -> list[str]:
    """The command of configurable-http-proxy, installed into this folder if it is not there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        require("npm", "JupyterHub's proxy is a program of node")
    program = PROXY / "node_modules" / "configurable-http-proxy" / "bin"
    program /= "configurable-http-proxy"
    if not program.exists():
        done = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"],
            cwd=PROXY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            require("configurable-http-proxy", done.stderr.strip()[-400:])
    return [node, str(program)]


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub on which the servers of ada and bob run, both on one store of runs."""
    options = ["--MelleaApp.activity_seconds=1", "--MelleaApp.prewarm=False"]
    home = tmp_path_factory.mktemp("hub")
    with Hub(home, proxy=install_proxy(), options=options) as running:
        for name in ("ada", "bob"):
            (home / name / "hello.py").write_text(PROGRAM)
            (home / name / "waits.py").write_text(WAITS)
            (home / name / "breaks.py").write_text(BREAKS)
        running.start_servers("ada", "bob")
        yield running
