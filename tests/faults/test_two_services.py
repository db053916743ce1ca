"""Several servers on one store, and a holder that sleeps."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mellea_jupyter.service.leases import ServiceLease
from mellea_jupyter.testing.server import JupyterServer

from .conftest import processes_of, wait_until

LAUNCHING = """\
import os, time
with open(os.environ["LAUNCHES"], "a") as file:
    file.write(os.environ["MELLEA_RUN_ID"] + "\\n")
time.sleep(0.3)
"""


def test_two_servers_on_one_store_launch_each_run_once_and_see_all_of_them(
    start_server: Callable[..., JupyterServer], tmp_path: Path
) -> None:
    first = start_server("one")
    second = start_server("two", data_dir=first.data_dir, root=first.root)
    launches = tmp_path / "launches"
    path = first.write("launching.py", LAUNCHING)
    with first.http() as one, second.http() as two:
        ids = [
            server.create(http, path, env_vars={"LAUNCHES": str(launches)})["id"]
            for _ in range(6)
            for server, http in ((first, one), (second, two))
        ]
        for run_id in ids:
            assert first.wait_for(one, run_id)["status"] == "succeeded"
            assert two.get(f"api/runs/{run_id}").json()["status"] == "succeeded"
    assert sorted(launches.read_text().split()) == sorted(ids)


def test_a_run_of_a_server_that_died_is_taken_up_by_another(
    start_server: Callable[..., JupyterServer],
) -> None:
    first = start_server("one")
    second = start_server("two", data_dir=first.data_dir, root=first.root)
    path = first.write("long.py", "import time\nprint('ready', flush=True)\ntime.sleep(3)\n")
    with first.http() as one:
        run = first.create(one, path)
        first.wait_for(one, run["id"], ["running"])
    first.kill()
    with second.http() as two:
        assert second.wait_for(two, run["id"])["status"] == "succeeded"


def test_servers_of_different_names_execute_their_own_runs(
    start_server: Callable[..., JupyterServer],
) -> None:
    """As the servers of a hub's users do: what one of them queued waits for it."""
    first = start_server("one", options=["--MelleaApp.server_name=one", "--MelleaApp.max_runs=1"])
    second = start_server(
        "two", data_dir=first.data_dir, root=first.root, options=["--MelleaApp.server_name=two"]
    )
    path = first.write("long.py", "import time\ntime.sleep(600)\n")
    quick = first.write("quick.py", "print('done')\n")
    with first.http() as one, second.http() as two:
        long = first.create(one, path)["id"]
        first.wait_for(one, long, ["running"])
        waiting = first.create(one, quick)["id"]
        assert second.wait_for(two, second.create(two, quick)["id"])["status"] == "succeeded"
        assert two.get(f"api/runs/{waiting}").json()["status"] == "queued"
        first.kill()
        # The other one had looked for work before and after its own run: it took neither.
        assert second.wait_for(two, second.create(two, quick)["id"])["status"] == "succeeded"
        assert two.get(f"api/runs/{waiting}").json()["status"] == "queued"
        first.start()
        assert one.delete(f"api/runs/{long}").is_success
        assert first.wait_for(one, waiting)["status"] == "succeeded"
        assert first.wait_for(one, long)["status"] == "cancelled"


def test_a_suspended_server_keeps_its_lease(
    start_server: Callable[..., JupyterServer],
) -> None:
    """No clock decides about leases, so a laptop that slept finds its runs as it left them."""
    first = start_server("one")
    second = start_server("two", data_dir=first.data_dir, root=first.root)
    path = first.write("long.py", "import time\nprint('ready', flush=True)\ntime.sleep(600)\n")
    with first.http() as one, second.http() as two:
        run = first.create(one, path)
        running = first.wait_for(one, run["id"], ["running"])
        os.kill(first.pid, signal.SIGSTOP)
        try:
            time.sleep(3)  # three looks of the other service's reconciler
            assert two.get(f"api/runs/{run['id']}").json()["status"] == "running"
            assert processes_of(run["id"])
        finally:
            os.kill(first.pid, signal.SIGCONT)
        assert one.get(f"api/runs/{run['id']}").json()["started_at"] == running["started_at"]
        one.delete(f"api/runs/{run['id']}")
        assert first.wait_for(one, run["id"])["status"] == "cancelled"
        wait_until(lambda: not processes_of(run["id"]))


def test_a_lease_is_held_as_long_as_its_service_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = ServiceLease(tmp_path), ServiceLease(tmp_path)
    for step in (-86400.0, 86400.0):
        monkeypatch.setattr(time, "time", lambda step=step: step)
        assert two.is_held(one.id)
        assert one.is_held(one.id)
    one.close()
    assert not two.is_held(one.id)
    assert not two.is_held("nobody")
    two.close()
    assert list(tmp_path.iterdir()) == []
