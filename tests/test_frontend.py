"""The JupyterLab extension: built from a clean checkout, tested, installed, and of one mind with
the REST API about its types."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

BUILT = "mellea_jupyter-0.1.0.data/data/share/jupyter/labextensions/mellea-jupyter"

pytestmark = pytest.mark.timeout(600)


def npm(checkout: Path, *arguments: str) -> None:
    done = subprocess.run(
        ["npm", "run", *arguments],
        cwd=checkout / "labextension",
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_wheel_carries_the_built_extension(built_wheel: Path) -> None:
    names = zipfile.ZipFile(built_wheel).namelist()
    assert f"{BUILT}/package.json" in names
    assert f"{BUILT}/install.json" in names
    assert any(name.startswith(f"{BUILT}/static/remoteEntry") for name in names)
    assert not [name for name in names if name.startswith("mellea_jupyter/labextension")]
    built = {"widget.js", "widget.css", "loops.js"}
    assert {f"mellea_jupyter/widgets/static/{name}" for name in built} <= set(names)


def test_jupyterlab_finds_the_installed_extension(built_wheel: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--ignore-installed", "--prefix", tmp_path, built_wheel], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "labextension", "list"],
        env={**os.environ, "JUPYTER_PATH": str(tmp_path / "share" / "jupyter")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = [text for text in done.stderr.splitlines() if "mellea-jupyter" in text]
    assert "enabled" in line
    assert "OK" in line


@pytest.mark.usefixtures("built_wheel")
@pytest.mark.parametrize("script", ["test", "lint", "schema:check"])
def test_a_check_of_the_front_end_passes(checkout: Path, script: str) -> None:
    npm(checkout, script)


def test_the_lockfile_names_no_host(checkout: Path) -> None:
    lock = (checkout / "labextension" / "package-lock.json").read_text("utf-8")
    assert '"resolved": "http' not in lock
