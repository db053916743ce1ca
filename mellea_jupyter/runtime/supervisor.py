"""Supervise one run: start the program, capture it, stop it, and write the journal's last word.

One process a run, one thread, one selector loop. It needs nobody: the server may be gone, and
timeout, memory limit and a requested stop are still carried out. Only monotonic time decides, so
neither a suspended machine nor a changed clock ends a run.

The whole tree below the program is ours: it runs in its own session, and orphaned grandchildren
come back to us because we are their subreaper. When the kernel says that we have no child left,
the tree is gone. On systems without subreapers (macOS) daemonised grandchildren escape.

`memory_limit_mb` is enforced by looking: the resident memory of the tree is summed about four
times a second, and a tree above the limit is killed (`out_of_memory`). Shared pages count in each
process, and a tree may exceed the limit for the moment between two looks. It protects a machine
from a leaking program; it is no security boundary.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from types import FrameType
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Tuple

from .capture import StreamCapture, open_pipe
from .control import ChannelReader, Message, StopIntent, open_channel, read_stop_intent
from .frames import FrameWriter
from .launch import (
    LAUNCH_FAILED_STATUS,
    LaunchError,
    ProgramBody,
    fork_program,
    open_gate,
)
from .processes import (
    Process,
    become_subreaper,
    boot_id,
    descendants,
    memory_kills,
    send_signal,
    signal_group,
    start_time,
)
from .redaction import Redactor
from .spec import RunSpec, SpecError, load_spec
from .usage import FOREVER, TreeWatch

BATCH_SECONDS = 0.01
BUSY_DRAIN_BYTES = 32 * 1024
SWEEP_SECONDS = 0.02
LEFTOVER_PATIENCE_SECONDS = 0.1
LEFTOVER_GRACE_SECONDS = 2.0

EXIT_OK = 0
EXIT_NO_JOURNAL = 3
EXIT_ALREADY_SUPERVISED = 75


class Start(NamedTuple):
    """How a supervisor came to be.

    Attributes:
        isolation: `warm` (forked from the fork server) or `fresh`.
        reason: Why it is fresh although warm is the rule; None otherwise.
        body: Warm: what becomes the program in the forked child.
        template_descriptors: Warm: descriptors of preloaded modules, kept by the program.
        lock: Descriptor of `journal/lock`, already locked; None to lock it here.
        is_contained: In a container of its own: the supervisor exits as the program did, and
            tells of processes that the container's memory limit killed.
    """

    isolation: str
    reason: Optional[str] = None
    body: Optional[ProgramBody] = None
    template_descriptors: Tuple[int, ...] = ()
    lock: Optional[int] = None
    is_contained: bool = False


def lock_journal(run_dir: str) -> Optional[int]:
    """Take `journal/lock` for as long as the descriptor is open; None when somebody has it."""
    path = os.path.join(run_dir, "journal", "lock")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def supervise(run_dir: str, start: Start) -> int:
    """Run one run folder to its end; the supervisor's own exit status (not the program's).

    0: the journal holds the end. 3: the journal cannot be written or already exists. 75: another
    supervisor has this run. In a container it is the program's: 128 + N for signal N, 126 when it
    could not be started.
    """
    signals = SignalPipe()
    try:
        os.setsid()
    except OSError:
        pass  # already the leader of its session
    try:
        os.makedirs(os.path.join(run_dir, "journal"), mode=0o700, exist_ok=True)
        lock = lock_journal(run_dir) if start.lock is None else start.lock
        if lock is None:
            return EXIT_ALREADY_SUPERVISED
        return _supervise_locked(run_dir, start, signals)
    except OSError as error:
        print(f"mellea_runtime: the journal of {run_dir}: {error}", file=sys.stderr)
        return EXIT_NO_JOURNAL


def _supervise_locked(run_dir: str, start: Start, signals: SignalPipe) -> int:
    spec, problem = None, None
    try:
        spec = load_spec(run_dir)
    except SpecError as error:
        problem = f"spec.json: {error}"
    journal = os.path.join(run_dir, "journal")
    writer = FrameWriter(
        journal,
        2**28 if spec is None else spec.log_cap_bytes,
        redactor=Redactor(() if spec is None else spec.secret_values),
    )
    try:
        writer.write(
            "started",
            supervisor_pid=os.getpid(),
            supervisor_start=start_time(os.getpid()),
            boot_id=boot_id(),
            host=socket.gethostname(),
            isolation=start.isolation,
            reason=start.reason or (None if spec is None else spec.fresh_reason),
            python=sys.executable,
            pgid=os.getpgid(0),
        )
        if spec is None:
            writer.write_end(**never_started("launch_failed", problem))
            exit_status = LAUNCH_FAILED_STATUS
        else:
            exit_status = Supervisor(spec, start, writer, signals).run()
    finally:
        writer.close()
    return exit_status if start.is_contained else EXIT_OK


def never_started(reason: str, message: Optional[str]) -> Dict[str, Any]:
    """An `end` frame's fields for a program that never ran."""
    fields: Dict[str, Any] = {
        "exit_code": None,
        "signal": None,
        "reason": reason,
        "started": False,
        "peak_memory_mb": 0.0,
        "cpu_seconds": 0.0,
        "execution_ms": 0,
        "dropped_events": 0,
        "left_behind": 0,
    }
    if message is not None:
        fields["message"] = message
    return fields


def tell_leftovers(writer: FrameWriter, count: int) -> None:
    """Say that the program has ended before so many of its processes."""
    message = f"The program ended and left {_processes(count)} running; stopped now."
    writer.write("system", level="warn", message=message)


def _processes(count: int) -> str:
    return "a process" if count == 1 else f"{count} processes"


class SignalPipe:
    """TERM, INT and CHLD as something a selector can wait for; nothing else happens on a signal.

    Blocks nothing and loses nothing: handlers are in place before the signals are unblocked.
    """

    def __init__(self) -> None:
        self.descriptor, writing = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._arrived: Dict[int, bool] = {}
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        for number in numbers:
            signal.signal(number, self._note)
        for number in (signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self._arrived[number] = True

    def take(self, number: int) -> bool:
        """Whether this signal came since the last question."""
        return self._arrived.pop(number, False)

    def clear(self) -> None:
        """Empty the pipe; what arrived is kept until it is taken."""
        try:
            while os.read(self.descriptor, 4096):
                pass
        except BlockingIOError:
            pass


class Supervisor:
    """One run from its launch to its end frame."""

    def __init__(
        self, spec: RunSpec, start: Start, writer: FrameWriter, signals: SignalPipe
    ) -> None:
        self._spec = spec
        self._start = start
        self._writer = writer
        self._signals = signals
        self._watch = TreeWatch(writer, spec.memory_limit_mb, lambda: descendants(os.getpid()))
        self._intent: Optional[StopIntent] = None
        self._kill_at = FOREVER
        self._next_sweep = FOREVER
        self._leftovers_due = FOREVER
        self._status: Optional[int] = None  # the program's wait status
        self._tree_is_gone = False
        self._left_behind = 0
        self._held: Deque[Message] = deque()
        self._resume_reading_at = 0.0

    # -- the life of a run ----------------------------------------------------------------

    def run(self) -> int:
        """Launch, loop until the whole tree is gone and everything is written, then `end`.

        Returns:
            The program's exit status as a shell has it; 126 when it never started.
        """
        if self._signals.take(signal.SIGINT) or self._signals.take(signal.SIGTERM):
            intent = read_stop_intent(self._spec.run_dir)
            self._write_stop(intent)
            self._writer.write_end(**never_started(intent.reason, None))
            return LAUNCH_FAILED_STATUS
        become_subreaper()
        problem = self._launch()
        if problem is not None:
            self._reap()
            self._writer.write_end(**never_started("launch_failed", problem))
            return LAUNCH_FAILED_STATUS
        self._loop()
        self._tell_memory_kills()
        return self._write_end()

    def _launch(self) -> Optional[str]:
        """Start the program and name it in the journal; what went wrong, or None."""
        began = time.monotonic()
        stdout, stdout_writing = open_pipe()
        stderr, stderr_writing = open_pipe()
        channel, descriptor = open_channel()
        self._streams = (
            StreamCapture("stdout", stdout, self._writer),
            StreamCapture("stderr", stderr, self._writer),
        )
        self._channel = ChannelReader(channel)
        try:
            program = fork_program(
                self._spec,
                stdout=stdout_writing,
                stderr=stderr_writing,
                channel=descriptor,
                body=self._start.body,
                template_descriptors=self._start.template_descriptors,
            )
        except LaunchError as error:
            return str(error)
        finally:
            for unneeded in (stdout_writing, stderr_writing, descriptor):
                os.close(unneeded)
        self._pid = program.pid
        self._writer.write(
            "program",
            pid=program.pid,
            start=start_time(program.pid),
            startup_ms=round((time.monotonic() - began) * 1000, 1),
        )
        self._started_at = time.monotonic()
        self._watch.begin(self._started_at)
        self._ended_at = self._started_at
        problem = open_gate(program)
        timeout = self._spec.timeout_seconds
        self._deadline = FOREVER if timeout is None else self._started_at + timeout
        return problem

    def _loop(self) -> None:
        everything = selectors.DefaultSelector()
        signals_only = selectors.DefaultSelector()
        with everything, signals_only:
            everything.register(self._signals.descriptor, selectors.EVENT_READ)
            signals_only.register(self._signals.descriptor, selectors.EVENT_READ)
            for source in self._open_sources():
                everything.register(source, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                pausing = now < self._resume_reading_at
                due = min(self._next_deadline(), self._resume_reading_at if pausing else FOREVER)
                if self._held and not pausing:
                    due = now
                timeout = None if due == FOREVER else max(0.0, due - now)
                ready = (signals_only if pausing else everything).select(timeout)
                self._signals.clear()
                self._handle_signals()
                if (ready or self._held) and not pausing:
                    self._read_everything(everything)
                self._act_on_time()
                if self._tree_is_gone:
                    break
            self._read_to_the_end(everything)

    def _next_deadline(self) -> float:
        times = [
            self._kill_at,
            self._next_sweep,
            self._leftovers_due,
            self._deadline,
            self._watch.due,
        ]
        times += [stream.partial_due() for stream in self._streams]
        return min(times)

    def _handle_signals(self) -> None:
        self._signals.take(signal.SIGCHLD)
        self._reap()
        if self._signals.take(signal.SIGTERM):
            self._stop(read_stop_intent(self._spec.run_dir))
        if self._signals.take(signal.SIGINT):
            self._stop(read_stop_intent(self._spec.run_dir)._replace(grace_seconds=0.0))

    def _act_on_time(self) -> None:
        now = time.monotonic()
        for stream in self._streams:
            stream.write_partial(now)
        if now >= self._deadline:
            self._deadline = FOREVER
            self._stop(StopIntent("timeout", None, None))
        if now >= self._watch.due:
            self._look()
        if now >= self._leftovers_due:
            self._end_leftovers()
        if now >= self._kill_at:
            self._kill_at = FOREVER
            self._next_sweep = now
        if now >= self._next_sweep:
            self._sweep()

    # -- output and events ----------------------------------------------------------------

    def _open_sources(self) -> List[int]:
        sources = [stream.descriptor for stream in self._streams]
        if self._channel.socket is not None:
            sources.append(self._channel.socket.fileno())
        return [source for source in sources if source is not None]

    def _read_everything(self, selector: selectors.BaseSelector) -> None:
        """One turn: all that has arrived, in the order in which it was written.

        The first bytes after a silence are handled at once; then sources rest for 10 ms, so that a
        chatty program costs a hundred turns a second and not one a line.
        """
        before = self._open_sources()
        amount = self._take_turn()
        after = self._open_sources()
        for source in before:
            if source not in after:
                selector.unregister(source)
        if amount < BUSY_DRAIN_BYTES and not self._held:
            self._resume_reading_at = time.monotonic() + BATCH_SECONDS

    def _take_turn(self) -> int:
        """Read streams, then events, and write both merged; about how many bytes that were.

        An event says how much its process had written to each stream before it. The streams are
        read first, so every event that came before some output we hold is already here. An event
        that points beyond what we hold waits for the next turn, which reads that output.
        """
        amount = sum(stream.drain() for stream in self._streams)
        now = time.monotonic()
        waiting = len(self._held)
        self._held.extend(self._channel.receive())
        amount += 300 * (len(self._held) - waiting)
        while self._held and (waiting > 0 or self._is_reached(self._held[0].at)):
            waiting -= 1
            message = self._held.popleft()
            for stream, position in zip(self._streams, message.at):
                stream.write_lines(now, position)
            self._writer.write(message.kind, **message.fields)
        limits: Tuple[Optional[int], ...] = self._held[0].at if self._held else (None, None)
        for stream, limit in zip(self._streams, limits):
            stream.write_lines(now, limit)
        return amount

    def _is_reached(self, at: Tuple[int, int]) -> bool:
        return all(stream.received_bytes >= n for stream, n in zip(self._streams, at))

    def _read_to_the_end(self, selector: selectors.BaseSelector) -> None:
        """What dead processes left in the pipes. Nobody writes any more, so it is bounded."""
        while self._take_turn() or self._held:
            pass
        for stream in self._streams:
            stream.write_partial(time.monotonic(), final=True)
            stream.close()
        self._channel.close()

    # -- stopping -------------------------------------------------------------------------

    def _stop(self, intent: StopIntent) -> None:
        """Begin to stop the tree, or shorten the time that is left. The first reason stays."""
        grace = intent.grace_seconds
        if grace is None:
            grace = self._spec.grace_seconds
        if self._intent is None:
            if self._status is not None:
                self._kill_at = min(self._kill_at, time.monotonic() + grace)
                return  # the program ended by itself: its own end stands
            self._intent = intent._replace(grace_seconds=grace)
            self._deadline = FOREVER
            self._write_stop(self._intent)
            if grace > 0:
                self._signal_tree(signal.SIGTERM)
                self._signal_tree(signal.SIGCONT)  # a stopped process would never see it
        self._kill_at = min(self._kill_at, time.monotonic() + grace)

    def _write_stop(self, intent: StopIntent) -> None:
        grace = self._spec.grace_seconds if intent.grace_seconds is None else intent.grace_seconds
        fields: Dict[str, Any] = {"reason": intent.reason, "grace_seconds": grace}
        if intent.by is not None:
            fields["by"] = intent.by
        self._writer.write("stop", **fields)

    def _signal_tree(self, number: int) -> None:
        """Signal every living process below us exactly once."""
        group = self._pid if self._status is None else None  # ours as long as it is unreaped
        if group is not None:
            signal_group(group, number)
        for process in descendants(os.getpid()):
            if group is None or _group_of(process) != group:
                send_signal(process, number)

    def _sweep(self) -> None:
        """Kill what still lives, again and again until the kernel says that no child is left."""
        self._next_sweep = time.monotonic() + SWEEP_SECONDS
        self._signal_tree(signal.SIGKILL)
        self._reap()

    # -- children -------------------------------------------------------------------------

    def _reap(self) -> None:
        """Collect dead children. No child left means no descendant left: we are the subreaper."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self._tree_is_gone = True
                return
            if pid == 0:
                return
            self._watch.usage.reaped(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
            if pid == self._pid:
                self._status = status
                self._ended_at = time.monotonic()
                self._deadline = FOREVER
                # Helpers that end when their parent does get a moment for it.
                self._leftovers_due = self._ended_at + LEFTOVER_PATIENCE_SECONDS

    def _end_leftovers(self) -> None:
        """The program is dead; what it left running gets two seconds, then is killed."""
        self._leftovers_due = FOREVER
        leftovers = descendants(os.getpid())
        self._left_behind = len(leftovers)
        if self._intent is not None:
            return
        self._kill_at = min(self._kill_at, time.monotonic() + LEFTOVER_GRACE_SECONDS)
        if leftovers:
            tell_leftovers(self._writer, len(leftovers))
            self._signal_tree(signal.SIGTERM)
            self._signal_tree(signal.SIGCONT)

    # -- usage and the end ----------------------------------------------------------------

    def _look(self) -> None:
        excess = self._watch.look()
        if excess is not None and self._status is None:
            self._writer.write("system", level="error", message=excess)
            self._stop(StopIntent("out_of_memory", None, 0.0))

    def _tell_memory_kills(self) -> None:
        """Say that the kernel killed processes for want of memory; the program may hide it."""
        kills = memory_kills() if self._start.is_contained else 0
        if kills:
            message = (
                "The memory limit of the container was reached, and "
                f"{_processes(kills)} killed for it."
            )
            self._writer.write("system", level="warn", message=message)

    def _write_end(self) -> int:
        status = 0 if self._status is None else self._status
        signalled = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        if self._intent is not None:
            reason = self._intent.reason
        else:
            reason = "exit_code" if signalled is None else "signal"
        self._writer.write_end(
            exit_code=os.WEXITSTATUS(status) if signalled is None else -signalled,
            signal=signalled,
            reason=reason,
            started=True,
            peak_memory_mb=round(self._watch.usage.peak_mb, 1),
            cpu_seconds=round(self._watch.usage.reaped_cpu_seconds, 3),
            execution_ms=round((self._ended_at - self._started_at) * 1000),
            dropped_events=self._channel.dropped_events,
            left_behind=self._left_behind,
        )
        return os.WEXITSTATUS(status) if signalled is None else 128 + signalled


def _group_of(process: Process) -> Optional[int]:
    try:
        return os.getpgid(process.pid)
    except OSError:
        return None
