"""What counts as activity of a server, which decides whether a hub's culler ends it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer
from mellea_jupyter.testing.websockets import open_websocket

SLEEPS = "import time\ntime.sleep(600)\n"
QUIET_SECONDS = 1.0


def last_activity(http: httpx.Client) -> str:
    """As the server tells it to a hub; asking does not change it."""
    status = http.get("api/status")
    status.raise_for_status()
    return str(status.json()["last_activity"])


def moves(http: httpx.Client, during: Callable[[], Any] = lambda: None) -> bool:
    """Whether the server becomes active within a second, with nothing else done to it."""
    before = last_activity(http)
    deadline = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < deadline:
        during()
        if last_activity(http) != before:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(("seconds", "counts"), [(0.1, True), (0, False)])
def test_a_run_counts_as_activity_if_the_operator_wants_it(
    tmp_path: Path, seconds: float, *, counts: bool
) -> None:
    options = [f"--MelleaApp.activity_seconds={seconds}", "--MelleaApp.grace_seconds=1"]
    with JupyterServer(tmp_path, options=options) as server, server.http() as http:
        path = server.write("sleeps.py", SLEEPS)
        run_id = server.create(http, path)["id"]
        server.wait_for(http, run_id, ["running"])
        assert moves(http) is counts
        server.kill()  # the next server takes the run up
        server.start()
        server.wait_for(http, server.create(http, server.write("quick.py", "1\n"))["id"])
        assert moves(http) is counts
        http.delete(f"api/runs/{run_id}").raise_for_status()
        server.wait_for(http, run_id)
        deadline = time.monotonic() + 10
        while moves(http):
            assert time.monotonic() < deadline
        assert not moves(http)


def test_an_open_page_that_only_looks_is_no_activity(
    server: JupyterServer, http: httpx.Client
) -> None:
    run_id = server.create(http, server.write("quick.py", "print(1)\n"))["id"]
    server.wait_for(http, run_id)
    quietly = {"no_track_activity": 1}

    def look() -> None:
        for path in ("api/runs", "api/runs/summary", "api/notifications", f"api/runs/{run_id}"):
            assert http.get(path, params=quietly).status_code == 200

    async def open_page() -> bool:
        headers = {"Authorization": f"token {server.token}"}
        async with open_websocket(f"{server.url}api/runs/ws", headers) as socket:
            for topic in ("runs", "notifications", f"run/{run_id}/logs"):
                await socket.write_message(json.dumps({"type": "subscribe", "topic": topic}))
                assert json.loads(await socket.read_message() or "")["topic"] == topic
            return await asyncio.to_thread(moves, http, look)

    assert not asyncio.run(open_page())
    before = last_activity(http)
    http.get("api/runs")  # what a person asks for
    assert last_activity(http) > before
