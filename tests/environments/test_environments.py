"""Environments: which exist, and whether runs can start in them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import mellea
import pytest

from mellea_jupyter.environments import (
    EnvironmentService,
    InterpreterError,
    Interpreters,
    interpreter,
)
from mellea_jupyter.exceptions import EnvironmentNotFound, InvalidInput


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_default_environment_is_this_interpreter_with_mellea() -> None:
    service = EnvironmentService()
    environment = service.probe()
    assert (environment.id, environment.executor, environment.available) == (
        "default", "process", True,
    )  # fmt: skip
    assert environment.reason is None
    assert "mellea" in environment.preload
    assert service.get(None) is service.get("default") is service.list_all()[0]


def test_an_unknown_environment_is_refused_with_those_there_are() -> None:
    service = EnvironmentService({"gpu": {"name": "GPU"}})
    with pytest.raises(EnvironmentNotFound) as caught:
        service.get("nope")
    assert caught.value.hint == "There are: default, gpu."


def test_a_configured_environment_with_a_wrong_field_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"environments\.x\.memory_mb"):
        EnvironmentService({"x": {"memory_mb": -1}})
    with pytest.raises(InvalidInput, match=r"environments\.x\.pyhton"):
        EnvironmentService({"x": {"pyhton": "python3"}})


def test_get_or_create_keeps_what_exists_and_stores_what_does_not_work_yet(tmp_path: Path) -> None:
    service = EnvironmentService()
    made = service.get_or_create("later", {"python": str(tmp_path / "nope"), "name": "Later"})
    assert service.get_or_create("later", {"name": "Other"}) == made
    probed = {environment.id: environment for environment in service.probe_all()}
    assert probed["default"].available
    assert not probed["later"].available
    assert "no interpreter" in str(probed["later"].reason)
    assert service.get("later") == probed["later"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo hello; exit 3", "not a working Python (exit code 3)"),
        ("echo broken >&2; exit 1", "(exit code 1): broken"),
        ("""echo '{"version": [3, 8, 1], "mellea": null, "folders": []}'""", "3.9 or newer"),
        ("""echo '{"version": [3, 12, 1], "mellea": null, "folders": []}'""", "not installed"),
        ("exec sleep 60", "did not answer within 1 seconds"),
    ],
)
def test_an_interpreter_that_does_not_work_says_why(
    text: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "PROBE_TIMEOUT_SECONDS", 1.0)
    service = EnvironmentService({"x": {"python": script(tmp_path / "python", text)}})
    probed = service.probe("x")
    assert not probed.available
    assert reason in str(probed.reason)


def test_an_interpreter_is_asked_once_until_it_or_its_packages_change(tmp_path: Path) -> None:
    packages, log = tmp_path / "site-packages", tmp_path / "log"
    packages.mkdir()
    path = script(
        tmp_path / "python",
        f"""echo asked >> {log}
echo '{{"version": [3, 12, 1], "mellea": "1", "folders": ["{packages}"]}}'""",
    )
    interpreters = Interpreters()
    first = interpreters.get(path)
    stamp = first.package_stamp()
    assert interpreters.get(path) is first
    assert log.read_text().count("asked") == 1
    os.utime(packages, ns=(1, 1))
    assert first.package_stamp() != stamp
    assert interpreters.get(path) is not first
    assert log.read_text().count("asked") == 2


def test_a_broken_interpreter_is_asked_again_after_it_changed(tmp_path: Path) -> None:
    interpreters = Interpreters()
    path = script(tmp_path / "python", "exit 1")
    with pytest.raises(InterpreterError):
        interpreters.get(path)
    script(tmp_path / "python", f'exec {sys.executable} "$@"')
    os.utime(path, ns=(1, 1))
    assert interpreters.get(path).mellea_version == mellea.__version__
