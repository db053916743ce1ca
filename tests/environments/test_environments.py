"""Which interpreters answer, and what the operator's settings make of environments."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import mellea
import pytest

from mellea_jupyter.environments import (
    InterpreterError,
    Interpreters,
    configured_environments,
    interpreter,
)
from mellea_jupyter.environments.variables import inherited_variables, secret_names
from mellea_jupyter.exceptions import InvalidInput
from mellea_jupyter.models.environments import Environment


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_built_in_environment_is_this_interpreter() -> None:
    (default,) = configured_environments([], {}).values()
    assert (default.id, default.executor, default.python) == ("default", "process", None)
    assert default.is_configured
    assert "mellea" in default.preload


def test_the_settings_replace_the_built_in_one_and_add_others() -> None:
    made = configured_environments(
        [{"id": "default", "name": "Ours", "python": "python3"}, {"id": "big", "memory_mb": 10}],
        {},
    )
    assert [(e.id, e.name, e.python, e.memory_mb) for e in made.values()] == [
        ("default", "Ours", "python3", None),
        ("big", "big", None, 10),
    ]


def test_defaults_fill_what_is_absent_where_it_means_something() -> None:
    settings: list[dict[str, object]] = [
        {"id": "box", "executor": "docker", "image": "busybox", "memory_mb": 5},
        {"id": "plain"},
    ]
    made = configured_environments(settings, {"memory_mb": 9, "network": "none", "cpus": 2})
    assert (made["box"].memory_mb, made["box"].network, made["box"].cpus) == (5, "none", 2)
    assert (made["plain"].memory_mb, made["plain"].network, made["plain"].cpus) == (9, None, None)
    assert made["default"].memory_mb == 9


@pytest.mark.parametrize(
    ("settings", "defaults", "field"),
    [
        ([{"id": "x", "memory_mb": -1}], {}, r"environments\[0\]\.memory_mb"),
        ([{"id": "x"}, {"id": "y", "pyhton": "p"}], {}, r"environments\[1\]\.pyhton"),
        ([{"name": "x"}], {}, r"environments\[0\]\.id: .* needs an id"),
        ([{"id": "x"}, {"id": "x"}], {}, r"environments\[1\]\.id: there is another"),
        ([{"id": "x", "executor": "docker"}], {}, "needs image"),
        ([{"id": "x", "cpus": 2}], {}, "cpus is for the docker executor, this one is process"),
        ([{"id": "x", "env_passthrough": ["JPY_API_TOKEN"]}], {}, "belongs to the Jupyter server"),
        ([], {"memry_mb": 5}, r"environment_defaults\.memry_mb"),
        ([], {"network": "host"}, r"environment_defaults\.network"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused_by_its_name(
    settings: list[dict[str, object]], defaults: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput, match=field):
        configured_environments(settings, defaults)


SERVER = {
    "PATH": "/bin", "OPENAI_API_KEY": "k1", "OPENAI_BASE_URL": "http://here", "HOUSE": "rules",
    "JPY_API_TOKEN": "t", "JUPYTER_TOKEN": "t", "MELLEA_JUPYTER_URL": "u", "LC_ALL": "C",
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "given"),
    [
        ({}, "PATH OPENAI_API_KEY OPENAI_BASE_URL HOUSE LC_ALL"),
        ({"env_passthrough": ("OPENAI_API_KEY",)}, "PATH OPENAI_API_KEY LC_ALL"),
        ({"env_passthrough": ()}, "PATH LC_ALL"),
        ({"executor": "docker", "image": "x"}, "OPENAI_API_KEY OPENAI_BASE_URL"),
        ({"executor": "docker", "image": "x", "env_passthrough": ("HOUSE",)}, "HOUSE"),
    ],
    ids=str,
)
def test_a_program_inherits_what_its_environment_passes_and_nothing_of_the_server(
    fields: dict[str, object], given: str
) -> None:
    environment = Environment.model_validate({"id": "x", "name": "x", **fields})
    assert " ".join(inherited_variables(environment, SERVER)) == given


def test_what_is_passed_by_name_is_a_secret_unless_it_is_known_to_be_none() -> None:
    passed = ("HOUSE", "OPENAI_BASE_URL", "PATH")
    environment = Environment(id="x", name="x", env_passthrough=passed)
    assert secret_names(environment, SERVER | {"OTHER": "o"}) == [
        "OPENAI_API_KEY", "HOUSE", "JPY_API_TOKEN", "JUPYTER_TOKEN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo hello; exit 3", r"not a working Python \(exit code 3\)"),
        ("echo broken >&2; exit 1", r"\(exit code 1\): broken"),
        ("""echo '{"version": [3, 8, 1], "mellea": null, "folders": []}'""", "3.9 or newer"),
        ("exec sleep 60", "did not answer within 1 seconds"),
    ],
)
def test_an_interpreter_that_does_not_work_says_why(
    text: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "PROBE_TIMEOUT_SECONDS", 1.0)
    with pytest.raises(InterpreterError, match=reason):
        Interpreters().get(script(tmp_path / "python", text))


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
