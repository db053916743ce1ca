"""The process executor: warm and fresh, crashes half-way, what a dead supervisor leaves."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.environments import Interpreter
from mellea_jupyter.exceptions import LaunchFailed
from mellea_jupyter.executors import process, run_folder, supervised
from mellea_jupyter.executors.base import LaunchSpec, RunHandle
from mellea_jupyter.executors.forkservers import Undecided
from mellea_jupyter.executors.identity import ProcessIdentity, boot_id
from mellea_jupyter.executors.process import ProcessExecutor
from mellea_jupyter.executors.run_folder import launch_record, write_first
from mellea_jupyter.executors.tree import find_tree
from mellea_jupyter.models.environments import Environment
from tests.conftest import no_descriptors_left

from .conftest import INTERPRETERS
from .runs import (
    NewRun,
    end_frame,
    frames,
    output,
    program_identity,
    supervisor_identity,
    wait_until,
)

WAIT_FOREVER = "import signal\nprint('ready', flush=True)\nwhile True: signal.pause()\n"


@pytest.fixture
def executor(socket_folder: Path) -> ProcessExecutor:
    return ProcessExecutor(socket_folder=socket_folder, interpreters=INTERPRETERS)


def get_ready(executor: ProcessExecutor, spec: LaunchSpec) -> ProcessIdentity:
    """The fork server of a run's environment, once it answers."""
    interpreter = INTERPRETERS.get(spec.environment.python)
    env = spec.spec["env"]
    executor.forkservers.prepare(interpreter, spec.environment.preload, env)
    server = wait_until(
        lambda: executor.forkservers.find(interpreter, spec.environment.preload, env),
        "a fork server",
    )
    assert isinstance(server, ProcessIdentity)
    return server


def is_gone(executor: ProcessExecutor, handle: RunHandle, spec: LaunchSpec) -> bool:
    return not executor.poll(handle, spec.run_dir).alive


def started(spec: LaunchSpec) -> dict[str, Any]:
    [frame] = wait_until(lambda: frames(spec.run_dir, "started"), "a supervisor")
    assert isinstance(frame, dict)
    return frame


# -- warm and fresh ---------------------------------------------------------------------------


def test_a_run_is_forked_once_its_warm_interpreter_is_ready(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run("import sys\nprint('decimal' in sys.modules)", isolation="warm")
    server = get_ready(executor, spec)
    handle = executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    assert (started(spec)["isolation"], started(spec)["reason"]) == ("warm", None)
    assert output(spec.run_dir) == "True\n"
    assert server.is_alive()
    wait_until(lambda: is_gone(executor, handle, spec))


def test_a_run_that_comes_too_early_starts_fresh_and_says_why(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run("print(1)", isolation="warm")
    executor.launch(spec)
    assert started(spec)["isolation"] == "fresh"
    assert started(spec)["reason"] == "warm interpreter is still starting"
    written = json.loads((spec.run_dir / "spec.json").read_bytes())
    assert (written["isolation"], written["fresh_reason"]) == ("fresh", started(spec)["reason"])
    assert end_frame(spec.run_dir)["exit_code"] == 0
    get_ready(executor, spec)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"isolation": "fresh"}, "isolation fresh was asked for"),
        ({"isolation": "fresh", "fresh_reason": "because"}, "because"),
        ({"env_var_names": ["OMP_NUM_THREADS"]}, "the variable OMP_NUM_THREADS is read when"),
        ({"env_var_names": ["X", "PYTHONPATH"]}, "the variable PYTHONPATH is read when"),
    ],
)
def test_what_a_fork_could_not_honour_starts_fresh(
    fields: dict[str, Any], reason: str, executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run("print(1)", **{"isolation": "warm", **fields})
    get_ready(executor, new_run(""))
    executor.launch(spec)
    assert started(spec)["isolation"] == "fresh"
    assert reason in started(spec)["reason"]
    assert end_frame(spec.run_dir)["exit_code"] == 0


def test_a_local_module_that_shadows_a_preloaded_one_starts_fresh(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run("import decimal\nprint(decimal.MINE)", isolation="warm")
    (spec.run_dir / "source" / "decimal.py").write_text("MINE = 'local'")
    get_ready(executor, spec)
    executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    assert output(spec.run_dir) == "local\n"
    assert "decimal" in started(spec)["reason"]


def test_a_variable_of_the_run_that_no_import_reads_stays_warm(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": "/", "MINE": "1", "MELLEA_OUTPUT_DIR": "/x"}
    spec = new_run(
        "import os\nprint(os.environ['MINE'])", isolation="warm", env=env, env_var_names=["MINE"]
    )
    get_ready(executor, spec)
    executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    assert (started(spec)["isolation"], output(spec.run_dir)) == ("warm", "1\n")


def test_secrets_inherited_of_the_server_do_not_keep_runs_from_being_warm(
    executor: ProcessExecutor, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf-of-the-server")
    prepared = new_run("import os\nprint(os.environ['HF_TOKEN'])", isolation="warm")
    spec = replace(
        prepared,
        spec={**prepared.spec, "env": {k: v for k, v in os.environ.items() if k != "HF_TOKEN"}},
        secrets={"HF_TOKEN": "hf-of-the-server", "API_KEY": "of-the-run"},
    )
    executor.prepare(spec.environment)
    interpreter = INTERPRETERS.get(spec.environment.python)
    wait_until(
        lambda: executor.forkservers.find(interpreter, spec.environment.preload, os.environ),
        "the fork server that the server prepared",
    )
    executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    assert (started(spec)["isolation"], started(spec)["reason"]) == ("warm", None)
    assert output(spec.run_dir) == "••••\n"

    monkeypatch.setenv("HF_TOKEN", "hf-of-another-server")
    other = new_run("import os\nprint(len(os.environ['HF_TOKEN']))", isolation="warm")
    other = replace(other, spec={**other.spec, "env": spec.spec["env"]}, secrets=spec.secrets)
    executor.launch(other)
    assert started(other)["isolation"] == "fresh"
    assert end_frame(other.run_dir)["exit_code"] == 0
    assert output(other.run_dir) == "16\n"


def test_mellea_itself_is_warm(
    executor: ProcessExecutor, new_run: NewRun, environment: Environment
) -> None:
    preload = Environment(id="default", name="d").preload
    prepared = new_run(
        "import sys\nassert 'mellea.backends.openai' in sys.modules\nimport mellea\n"
        "print(mellea.__version__)",
        isolation="warm",
    )
    spec = replace(prepared, environment=environment.model_copy(update={"preload": preload}))
    get_ready(executor, spec)
    executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    assert started(spec)["isolation"] == "warm"


def test_two_executors_share_one_fork_server(
    executor: ProcessExecutor, new_run: NewRun, socket_folder: Path
) -> None:
    spec = new_run("print(1)", isolation="warm")
    executors = [
        ProcessExecutor(socket_folder=socket_folder, interpreters=INTERPRETERS) for _ in range(4)
    ]
    threads = [threading.Thread(target=get_ready, args=(other, spec)) for other in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    servers = {get_ready(other, spec) for other in [*executors, executor]}
    assert len(servers) == 1
    assert len(list(socket_folder.glob("*.sock"))) == 1


def test_installed_packages_lead_to_a_new_fork_server(
    executor: ProcessExecutor, new_run: NewRun, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = folder / "site-packages"
    packages.mkdir()
    known = INTERPRETERS.get(None)
    interpreter = replace(known, package_dirs=(str(packages),))
    monkeypatch.setattr(INTERPRETERS, "get", lambda _python: interpreter)
    spec = new_run("print(1)", isolation="warm")
    first = get_ready(executor, spec)
    os.utime(packages, ns=(1, 1))  # what `pip install` does to it
    executor.launch(spec)
    assert started(spec)["reason"] == "warm interpreter is still starting"
    second = get_ready(executor, spec)
    assert second != first
    assert not first.is_alive()
    assert end_frame(spec.run_dir)["exit_code"] == 0


def test_a_run_goes_on_when_its_fork_server_is_killed(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run(WAIT_FOREVER, isolation="warm")
    server = get_ready(executor, spec)
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    server.send(signal.SIGKILL)
    assert server.wait(10)
    assert executor.poll(handle, spec.run_dir).alive
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=20)
    assert end_frame(spec.run_dir)["reason"] == "user"
    wait_until(lambda: is_gone(executor, handle, spec))
    assert get_ready(executor, spec) != server


def test_a_fork_server_that_hangs_is_killed_and_the_run_starts_fresh(
    executor: ProcessExecutor, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mellea_jupyter.executors.forkservers.REPLY_TIMEOUT_SECONDS", 0.3)
    spec = new_run("print(1)", isolation="warm")
    server = get_ready(executor, spec)
    server.send(signal.SIGSTOP)
    executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0
    assert started(spec)["reason"] == "the warm interpreter did not answer"
    assert not server.is_alive()


def test_a_fork_server_that_can_not_start_is_not_tried_again_for_each_run(
    executor: ProcessExecutor, new_run: NewRun, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, python = folder / "log", folder / "python"
    python.write_text(
        '#!/bin/sh\ncase "$*" in *forkserver*) echo tried >> '
        f'{log}; exit 3;; esac\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    interpreter = replace(INTERPRETERS.get(None), path=str(python))
    monkeypatch.setattr(INTERPRETERS, "get", lambda _python: interpreter)
    executor.launch(spec := new_run("print(1)", isolation="warm"))
    assert end_frame(spec.run_dir)["exit_code"] == 0
    wait_until(lambda: executor.forkservers._failures)
    for _ in range(3):
        executor.launch(spec := new_run("print(1)", isolation="warm"))
        assert end_frame(spec.run_dir)["exit_code"] == 0
        assert started(spec)["reason"] == "the warm interpreter does not start (exit code 3)"
    assert log.read_text().count("tried") == 1


def test_what_an_ended_fork_server_left_is_removed_by_the_next_one(
    executor: ProcessExecutor, new_run: NewRun, socket_folder: Path
) -> None:
    first = get_ready(executor, new_run(""))
    env = {"PATH": os.environ["PATH"], "HOME": "/"}
    second = get_ready(executor, new_run("", env=env))
    assert first.is_alive()  # another user's home, so another server, not a newer one
    names = {path.stem for path in socket_folder.glob("*.json")}
    assert len(names) == 2
    for server in (first, second):
        server.send(signal.SIGKILL)
        assert server.wait(10)
    get_ready(executor, new_run(""))
    assert {path.name.partition(".")[0] for path in socket_folder.iterdir()} < names


def test_sockets_live_only_in_a_folder_of_this_user_alone(folder: Path, new_run: NewRun) -> None:
    shared = folder / "shared"
    shared.mkdir(mode=0o755)
    (folder / "link").symlink_to(folder)
    for unsafe in (shared, folder / "link"):
        executor = ProcessExecutor(socket_folder=unsafe, interpreters=INTERPRETERS)
        spec = new_run("print(1)", isolation="warm")
        executor.launch(spec)
        assert "not a folder of this user alone" in started(spec)["reason"]
        assert end_frame(spec.run_dir)["exit_code"] == 0
    assert list(shared.iterdir()) == []


def test_files_of_the_run_and_of_the_fork_server_are_private_and_argv_holds_no_secret(
    executor: ProcessExecutor, new_run: NewRun, socket_folder: Path
) -> None:
    spec = new_run(WAIT_FOREVER)
    server = get_ready(executor, spec)
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    for path in (*socket_folder.iterdir(), *(spec.run_dir / n for n in ("secrets", "spec.json"))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    for identity in (server, supervisor_identity(handle), program_identity(spec.run_dir)):
        assert b"s3cret" not in Path(f"/proc/{identity.pid}/cmdline").read_bytes()
    assert "s3cret" not in (spec.run_dir / "spec.json").read_text()
    assert executor.kill(handle, spec.run_dir)


# -- one launch, whatever happens ---------------------------------------------------------------


def test_a_server_that_dies_between_launch_and_storing_the_handle_finds_the_run(
    new_run: NewRun, folder: Path
) -> None:
    """A real process launches and is killed before it can say what it launched."""
    spec = new_run(WAIT_FOREVER)
    script = (
        "import os, pickle, sys\n"
        "from mellea_jupyter.executors import process\n"
        "process.ProcessExecutor._placed = lambda *_: os.kill(os.getpid(), 9)\n"
        "process.ProcessExecutor(warm=False).launch(pickle.load(sys.stdin.buffer))\n"
    )
    _run_and_expect_kill(script, spec)
    assert json.loads((spec.run_dir / "launch").read_text())["state"] == "starting"
    executor = ProcessExecutor(socket_folder=folder / "s", interpreters=INTERPRETERS)
    handle = executor.find(spec.run_id, spec.run_dir)
    assert handle is not None
    assert supervisor_identity(handle).pid == started(spec)["supervisor_pid"]
    assert executor.launch(spec) == handle
    assert executor.kill(handle, spec.run_dir)
    assert len(frames(spec.run_dir, "started")) == 1


def test_a_server_that_dies_before_the_supervisor_exists_has_a_lost_run(
    new_run: NewRun, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "START_PATIENCE_SECONDS", 0.2)
    spec = new_run("print(1)")
    script = (
        "import os, pickle, sys\n"
        "from mellea_jupyter.executors import process\n"
        "process.ProcessExecutor._spawn = lambda *_: os.kill(os.getpid(), 9)\n"
        "process.ProcessExecutor(warm=False).launch(pickle.load(sys.stdin.buffer))\n"
    )
    _run_and_expect_kill(script, spec)
    executor = ProcessExecutor(socket_folder=folder / "s", interpreters=INTERPRETERS)
    assert executor.find(spec.run_id, spec.run_dir) is None
    assert executor.find(spec.run_id, spec.run_dir) is None
    with pytest.raises(LaunchFailed, match="before the program began") as caught:
        executor.launch(spec)
    assert caught.value.reason == "lost"
    # Even a supervisor that comes now finds nothing to run.
    runtime = Path(process.__file__).parents[1] / "runtime"
    late = [sys.executable, "-I", "-S", str(runtime), "supervise", str(spec.run_dir)]
    subprocess.run(late, check=True, timeout=60, start_new_session=True)
    assert end_frame(spec.run_dir)["reason"] == "launch_failed"
    assert frames(spec.run_dir, "program") == []


def test_a_supervisor_that_is_slow_to_begin_is_waited_for(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run("print(1)")
    spec.run_dir.joinpath("spec.json").write_text(json.dumps(spec.spec))
    with launch_record(spec.run_dir) as record:
        record.write("starting")
    found: list[RunHandle | None] = []
    finder = threading.Thread(target=lambda: found.append(executor.find(spec.run_id, spec.run_dir)))
    finder.start()
    identity = executor._spawn(spec, INTERPRETERS.get(None))
    finder.join()
    assert found[0] is not None
    assert supervisor_identity(found[0]) == identity
    assert end_frame(spec.run_dir)["exit_code"] == 0


def test_a_launch_that_goes_on_is_waited_for_by_find(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run("print(1)")
    found: list[RunHandle | None] = []
    finder = threading.Thread(target=lambda: found.append(executor.find(spec.run_id, spec.run_dir)))
    with launch_record(spec.run_dir) as record:
        finder.start()
        handle = executor._place(spec, record)
    finder.join()
    assert found == [handle]
    assert end_frame(spec.run_dir)["exit_code"] == 0


def test_a_damaged_launch_record_never_leads_to_a_second_launch(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run(WAIT_FOREVER)
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    (spec.run_dir / "launch").write_text("{damaged")
    assert executor.launch(spec) == handle
    assert executor.kill(handle, spec.run_dir)


def test_a_run_folder_that_can_not_be_used_is_a_failed_launch(
    executor: ProcessExecutor, new_run: NewRun, folder: Path
) -> None:
    spec = replace(new_run("print(1)"), run_dir=folder / "nope")
    with pytest.raises(LaunchFailed, match="folder can not be used"):
        executor.launch(spec)


def test_a_launch_the_system_refuses_can_be_tried_again(
    executor: ProcessExecutor, new_run: NewRun, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Interpreter(str(folder / "gone"), (3, 12, 0), "1", ())
    spec = new_run("print(1)")
    with monkeypatch.context() as patch:
        patch.setattr(INTERPRETERS, "get", lambda _python: gone)
        with pytest.raises(LaunchFailed, match="can not be started"):
            executor.launch(spec)
    assert executor.find(spec.run_id, spec.run_dir) is None
    executor.launch(spec)
    assert end_frame(spec.run_dir)["exit_code"] == 0


def _run_and_expect_kill(script: str, spec: LaunchSpec) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(spec), check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL


# -- dead supervisors ---------------------------------------------------------------------------

DAEMON = (
    "import os, signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork(): os._exit(0)\n"
    "    os.setsid()\n"
    "    print('daemon', os.getpid(), flush=True)\n"
    "    while True: time.sleep(1)\n"
)


@pytest.mark.parametrize("isolation", ["warm", "fresh"])
def test_a_killed_supervisor_s_program_and_its_daemons_are_found_and_killed(
    isolation: str, executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run(DAEMON + WAIT_FOREVER, isolation=isolation)
    if isolation == "warm":
        get_ready(executor, spec)
    handle = executor.launch(spec)
    text = wait_until(lambda: (t := output(spec.run_dir)).count("\n") == 2 and t)
    assert started(spec)["isolation"] == isolation
    daemon = ProcessIdentity.of(int(text.split("daemon ")[1].split()[0]))
    program = program_identity(spec.run_dir)
    supervisor = supervisor_identity(handle)
    supervisor.send(signal.SIGKILL)
    wait_until(lambda: is_gone(executor, handle, spec))
    assert daemon is not None
    assert program.is_alive()
    assert daemon.is_alive()
    assert executor.kill(handle, spec.run_dir)
    assert not program.is_alive()
    assert not daemon.is_alive()
    assert frames(spec.run_dir, "end") == []
    assert executor.kill(handle, spec.run_dir)


def test_a_supervisor_that_hangs_is_killed_with_its_tree(
    executor: ProcessExecutor, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "INTERRUPT_PATIENCE_SECONDS", 0.2)
    spec = new_run(DAEMON + WAIT_FOREVER)
    handle = executor.launch(spec)
    wait_until(lambda: output(spec.run_dir).count("\n") == 2)
    supervisor = supervisor_identity(handle)
    supervisor.send(signal.SIGSTOP)
    assert executor.poll(handle, spec.run_dir).alive
    assert executor.kill(handle, spec.run_dir)
    assert is_gone(executor, handle, spec)
    assert not program_identity(spec.run_dir).is_alive()


def test_why_a_run_is_stopped_reaches_it_without_hard_links(
    executor: ProcessExecutor, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    spec = new_run(WAIT_FOREVER)
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    executor.cancel(handle, spec.run_dir, reason="user", by="ada", grace_seconds=1)
    executor.cancel(handle, spec.run_dir, reason="admin", by="bob", grace_seconds=1)
    assert end_frame(spec.run_dir)["reason"] == "user"
    [stop] = frames(spec.run_dir, "stop")
    assert (stop["reason"], stop["by"]) == ("user", "ada")
    assert [path.name for path in spec.run_dir.glob("*stop.json*")] == ["stop.json"]


def test_a_kill_says_why(executor: ProcessExecutor, new_run: NewRun) -> None:
    spec = new_run(WAIT_FOREVER)
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    assert executor.kill(handle, spec.run_dir, reason="user", by="ada")
    assert end_frame(spec.run_dir)["reason"] == "user"


def test_a_stop_file_that_can_not_be_written_is_not_left_half_written(folder: Path) -> None:
    path = folder / "stop.json"
    assert write_first(path, {"reason": "user"})
    assert not write_first(path, {"reason": "admin"})
    assert json.loads(path.read_text()) == {"reason": "user"}
    with pytest.raises(OSError, match="No such file"):
        write_first(folder / "nope" / "stop.json", {})


def test_a_pid_that_belongs_to_somebody_else_now_is_never_signalled(
    executor: ProcessExecutor, new_run: NewRun, folder: Path
) -> None:
    """The handle and the journal name a living process, with another start time."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        try:
            identity = ProcessIdentity.of(stranger.pid)
            assert identity is not None
            for start, boot in ((identity.start - 1, boot_id()), (identity.start, "other")):
                spec = new_run("")
                _forge_journal(spec.run_dir, stranger.pid, start, boot)
                handle = RunHandle(
                    executor="process",
                    run_id=spec.run_id,
                    host="h",
                    boot_id=boot,
                    data={"supervisor_pid": stranger.pid, "supervisor_start": start},
                )
                assert not executor.poll(handle, spec.run_dir).alive
                executor.cancel(handle, spec.run_dir, reason="user", by="a", grace_seconds=1)
                assert executor.kill(handle, spec.run_dir)
                forged = ProcessIdentity(stranger.pid, start, boot)
                assert not forged.send(signal.SIGKILL)
                assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_journal_that_names_the_server_itself_harms_nobody(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me is not None
    spec = new_run("")
    _forge_journal(spec.run_dir, me.pid, me.start, me.boot_id)
    handle = RunHandle(executor="process", run_id=spec.run_id, host="h", boot_id=me.boot_id)
    with subprocess.Popen(["sleep", "600"]) as child:
        try:
            assert find_tree(spec.run_id, {me}) == set()
            assert executor.kill(handle, spec.run_dir)
            assert child.poll() is None
        finally:
            child.kill()


def test_processes_of_another_run_are_left_alone(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    specs = [new_run(WAIT_FOREVER) for _ in range(2)]
    handles = [executor.launch(spec) for spec in specs]
    for spec in specs:
        wait_until(lambda: "ready" in output(spec.run_dir))  # noqa: B023  # called here
    assert executor.kill(handles[0], specs[0].run_dir)
    assert program_identity(specs[1].run_dir).is_alive()
    assert executor.kill(handles[1], specs[1].run_dir)


# -- hostile run folders --------------------------------------------------------------------------


def test_a_living_run_is_not_lost_while_there_is_no_descriptor_left(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run(WAIT_FOREVER)
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    nameless = handle.model_copy(update={"data": {}})
    asks: dict[str, Callable[[], object]] = {
        "poll": lambda: executor.poll(handle, spec.run_dir),
        "poll by the journal": lambda: executor.poll(nameless, spec.run_dir),
        "find": lambda: executor.find(spec.run_id, spec.run_dir),
        "withdraw": lambda: run_folder.withdraw(spec.run_dir),
        "head": lambda: run_folder.read_head(spec.run_dir),
        "lock": lambda: run_folder.is_journal_locked(spec.run_dir),
        "tree": lambda: find_tree(spec.run_id, ()),
        "signal": lambda: supervisor_identity(handle).send(signal.SIGCONT),
    }
    for what, ask in asks.items():
        with no_descriptors_left(), pytest.raises(OSError, match="open files"):
            pytest.fail(f"{what} says {ask()}")
    assert executor.poll(handle, spec.run_dir).alive
    assert executor.poll(nameless, spec.run_dir).alive
    assert executor.kill(handle, spec.run_dir)


def test_a_launch_that_can_not_be_told_is_not_refused(
    executor: ProcessExecutor, new_run: NewRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = new_run("print(1)")
    handle = executor.launch(spec)
    (spec.run_dir / "launch").write_text("{damaged")

    def no_head(_run_dir: Path) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(supervised, "read_head", no_head)
        with pytest.raises(Undecided):
            executor.launch(spec)
    assert executor.launch(spec) == handle
    assert end_frame(spec.run_dir)["exit_code"] == 0


@pytest.mark.parametrize("what", ["fifo", "link", "folder", "garbage", "huge", "types"])
def test_a_replaced_journal_is_not_read_and_nothing_hangs(
    what: str, executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run(WAIT_FOREVER)
    handle = executor.launch(spec)
    wait_until(lambda: "ready" in output(spec.run_dir))
    journal = spec.run_dir / "journal" / "frames.ndjson"
    kept = journal.rename(spec.run_dir / "kept")
    if what == "fifo":
        os.mkfifo(journal)
    elif what == "link":
        journal.symlink_to("/etc/passwd")
    elif what == "folder":
        journal.mkdir()
    else:
        texts = {
            "garbage": b"\xff\0\n[]\n7\n{}\n" + b"[" * 200_000 + b"\n",
            "huge": b"x" * 2**20,
            "types": b'{"kind":"started","supervisor_pid":true,"supervisor_start":"1"}\n',
        }
        journal.write_bytes(texts[what])
    assert run_folder.read_head(spec.run_dir) is None
    assert executor.poll(handle, spec.run_dir).alive
    kept.replace(journal) if what != "folder" else journal.rmdir()
    assert executor.kill(handle, spec.run_dir)


def test_a_journal_lock_that_is_held_means_alive_even_without_a_supervisor_known(
    executor: ProcessExecutor, new_run: NewRun
) -> None:
    spec = new_run("")
    _forge_journal(spec.run_dir, 2**22 - 1, 1, boot_id())
    handle = RunHandle(executor="process", run_id=spec.run_id, host="h", boot_id=boot_id())
    lock = spec.run_dir / "journal" / "lock"
    lock.touch()
    with lock.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert executor.poll(handle, spec.run_dir).alive
    assert not executor.poll(handle, spec.run_dir).alive


def _forge_journal(run_dir: Path, pid: int, start: int, boot: str) -> None:
    (run_dir / "journal").mkdir(exist_ok=True)
    lines = [
        {"kind": "started", "supervisor_pid": pid, "supervisor_start": start, "boot_id": boot},
        {"kind": "program", "pid": pid, "start": start},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run_dir / "journal" / "frames.ndjson").write_text(text)
