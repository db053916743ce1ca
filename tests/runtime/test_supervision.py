"""How a run is supervised: its end, stops, timeouts, and nothing left alive."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from .conftest import Execute, MakeRun
from .support import (
    RunFolder,
    alive_with_environment,
    run_fresh,
    start_fresh,
    wait_until,
)

STUBBORN_GRANDCHILD = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("grandchild", os.getpid(), flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
"""


def stop(run: RunFolder, supervisor: subprocess.Popen[bytes], **intent: object) -> None:
    """Stop a run as the server does: the intent first, then the signal."""
    run.write_stop(str(intent.pop("reason", "user")), **intent)
    supervisor.terminate()
    assert supervisor.wait(60) == 0


def test_a_run_is_told_from_its_start_to_its_end(make_run: MakeRun, execute: Execute) -> None:
    run = make_run("print('hello')\nraise SystemExit(7)")
    end = execute(run)
    assert [frame["kind"] for frame in run.frames()][:2] == ["started", "program"]
    started, program = run.frame("started"), run.frame("program")
    assert started["boot_id"]
    assert started["host"]
    assert started["supervisor_start"] > 0
    assert program["pid"] > 0
    assert program["start"] > 0
    assert run.output("stdout") == b"hello\n"
    assert (end["exit_code"], end["signal"], end["reason"]) == (7, None, "exit_code")
    assert end["started"]
    assert end["left_behind"] == 0
    assert end["dropped_events"] == 0
    assert end["peak_memory_mb"] > 1
    assert end["cpu_seconds"] > 0
    assert end["execution_ms"] >= 0
    assert not run.is_supervised()


def test_how_a_run_was_isolated_is_recorded_with_the_reason(make_run: MakeRun) -> None:
    run = make_run("")
    run_fresh(run, reason="the variable OMP_NUM_THREADS is read when modules are imported")
    assert run.frame("started")["isolation"] == "fresh"
    assert "OMP_NUM_THREADS" in run.frame("started")["reason"]
    asked = make_run("", isolation="fresh", fresh_reason="asked for")
    run_fresh(asked)
    assert asked.frame("started")["reason"] == "asked for"


def test_a_run_folder_is_never_launched_twice(make_run: MakeRun) -> None:
    run = make_run("print('once')")
    run_fresh(run)
    before = run.frames()
    assert start_fresh(run).wait(60) == 3
    assert run.frames() == before


def test_a_second_supervisor_of_a_living_run_gives_up(make_run: MakeRun) -> None:
    run = make_run("import time; print('on', flush=True); time.sleep(600)")
    supervisor = start_fresh(run)
    run.wait_for_output(b"on")
    assert start_fresh(run).wait(60) == 75
    stop(run, supervisor)


def test_a_signal_that_ends_the_program_is_its_end(make_run: MakeRun, execute: Execute) -> None:
    run = make_run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    end = execute(run)
    assert (end["exit_code"], end["signal"], end["reason"]) == (-9, 9, "signal")


def test_a_stop_says_who_and_why_and_gives_time(make_run: MakeRun) -> None:
    run = make_run(
        """
        import signal, sys, time
        def leave(number, frame):
            print("cleaning up")
            sys.exit(0)
        signal.signal(signal.SIGTERM, leave)
        print("on", flush=True)
        time.sleep(600)
        """.replace("\n        ", "\n")
    )
    supervisor = start_fresh(run)
    run.wait_for_output(b"on")
    stop(run, supervisor, reason="admin", by="ada", grace_seconds=30)
    frame = run.frame("stop")
    assert (frame["reason"], frame["by"], frame["grace_seconds"]) == ("admin", "ada", 30)
    assert b"cleaning up" in run.output("stdout")
    end = run.end()
    assert (end["exit_code"], end["reason"]) == (0, "admin"), "stopped, whatever code it chose"


def test_term_without_an_intent_is_told_as_terminated(make_run: MakeRun) -> None:
    run = make_run("import time; print('on', flush=True); time.sleep(600)")
    supervisor = start_fresh(run)
    run.wait_for_output(b"on")
    supervisor.terminate()
    assert supervisor.wait(60) == 0
    assert (run.end()["reason"], run.end()["signal"]) == ("terminated", signal.SIGTERM)


def test_interrupting_the_supervisor_kills_at_once(make_run: MakeRun) -> None:
    run = make_run(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('on', flush=True); time.sleep(600)",
        grace_seconds=600,
    )
    supervisor = start_fresh(run)
    run.wait_for_output(b"on")
    run.write_stop("user")
    supervisor.terminate()
    run.wait_for("stop")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(60) == 0
    assert (run.end()["reason"], run.end()["signal"]) == ("user", signal.SIGKILL)


def test_a_stubborn_daemonised_grandchild_is_dead_after_the_grace(make_run: MakeRun) -> None:
    source = STUBBORN_GRANDCHILD + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    run = make_run(source, grace_seconds=0.3)
    supervisor = start_fresh(run)
    run.wait_for_output(b"grandchild")
    grandchild = int(run.output("stdout").split()[1])
    assert Path(f"/proc/{grandchild}").exists()
    stop(run, supervisor)
    assert not Path(f"/proc/{grandchild}").exists()
    assert run.end()["reason"] == "user"


def test_what_a_program_leaves_running_is_ended_with_a_remark(
    make_run: MakeRun, execute: Execute
) -> None:
    wait_for_it = "time.sleep(0.5)\n"  # so that the grandchild ignores TERM already
    run = make_run(STUBBORN_GRANDCHILD + wait_for_it)
    end = execute(run)
    assert (end["exit_code"], end["reason"], end["left_behind"]) == (0, "exit_code", 1)
    (remark,) = run.frames("system")
    assert remark["level"] == "warn"
    assert "left a process running" in remark["message"]
    grandchild = int(run.output("stdout").split()[1])
    assert not Path(f"/proc/{grandchild}").exists()


def test_a_timeout_stops_the_run(make_run: MakeRun, execute: Execute) -> None:
    run = make_run("import time; time.sleep(600)", timeout_seconds=0.5)
    end = execute(run)
    assert (end["reason"], end["exit_code"], end["signal"]) == ("timeout", -15, 15)
    assert run.frame("stop")["reason"] == "timeout"
    assert 400 < end["execution_ms"] < 30_000


def test_a_stopped_program_is_stopped_all_the_same(make_run: MakeRun) -> None:
    run = make_run("import os, signal; print('on', flush=True); os.kill(0, signal.SIGSTOP)")
    supervisor = start_fresh(run)
    run.wait_for_output(b"on")
    stop(run, supervisor, grace_seconds=30)
    assert run.end()["signal"] == signal.SIGTERM


def test_memory_over_the_limit_ends_the_run(make_run: MakeRun, execute: Execute) -> None:
    source = "import time; block = b'x' * 300_000_000; time.sleep(600)"
    run = make_run(source, memory_limit_mb=200)
    end = execute(run)
    assert (end["reason"], end["signal"]) == ("out_of_memory", signal.SIGKILL)
    assert end["peak_memory_mb"] > 200
    assert "allowed" in run.frame("system")["message"]


def test_five_hundred_children_are_all_ended(make_run: MakeRun) -> None:
    run = make_run(
        """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(500):
    if os.fork() == 0:
        time.sleep(600)
print("on", flush=True)
time.sleep(600)
""",
        grace_seconds=0.2,
    )
    supervisor = start_fresh(run)
    run.wait_for_output(b"on")
    wait_until(lambda: max(f["processes"] for f in run.frames("usage")) > 400, "a full sample")
    stop(run, supervisor)
    assert run.end()["reason"] == "user"


def test_a_killed_supervisor_leaves_its_lock_free_and_the_program_named(
    make_run: MakeRun,
) -> None:
    run = make_run("import time; print('on', flush=True); time.sleep(600)")
    supervisor = start_fresh(run)
    run.wait_for_output(b"on")
    assert run.is_supervised()
    supervisor.kill()
    supervisor.wait()
    assert not run.is_supervised()
    program = run.frame("program")
    stat = Path(f"/proc/{program['pid']}/stat").read_text().rsplit(")", 1)[1].split()
    assert int(stat[19]) == program["start"], "the program can be found and verified"
    os.kill(program["pid"], signal.SIGKILL)


def test_no_program_outlives_a_supervisor_killed_before_the_journal_named_it(
    make_run: MakeRun,
) -> None:
    run = make_run("import time; time.sleep(600)")
    supervisor = start_fresh(run)
    wait_until(lambda: run.is_supervised() or supervisor.poll() is not None, "the lock")
    supervisor.kill()
    supervisor.wait()
    for program in run.frames("program"):
        os.kill(program["pid"], signal.SIGKILL)
    wait_until(lambda: not alive_with_environment(str(run.path)), "nobody left")


def test_a_stop_before_the_program_began_never_starts_it(make_run: MakeRun) -> None:
    run = make_run("print('never')")
    os.mkfifo(run.path / "secrets")  # holds the supervisor back while it reads its instructions
    supervisor = start_fresh(run)
    wait_until(run.is_supervised, "the lock")
    run.write_stop("user", by="ada")
    supervisor.terminate()
    (run.path / "secrets").write_text("{}")
    assert supervisor.wait(60) == 0
    end = run.end()
    assert (end["reason"], end["started"], end["exit_code"]) == ("user", False, None)
    assert run.frames("program") == []


def test_a_missing_working_directory_is_a_launch_failure(
    make_run: MakeRun, execute: Execute
) -> None:
    run = make_run("print('never')", working_directory="/nonexistent/folder")
    end = execute(run)
    assert (end["reason"], end["started"]) == ("launch_failed", False)
    assert "/nonexistent/folder" in end["message"]


def test_unusable_instructions_are_a_launch_failure(make_run: MakeRun, execute: Execute) -> None:
    run = make_run("")
    (run.path / "spec.json").write_text('{"v": 1, "run_id": "x", "entry": {"kind": "magic"}}')
    end = execute(run)
    assert (end["reason"], end["started"]) == ("launch_failed", False)
    assert "entry.kind" in end["message"]
