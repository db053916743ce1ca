"""What programs inherit of the server: nothing that lets them act as the server or its user."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer
from tests.executors.kinds import BARE_IMAGE, engine_or_leave
from tests.security.conftest import offer_environments

SECRET = "hub-4d2a9c31"
NAMES = (
    "JPY_API_TOKEN", "JPY_COOKIE_SECRET", "JPY_SESSION_NAME", "JUPYTERHUB_API_TOKEN",
    "JUPYTERHUB_CLIENT_ID", "JUPYTERHUB_COOKIE_SECRET_FILE", "JUPYTERHUB_ANYTHING_NEW",
    "JUPYTER_TOKEN_OF_OURS", "CONFIGPROXY_AUTH_TOKEN", "MELLEA_JUPYTER_TOKEN_FILE",
    "MELLEA_JUPYTER_ANYTHING",
)  # fmt: skip
SERVERS_OWN = {name: f"{SECRET}-{number}" for number, name in enumerate(NAMES)}
OF_THE_KERNEL = {"JPY_PARENT_PID", "JPY_SESSION_NAME", "JPY_INTERRUPT_EVENT"}
"""What Jupyter itself tells a kernel; none of them is a secret."""

PRINTS = """\
import json, os
with open(os.path.join(os.environ["MELLEA_OUTPUT_DIR"], "found.json"), "w") as file:
    json.dump(dict(os.environ), file)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    chosen = [
        {"id": "kernel", "executor": "kernel", "kernel_name": "python3"},
        {"id": "docker", "executor": "docker", "image": BARE_IMAGE},
    ]
    home = tmp_path_factory.mktemp("server")
    offer_environments(home, chosen)
    with JupyterServer(home, environment=SERVERS_OWN) as running:
        running.write("prints.py", PRINTS)
        yield running


def seen_in(server: JupyterServer, http: httpx.Client, **config: Any) -> dict[str, str]:
    """The environment of a program."""
    run = server.create(http, "prints.py", **config)
    final = server.wait_for(http, run["id"])
    assert final["status"] == "succeeded", final
    [artifact] = final["artifacts"]
    found: dict[str, str] = http.get(f"api/runs/{run['id']}/artifacts/{artifact['id']}").json()
    return found


def check(server: JupyterServer, found: dict[str, str]) -> None:
    text = json.dumps(found)
    assert SECRET not in text
    assert server.token not in text
    names = {name for name in found if name.startswith(("JPY", "JUPYTER", "MELLEA_JUPYTER_"))}
    assert names <= OF_THE_KERNEL
    assert "PATH" in found


@pytest.mark.parametrize("environment_id", ["default", "kernel"])
def test_programs_get_nothing_of_jupyters(
    server: JupyterServer, http: httpx.Client, environment_id: str
) -> None:
    check(server, seen_in(server, http, environment_id=environment_id))


@pytest.mark.parametrize("isolation", ["warm", "fresh"])
def test_neither_does_a_prepared_interpreter(
    server: JupyterServer, http: httpx.Client, isolation: str
) -> None:
    check(server, seen_in(server, http, isolation=isolation))


@pytest.mark.docker
def test_nor_containers(server: JupyterServer, http: httpx.Client) -> None:
    engine_or_leave().close()
    check(server, seen_in(server, http, environment_id="docker"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("executor", ["process", "kernel", "docker"])
def test_nobody_can_have_them_passed(http: httpx.Client, executor: str, name: str) -> None:
    what = {"kernel": {"kernel_name": "python3"}, "docker": {"image": BARE_IMAGE}}
    asked = {"name": "asks", "executor": executor, "env_passthrough": [name]}
    reply = http.post("api/environments", json={**asked, **what.get(executor, {})})
    assert reply.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert f"{name} belongs to the Jupyter server" in reply.json()["message"]


def test_a_run_may_name_such_a_variable_itself(server: JupyterServer, http: httpx.Client) -> None:
    found = seen_in(server, http, env_vars={"JUPYTER_LIKE": "of the run"})
    assert found["JUPYTER_LIKE"] == "of the run"
