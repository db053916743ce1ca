"""Start the program as the supervisor's child: forked, in a session of its own, and held at a gate.

The gate opens when the journal names the program, so there is never a program that nobody could
find again.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Callable, Iterable, NamedTuple, NoReturn, Optional

from .spec import RunSpec

LAUNCH_FAILED_STATUS = 126
MAIN_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")

ProgramBody = Callable[[RunSpec, int], NoReturn]
"""Becomes the program inside a forked child: called with the spec and the channel's descriptor."""


class LaunchError(OSError):
    """The program could not be started; the text says why."""


class LaunchedProgram(NamedTuple):
    """A program that waits at its gate.

    Attributes:
        pid: The program's process; it leads its own session and group.
        gate: Write one byte to let it go, or close it to make it end.
        failure: Becomes readable with a text when the program could not be executed, and at
            end of file when it was.
    """

    pid: int
    gate: int
    failure: int


def fork_program(
    spec: RunSpec,
    *,
    stdout: int,
    stderr: int,
    channel: int,
    body: Optional[ProgramBody] = None,
    template_descriptors: Iterable[int] = (),
) -> LaunchedProgram:
    """Fork the program; it waits at the gate.

    Args:
        spec: What to run.
        stdout: Writing end of its stdout.
        stderr: Writing end of its stderr.
        channel: Descriptor of its event channel.
        body: Warm start: called in the child instead of executing a fresh interpreter.
        template_descriptors: Warm start: descriptors that belong to preloaded modules and stay.

    Raises:
        LaunchError: The system refuses to fork.
    """
    gate_reading, gate_writing = os.pipe()
    failure_reading, failure_writing = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        for descriptor in (gate_reading, gate_writing, failure_reading, failure_writing):
            os.close(descriptor)
        raise LaunchError(error.errno, f"the program cannot be forked: {error}") from error
    if pid == 0:
        try:
            _reset_process()
            _connect(stdout, stderr)
            os.close(gate_writing)
            if not os.read(gate_reading, 1):
                os._exit(LAUNCH_FAILED_STATUS)
            os.chdir(spec.working_directory)
            if body is None:
                _execute(spec, channel)
            _close_all_but({0, 1, 2, channel, *template_descriptors})
            body(spec, channel)
        except BaseException as error:
            message = f"{type(error).__name__}: {error}"
            try:
                os.write(failure_writing, message.encode("utf-8", "replace")[:4000])
            except OSError:
                pass  # the failure pipe is gone once the program has taken over
        finally:
            os._exit(LAUNCH_FAILED_STATUS)
    os.close(gate_reading)
    os.close(failure_writing)
    return LaunchedProgram(pid, gate_writing, failure_reading)


def open_gate(program: LaunchedProgram) -> Optional[str]:
    """Let the program go and wait until it runs; why it does not, or None."""
    try:
        os.write(program.gate, b"g")
    except BrokenPipeError:
        pass
    os.close(program.gate)
    parts = []
    while True:
        part = os.read(program.failure, 4096)
        if not part:
            break
        parts.append(part)
    os.close(program.failure)
    return b"".join(parts).decode("utf-8", "replace") or None


def _execute(spec: RunSpec, channel: int) -> NoReturn:
    os.set_inheritable(channel, True)  # noqa: FBT003  # it takes no keyword
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the new interpreter ignores it by itself
    argv = [sys.executable, MAIN_FILE, "program", spec.run_dir, str(channel)]
    os.execve(sys.executable, argv, spec.env)  # noqa: S606  # running programs is our business


def _connect(stdout: int, stderr: int) -> None:
    """Give the child its session and its three standard descriptors."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)


def _reset_process() -> None:
    """Signals as a fresh interpreter has them, none of them blocked."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                pass  # reserved by the C library
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _close_all_but(kept: "set[int]") -> None:
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the listing's own descriptor
