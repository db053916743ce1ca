"""The server is SIGKILLed in each status of a run and started again."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer

from .conftest import processes_of, wait_until

COUNTING = """\
import os, sys, time
with open(os.environ["LAUNCHES"], "a") as file:
    file.write("launched\\n")
for number in range(60):
    print("line", number, flush=True)
    time.sleep(0.05)
"""


def all_lines(http: httpx.Client, run_id: str) -> list[str]:
    """Every stdout line of the log, read page by page."""
    lines: list[str] = []
    after: str | None = None
    while True:
        params: dict[str, str | int] = {"limit": 17, "stream": "stdout"}
        if after:
            params["after"] = after
        page: dict[str, Any] = http.get(f"api/runs/{run_id}/logs", params=params).json()
        lines += [frame["message"] for frame in page["frames"]]
        if page["ended"] and len(page["frames"]) < 17:
            return lines
        after = page["next"]


def check_counted_once(
    server: JupyterServer, http: httpx.Client, run: dict[str, Any], launches: Path
) -> None:
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["exit_code"]) == ("succeeded", 0), final
    assert launches.read_text() == "launched\n"
    assert all_lines(http, run["id"]) == [f"line {number}" for number in range(60)]
    assert processes_of(run["id"]) == []


def restart(server: JupyterServer) -> None:
    server.kill()
    server.start()


@pytest.mark.parametrize("isolation", ["fresh", "warm"])
def test_killed_while_running(
    server: JupyterServer, http: httpx.Client, tmp_path: Path, isolation: str
) -> None:
    launches = tmp_path / "launches"
    path = server.write("count.py", COUNTING)
    run = server.create(http, path, env_vars={"LAUNCHES": str(launches)}, isolation=isolation)
    server.wait_for(http, run["id"], ["running"])
    restart(server)
    check_counted_once(server, http, run, launches)


def test_killed_while_the_run_is_starting(
    start_server: Callable[..., JupyterServer], tmp_path: Path
) -> None:
    """The interpreter takes its time, so that the kill falls before the program's first line."""
    slow = tmp_path / "slow-python"
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *program*) sleep 2;; esac\nexec {sys.executable} "$@"\n'
    )
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    environments = [{"id": "slow", "python": str(slow)}]
    settings = tmp_path / "settings.py"
    settings.write_text(f"c.MelleaApp.environments = {environments}\n")
    server = start_server(options=[f"--config={settings}"])
    launches = tmp_path / "launches"
    path = server.write("count.py", COUNTING)
    with server.http() as http:
        run = server.create(
            http, path, env_vars={"LAUNCHES": str(launches)}, environment_id="slow",
            isolation="fresh",
        )  # fmt: skip
        server.wait_for(http, run["id"], ["starting", "running"])
        restart(server)
        check_counted_once(server, http, run, launches)


def test_killed_while_the_run_is_queued(
    start_server: Callable[..., JupyterServer], tmp_path: Path
) -> None:
    server = start_server(options=["--MelleaApp.max_runs=1"])
    launches = tmp_path / "launches"
    path = server.write("count.py", COUNTING)
    blocker = server.write("blocker.py", "import time\ntime.sleep(600)\n")
    with server.http() as http:
        first = server.create(http, blocker)
        server.wait_for(http, first["id"], ["running"])
        run = server.create(http, path, env_vars={"LAUNCHES": str(launches)})
        assert run["status"] == "queued"
        restart(server)
        waiting = server.wait_for(http, run["id"], ["queued"])
        wait_until(lambda: http.get(f"api/runs/{run['id']}").json()["queue_position"] == 1)
        waiting = http.get(f"api/runs/{run['id']}").json()
        assert waiting["queue_reason"] == "1 of 1 slots busy"
        assert http.delete(f"api/runs/{first['id']}").status_code == httpx.codes.ACCEPTED
        assert server.wait_for(http, first["id"])["status"] == "cancelled"
        check_counted_once(server, http, run, launches)


def test_killed_while_the_run_is_being_cancelled(server: JupyterServer, http: httpx.Client) -> None:
    """The restarted server knows of the request and finishes the kill."""
    path = server.write(
        "stubborn.py",
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n",
    )
    run = server.create(http, path)
    server.wait_for(http, run["id"], ["running"])
    wait_until(lambda: http.get(f"api/runs/{run['id']}/logs").json()["frames"])
    assert http.delete(f"api/runs/{run['id']}").status_code == httpx.codes.ACCEPTED
    restart(server)
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("cancelled", "user")
    assert final["cancelled_by"] == final["owner_id"]
    assert processes_of(run["id"]) == []
