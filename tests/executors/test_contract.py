"""What every executor does, run against each: see `executors/base.py` for the contract.

The programs are real, and so are the processes that hold them.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors.base import Executor, LaunchSpec, RunHandle
from mellea_jupyter.models.ids import RunId

from .runs import (
    NewExecutor,
    NewRun,
    end_frame,
    frames,
    output,
    wait_until,
)

WAIT_FOREVER = "import signal\nprint('ready', flush=True)\nwhile True: signal.pause()\n"


def is_gone(executor: Executor, handle: RunHandle, spec: LaunchSpec) -> bool:
    return not executor.poll(handle, spec.run_dir).alive


def test_a_run_is_placed_followed_to_its_end_and_then_not_alive(
    executor: Executor, new_run: NewRun
) -> None:
    spec = new_run(
        "import os\nprint('hello', len(os.environ['API_KEY']), os.environ['MELLEA_RUN_ID'])"
    )
    handle = executor.launch(spec)
    assert (handle.executor, handle.run_id) == (executor.name, spec.run_id)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    wait_until(lambda: is_gone(executor, handle, spec))
    assert output(spec.run_dir) == f"hello {len('s3cret-value')} {spec.run_id}\n"
    executor.cleanup(handle, spec.run_dir)
    executor.cleanup(handle, spec.run_dir)


def test_a_run_is_alive_from_its_launch_on(executor: Executor, new_run: NewRun) -> None:
    spec = new_run(WAIT_FOREVER)
    handle = executor.launch(spec)
    for _ in range(50):
        assert executor.poll(handle, spec.run_dir).alive
    wait_until(lambda: "ready" in output(spec.run_dir))
    assert executor.poll(handle, spec.run_dir).alive
    assert executor.kill(handle, spec.run_dir)


@pytest.mark.parametrize(
    ("program", "code", "number"),
    [
        ("import sys; sys.exit(7)", 7, None),
        ("1 / 0", 1, None),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -11, 11),
    ],
)
def test_the_program_s_own_end_is_kept(
    program: str, code: int, number: int | None, executor: Executor, new_run: NewRun
) -> None:
    spec = new_run(program)
    handle = executor.launch(spec)
    end = end_frame(spec.run_dir)
    assert (end["exit_code"], end["signal"]) == (code, number)
    wait_until(lambda: is_gone(executor, handle, spec))


def test_cancel_gives_grace_and_names_who_and_why(executor: Executor, new_run: NewRun) -> None:
    spec = new_run(
        "import signal, sys\n"
        "def end(*_):\n    print('cleaned up', flush=True)\n    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n" + WAIT_FOREVER
    )
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=30)
    executor.cancel(handle, spec.run_dir, reason="admin", by="root", grace_seconds=5)
    end = end_frame(spec.run_dir)
    assert (end["reason"], end["exit_code"]) == ("user", 0)
    [stop] = frames(spec.run_dir, "stop")
    assert (stop["reason"], stop["by"]) == ("user", "ada")
    assert "cleaned up" in output(spec.run_dir)
    wait_until(lambda: is_gone(executor, handle, spec))
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=1)


def test_a_program_that_ignores_term_is_dead_after_the_grace_with_its_daemons(
    executor: Executor, new_run: NewRun
) -> None:
    spec = new_run(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    print('daemon', os.getpid(), flush=True)\n"
        "    while True: time.sleep(1)\n" + WAIT_FOREVER
    )
    handle = executor.launch(spec)
    text = wait_until(lambda: (t := output(spec.run_dir)).count("\n") == 2 and t)
    daemon = int(text.split("daemon ")[1].split()[0])
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=0.3)
    end = end_frame(spec.run_dir)
    assert (end["reason"], end["exit_code"]) == ("user", -signal.SIGKILL)
    wait_until(lambda: is_gone(executor, handle, spec))
    assert not Path(f"/proc/{daemon}").exists()


def test_kill_needs_no_grace_and_leaves_nothing(executor: Executor, new_run: NewRun) -> None:
    spec = new_run("import signal\nsignal.signal(15, signal.SIG_IGN)\n" + WAIT_FOREVER)
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=60)
    assert executor.kill(handle, spec.run_dir)
    assert is_gone(executor, handle, spec)
    assert end_frame(spec.run_dir)["reason"] == "user"
    assert executor.kill(handle, spec.run_dir)


def test_the_timeout_is_kept_without_the_server(executor: Executor, new_run: NewRun) -> None:
    spec = new_run(WAIT_FOREVER, timeout_seconds=0.3, grace_seconds=5)
    handle = executor.launch(spec)
    assert end_frame(spec.run_dir)["reason"] == "timeout"
    wait_until(lambda: is_gone(executor, handle, spec))


def test_another_executor_takes_over_with_the_stored_handle(
    new_executor: NewExecutor, new_run: NewRun
) -> None:
    spec = new_run(WAIT_FOREVER)
    stored = new_executor().launch(spec).model_dump_json()
    handle, other = RunHandle.model_validate_json(stored), new_executor()
    wait_until(lambda: "ready" in output(spec.run_dir))
    assert other.poll(handle, spec.run_dir).alive
    other.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=30)
    assert end_frame(spec.run_dir)["reason"] == "user"
    wait_until(lambda: is_gone(other, handle, spec))


def test_a_launched_run_is_found_again_without_its_handle(
    new_executor: NewExecutor, new_run: NewRun
) -> None:
    spec = new_run(WAIT_FOREVER)
    handle = new_executor().launch(spec)
    found = new_executor().find(spec.run_id, spec.run_dir)
    assert found == handle
    assert new_executor().kill(found, spec.run_dir)
    assert new_executor().find(spec.run_id, spec.run_dir) == handle


def test_a_run_that_was_never_launched_is_not_found(
    executor: Executor, new_run: NewRun, folder: Path
) -> None:
    spec = new_run("print('late')")
    assert executor.find(spec.run_id, spec.run_dir) is None
    assert executor.find(RunId("nope"), folder / "nope") is None
    executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0


def test_concurrent_launches_of_one_run_are_one_launch(
    new_executor: NewExecutor, new_run: NewRun
) -> None:
    spec = new_run("open('count', 'a').write('x')")
    handles: list[RunHandle] = []
    barrier = threading.Barrier(8)

    def launch() -> None:
        executor = new_executor()
        barrier.wait()
        handles.append(executor.launch(spec))

    threads = [threading.Thread(target=launch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(handles) == 8
    assert all(handle == handles[0] for handle in handles)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    wait_until(lambda: is_gone(new_executor(), handles[0], spec))
    assert (spec.run_dir / "source" / "count").read_text() == "x"
    assert len(frames(spec.run_dir, "started")) == 1


def test_an_environment_that_does_not_work_is_refused_with_its_reason(
    executor: Executor, new_run: NewRun, folder: Path
) -> None:
    spec = new_run("print(1)")
    broken = spec.environment.model_copy(update={"python": str(folder / "nope")})
    with pytest.raises(LaunchFailed, match="no interpreter") as caught:
        executor.launch(LaunchSpec(spec.run_id, spec.run_dir, broken, spec.spec, spec.secrets))
    assert caught.value.reason == "environment_unavailable"
    assert executor.find(spec.run_id, spec.run_dir) is None
