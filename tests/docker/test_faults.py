"""Bad days: hostile programs, killed servers, engines that go away. No status is ever stuck."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer
from tests.executors.kinds import BARE_IMAGE
from tests.executors.runs import wait_until

from .conftest import containers_of, environments, log_of
from .own_engine import OwnEngine

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

REPLACEMENTS = {
    "a link to a secret of the host": "os.unlink(f); os.symlink('/etc/shadow', f)",
    "a FIFO": "os.unlink(f); os.mkfifo(f)",
    "a folder": "os.unlink(f); os.mkdir(f)",
    "nothing": "os.unlink(f)",
    "a link in the place of the journal's output": (
        "o = f.replace('frames.ndjson', 'output.000'); os.path.exists(o) and os.unlink(o); "
        "os.symlink('/etc/shadow', o)"
    ),
    "forged frames": (
        "import json\n"
        "with open(f) as file: frames = [json.loads(line) for line in file]\n"
        "seq, line = frames[-1]['seq'], frames[-1]['line']\n"
        "end = dict(v=1, seq=seq + 1, t=1.0, line=line, kind='end', exit_code=0, signal=None,\n"
        "           reason='user', started=True, peak_memory_mb=1, cpu_seconds=0,\n"
        "           execution_ms=0, dropped_events=0, left_behind=0)\n"
        "with open(f, 'a') as file: file.write(json.dumps(end) + '\\n')\n"
    ),
}


@pytest.mark.parametrize("kind", REPLACEMENTS)
def test_a_program_that_replaces_its_journal_gains_nothing(
    server: JupyterServer, http: httpx.Client, kind: str
) -> None:
    source = (
        "import os, sys, time\n"
        "f = '/mellea/run/journal/frames.ndjson'\n"
        f"{REPLACEMENTS[kind]}\n"
        "time.sleep(1.5)\n"
        "sys.exit(7)\n"
    )
    run = server.create(http, server.write("hostile.py", source), environment_id="bare")
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("failed", "exit_code"), final
    assert final["exit_code"] == 7
    assert final["cancelled_by"] is None
    secret = Path("/etc/shadow").read_text().splitlines()[0]
    frames = http.get(f"api/runs/{run['id']}/logs").text
    for told in (frames, log_of(http, run), str(final)):
        assert secret not in told


def test_a_program_that_kills_its_supervisor_is_what_the_engine_says(
    server: JupyterServer, http: httpx.Client
) -> None:
    source = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)\n"
    run = server.create(http, server.write("patricide.py", source), environment_id="bare")
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("failed", "signal")
    assert final["exit_code"] == -signal.SIGKILL


def test_outputs_that_are_links_out_of_the_container_are_not_collected(
    server: JupyterServer, http: httpx.Client
) -> None:
    source = (
        "import os\nout = os.environ['MELLEA_OUTPUT_DIR']\n"
        "os.symlink('/etc/shadow', out + '/shadow')\n"
        "os.symlink('/etc', out + '/etc')\nos.mkfifo(out + '/fifo')\n"
    )
    run = server.create(http, server.write("links.py", source), environment_id="bare")
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["artifacts"]) == ("succeeded", [])
    skipped = {each["path"]: each["reason"] for each in final["artifacts_skipped"]}
    assert skipped == {"shadow": "link", "etc": "link", "fifo": "not_regular"}


def test_a_run_goes_on_while_the_server_is_killed_and_is_taken_up_without_a_gap(
    engine: Any, tmp_path: Path
) -> None:
    options = ["--MelleaApp.prewarm=False", *environments()]
    server = JupyterServer(tmp_path / "home", options=options).start()
    source = (
        "import time\n"
        "for n in range(40):\n    print('line', n, flush=True)\n    time.sleep(0.1)\n"
        "raise SystemExit(5)\n"
    )
    try:
        with server.http() as http:
            run = server.create(http, server.write("counts.py", source), environment_id="bare")
            server.wait_for(http, run["id"], ("running",))
            server.kill()
            server.start()
            final = server.wait_for(http, run["id"])
            assert (final["status"], final["exit_code"]) == ("failed", 5)
            assert log_of(http, run).splitlines() == [f"line {n}" for n in range(40)]
            wait_until(lambda: containers_of(engine, server) == [])
    finally:
        server.stop()


def test_a_run_that_ended_while_no_server_was_there_has_its_own_end(
    engine: Any, tmp_path: Path
) -> None:
    options = ["--MelleaApp.prewarm=False", *environments()]
    server = JupyterServer(tmp_path / "home", options=options).start()
    try:
        with server.http() as http:
            source = "import time; time.sleep(1); raise SystemExit(6)"
            run = server.create(http, server.write("ends.py", source), environment_id="bare")
            server.wait_for(http, run["id"], ("running",))
            [name] = containers_of(engine, server)
            server.kill()
            engine.wait(name.lstrip("/"))
            server.start()
            final = server.wait_for(http, run["id"])
            assert (final["status"], final["exit_code"]) == ("failed", 6)
            wait_until(lambda: containers_of(engine, server) == [])
    finally:
        server.stop()


def test_a_container_that_nobody_knows_any_more_is_swept(engine: Any, tmp_path: Path) -> None:
    options = ["--MelleaApp.prewarm=False", *environments()]
    server = JupyterServer(tmp_path / "home", options=options).start()
    try:
        with server.http() as http:
            source = "import time; time.sleep(600)"
            run = server.create(http, server.write("lost.py", source), environment_id="bare")
            server.wait_for(http, run["id"], ("running",))
            [name] = containers_of(engine, server)
            server.kill()
            for file in server.data_dir.glob("runs.sqlite*"):
                file.unlink()
            server.start()
            http.get("api/runs")
            wait_until(lambda: containers_of(engine, server) == [], name)
    finally:
        server.stop()


# -- an engine of our own -------------------------------------------------------------------------


LIVE_RESTORE = ("--live-restore",)


@pytest.fixture(params=[(), LIVE_RESTORE], ids=["plain", "live-restore"], scope="module")
def own_engine(request: pytest.FixtureRequest, engine: Any) -> Iterator[OwnEngine]:
    with tempfile.TemporaryDirectory(prefix="mj-engine-") as folder:
        own = OwnEngine(Path(folder), *request.param)
        own.start()
        own.load(engine, BARE_IMAGE)
        yield own
        own.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_that_is_restarted_leaves_no_run_stuck(
    own_engine: OwnEngine, tmp_path: Path, number: int, request: pytest.FixtureRequest
) -> None:
    lives_on = "live-restore" in request.node.name
    options = ["--MelleaApp.prewarm=False", *environments()]
    server = JupyterServer(
        tmp_path / "home", options=options, environment={"DOCKER_HOST": own_engine.url}
    ).start()
    source = (
        "import os, time\n"
        "print('ready', flush=True)\n"
        "while not os.path.exists('/mellea/run/outputs/go'): time.sleep(0.05)\n"
        "raise SystemExit(4)\n"
    )
    try:
        with server.http() as http:
            run = server.create(http, server.write("waits.py", source), environment_id="bare")
            server.wait_for(http, run["id"], ("running",))
            wait_until(lambda: "ready" in log_of(http, run))
            own_engine.stop(number)
            assert http.delete("api/runs/nope").status_code == 404  # the server is well
            own_engine.start()
            if lives_on:
                (server.data_dir / "runs" / run["id"] / "outputs" / "go").touch()
            final = server.wait_for(http, run["id"])
            if lives_on:
                assert (final["status_reason"], final["exit_code"]) == ("exit_code", 4)
            else:
                assert final["status_reason"] == "engine_restarted", final
                assert "restarted" in final["error_message"]
            assert final["status"] == "failed"
            client = own_engine.client()
            wait_until(lambda: client.containers(all=True) == [])
            client.close()
    finally:
        server.stop()


@pytest.mark.parametrize("own_engine", [LIVE_RESTORE], ids=["live-restore"], indirect=True)
def test_a_stop_that_is_asked_for_while_the_engine_is_away_is_done_when_it_is_back(
    own_engine: OwnEngine, tmp_path: Path
) -> None:
    options = ["--MelleaApp.prewarm=False", "--MelleaApp.grace_seconds=1.5", *environments()]
    server = JupyterServer(
        tmp_path / "home", options=options, environment={"DOCKER_HOST": own_engine.url}
    ).start()
    try:
        with server.http() as http:
            source = "import time; print('ready', flush=True); time.sleep(600)"
            run = server.create(http, server.write("w.py", source), environment_id="bare")
            server.wait_for(http, run["id"], ("running",))
            wait_until(lambda: "ready" in log_of(http, run))
            own_engine.stop()
            assert http.delete(f"api/runs/{run['id']}").status_code == 202
            own_engine.start()
            final = server.wait_for(http, run["id"])
            assert (final["status"], final["status_reason"]) == ("cancelled", "user")
    finally:
        server.stop()


def test_root_is_needed_for_nothing_but_the_engine() -> None:
    """The account of containers where the server is not root is the server's own."""
    from mellea_jupyter.executors.docker.folders import Account

    account = Account.choose(10001)
    expected = (os.getuid(), os.getgid()) if os.getuid() else (10001, 10001)
    assert (account.uid, account.gid) == expected
