"""Executors by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors import registry
from mellea_jupyter.executors.process import ProcessExecutor


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that offer a working executor, two broken ones, and one of a built-in name."""
    offered = {
        "mine": f"{ProcessExecutor.__module__}:ProcessExecutor",
        "broken": "no_such_package:Executor",
        "wrong": "json:dumps",
        "process": "no_such_package:Executor",
    }
    points = EntryPoints(EntryPoint(n, v, registry.GROUP) for n, v in offered.items())
    monkeypatch.setattr(registry, "entry_points", lambda **_: points)


def test_the_built_in_executor_is_known() -> None:
    assert "process" in registry.list_executors()
    assert registry.load_executor("process") is ProcessExecutor


def test_a_package_can_offer_one_but_not_take_over_a_built_in_name(register: None) -> None:
    assert registry.list_executors() == ("broken", "docker", "kernel", "mine", "process", "wrong")
    assert registry.load_executor("mine") is ProcessExecutor
    assert registry.load_executor("process") is ProcessExecutor


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("nope", "no executor 'nope'"), ("broken", "can not be loaded"), ("wrong", "not an Executor")],
)
def test_one_that_does_not_work_says_why(name: str, sentence: str, register: None) -> None:
    with pytest.raises(LaunchFailed, match=sentence) as caught:
        registry.load_executor(name)
    assert caught.value.reason == "environment_unavailable"
    assert caught.value.hint


def test_those_that_work_are_created_and_the_others_left_out(
    register: None, caplog: pytest.LogCaptureFixture
) -> None:
    made = registry.create_executors({"process": {"warm_idle_seconds": 5}})
    assert sorted(made.by_name) == ["docker", "kernel", "mine", "process"]
    assert sorted(made.problems) == ["broken", "wrong"]
    assert "can not be loaded" in made.problems["broken"]
    assert "Repair or remove" in made.problems["broken"]
    assert "can not be loaded" in caplog.text


def test_windows_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mellea_jupyter.executors.registry.sys.platform", "win32")
    with pytest.raises(LaunchFailed, match="not supported on Windows") as caught:
        registry.load_executor("process")
    assert "Linux" in caught.value.hint
