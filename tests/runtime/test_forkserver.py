"""The fork server: who it answers, what it refuses, and what a warm run inherits."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

from .conftest import MakeRun
from .support import (
    RUNTIME,
    ForkServer,
    clean_environment,
    wait_until,
)


def test_a_warm_run_has_mellea_already(make_run: MakeRun, fork_server: ForkServer) -> None:
    run = make_run("import sys; print('mellea.backends.openai' in sys.modules)")
    answer = fork_server.start(run)
    wait_until(lambda: not run.is_supervised(), "the end")
    assert run.output("stdout") == b"True\n"
    started = run.frame("started")
    assert (started["isolation"], started["reason"]) == ("warm", None)
    assert (started["supervisor_pid"], started["supervisor_start"]) == (
        answer["pid"],
        answer["start"],
    )


def test_the_lock_is_held_when_the_answer_comes(make_run: MakeRun, fork_server: ForkServer) -> None:
    run = make_run("import time; time.sleep(600)", timeout_seconds=600)
    answer = fork_server.start(run)
    assert run.is_supervised()
    second = fork_server.ask({"run_dir": str(run.path)})
    assert second == {"ok": False, "reason": "another supervisor has this run"}
    os.kill(answer["pid"], 2)
    wait_until(lambda: not run.is_supervised(), "the end")


def test_warm_runs_share_nothing_they_should_not(
    make_run: MakeRun, fork_server: ForkServer
) -> None:
    source = """
import json, os, random, signal, sys, time
import numpy
print(json.dumps({
    "random": random.random(), "numpy": float(numpy.random.random()),
    "env": dict(os.environ), "zone": time.strftime("%Z", time.localtime(0)),
    "descriptors": sorted(
        os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{n}") and int(n) > 2),
    "term": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
    "mask": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "modules": [n for n in sys.modules if n.startswith("mine")],
    "main": sys.modules["__main__"].__file__.endswith("prog.py"),
}))
"""
    runs = [make_run(source, env={"TZ": zone}) for zone in ("Asia/Tokyo", "UTC")]
    for run in runs:
        fork_server.run(run)
    first, second = (json.loads(run.output("stdout")) for run in runs)
    assert first["random"] != second["random"]
    assert first["numpy"] != second["numpy"]
    assert (first["zone"], second["zone"]) == ("JST", "UTC")
    for run, seen in zip(runs, (first, second), strict=True):
        expected = {"MELLEA_OUTPUT_DIR": str(run.outputs), "MELLEA_LOGS_CONSOLE": "false"}
        assert seen["env"] == {**run.spec["env"], **expected}
        assert seen["term"]
        assert seen["mask"] == 0
        assert seen["main"]
        assert not [name for name in seen["descriptors"] if str(run.path) in name]
        assert not [name for name in seen["descriptors"] if "warm.sock" in name]


def test_a_variable_read_at_import_is_refused(make_run: MakeRun, fork_server: ForkServer) -> None:
    run = make_run("", env={"OMP_NUM_THREADS": "1"})
    answer = fork_server.ask({"run_dir": str(run.path)})
    assert answer["ok"] is False
    assert "OMP_NUM_THREADS" in answer["reason"]
    assert run.frames() == []


def test_a_local_module_that_replaces_a_preloaded_one_is_refused(
    make_run: MakeRun, fork_server: ForkServer
) -> None:
    for files in ({"prog.py": "", "openai.py": ""}, {"prog.py": "", "json/__init__.py": ""}):
        run = make_run(files)
        answer = fork_server.ask({"run_dir": str(run.path)})
        assert answer["ok"] is False
        assert "replaces a preloaded module" in answer["reason"]
    harmless = make_run({"prog.py": "", "openai/notes.txt": "", "os.py": ""})
    fork_server.run(harmless)


def test_only_its_user_may_ask(fork_server: ForkServer) -> None:
    assert stat.S_IMODE(fork_server.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(fork_server.socket.parent.stat().st_mode) == 0o700


def test_nonsense_does_not_end_it(fork_server: ForkServer) -> None:
    for nonsense in (b"\n", b"[]\n", b"not json\n", b"{}\n", b"x" * 100_000):
        with __import__("socket").socket(1) as connection:
            connection.connect(str(fork_server.socket))
            connection.sendall(nonsense)
    assert fork_server.answers()


def test_a_second_server_on_a_socket_gives_up_and_a_dead_ones_is_replaced(
    tmp_path: Path,
) -> None:
    with ForkServer(tmp_path / "s") as first:
        command = [sys.executable, str(RUNTIME), "forkserver", "--socket", str(first.socket)]
        assert subprocess.run(command, check=False).returncode == 75
    dead = ForkServer(tmp_path / "s")
    wait_until(dead.answers, "the server")
    dead.process.kill()
    dead.process.wait()
    assert dead.socket.exists()
    with ForkServer(tmp_path / "s") as successor:
        assert successor.answers()


def test_it_ends_when_idle_and_runs_go_on(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(
        "import os, time; print('on')\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "print('off')"
    )
    server = ForkServer(tmp_path / "s", idle_seconds=0.5)
    wait_until(server.answers, "the server")
    server.start(run)
    assert server.process.wait(60) == 0
    assert not server.socket.exists()
    assert run.is_supervised()
    (run.path / "source" / "go").touch()
    wait_until(lambda: not run.is_supervised(), "the end")
    assert run.output("stdout") == b"on\noff\n"


def test_an_open_connection_in_a_preloaded_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "connects.py").write_text("import socket\nkept = socket.socket()\n")
    command = [sys.executable, str(RUNTIME), "forkserver", "--socket", str(tmp_path / "s")]
    environment = clean_environment(PYTHONPATH=str(tmp_path))
    refused = subprocess.run(
        [*command, "--preload", "connects"], env=environment, capture_output=True, check=False
    )
    assert refused.returncode == 70
    assert b"opened a connection" in refused.stderr


def test_a_module_that_cannot_be_preloaded_is_left_to_the_runs(
    make_run: MakeRun, tmp_path: Path
) -> None:
    with ForkServer(tmp_path / "s", "no_such_module") as server:
        assert server.run(make_run("print(1)"))["exit_code"] == 0
        assert "no_such_module" in server.log.read_text()


def test_many_runs_at_once(make_run: MakeRun, fork_server: ForkServer) -> None:
    runs = [make_run(f"print({number})") for number in range(30)]
    for run in runs:
        fork_server.start(run)
    for number, run in enumerate(runs):
        wait_until(lambda run=run: not run.is_supervised(), "the end")  # type: ignore[misc]  # the default binds the loop's value
        assert run.end()["exit_code"] == 0
        assert run.output("stdout") == b"%d\n" % number
