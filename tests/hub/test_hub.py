"""mellea-jupyter on a real JupyterHub: whose runs, on whose server, and how long that stays."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tornado.httpclient import HTTPClientError

from mellea_jupyter.testing.websockets import open_websocket

from .hub import Hub

# The first test waits for the hub and its servers, which may take long on a busy machine.
pytestmark = pytest.mark.timeout(300)

ENDED = ("succeeded", "failed", "cancelled")
IDLE_SECONDS = 8


def launch(http: httpx.Client, path: str = "hello.py", **config: Any) -> dict[str, Any]:
    """Register a program and create a run of it."""
    asset = http.post("api/assets", json={"path": path})
    assert asset.status_code == 201, asset.text
    body = {"asset_id": asset.json()["id"], "config": {"model": "demo/scripted", **config}}
    run = http.post("api/runs", json=body)
    assert run.status_code == 201, run.text
    found: dict[str, Any] = run.json()
    return found


def ended(hub: Hub, http: httpx.Client, run_id: str) -> dict[str, Any]:
    """The run when it has ended."""

    def look() -> dict[str, Any] | None:
        run: dict[str, Any] = http.get(f"api/runs/{run_id}").json()
        return run if run["status"] in ENDED else None

    found: dict[str, Any] = hub.wait(look, f"run {run_id} ends")
    return found


def log_of(http: httpx.Client, run_id: str) -> str:
    return http.get(f"api/runs/{run_id}/logs", params={"download": "text"}).text


def listed(http: httpx.Client) -> set[str]:
    return {run["id"] for run in http.get("api/runs", params={"limit": 1000}).json()["runs"]}


@pytest.fixture
def ada(hub: Hub) -> Iterator[httpx.Client]:
    hub.start_servers("ada")
    with hub.http("ada") as client:
        yield client


@pytest.fixture
def bob(hub: Hub) -> Iterator[httpx.Client]:
    hub.start_servers("bob")
    with hub.http("bob") as client:
        yield client


def test_users_see_their_own_runs_and_execute_them_on_their_own_server(
    hub: Hub, ada: httpx.Client, bob: httpx.Client
) -> None:
    users = {"ada": ada, "bob": bob}
    # Several of each, so that both servers see what the other one has queued on their store.
    programs = ("hello.py", "breaks.py", "breaks.py")
    ids = {name: [launch(http, path)["id"] for path in programs] for name, http in users.items()}
    for name, http in users.items():
        for run_id in ids[name]:
            run = ended(hub, http, run_id)
            log = log_of(http, run_id)
            assert run["owner_id"] == name
            assert f"on the server of {name}\n" in log
            if run["asset_name"] == "hello.py":
                assert run["status"] == "succeeded", log
                assert run["metrics"]["llm_calls"] == 1
                assert "told []" in log  # nothing a program could act with as its user
        assert listed(http) == set(ids[name])
        mine = http.get("api/users/me/runs").json()["runs"]
        assert {each["id"] for each in mine} == set(ids[name])
    foreign = ids["bob"][0]
    for path in ("", "/logs", "/artifacts", "/calls", "/metrics", "/source"):
        assert ada.get(f"api/runs/{foreign}{path}").status_code == 404
    assert ada.delete(f"api/runs/{foreign}").status_code == 404
    assert foreign not in ada.get("api/notifications").text


def test_a_guest_on_a_server_has_runs_of_their_own(hub: Hub, ada: httpx.Client) -> None:
    adas = launch(ada, "breaks.py")["id"]
    with hub.http("eve", server="ada") as eve, hub.http("bob", server="ada") as bob:
        guests = launch(eve)["id"]
        run = ended(hub, eve, guests)
        assert run["owner_id"] == "eve"
        assert "on the server of ada\n" in log_of(eve, guests)
        assert listed(eve) == {guests}
        assert eve.get(f"api/runs/{adas}").status_code == 404
        assert ada.get(f"api/runs/{guests}").status_code == 404
        assert guests not in listed(ada)
        assert bob.get("api/runs").status_code == 403  # the hub gave bob no access to this server
    ended(hub, ada, adas)


def test_an_administrator_of_the_hub_sees_all_runs(hub: Hub, ada: httpx.Client) -> None:
    run_id = launch(ada, "breaks.py")["id"]
    ended(hub, ada, run_id)
    with hub.http("root", server="bob") as root:
        assert run_id in listed(root)
        assert root.get(f"api/runs/{run_id}").json()["owner_id"] == "ada"
        mine = root.get("api/users/me/runs").json()["runs"]
        assert run_id not in {run["id"] for run in mine}
        again = root.post(f"api/runs/{run_id}/retry", json={})
        assert again.status_code == 201, again.text
        retried = ended(hub, root, again.json()["id"])
        assert retried["owner_id"] == "ada"
        # Not with the keys and files of the server where the administrator is.
        assert "on the server of ada\n" in log_of(root, retried["id"])
    with hub.browser("root") as page:
        hub.enter(page, "bob")
        shown = page.get(f"{hub.url}user/bob/api/runs").raise_for_status().json()["runs"]
        assert run_id in {run["id"] for run in shown}


def test_the_page_works_below_the_prefix_with_its_cookies(hub: Hub) -> None:
    server = f"{hub.url}user/ada/"
    with hub.browser("ada") as browser:
        # As the links of mails, where `public_url` is the hub's redirect.
        page = browser.get(f"{hub.url}hub/user-redirect/lab?mellea-run=some-run")
        assert page.status_code == 200
        assert page.url == f"{server}lab?mellea-run=some-run"
        assert f'"baseUrl": "{httpx.URL(server).path}"' in page.text
        cookies = {
            each.name: each.value or ""
            for each in browser.cookies.jar
            if httpx.URL(server).path.startswith(each.path)
        }
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        bare = httpx.Client(base_url=server, headers={"Cookie": header}, timeout=60)
        with bare:
            assert bare.get("api/users/me/runs").status_code == 200
            body = {"path": "hello.py"}
            assert bare.post("api/assets", json=body).status_code == 403
            secured = bare.post("api/assets", json=body, headers={"X-XSRFToken": cookies["_xsrf"]})
            assert secured.status_code == 201, secured.text
            foreign = {"Origin": "https://evil.example"}
            assert bare.get("api/runs", headers=foreign).status_code in (403, 404)
    origin = f"http://127.0.0.1:{hub.port}"
    query = f"?_xsrf={cookies['_xsrf']}"
    assert confirmed(server, {"Cookie": header, "Origin": origin}, query) == "subscribed"
    assert confirmed(server, {"Cookie": header, "Origin": "https://evil.example"}, query) == "403"
    assert confirmed(server, {"Origin": origin}, "") == "403"
    # As JupyterLab asks, with the token that the hub puts into its page.
    (token,) = re.findall(r'"token": "(\w+)"', page.text)
    cookie = {"Cookie": header, "Origin": origin}
    assert confirmed(server, cookie, f"?token={token}") == "subscribed"


def confirmed(server: str, headers: dict[str, str], query: str) -> str:
    """What a websocket answers to a subscription, or the status that refuses it."""

    async def ask() -> str:
        url = f"{server}api/runs/ws{query}"
        try:
            async with asyncio.timeout(30), open_websocket(url, headers) as socket:
                await socket.write_message('{"type": "subscribe", "topic": "runs"}')
                return str(json.loads(await socket.read_message() or "{}")["type"])
        except HTTPClientError as error:
            return str(error.code)

    return asyncio.run(ask())


def test_the_clients_of_a_terminal_find_their_server(hub: Hub, ada: httpx.Client) -> None:
    """With what the hub gives a server's kernels and terminals."""
    run_id = launch(ada, "breaks.py")["id"]
    ended(hub, ada, run_id)
    token = ada.headers["Authorization"].removeprefix("token ")
    variables = {
        "JUPYTERHUB_SERVICE_URL": f"{hub.url}user/ada/",
        "JUPYTERHUB_API_TOKEN": token,
        "HOME": str(hub.home / "ada"),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
    done = subprocess.run(
        [sys.executable, "-m", "mellea_jupyter.cli", "show", run_id, "--json"],
        env=variables, cwd=hub.home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["owner_id"] == "ada"


@contextmanager
def open_page(http: httpx.Client) -> Iterator[list[int]]:
    """What an open but idle page of ours asks again and again; the statuses of the answers."""
    closing, statuses = threading.Event(), []

    def poll() -> None:
        while not closing.wait(0.3):
            for path in ("api/runs", "api/runs/summary", "api/notifications"):
                try:
                    statuses.append(http.get(path, params={"no_track_activity": 1}).status_code)
                except httpx.TransportError:
                    statuses.append(0)

    thread = threading.Thread(target=poll)
    thread.start()
    yield statuses
    closing.set()
    thread.join()


def test_a_culler_spares_servers_with_runs_and_no_others(
    hub: Hub, ada: httpx.Client, bob: httpx.Client
) -> None:
    run_id = launch(ada, "waits.py")["id"]
    hub.wait(lambda: ada.get(f"api/runs/{run_id}").json()["status"] == "running", "it runs")
    began = time.monotonic()
    culler = subprocess.Popen(
        [
            sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE_SECONDS}",
            "--cull-every=1", f"--url={hub.url}hub/api",
        ],
        env={**os.environ, "JUPYTERHUB_API_TOKEN": hub.token},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with open_page(bob) as statuses:
            hub.wait(lambda: not hub.is_ready("bob"), "the idle server is culled")
            assert 200 in statuses
            # Long enough for the other one, had its run not counted.
            while time.monotonic() - began < IDLE_SECONDS + 3:
                time.sleep(0.1)
        assert hub.is_ready("ada")
        ada.delete(f"api/runs/{run_id}", params={"no_track_activity": 1}).raise_for_status()
        hub.wait(lambda: not hub.is_ready("ada"), "the server is culled when its run has ended")
    finally:
        culler.terminate()
        culler.wait(10)
