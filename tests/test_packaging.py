"""What the wheel and the source archive carry, and that installing the wheel is enough."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import mellea_jupyter

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mellea_jupyter"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive, without the front end (test_frontend.py)."""
    folder = tmp_path_factory.mktemp("dist")
    variables = {**os.environ, "MELLEA_JUPYTER_SKIP_FRONTEND": "1"}
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist"]
    subprocess.run(
        [*build, "-d", folder],
        cwd=ROOT,
        env=variables,
        check=True,
        capture_output=True,
        timeout=100,
    )
    return folder


@pytest.fixture(scope="module")
def wheel(archives: Path) -> Path:
    (path,) = archives.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix into which only the wheel was installed; its dependencies are this interpreter's."""
    prefix = tmp_path_factory.mktemp("prefix")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-deps", "--no-index", "--ignore-installed", "--prefix", str(prefix)]
    subprocess.run([*pip, *options, wheel], check=True, timeout=100)
    return prefix


def environment(prefix: Path) -> dict[str, str]:
    """Variables under which Python and Jupyter find what is in the prefix first."""
    packages = sysconfig.get_path("purelib", vars={"base": str(prefix)})
    return {
        **os.environ,
        "PYTHONPATH": packages,
        "JUPYTER_CONFIG_PATH": str(prefix / "etc" / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(prefix / "no-user-config"),
        "JUPYTER_DATA_DIR": str(prefix / "data"),
        "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }


def run_in(prefix: Path, *command: str) -> str:
    """Standard output and error of a command that has to succeed, away from the checkout."""
    done = subprocess.run(
        command,
        cwd=prefix,
        env=environment(prefix),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def source_files() -> set[str]:
    """Every file of the package that belongs in an archive, relative to the root."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not {"__pycache__", "labextension"} & set(path.parts)
    }


def test_the_wheel_carries_every_file_of_the_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert source_files() <= names
    assert "mellea_jupyter/py.typed" in names


def test_the_wheel_carries_nothing_of_the_checkout_but_the_package(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top.partition("-")[0] for top in tops} == {"mellea_jupyter"}
    assert {Path(top).suffix for top in tops} == {"", ".data", ".dist-info"}


def test_the_wheel_enables_the_server_extension(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("mellea_jupyter.json"))
        config = json.loads(archive.read(name))
    assert name.endswith(".data/data/etc/jupyter/jupyter_server_config.d/mellea_jupyter.json")
    assert config == {"ServerApp": {"jpserver_extensions": {"mellea_jupyter": True}}}


def test_the_wheel_says_what_it_needs_and_under_which_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
        licences = [n for n in archive.namelist() if n.endswith("licenses/LICENSE")]
    assert "Requires-Python: >=3.11" in metadata
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Dist: jupyterlab" in metadata
    assert "Requires-Dist: mellea" in metadata
    assert len(licences) == 1


def test_the_source_archive_carries_what_builds_and_tests_it(archives: Path) -> None:
    (path,) = archives.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert source_files() <= names
    assert {
        "pyproject.toml",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "Makefile",
        "tools/demo.py",
        "tools/make_venv.sh",
        "jupyter-config/server-config/mellea_jupyter.json",
        "examples/quickstart.ipynb",
        "tests/test_packaging.py",
    } <= names


def test_installing_the_wheel_is_enough_for_jupyter_to_load_the_extension(installed: Path) -> None:
    program = (
        "from jupyter_server.serverapp import ServerApp\n"
        "app = ServerApp(allow_root=True)\n"
        "app.initialize(argv=[], new_httpserver=False)\n"
        "(point,) = app.extension_manager.extension_apps['mellea_jupyter']\n"
        "import mellea_jupyter; print(type(point).__name__, mellea_jupyter.__file__)\n"
    )
    said = run_in(installed, sys.executable, "-c", program)
    assert f"MelleaApp {installed}" in said


def test_installing_the_wheel_gives_jupyter_a_mellea_command(installed: Path) -> None:
    text = run_in(installed, sys.executable, "-m", "jupyter", "mellea", "--help")
    for verb in ("run", "ls", "show", "logs", "cancel", "retry", "rm", "doctor"):
        assert verb in text


def test_the_installed_package_is_an_ipython_extension(installed: Path) -> None:
    program = (
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "shell = Shell.instance()\n"
        "shell.run_line_magic('load_ext', 'mellea_jupyter')\n"
        "for kind in ('line', 'cell'):\n"
        "    assert shell.find_magic('mellea_run', kind), kind\n"
        "import mellea_jupyter; print(mellea_jupyter.__file__)\n"
    )
    assert str(installed) in run_in(installed, sys.executable, "-c", program)


def test_all_versions_are_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == mellea_jupyter.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{project['version']}]" in changelog or "## [Unreleased]" in changelog
