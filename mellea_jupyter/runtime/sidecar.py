"""In a container of its own: supervise one run, then exit as its program did.

The engine outside sees nothing but this process's exit status, so it is the program's (128 + N for
signal N). With `--wait` the interpreter prepares itself first: it imports modules, then waits until
a byte arrives on the FIFO `go` of the run folder, which by then holds the run. Opening `go` for
writing succeeds as soon as it waits. It serves one run, and ends by itself when none comes.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
from types import FrameType
from typing import List, Optional, Sequence

from .spec import SpecError, load_spec
from .supervisor import Start, supervise

GO = "go"


def main(arguments: Sequence[str]) -> int:
    """The `sidecar` command.

    Returns:
        The program's exit status; 0 when no run came in time; 70 when a preloaded module opened
        a network connection, which no program could share.
    """
    parser = argparse.ArgumentParser(prog="mellea_runtime sidecar")
    parser.add_argument("run_dir")
    parser.add_argument("--wait", type=float, default=None)
    parser.add_argument("--preload", default="")
    parser.add_argument("--reason", default=None)
    options = parser.parse_args(list(arguments))
    if options.wait is None:
        return supervise(options.run_dir, Start("fresh", options.reason, is_contained=True))
    from . import forkserver  # only now: a cold start has no use for it

    os.environ.setdefault("MELLEA_LOGS_CONSOLE", "false")  # as in each run, see spec.py
    forkserver.preload([name for name in options.preload.split(",") if name])
    if forkserver.has_network_connection():
        print("mellea_runtime: a preloaded module opened a connection", file=sys.stderr)
        return forkserver.EXIT_UNSAFE
    template = [int(name) for name in os.listdir("/proc/self/fd")]
    if not _wait_for_run(os.path.join(options.run_dir, GO), options.wait):
        return 0
    status = _serve(options.run_dir, template)
    sys.stderr.flush()
    os._exit(status)  # whoever waits for the container's end need not wait for its modules' ends


def _wait_for_run(path: str, seconds: float) -> bool:
    """Whether a run came; who only looks whether we are there opens and closes again."""
    give_up = time.monotonic() + seconds
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    while True:
        readable, _, _ = select.select([descriptor], [], [], max(0.0, give_up - time.monotonic()))
        came = bool(readable and os.read(descriptor, 1))
        if came or not readable:
            os.close(descriptor)
            return came
        again = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.close(descriptor)
        descriptor = again


def _serve(run_dir: str, template: List[int]) -> int:
    """Fork the supervisor, pass signals on to it, and end with its status.

    Forked, because the template may have threads: its child has none, and forks the program.
    """
    from . import forkserver

    start = Start("warm", None, forkserver.become_program, tuple(template), is_contained=True)
    try:
        reason = forkserver.why_fresh(load_spec(run_dir), forkserver.loaded_modules())
    except SpecError:
        reason = None  # the supervisor writes the journal that explains it
    if reason is not None:
        start = Start("fresh", reason, is_contained=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, forkserver.HELD_SIGNALS)
    pid = forkserver.fork_quietly()
    if pid == 0:
        status = 1
        try:
            status = supervise(run_dir, start)
        except BaseException as error:
            print(f"mellea_runtime: supervisor of {run_dir}: {error!r}", file=sys.stderr)
        finally:
            os._exit(status)

    def pass_on(number: int, _frame: Optional[FrameType]) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # it has ended; waitpid tells

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, forkserver.HELD_SIGNALS)
    _, status = os.waitpid(pid, 0)
    signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    return os.WEXITSTATUS(status) if signalled is None else 128 + signalled
