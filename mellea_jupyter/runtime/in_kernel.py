"""Inside the kernel of a run: what makes its cells a managed program.

The kernel executor sends cells; the first one, which nobody sees, calls `attach`. From then on LLM
calls and the rest travel as numbered messages on the kernel's own output channel, whatever
provisioner started the kernel, and whoever listens can count those it has missed.

A notebook's cells are executed by the kernel as they are. A `.py` file or a `module:callable` is
executed here, cell by cell (`# %%` begins one), with `__main__`, `sys.argv` and `sys.path[0]` as
under plain python. Only ipykernel is known here. Standard library only.
"""

from __future__ import annotations
import __future__

import ast
import asyncio
import atexit
import builtins
import io
import os
import re
import sys
import threading
from contextlib import contextmanager
from types import CodeType, ModuleType
from typing import Any, Dict, Iterator, List, Optional

from . import program
from .control import MAX_MESSAGE_BYTES, Channel
from .current_run import current_run
from .frames import encode
from .spec import RunSpec, load_spec
from .streams import refuse_input

MESSAGE_TYPE = "mellea_event"
CELL_MARK = re.compile(r"#\s*%%")

_FUTURE_FLAGS = sum(
    getattr(__future__, name).compiler_flag for name in __future__.all_feature_names
)


class KernelChannel(Channel):
    """Sends events as numbered messages on the kernel's output channel; never raises.

    Args:
        kernel: ipykernel's kernel of this process.
    """

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._sent = 0
        self._streams = (sys.stdout, sys.stderr)

    def emit(self, kind: str, **fields: Any) -> bool:
        """Send one event behind all that was printed before it; False when it is not sent."""
        if os.getpid() != self._pid:
            return False  # a forked child: the kernel's sockets are its parent's
        try:
            fields["kind"] = kind
            data = encode(fields, MAX_MESSAGE_BYTES).decode("utf-8")
            with self._lock:
                self._sent += 1  # before anything can fail: a number that never comes is a gap
                for stream in self._streams:
                    if getattr(stream, "_flush_pending", True):  # a flush waits for a thread
                        stream.flush()
                content = {"number": self._sent, "event": data}
                self._kernel.session.send(self._kernel.iopub_socket, MESSAGE_TYPE, content)
        except Exception:
            return False
        return True

    def flush(self, timeout_seconds: float = 0.0) -> None:
        """Nothing waits here."""

    def close(self, timeout_seconds: float = 0.0) -> None:
        """Nothing is open here."""


class Cells:
    """A `.py` file or a callable as cells of this kernel.

    Attributes:
        exit_status: What the program has ended with, as python's exit status; None before.
    """

    def __init__(self, spec: RunSpec, channel: Channel) -> None:
        self._spec = spec
        self._channel = channel
        self._threads = set(threading.enumerate())
        self.exit_status: Optional[int] = None
        self._main: Optional[ModuleType] = None
        self._pieces: List[CodeType] = []
        self._excepthook = sys.__excepthook__  # not IPython's, which prints another traceback

    def prepare(self) -> int:
        """Read and parse the program; the number of its cells. It has failed when that does."""
        sys.argv = [self._spec.program_path, *self._spec.argv]
        sys.path[:] = [self._spec.import_dir, *(path for path in sys.path if path)]
        if self._spec.kind == "callable":
            return 1
        with self._as_plain_python():
            self._pieces = self._guarded(self._parse) or []
        return len(self._pieces)

    def run(self, index: int) -> None:
        """Execute one cell, counted from 0. What it raises ends the program, and is printed."""
        with self._as_plain_python():
            if self._spec.kind == "callable":
                self._guarded(lambda: program.run_callable(self._spec, self._channel))
            elif self._main is not None:
                namespace = self._main.__dict__
                self._guarded(lambda: exec(self._pieces[index], namespace))  # noqa: S102
        self._show_names()

    def finish(self) -> None:
        """Wait for the program's threads, as python does before it ends."""
        for thread in threading.enumerate():
            if thread not in self._threads and not thread.daemon:
                thread.join()

    def _parse(self) -> List[CodeType]:
        path = self._spec.program_path
        with io.open_code(path) as file:
            source = file.read()
        whole = compile(source, path, "exec", dont_inherit=True)
        tree = ast.parse(source, path)
        self._main = program.new_main(path)
        self._main.__doc__ = ast.get_docstring(tree, clean=False)
        marks = [
            number
            for number, line in enumerate(source.decode("utf-8", "replace").splitlines(), 1)
            if CELL_MARK.match(line)
        ]
        groups: Dict[int, List[ast.stmt]] = {}
        for statement in tree.body:
            first = min(
                [statement.lineno] + [d.lineno for d in getattr(statement, "decorator_list", ())]
            )
            groups.setdefault(sum(mark < first for mark in marks), []).append(statement)
        if len(groups) < 2:
            return [whole]
        flags = whole.co_flags & _FUTURE_FLAGS
        return [
            compile(ast.Module(body, []), path, "exec", flags=flags, dont_inherit=True)
            for body in groups.values()
        ]

    def _guarded(self, action: Any) -> Any:
        """Do it; what it raises becomes the program's exit status, as `program.run` has it."""
        try:
            return action()
        except SystemExit as error:
            self.exit_status = program.exit_status(error.code)
        except program.UnusableProgram as error:
            program.explain(error, self._channel)
            self.exit_status = 1
        except BaseException as error:
            program.report(error, self._spec, self._channel)
            interrupted = isinstance(error, KeyboardInterrupt)
            self.exit_status = program.EXIT_INTERRUPTED if interrupted else 1
        return None

    @contextmanager
    def _as_plain_python(self) -> Iterator[None]:
        """Hide what a cell has and a program has not: a running event loop, and IPython's exit.

        Without the loop, `asyncio.run` works as it does under python; the kernel's own loop waits
        for the cell in any case.
        """
        from _sitebuiltins import Quitter

        loop = asyncio.get_running_loop()
        swap = getattr(asyncio.tasks, "_swap_current_task", None)
        task = swap(loop, None) if swap is not None else None
        asyncio._set_running_loop(None)  # noqa: SLF001  # the only way to say that none runs
        hook, sys.excepthook = sys.excepthook, self._excepthook
        before: Dict[str, Any] = {"input": builtins.input}
        refuse_input()  # the kernel has put its own there for this cell
        for name in ("exit", "quit"):
            before[name] = getattr(builtins, name, None)
            setattr(builtins, name, Quitter(name, ""))
        try:
            yield
        finally:
            self._excepthook, sys.excepthook = sys.excepthook, hook
            for name, value in before.items():
                if value is None:
                    delattr(builtins, name)
                else:
                    setattr(builtins, name, value)
            asyncio._set_running_loop(loop)  # noqa: SLF001  # the same
            if swap is not None:
                swap(loop, task)

    def _show_names(self) -> None:
        """Let a console that looks at this kernel afterwards see the program's names."""
        if self._main is None:
            return
        names = {k: v for k, v in self._main.__dict__.items() if not k.startswith("__")}
        get_ipython().user_ns.update(names)  # type: ignore[name-defined]  # noqa: F821


class Progress:
    """How far the run has come, for a supervisor that was not there when it happened.

    Attributes:
        begun: The cell that began last, counted from 1; 0 before the first.
        status: The exit status it ended with, -1 while it goes on or where it was fine.
    """

    begun = 0
    status = -1

    def cell_begins(self, _: Any = None) -> None:
        """Another cell begins."""
        self.begun += 1
        self.status = -1

    def cell_ended(self, result: Any) -> None:
        """A notebook's cell is done."""
        error = result.error_before_exec or result.error_in_exec
        if isinstance(error, SystemExit):
            is_text = error.code is not None and not isinstance(error.code, int)
            self.status = 1 if is_text else program.exit_status(error.code)
        elif error is not None:
            interrupted = isinstance(error, KeyboardInterrupt)
            self.status = program.EXIT_INTERRUPTED if interrupted else 1


_cells: Optional[Cells] = None
_progress = Progress()
_channel: Optional[KernelChannel] = None


def attach(run_dir: str) -> None:
    """Set this kernel up for a run: reports, steering, no keyboard. Its cells come next."""
    global _cells, _channel  # noqa: PLW0603  # one run a kernel
    shell = get_ipython()  # type: ignore[name-defined]  # noqa: F821  # IPython's own
    spec = load_spec(run_dir)
    _hold_back(shell.kernel)
    _channel = KernelChannel(shell.kernel)
    current_run.attach(spec, _channel)
    refuse_input()
    if spec.kind == "notebook":
        shell.events.register("pre_run_cell", _progress.cell_begins)
        shell.events.register("post_run_cell", _progress.cell_ended)
    else:
        _cells = Cells(spec, _channel)
    program.instrument_mellea(spec, _channel)


def attach_beside(run_dir: str, descriptor: int) -> None:
    """The same where nbclient executes the cells: reports go on the run's own channel."""
    spec = load_spec(run_dir)
    channel = Channel(descriptor)
    _hold_back(get_ipython().kernel)  # type: ignore[name-defined]  # noqa: F821  # IPython's own
    current_run.attach(spec, channel)
    program.instrument_mellea(spec, channel)
    atexit.register(channel.close)


def _hold_back(kernel: Any) -> None:
    """Have the program wait where nobody takes its output, as at a full pipe.

    ZeroMQ's publishers throw away what is beyond 1,000 messages: output and events, and also the
    word that a cell is done. A client that has gone holds nothing back.
    """
    thread = kernel.iopub_thread
    thread.schedule(lambda: setattr(thread.socket, "xpub_nodrop", True))


def prepare() -> int:
    """Make the program ready; the number of its cells."""
    return 0 if _cells is None else _cells.prepare()


def run(index: int) -> None:
    """Execute one cell of the program."""
    if _cells is not None:
        _progress.begun = index + 1
        _cells.run(index)


def finish() -> None:
    """The program's cells are done."""
    if _cells is not None:
        _cells.finish()


def status() -> int:
    """The exit status the program has ended with; -1 while it goes on."""
    if _cells is None:
        return _progress.status
    return -1 if _cells.exit_status is None else _cells.exit_status


def begun() -> int:
    """The cell that began last, counted from 1; 0 before the first."""
    return _progress.begun


def describe_failure(cell: int) -> None:
    """Send the exception that has just ended a notebook's cell, counted from 1."""
    error = getattr(sys, "last_value", None)
    if error is None or _channel is None or current_run.spec is None:
        return
    from .failure import describe

    spec = current_run.spec
    fields = describe(error, (spec.source_dir, spec.working_directory))
    fields["frames"] = _cell_frames(fields["frames"], error, cell)
    _channel.emit("exception", **fields)


def _cell_frames(
    frames: List[Dict[str, Any]], error: BaseException, cell: int
) -> List[Dict[str, Any]]:
    """Frames of an exception with the kernel's own left out and cells by their number."""
    shell = get_ipython()  # type: ignore[name-defined]  # noqa: F821
    names = dict(getattr(shell.compile, "_filename_map", {}))
    numbers = {str(path): int(number) for path, number in names.items()}
    shown = []
    for frame in frames:
        file = str(frame["file"])
        if file in numbers:
            shown.append({**frame, "file": f"cell {numbers[file]}", "user": True})
        elif shown:  # what called the cell is the kernel
            shown.append(frame)
    if shown:
        return shown
    line = error.lineno if isinstance(error, SyntaxError) else 1
    text = (error.text or "").strip() if isinstance(error, SyntaxError) else ""
    place = {"file": f"cell {cell}", "line": line or 1, "function": "<module>", "text": text}
    return [{**place, "user": True}]
