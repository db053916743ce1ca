"""What every executor does, run against each: see `executors/base.py` for the contract.

The programs are real, and so are the processes that hold them.
"""

from __future__ import annotations

import functools
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors.base import AnswersRuns, Executor, LaunchSpec, RunHandle
from mellea_jupyter.models.ids import RunId

from .kinds import Kind
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


def test_cancel_gives_grace_and_names_who_and_why(
    executor: Executor, kind: Kind, new_run: NewRun
) -> None:
    spec = new_run(
        "import signal, sys\n"
        "def end(*_):\n    print('cleaned up', flush=True)\n    sys.exit(0)\n"
        f"signal.signal(signal.{kind.stop_signals[0]}, end)\n" + WAIT_FOREVER
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


def test_a_program_that_ignores_the_stop_is_dead_after_the_grace_with_its_daemons(
    executor: Executor, kind: Kind, new_run: NewRun
) -> None:
    spec = new_run(
        "import os, signal, sys, time\n"
        + "".join(f"signal.signal(signal.{n}, signal.SIG_IGN)\n" for n in kind.stop_signals)
        + "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    print('daemon', os.getpid(), flush=True)\n"
        "    while True: time.sleep(1)\n" + WAIT_FOREVER
    )
    handle = executor.launch(spec)
    wait_until(lambda: output(spec.run_dir).count("\n") == 2)
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=0.3)
    end = end_frame(spec.run_dir)
    assert (end["reason"], end["exit_code"]) == ("user", -signal.SIGKILL)
    wait_until(lambda: is_gone(executor, handle, spec))
    assert not kind.is_anything_left(handle, spec)


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
    spec = new_run("import os\nopen(os.environ['MELLEA_OUTPUT_DIR'] + '/count', 'a').write('x')")
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
    assert (spec.run_dir / "outputs" / "count").read_text() == "x"
    assert len(frames(spec.run_dir, "started")) == 1


def test_an_environment_that_does_not_work_is_refused_with_its_reason(
    executor: Executor, kind: Kind, new_run: NewRun, folder: Path
) -> None:
    broken, text, reason = kind.broken(folder)
    spec = new_run("print(1)", environment=broken)
    with pytest.raises(LaunchFailed, match=text) as caught:
        executor.launch(spec)
    assert caught.value.reason == reason
    assert executor.find(spec.run_id, spec.run_dir) is None


def test_what_a_program_writes_to_its_output_folder_is_there_afterwards(
    executor: Executor, new_run: NewRun
) -> None:
    spec = new_run(
        "import os\n"
        "folder = os.environ['MELLEA_OUTPUT_DIR']\n"
        "os.makedirs(folder + '/deep')\n"
        "open(folder + '/deep/data.bin', 'wb').write(bytes(range(256)) * 1000)\n"
    )
    handle = executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    wait_until(lambda: is_gone(executor, handle, spec))
    kept = spec.run_dir / "outputs" / "deep" / "data.bin"
    assert kept.read_bytes() == bytes(range(256)) * 1000
    executor.cleanup(handle, spec.run_dir)
    assert kept.is_file()


def test_memory_and_processor_time_are_measured(executor: Executor, new_run: NewRun) -> None:
    spec = new_run(
        "import time\n"
        "data = bytearray(80 << 20)\n"
        "end = time.process_time() + 0.5\n"
        "while time.process_time() < end: pass\n"
    )
    executor.launch(spec)
    end = end_frame(spec.run_dir)
    assert 80 < end["peak_memory_mb"] < 200
    assert 0.5 <= end["cpu_seconds"] < 3
    assert frames(spec.run_dir, "usage")


def test_a_program_over_the_memory_limit_is_killed_and_the_executor_or_its_frame_says_so(
    executor: Executor, kind: Kind, new_run: NewRun
) -> None:
    environment = kind.environment(memory_mb=64)
    spec = new_run(
        "import time\nheld = []\nwhile True:\n    held.append(bytearray(8 << 20))\n"
        "    time.sleep(0.02)\n",
        environment=environment,
    )
    handle = executor.launch(spec)
    end = end_frame(spec.run_dir)
    assert end["exit_code"] == -signal.SIGKILL
    wait_until(lambda: is_gone(executor, handle, spec))
    word = executor.poll(handle, spec.run_dir).reason
    assert (end["reason"] if executor.trusts_journal else word) == "out_of_memory"


def test_a_run_whose_supervisor_was_killed_is_not_alive_and_can_be_killed_clean(
    executor: Executor, kind: Kind, new_run: NewRun
) -> None:
    spec = new_run(WAIT_FOREVER)
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    kind.kill_supervisor(handle, spec)
    wait_until(lambda: is_gone(executor, handle, spec))
    assert not frames(spec.run_dir, "end")
    assert executor.kill(handle, spec.run_dir)
    assert not kind.is_anything_left(handle, spec)
    word = executor.poll(handle, spec.run_dir)
    assert word.exit_code in {None, 128 + signal.SIGKILL}
    assert word.otherwise in {None, "terminated"}


def test_two_hundred_thousand_lines_are_all_in_the_journal(
    executor: Executor, new_run: NewRun
) -> None:
    spec = new_run("for n in range(200_000): print(f'line {n} {n:060}')\n")
    handle = executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    wait_until(lambda: is_gone(executor, handle, spec))
    lines = output(spec.run_dir).splitlines()
    assert lines == [f"line {n} {n:060}" for n in range(200_000)]
    assert sum(frame["lines"] for frame in frames(spec.run_dir, "output")) == 200_000


def test_two_runs_at_once_do_not_see_each_other_s_folders(
    executor: Executor, new_run: NewRun
) -> None:
    specs = [new_run("import os\nprint(os.environ['MELLEA_RUN_ID'])") for _ in range(3)]
    handles = [executor.launch(spec) for spec in specs]
    for spec, handle in zip(specs, handles, strict=True):
        end_frame(spec.run_dir)
        assert output(spec.run_dir) == f"{spec.run_id}\n"
        wait_until(functools.partial(is_gone, executor, handle, spec))


def test_a_run_reads_its_prices_and_the_answers_to_it(executor: Executor, new_run: NewRun) -> None:
    spec = new_run(
        "import json, os, sys, time\n"
        "from mellea_runtime import current_run\n"
        "from mellea_runtime.budget import read_answer\n"
        "folder = current_run._spec.run_dir\n"
        "print(open(os.path.join(folder, 'prices.json')).read(), flush=True)\n"
        "while (answer := read_answer(folder, 2)) is None:\n"
        "    time.sleep(0.02)\n"
        "print(answer['decision'])\n"
    )
    spec = replace(spec, prices=b'{"v": 1}')
    handle = executor.launch(spec)
    assert isinstance(executor, AnswersRuns)
    wait_until(lambda: '{"v": 1}' in output(spec.run_dir))
    executor.answer(handle, spec.run_dir, {"v": 1, "ask": 1, "decision": "stop"})
    executor.answer(handle, spec.run_dir, {"v": 1, "ask": 2, "decision": "raise"})
    assert end_frame(spec.run_dir)["exit_code"] == 0
    assert output(spec.run_dir).endswith("raise\n")
    wait_until(lambda: is_gone(executor, handle, spec))
