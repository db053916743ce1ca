"""Runs in kernels under the complete server: what is killed, what goes on, what is left."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.executors.run_folder import JournalHead, read_head
from mellea_jupyter.testing.server import JupyterServer

from .conftest import processes_of, wait_until
from .test_server_killed import COUNTING, all_lines, check_counted_once

SETTINGS = """\
c.MelleaApp.environments = [
    {"id": "kernel", "executor": "kernel", "kernel_name": "python3"},
    {"id": "missing", "executor": "kernel", "kernel_name": "nope"},
]
"""


@pytest.fixture
def server(start_server: Callable[..., JupyterServer], tmp_path: Path) -> JupyterServer:
    settings = tmp_path / "settings.py"
    settings.write_text(SETTINGS)
    return start_server(options=[f"--config={settings}"])


@pytest.fixture
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client


def counting_run(server: JupyterServer, http: httpx.Client, launches: Path) -> dict[str, Any]:
    path = server.write("count.py", COUNTING)
    run = server.create(http, path, env_vars={"LAUNCHES": str(launches)}, environment_id="kernel")
    wait_until(lambda: "line 3" in all_text(http, run["id"]))
    return run


def all_text(http: httpx.Client, run_id: str) -> str:
    page = http.get(f"api/runs/{run_id}/logs", params={"limit": 1000}).json()
    return "\n".join(frame["message"] for frame in page["frames"])


def head_of(server: JupyterServer, run: dict[str, Any]) -> JournalHead:
    head = read_head(server.data_dir / "runs" / run["id"])
    assert head is not None
    assert head.program is not None
    return head


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_lost_when_the_server_ends(
    server: JupyterServer, http: httpx.Client, tmp_path: Path, number: signal.Signals
) -> None:
    launches = tmp_path / "launches"
    run = counting_run(server, http, launches)
    server._signal(number)
    server.start()
    check_counted_once(server, http, run, launches)
    assert "listened" not in all_text(http, run["id"])


def test_output_while_nobody_listened_is_a_gap_in_the_log(
    server: JupyterServer, http: httpx.Client, tmp_path: Path
) -> None:
    launches = tmp_path / "launches"
    run = counting_run(server, http, launches)
    server.kill()
    head_of(server, run).supervisor.send(signal.SIGKILL)
    server.start()
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["exit_code"]) == ("succeeded", 0), final
    assert launches.read_text() == "launched\n"
    assert "Nobody listened to the kernel for" in all_text(http, run["id"])
    lines = all_lines(http, run["id"])
    expected = [f"line {number}" for number in range(60)]
    assert lines == [line for line in expected if line in lines]  # none twice, in their order
    assert processes_of(run["id"]) == []


def test_a_kernel_that_is_gone_is_server_stopped(
    server: JupyterServer, http: httpx.Client, tmp_path: Path
) -> None:
    run = counting_run(server, http, tmp_path / "launches")
    server.kill()
    head = head_of(server, run)
    assert head.program is not None
    head.supervisor.send(signal.SIGKILL)
    head.program.send(signal.SIGKILL)
    server.start()
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("failed", "server_stopped")
    assert "can not be found again" in final["error_message"]
    assert "line 3" in all_text(http, run["id"])


def test_a_missing_kernelspec_fails_the_run_and_greys_the_environment(
    server: JupyterServer, http: httpx.Client
) -> None:
    run = server.create(http, server.write("p.py", "print(1)\n"), environment_id="missing")
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("failed", "environment_unavailable")
    assert "there is no kernel 'nope'" in final["error_message"]
    missing = http.get("api/environments/missing", params={"refresh": True}).json()
    assert missing["available"] is False
    assert "nope" in missing["reason"]
    works = http.get("api/environments/kernel", params={"refresh": True}).json()
    assert works["available"], works
    assert works["facts"]["mellea"]


def test_a_failed_run_leaves_its_kernel_until_it_is_deleted(
    server: JupyterServer, http: httpx.Client
) -> None:
    path = server.write("wrong.py", "found = 42\nraise ValueError(found)\n")
    run = server.create(http, path, environment_id="kernel", keep_kernel=True)
    final = server.wait_for(http, run["id"])
    assert final["status"] == "failed"
    kernel = final["kernel"]
    assert processes_of(run["id"])
    assert http.get("api/kernels").json() == []
    server.kill()  # it outlives a server
    server.start()
    for _ in range(2):
        opened = http.post(f"api/runs/{run['id']}/kernel")
        assert (opened.status_code, opened.json()) == (200, kernel)
    [shown] = http.get("api/kernels").json()
    assert (shown["id"], shown["name"]) == (kernel["id"], "python3")
    assert http.delete(f"api/runs/{run['id']}").status_code == httpx.codes.CONFLICT
    deleted = http.post("api/runs/bulk/delete", json={"run_ids": [run["id"]]})
    assert deleted.json() == {run["id"]: "deleted"}
    wait_until(lambda: processes_of(run["id"]) == [])
    wait_until(lambda: http.get("api/kernels").json() == [])


def test_a_kept_kernel_ends_with_its_time(
    start_server: Callable[..., JupyterServer], tmp_path: Path
) -> None:
    settings = tmp_path / "settings.py"
    settings.write_text(SETTINGS + "c.MelleaApp.keep_kernel_seconds = 1\n")
    server = start_server(options=[f"--config={settings}"])
    with server.http() as http:
        path = server.write("wrong.py", "raise ValueError\n")
        run = server.create(http, path, environment_id="kernel", keep_kernel=True)
        server.wait_for(http, run["id"])
        wait_until(lambda: processes_of(run["id"]) == [])
        gone = http.post(f"api/runs/{run['id']}/kernel")
        assert gone.status_code == httpx.codes.GONE
        assert "is gone" in gone.json()["message"]


def test_keep_kernel_is_refused_where_there_is_no_kernel(
    server: JupyterServer, http: httpx.Client
) -> None:
    asset = http.post("api/assets", json={"path": server.write("p.py", "print(1)\n")}).json()
    refused = http.post("api/runs", json={"asset_id": asset["id"], "config": {"keep_kernel": True}})
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert refused.json()["details"]["field"] == "config.keep_kernel"
    run = server.create(http, "p.py")
    server.wait_for(http, run["id"])
    none = http.post(f"api/runs/{run['id']}/kernel")
    assert none.status_code == httpx.codes.CONFLICT
