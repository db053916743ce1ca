"""A checkout with nothing built, and the wheel with the front end that is built from it.

Both take minutes and are made once a test run (`checkout` and `built_wheel` in conftest.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def copy_checkout(folder: Path) -> None:
    """Copy the files that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if not listed:  # a source archive: nothing in it was built, but for this very run's own files
        ignored = shutil.ignore_patterns(".venv", "node_modules", "lib", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, folder, ignore=ignored, dirs_exist_ok=True)
        return
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def build_wheel(checkout: Path) -> Path:
    """The wheel, built as `pip install .` builds it."""
    variables = {k: v for k, v in os.environ.items() if k != "MELLEA_JUPYTER_SKIP_FRONTEND"}
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    done = subprocess.run(
        build, cwd=checkout, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (path,) = (checkout / "dist").glob("*.whl")
    return path
