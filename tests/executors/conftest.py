"""Runs to place, executors to place them with, and the proof that nothing is left behind."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.clock import new_run_id
from mellea_jupyter.environments import Interpreters
from mellea_jupyter.executors.base import Executor, LaunchSpec
from mellea_jupyter.executors.process import ProcessExecutor
from mellea_jupyter.models.environments import Environment

from .runs import NewExecutor, NewRun, processes_of, wait_until

INTERPRETERS = Interpreters()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short temporary folder (sockets have short paths); no process may still name it."""
    with tempfile.TemporaryDirectory(prefix="mj-") as path:
        yield Path(path)
        wait_until(lambda: not processes_of(path), f"no process of {path}")


@pytest.fixture
def socket_folder(folder: Path) -> Iterator[Path]:
    yield folder / "s"
    ProcessExecutor(socket_folder=folder / "s").forkservers.stop_all()


@pytest.fixture(params=["process"])
def new_executor(request: pytest.FixtureRequest, socket_folder: Path) -> NewExecutor:
    makers: Mapping[str, NewExecutor] = {
        "process": lambda: ProcessExecutor(
            socket_folder=socket_folder, warm_idle_seconds=60, interpreters=INTERPRETERS
        ),
    }
    return makers[request.param]


@pytest.fixture
def executor(new_executor: NewExecutor) -> Executor:
    return new_executor()


@pytest.fixture
def environment() -> Environment:
    return Environment(id="e", name="Here", python=sys.executable, preload=("json", "decimal"))


@pytest.fixture
def new_run(folder: Path, environment: Environment) -> NewRun:
    def prepare(program: str, **fields: Any) -> LaunchSpec:
        run_id = new_run_id()
        run_dir = folder / "runs" / run_id
        for name in ("source", "outputs"):
            (run_dir / name).mkdir(parents=True, mode=0o700)
        (run_dir / "source" / "main.py").write_text(program)
        spec = {
            "v": 1,
            "run_id": run_id,
            "entry": {"kind": "file", "path": "main.py"},
            "working_directory": str(run_dir / "source"),
            "env": {"PATH": os.environ["PATH"], "HOME": str(folder)},
            "timeout_seconds": 60,
            "grace_seconds": 30,
            "isolation": "fresh",
            **fields,
        }
        return LaunchSpec(run_id, run_dir, environment, spec, {"API_KEY": "s3cret-value"})

    return prepare
