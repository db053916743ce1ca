"""The JupyterLab extension: built from a clean checkout, tested, installed, and of one mind with
the REST API about its types."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .conftest import require

ROOT = Path(__file__).parent.parent
BUILT = "mellea_jupyter-0.1.0.data/data/share/jupyter/labextensions/mellea-jupyter"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files that git knows, with nothing built."""
    for tool in ("git", "node", "npm"):
        if shutil.which(tool) is None:
            require(tool, "the front end can not be built without it")
    folder = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if not listed:  # a source archive: nothing in it was built, but for this very run's own files
        ignored = shutil.ignore_patterns(".venv", "node_modules", "lib", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, folder, ignore=ignored, dirs_exist_ok=True)
        return folder
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    """The wheel, built as `pip install .` builds it."""
    variables = {k: v for k, v in os.environ.items() if k != "MELLEA_JUPYTER_SKIP_FRONTEND"}
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    done = subprocess.run(
        build, cwd=checkout, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (path,) = (checkout / "dist").glob("*.whl")
    return path


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


def test_the_wheel_carries_the_built_extension(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert f"{BUILT}/package.json" in names
    assert f"{BUILT}/install.json" in names
    assert any(name.startswith(f"{BUILT}/static/remoteEntry") for name in names)
    assert not [name for name in names if name.startswith("mellea_jupyter/labextension")]
    assert {f"mellea_jupyter/widgets/static/widget.{kind}" for kind in ("js", "css")} <= set(names)


def test_jupyterlab_finds_the_installed_extension(wheel: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--ignore-installed", "--prefix", tmp_path, wheel], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "labextension", "list"],
        env={**os.environ, "JUPYTER_PATH": str(tmp_path / "share" / "jupyter")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = [text for text in done.stderr.splitlines() if "mellea-jupyter" in text]
    assert "enabled" in line
    assert "OK" in line


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize("script", ["test", "lint", "schema:check"])
def test_a_check_of_the_front_end_passes(checkout: Path, script: str) -> None:
    npm(checkout, script)


def test_the_lockfile_names_no_host(checkout: Path) -> None:
    lock = (checkout / "labextension" / "package-lock.json").read_text("utf-8")
    assert '"resolved": "http' not in lock
