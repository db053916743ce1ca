"""Programs that misbehave, under the complete server."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from mellea_jupyter.testing.server import JupyterServer

from .conftest import processes_of, wait_until

DAEMON = """\
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(os.environ["PID_FILE"], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def started(server: JupyterServer, http: httpx.Client, source: str, **config: Any) -> str:
    """A run of this source that has printed something; its id."""
    run = server.create(http, server.write("program.py", source), **config)
    run_id = str(run["id"])
    wait_until(lambda: http.get(f"api/runs/{run_id}/logs").json()["frames"])
    server.wait_for(http, run_id, ["running"])
    return run_id


def test_a_term_ignoring_daemonised_grandchild_is_gone_after_the_grace_period(
    server: JupyterServer, http: httpx.Client, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    run_id = started(server, http, DAEMON, env_vars={"PID_FILE": str(pid_file)})
    wait_until(lambda: pid_file.exists() and pid_file.read_text())
    grandchild = int(pid_file.read_text())
    http.delete(f"api/runs/{run_id}")
    final = server.wait_for(http, run_id)
    assert final["status"] == "cancelled"
    assert processes_of(run_id) == []
    assert not psutil.pid_exists(grandchild)


def test_a_program_that_handles_sigterm_and_exits_0_is_cancelled(
    server: JupyterServer, http: httpx.Client
) -> None:
    source = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    run_id = started(server, http, source)
    http.delete(f"api/runs/{run_id}")
    final = server.wait_for(http, run_id)
    assert (final["status"], final["exit_code"]) == ("cancelled", 0)


def test_a_killed_supervisor_means_a_lost_run_and_a_dead_program(
    server: JupyterServer, http: httpx.Client
) -> None:
    run_id = started(server, http, "import time\nprint('ready', flush=True)\ntime.sleep(600)\n")
    frames = (server.data_dir / "runs" / run_id / "journal" / "frames.ndjson").read_text()
    begun = json.loads(frames.splitlines()[0])
    assert begun["kind"] == "started"
    assert processes_of(run_id)
    os.kill(begun["supervisor_pid"], signal.SIGKILL)
    final = server.wait_for(http, run_id)
    assert (final["status"], final["status_reason"]) == ("failed", "lost")
    assert processes_of(run_id) == []


def test_a_supervisor_that_hangs_is_killed_after_its_deadline(
    server: JupyterServer, http: httpx.Client
) -> None:
    run_id = started(server, http, "import time\nprint('ready', flush=True)\ntime.sleep(600)\n")
    frames = (server.data_dir / "runs" / run_id / "journal" / "frames.ndjson").read_text()
    os.kill(json.loads(frames.splitlines()[0])["supervisor_pid"], signal.SIGSTOP)
    assert http.delete(f"api/runs/{run_id}").status_code == httpx.codes.ACCEPTED
    final = server.wait_for(http, run_id)
    assert (final["status"], final["status_reason"]) == ("cancelled", "user")
    assert processes_of(run_id) == []


@pytest.mark.parametrize("replacement", ["link", "fifo"])
def test_a_replaced_journal_is_refused_and_the_server_unharmed(
    server: JupyterServer, http: httpx.Client, replacement: str
) -> None:
    secret = server.home / "secret"
    forged = {"v": 1, "seq": 1, "t": 0, "line": 0, "kind": "system", "lines": 1}
    secret.write_text(json.dumps({**forged, "level": "info", "message": "host secret"}) + "\n")
    source = (
        "import os, sys, time\n"
        "print('before', flush=True)\n"
        "time.sleep(1)\n"
        "path = os.path.join(os.environ['MELLEA_OUTPUT_DIR'], '..', 'journal', 'frames.ndjson')\n"
        "os.unlink(path)\n"
        + (f"os.symlink({str(secret)!r}, path)\n" if replacement == "link" else "os.mkfifo(path)\n")
        + "print('after', flush=True)\n"
    )
    run = server.create(http, server.write("swap.py", source))
    final = server.wait_for(http, run["id"])
    assert final["status"] in ("failed", "succeeded")
    logs = http.get(f"api/runs/{run['id']}/logs")
    assert logs.status_code == httpx.codes.OK
    assert "host secret" not in logs.text
    assert http.get("api/runs").status_code == httpx.codes.OK


def test_two_hundred_thousand_lines_arrive_complete_and_in_order(
    server: JupyterServer, http: httpx.Client
) -> None:
    source = "import sys\nfor n in range(200_000):\n    sys.stdout.write(f'line {n}\\n')\n"
    run = server.create(http, server.write("many.py", source))
    seen: list[str] = []
    with http.stream("GET", f"api/runs/{run['id']}/logs/stream") as reply:
        events = reply.iter_lines()
        for event in events:
            if event == "event: complete":
                break
            if event.startswith("data: "):
                frame = json.loads(event[6:])
                if frame["stream"] == "stdout":
                    seen.append(frame["message"])
    assert server.wait_for(http, run["id"])["status"] == "succeeded"
    assert len(seen) == 200_000
    assert seen == [f"line {n}" for n in range(200_000)]
    text = http.get(f"api/runs/{run['id']}/logs", params={"download": "text"}).text
    assert text.splitlines() == seen


def test_a_gigabyte_of_output_is_capped_with_a_visible_gap_and_little_server_memory(
    start_server: Callable[..., JupyterServer],
) -> None:
    server = start_server(options=["--MelleaApp.log_cap_mb=64"])
    source = (
        "import sys\n"
        "line = 'x' * 1023 + '\\n'\n"
        "for n in range(1024):\n"
        "    sys.stdout.write(line * 1024)\n"
        "print('the last line')\n"
    )
    with server.http() as http:
        small = server.create(http, server.write("small.py", "print('hello')\n"))
        server.wait_for(http, small["id"])
        http.get(f"api/runs/{small['id']}/logs/stream")
        process = psutil.Process(server.pid)
        idle = process.memory_info().rss
        peak = idle
        run = server.create(http, server.write("huge.py", source))
        while not http.get(f"api/runs/{run['id']}").json()["finished_at"]:
            peak = max(peak, process.memory_info().rss)
        final = server.wait_for(http, run["id"], seconds=120)
        assert final["status"] == "succeeded"
        tail = http.get(f"api/runs/{run['id']}/logs", params={"tail": 1000}).json()
        assert tail["frames"][-1]["message"] == "the last line"
        system: dict[str, str | int] = {"stream": "system", "limit": 1000}
        gaps = http.get(f"api/runs/{run['id']}/logs", params=system).json()["frames"]
        assert any("left out" in frame["message"] for frame in gaps), gaps
        head = http.get(f"api/runs/{run['id']}/logs", params={"limit": 5}).json()
        assert head["frames"][0]["line"] == 1
        peak = max(peak, process.memory_info().rss)
        assert peak - idle <= 32 << 20, f"{(peak - idle) / 2**20:.1f} MiB over idle"
        kept = sum(
            path.stat().st_size
            for path in (server.data_dir / "runs" / run["id"] / "journal").glob("output.*")
        )
        assert kept <= 64 << 20


def test_cancel_racing_the_exit_gives_one_final_status(
    server: JupyterServer, http: httpx.Client
) -> None:
    path = server.write("short.py", "import time\ntime.sleep(0.15)\n")
    runs = [server.create(http, path)["id"] for _ in range(12)]
    answers = {run_id: http.delete(f"api/runs/{run_id}").status_code for run_id in runs}
    for run_id, code in answers.items():
        final = server.wait_for(http, run_id)
        assert code in (httpx.codes.ACCEPTED, httpx.codes.CONFLICT)
        assert final["status"] in ("succeeded", "cancelled")
        if code == httpx.codes.CONFLICT:
            assert final["status"] == "succeeded"
        again = http.get(f"api/runs/{run_id}").json()
        assert (again["status"], again["version"]) == (final["status"], final["version"])
