"""Fixtures for tests that run real supervisors, and the check that nothing stays behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .support import (
    ForkServer,
    Frame,
    RunFolder,
    alive_with_environment,
    clean_environment,
    run_fresh,
    wait_until,
)

MakeRun = Callable[..., RunFolder]
Execute = Callable[[RunFolder], Frame]


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[MakeRun]:
    """Make run folders; afterwards no process of theirs may be alive and no lock held."""
    marker = str(tmp_path)
    runs: list[RunFolder] = []

    def make(source: str | dict[str, str], **spec: Any) -> RunFolder:
        env = {**clean_environment(), **spec.pop("env", {}), "RUN_TEST_MARKER": marker}
        run = RunFolder(tmp_path / f"run-{len(runs)}", source, env=env, **spec)
        runs.append(run)
        return run

    yield make
    for run in runs:
        assert not run.is_supervised()
    wait_until(lambda: not alive_with_environment(marker), "the end of every process of the run")


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """One fork server with mellea preloaded, for all tests; other files may come in between."""
    with tempfile.TemporaryDirectory() as folder:
        preload = ("mellea", "mellea.backends.openai", "mellea.backends.ollama")
        with ForkServer(Path(folder) / "s", *preload, idle_seconds=7200) as server:
            yield server


@pytest.fixture(params=["fresh", "warm"])
def execute(request: pytest.FixtureRequest) -> Execute:
    """Run a run folder to its end; each test that uses it is done fresh and warm."""
    if request.param == "fresh":
        return run_fresh
    server: ForkServer = request.getfixturevalue("fork_server")
    return server.run
