"""What the process executor says of an environment before a run is placed in it."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import mellea
import pytest

from mellea_jupyter.executors.process import ProcessExecutor
from mellea_jupyter.models.environments import Environment


def environment(python: str | None) -> Environment:
    return Environment(id="x", name="x", python=python)


def test_an_interpreter_with_mellea_works_and_is_described(socket_folder: Path) -> None:
    probe = ProcessExecutor(socket_folder=socket_folder).probe(environment(None))
    assert probe.available
    assert probe.facts == {
        "interpreter": sys.executable,
        "python": platform.python_version(),
        "mellea": mellea.__version__,
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            """echo '{"version": [3, 12, 1], "mellea": null, "folders": []}'""",
            "mellea is not installed in {path}. Install it: {path} -m pip install mellea",
        ),
        ("exit 3", "{path} is not a working Python (exit code 3)"),
    ],
)
def test_one_that_runs_can_not_start_in_says_what_to_do(
    answer: str, reason: str, socket_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{answer}\n")
    path.chmod(0o755)
    probe = ProcessExecutor(socket_folder=socket_folder).probe(environment(str(path)))
    assert not probe.available
    assert probe.reason == reason.format(path=path)
