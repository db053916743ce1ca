"""Looking at a run before it is created, through the complete server."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer


def check(http: httpx.Client, **body: Any) -> list[tuple[str, str]]:
    """Severity and field of each problem."""
    reply = http.post("api/runs/check", json=body)
    assert reply.status_code == 200, reply.text
    return [(each["severity"], each["field"]) for each in reply.json()["problems"]]


@pytest.fixture
def trip(server: JupyterServer) -> str:
    return server.write("checked.py", "print('hello')")


def test_what_can_run_has_no_problem_and_nothing_is_created(http: httpx.Client, trip: str) -> None:
    counts = [http.get(path).json() for path in ("api/runs", "api/assets")]
    assert check(http, path=trip, config={"model": "demo/scripted"}) == []
    assert check(http, path=trip) == []
    assert [http.get(path).json() for path in ("api/runs", "api/assets")] == counts


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("missing.py", "does not exist"),
        ("../outside.py", "goes up with '..'"),
        ("notes.txt", "is not a Python program or notebook"),
        ("large.py", "is more than 50 MB of source"),
        ("pipe.py", "is a named pipe"),
        ("", "is empty"),
    ],
)
def test_a_path_that_is_no_program(
    server: JupyterServer, http: httpx.Client, path: str, said: str
) -> None:
    server.write("notes.txt", "")
    with open(server.root / server.write("large.py", ""), "r+b") as file:  # noqa: PTH123
        file.truncate(51 << 20)
    (server.root / "pipe.py").unlink(missing_ok=True)
    os.mkfifo(server.root / "pipe.py")
    try:
        (problem,) = http.post("api/runs/check", json={"path": path}).json()["problems"]
    finally:
        (server.root / "pipe.py").unlink()
    assert (problem["field"], problem["severity"]) == ("path", "error")
    assert said in problem["message"]
    assert problem["hint"]


def test_all_wrong_fields_are_told_at_once(http: httpx.Client, trip: str) -> None:
    config = {
        "model": "openai/gpt-4o",
        "environment_id": "nowhere",
        "timeout_seconds": -1,
        "env_vars": {"A-B": "1"},
        "colour": "red",
    }
    assert check(http, path=trip, config=config) == [
        ("error", "config.env_vars.A-B"),
        ("error", "config.timeout_seconds"),
        ("error", "config.colour"),
        ("error", "config.environment_id"),
    ]


def test_an_unknown_dataset_is_named_by_its_row(
    server: JupyterServer, http: httpx.Client, trip: str
) -> None:
    reply = http.post("api/datasets", json={"path": server.write("known.csv", "a,b\n")})
    known = {"name": "known", "dataset_id": reply.json()["id"]}
    unknown = {"name": "unknown", "dataset_id": "ds_gone"}
    assert check(http, path=trip, config={"datasets": [known]}) == []
    config = {"datasets": [known, unknown]}
    (problem,) = http.post("api/runs/check", json={"path": trip, "config": config}).json()[
        "problems"
    ]
    assert problem["field"] == "config.datasets.1.dataset_id"
    assert "ds_gone" in problem["message"]
    assert problem["hint"]
    stale = {**known, "version": "012345"}
    assert check(http, path=trip, config={"datasets": [stale]}) == [
        ("error", "config.datasets.0.version")
    ]


def test_what_creating_would_refuse_is_an_error(http: httpx.Client, trip: str) -> None:
    assert check(http, path=trip, config={"parameters": {"a": 1}}) == [
        ("error", "config.parameters")
    ]
    assert check(http, path=trip, config={"env_vars": {"MY_KEY": "••••"}}) == [
        ("error", "config.env_vars.MY_KEY")
    ]
    assert check(http, asset_id="prog_unknown") == [("error", "asset_id")]


def test_a_missing_key_is_a_warning_until_it_is_given(http: httpx.Client, trip: str) -> None:
    config = {"model": "openai/gpt-4o"}
    assert check(http, path=trip, config=config) == [("warning", "config.model")]
    with_key = {**config, "env_vars": {"OPENAI_API_KEY": "sk-1"}}
    assert check(http, path=trip, config=with_key) == []


def test_a_retry_keeps_its_secrets(server: JupyterServer, http: httpx.Client, trip: str) -> None:
    config = {"model": "openai/gpt-4o", "env_vars": {"OPENAI_API_KEY": "sk-1"}}
    run = server.create(http, trip, **config)
    server.wait_for(http, run["id"])
    assert check(http, retry_of=run["id"]) == []
    overrides = {"env_vars": {"OPENAI_API_KEY": None}, "timeout_seconds": 0}
    assert check(http, retry_of=run["id"], config=overrides) == [
        ("error", "config.timeout_seconds"),
        ("warning", "config.model"),
    ]


@pytest.mark.parametrize(
    "body", [{}, {"path": "a.py", "asset_id": "x"}, {"path": "a.py", "extra": 1}]
)
def test_a_request_that_names_no_one_program_is_refused(
    http: httpx.Client, body: dict[str, str]
) -> None:
    assert http.post("api/runs/check", json=body).status_code == 422


def test_another_run_can_not_be_looked_at(http: httpx.Client) -> None:
    unknown = {"retry_of": "00000000-0000-4000-8000-000000000000"}
    assert http.post("api/runs/check", json=unknown).status_code == 404


def test_models_of_runs_are_offered_first_and_once(
    server: JupyterServer, http: httpx.Client, trip: str
) -> None:
    for model in ("demo/scripted", "ollama/phi", "demo/scripted"):
        server.wait_for(http, server.create(http, trip, model=model)["id"])
    offers = [(each["model"], each["source"]) for each in http.get("api/models").json()["models"]]
    assert offers[:2] == [("demo/scripted", "recent"), ("ollama/phi", "recent")]
    assert ("acme/one", "configured") in offers
    assert len({model for model, _ in offers}) == len(offers)
