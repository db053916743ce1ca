"""Environments over REST, on a real server: made, used by runs, changed, deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer

CONFLICT, FORBIDDEN, NOT_FOUND, UNPROCESSABLE = 409, 403, 404, 422
KEY = "passed-key-0b1c2d3e"

Make = Callable[..., Any]


@pytest.fixture
def make(http: httpx.Client) -> Iterator[Make]:
    """Makes an environment that is gone after the test."""
    made: list[str] = []

    def make(**fields: Any) -> Any:
        reply = http.post("api/environments", json=fields)
        assert reply.status_code in (200, 201), reply.text
        made.append(reply.json()["id"])
        return reply.json()

    yield make
    for environment_id in made:
        http.delete(f"api/environments/{environment_id}")


def run(http: httpx.Client, server: JupyterServer, source: str, **body: Any) -> Any:
    """A run of this source, as it is at its end."""
    path = server.write("environment_program.py", source)
    asset = http.post("api/assets", json={"path": path}).json()
    created = http.post("api/runs", json={"asset_id": asset["id"], **body})
    assert created.status_code == 201, created.text
    return server.wait_for(http, created.json()["id"])


def test_an_environment_is_made_once_changed_and_deleted(http: httpx.Client, make: Make) -> None:
    made = make(name="small", memory_mb=300)
    assert made["id"].startswith("small-")
    assert made["available"] is True
    assert made["facts"]["mellea"]
    assert make(name="small", memory_mb=300)["id"] == made["id"]
    taken = http.post("api/environments", json={"name": "small", "memory_mb": 301})
    assert taken.status_code == CONFLICT
    assert taken.json()["details"]["id"] == made["id"]

    path = f"api/environments/{made['id']}"
    changed = http.patch(path, json={"memory_mb": None, "python": "/no/such/python"}).json()
    assert (changed["memory_mb"], changed["available"]) == (None, False)
    assert "no interpreter '/no/such/python'" in changed["reason"]
    listed = http.get("api/environments", params={"refresh": "true"}).json()
    assert listed["default_id"] == "default"
    assert {e["id"]: e["available"] for e in listed["environments"]} == {
        "default": True, made["id"]: False,
    }  # fmt: skip
    assert http.delete(path).json()["id"] == made["id"]
    assert http.get(path).status_code == NOT_FOUND
    assert http.delete(path).status_code == NOT_FOUND


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "memory_mb": 0}, "memory_mb"),
        ({"name": "x", "executor": "dokcer"}, "executor"),
        ({"name": "x", "executor": "docker"}, "needs image"),
        ({"name": "x", "executor": "docker", "image": "a b"}, "image"),
        ({"name": "x", "network": "none"}, "network is for the docker executor"),
        ({"name": "x", "env_passthrough": ["not a name"]}, "env_passthrough"),
        ({"name": "x", "env_passthrough": ["JUPYTERHUB_API_TOKEN"]}, "env_passthrough"),
    ],
    ids=str,
)
def test_a_wrong_environment_is_refused_and_not_made(
    http: httpx.Client, body: dict[str, Any], named: str
) -> None:
    reply = http.post("api/environments", json=body)
    assert reply.status_code == UNPROCESSABLE, reply.text
    assert named in f"{reply.json()['message']} {reply.json()['details']}"
    assert len(http.get("api/environments").json()["environments"]) == 1


def test_the_environment_of_the_settings_is_not_changed_here(http: httpx.Client) -> None:
    for reply in (
        http.delete("api/environments/default"),
        http.patch("api/environments/default", json={"memory_mb": 5}),
    ):
        assert reply.status_code == FORBIDDEN
        assert "MelleaApp.environments" in reply.json()["hint"]


def test_a_run_records_its_environment_which_may_be_named_and_may_go(
    http: httpx.Client, server: JupyterServer, make: Make
) -> None:
    made = make(name="my box")
    ended = run(http, server, "print('here')\n", config={"environment_id": "my box"})
    assert ended["status"] == "succeeded"
    assert (ended["environment_id"], ended["environment_name"]) == (made["id"], "my box")
    assert ended["config"]["environment_id"] == made["id"]
    http.delete(f"api/environments/{made['id']}")
    again = http.get(f"api/runs/{ended['id']}").json()
    assert (again["environment_id"], again["environment_name"]) == (made["id"], "my box")
    default = run(http, server, "print('there')\n")
    assert (default["environment_id"], default["config"]["environment_id"]) == ("default", None)


def test_a_run_on_one_without_its_executor_fails_with_the_same_reason(
    http: httpx.Client, server: JupyterServer, make: Make
) -> None:
    made = make(name="cluster", executor="broken", image="python:3.12-slim", cpus=2)
    assert made["available"] is False
    assert "can not be loaded" in made["reason"]
    ended = run(http, server, "print()\n", config={"environment_id": made["id"]})
    assert (ended["status"], ended["status_reason"]) == ("failed", "environment_unavailable")
    assert ended["error_message"] == made["reason"]


def test_what_is_passed_by_name_arrives_and_nothing_else_and_is_masked(
    http: httpx.Client, server: JupyterServer, make: Make
) -> None:
    source = (
        "import os\n"
        "print('passed', os.environ['LAB_PASSCODE'])\n"
        "print('held back', os.environ.get('SERVER_ACCESS_TOKEN'))\n"
        "print('path', bool(os.environ['PATH']))\n"
    )
    made = make(name="strict", env_passthrough=["LAB_PASSCODE"])
    ended = run(http, server, source, config={"environment_id": made["id"]})
    log = http.get(f"api/runs/{ended['id']}/logs", params={"download": "text"}).text
    assert ended["status"] == "succeeded", log
    assert log.splitlines() == ["passed ••••", "held back None", "path True"]
    of_run = (server.data_dir / "runs" / ended["id"]).rglob("*")
    files = [path for path in (*of_run, *server.data_dir.glob("runs.sqlite*")) if path.is_file()]
    holding = [path for path in files if KEY.encode() in path.read_bytes()]
    assert [path.name for path in holding] == ["secrets"]
    assert holding[0].stat().st_mode & 0o777 == 0o600
