"""Runs to place, executors to place them with, and the proof that nothing is left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.clock import new_run_id
from mellea_jupyter.executors.base import Executor, LaunchSpec
from mellea_jupyter.executors.process import ProcessExecutor
from mellea_jupyter.models.environments import Environment

from .kinds import INTERPRETERS, KINDS, Kind, ProcessKind
from .runs import NewExecutor, NewRun, processes_of, wait_until

__all__ = ["INTERPRETERS"]


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a kind of executor against each; the slow ones carry their marker."""
    if "kind" in metafunc.fixturenames and metafunc.module.__name__.endswith("test_contract"):
        marked = [
            pytest.param(name, marks=pytest.mark.docker if name == "docker" else ())
            for name in KINDS
        ]
        metafunc.parametrize("kind_name", marked)


@pytest.fixture
def kind_name() -> str:
    """The kind of tests that are about one kind only."""
    return ProcessKind.name


@pytest.fixture
def kind(kind_name: str, folder: Path) -> Iterator[Kind]:
    kind = KINDS[kind_name](folder)
    yield kind
    kind.close()


@pytest.fixture
def new_executor(kind: Kind) -> Iterator[NewExecutor]:
    made: list[Executor] = []

    def new() -> Executor:
        made.append(kind.executor())
        return made[-1]

    yield new
    for executor in made:
        executor.close()


@pytest.fixture
def executor(new_executor: NewExecutor) -> Executor:
    return new_executor()


@pytest.fixture
def environment(kind: Kind) -> Environment:
    return kind.environment()


@pytest.fixture
def new_run(folder: Path, kind: Kind, environment: Environment) -> NewRun:
    def prepare(program: str, **fields: Any) -> LaunchSpec:
        run_id = new_run_id()
        run_dir = folder / "runs" / run_id
        for name in ("source", "inputs", "work", "outputs", "journal"):
            (run_dir / name).mkdir(parents=True, mode=0o700)
        (run_dir / "source" / "main.py").write_text(program)
        placed_in = fields.pop("environment", environment)
        spec = {
            "v": 1,
            "run_id": run_id,
            "entry": {"kind": "file", "path": "main.py"},
            "source_dir": str(run_dir / "source"),
            "working_directory": str(run_dir / "source"),
            "output_dir": str(run_dir / "outputs"),
            "env": {**kind.variables(folder), "MELLEA_RUN_ID": run_id},
            "timeout_seconds": 60,
            "grace_seconds": 30,
            "isolation": "fresh",
            **kind.fields(placed_in),
            **fields,
        }
        return LaunchSpec(run_id, run_dir, placed_in, spec, {"API_KEY": "s3cret-value"})

    return prepare
