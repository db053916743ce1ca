"""`KernelRun`: start a kernel, send it cells, write what it says, stop it.

A stop is an interrupt first, which ends what a cell computes but not always what it awaits; after
half of the grace period the kernel is asked to shut down and its processes get SIGTERM; at its end
they are killed, until none is left.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from mellea_jupyter.executors import run_folder
from mellea_jupyter.executors.kernel.cells import (
    BEGUN_EXPRESSION,
    STATUS_EXPRESSION,
    Cells,
    NotebookCells,
    attach_code,
    cells_of,
    describe_failure_code,
)
from mellea_jupyter.executors.kernel.conversation import (
    Conversation,
    KernelDied,
    Message,
    numbers,
)
from mellea_jupyter.executors.kernel.executor import STATE
from mellea_jupyter.executors.kernel.process import KernelStartError, RunKernel
from mellea_jupyter.executors.kernel.transcript import Transcript
from mellea_jupyter.runtime import notebook
from mellea_jupyter.runtime.control import StopIntent, read_stop_intent
from mellea_jupyter.runtime.frames import FrameWriter
from mellea_jupyter.runtime.in_kernel import MESSAGE_TYPE
from mellea_jupyter.runtime.redaction import Redactor
from mellea_jupyter.runtime.spec import RunSpec
from mellea_jupyter.runtime.supervisor import (
    LEFTOVER_GRACE_SECONDS,
    SignalPipe,
    never_started,
    tell_leftovers,
)
from mellea_jupyter.runtime.usage import FOREVER, TreeWatch

TICK_SECONDS: Final = 0.05
SWEEP_SECONDS: Final = 0.02
KEEP_TICK_SECONDS: Final = 0.5
GIVE_UP_SECONDS: Final = 20.0
"""How long to wait for a kernel elsewhere whose provisioner does not say that it is gone."""
SHUTDOWN_SECONDS: Final = 5.0
"""How long an idle kernel may take to end when it is asked to."""
LAST_WORDS_SECONDS: Final = 0.3
"""How long to listen on after the kernel has died."""

EXIT_INTERRUPTED: Final = 130
_STATUS: Final = {"status": STATUS_EXPRESSION}


class UnusableKernel(Exception):
    """The kernel can not execute what the run asks for; the text says what to do."""


class KernelRun:
    """One run from the start of its kernel to its end frame.

    Args:
        spec: the run.
        launch: what the executor pinned of the kernelspec.
        writer: the journal.
        redactor: masks secret values in what does not go through the journal.
        signals: SIGTERM means stop, SIGINT means now.
    """

    def __init__(
        self,
        spec: RunSpec,
        launch: Mapping[str, Any],
        writer: FrameWriter,
        redactor: Redactor,
        signals: SignalPipe,
    ) -> None:
        self._spec = spec
        self._writer = writer
        self._signals = signals
        self._kernel = RunKernel(spec, launch)
        self._watch = TreeWatch(writer, spec.memory_limit_mb, self._kernel.tree)
        self._transcript = Transcript(spec, writer, redactor)
        self._cells: Cells
        self._conversation: Conversation
        self._current = 0
        self._launching: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._died: asyncio.Future[None]
        self._intent: StopIntent | None = None
        self._is_attached = False
        self._is_done = False
        self._is_kept = False
        self._shutdown_at = FOREVER
        self._kill_at = FOREVER
        self._deadline = FOREVER
        self._started_at = self._ended_at = 0.0
        self._left_behind = 0

    # -- the life of a run --------------------------------------------------------------------

    async def run(self) -> None:
        """Start, execute cell by cell, stop what is left, and write `end`."""
        self._begin()
        began = time.monotonic()
        self._launching = asyncio.create_task(self._launch())
        self._on_signal()
        problem = None
        try:
            await self._launching
        except asyncio.CancelledError:
            problem = "It was stopped before the program began."
        except (KernelStartError, UnusableKernel, notebook.UnusableNotebook) as error:
            problem = str(error)
        self._launching = None
        if problem is None:
            startup_ms = round((time.monotonic() - began) * 1000, 1)
            self._writer.write(
                "program",
                pid=self._kernel.pid,
                start=self._kernel.start_time,
                startup_ms=startup_ms,
            )
            await self._execute(time.monotonic(), self._execute_cells())
        else:
            await self._abandon(problem)

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._died = loop.create_future()
        self._conversation = Conversation(self._kernel, self._writer, self._died)
        loop.add_reader(self._signals.descriptor, self._on_signal)

    async def resume(self) -> None:
        """Go on with the kernel of a supervisor that has died: its cell, then the rest."""
        self._begin()
        state = run_folder.read_json(Path(self._spec.run_dir, STATE))
        try:
            self._cells = self._transcript.cells = cells_of(self._spec)
            await self._kernel.attach(state)
        except (KernelStartError, notebook.UnusableNotebook) as error:
            self._writer.write("system", level="error", message=str(error))
            self._intent = StopIntent("server_stopped", None, 0.0)
            self._started_at = self._ended_at = time.monotonic()
            await self._close()
            self._write_end(None)
            return
        self._is_attached = True
        self._transcript.recorded_events = int(state.get("events", 0))
        for work in (self._listen(), self._conversation.hear_answers(), self._tick()):
            self._spawn(work)
        await self._execute(float(state["started"]), self._take_over(state))

    async def _take_over(self, state: Mapping[str, Any]) -> int:
        """Wait for the cell that was sent, and execute those behind it; the exit status.

        Raises:
            KernelDied
        """
        cells, number = self._cells, int(state["cell"])
        cells.total = int(state["total"])
        cells.restore()
        self._current = number
        if message_id := state.get("message_id"):
            self._conversation.expect(str(message_id), number)
        # Queued behind what the kernel executes now, so its answer is the word on that.
        said = numbers(await self._request("", expressions={"begun": BEGUN_EXPRESSION, **_STATUS}))
        if said.get("begun", 0) < number:
            return await self._execute_cells(number)  # it was never sent
        status = said.get("status", 1)
        cells.save()
        if status >= 0 and not cells.may_fail(number):
            return status
        return await self._execute_cells(number + 1)

    async def _launch(self) -> None:
        """Start the kernel and set it up.

        Raises:
            KernelStartError, UnusableKernel, UnusableNotebook
        """
        self._cells = self._transcript.cells = cells_of(self._spec)
        await self._kernel.launch()
        for work in (self._listen(), self._conversation.hear_answers(), self._tick()):
            self._spawn(work)
        try:
            reply = await self._request(attach_code(self._spec.run_dir))
        except KernelDied:
            msg = f"The kernel ended with exit code {self._kernel.returncode} before it was ready."
            raise KernelStartError(msg) from None
        self._is_attached = reply["status"] == "ok"
        if self._is_attached:
            return
        self._kernel.take_all()
        why = f"{reply.get('ename')}: {reply.get('evalue')}"
        if not isinstance(self._cells, NotebookCells):
            msg = f"This kernel can not execute {self._spec.target}: it needs ipykernel ({why})."
            raise UnusableKernel(msg)
        message = f"LLM calls are not recorded: this kernel has no ipykernel ({why})."
        self._writer.write("system", level="warn", message=message)

    async def _execute(self, started_at: float, cells: Coroutine[Any, Any, int]) -> None:
        """Execute the program, which began at `started_at` (monotonic), to its end frame."""
        self._started_at = started_at
        if self._kernel.is_local:
            self._watch.begin(started_at)
        if self._spec.timeout_seconds is not None:
            self._deadline = self._started_at + self._spec.timeout_seconds
        status: int | None
        try:
            status = await cells
        except KernelDied:
            status = None
            await asyncio.sleep(LAST_WORDS_SECONDS)
            self._transcript.add_last_words()
            self._cells.save()
        self._ended_at = time.monotonic()
        self._deadline = FOREVER
        self._is_done = True
        keep = self._spec.keep_kernel_seconds
        if keep and status and self._intent is None and not self._died.done():
            self._write_end(status, keep_seconds=keep)
            self._is_kept = True
            await self._keep(time.monotonic() + keep)
            await self._end_kernel()
            await self._close()
        else:
            await self._end_kernel()
            await self._close()
            self._write_end(status)

    async def _keep(self, until: float) -> None:
        """Leave the kernel to consoles for a time; it goes earlier when its run is deleted."""
        while time.monotonic() < until and not self._died.done() and not self._is_deleted():
            if self._kill_at < FOREVER:  # somebody asked for its end
                return
            await asyncio.sleep(KEEP_TICK_SECONDS)

    def _is_deleted(self) -> bool:
        return not Path(self._spec.run_dir, run_folder.SPEC).exists()

    async def _abandon(self, problem: str) -> None:
        """Write the end of a run whose program never began, once nothing of it is left."""
        self._is_done = True
        self._kill_at = 0.0
        await self._until_gone()
        self._transcript.add_last_words()
        self._transcript.flush()
        await self._close()
        reason = "launch_failed" if self._intent is None else self._intent.reason
        message = problem if self._intent is None else None
        self._writer.write_end(**never_started(reason, message))

    async def _close(self) -> None:
        """Let go of everything but the journal, whose end is the last that a run needs."""
        asyncio.get_running_loop().remove_reader(self._signals.descriptor)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._kernel.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- cells --------------------------------------------------------------------------------

    async def _execute_cells(self, first: int = 0) -> int:
        """Execute the cells from `first` on, 0 for a program that has not begun; its exit status.

        Raises:
            KernelDied
        """
        cells = self._cells
        if cells.prepare_expression is not None and not first:
            asked = {"total": cells.prepare_expression, **_STATUS}
            said = numbers(await self._request("", expressions=asked))
            cells.total = said.get("total", 0)
            if (status := said.get("status", EXIT_INTERRUPTED)) >= 0:
                return status
        for number in range(first or 1, cells.total + 1):
            if self._intent is not None:
                return EXIT_INTERRUPTED
            self._current = number
            self._tell_progress(number)
            ended = await self._execute_cell(number)
            cells.save()
            if ended is not None:
                return ended
        if cells.total:
            self._tell_progress(cells.total, is_done=True)
        if cells.finish_code is not None:
            reply = await self._request(cells.finish_code)
            if reply["status"] != "ok":
                return EXIT_INTERRUPTED
        return 0

    async def _execute_cell(self, number: int) -> int | None:
        """Execute one cell; the exit status when it has ended the program.

        Raises:
            KernelDied
        """
        cells = self._cells
        asked = {} if isinstance(cells, NotebookCells) else _STATUS
        reply = await self._request(cells.code(number), number=number, expressions=asked)
        if reply["status"] == "ok":
            status = numbers(reply).get("status", -1)
            return status if status >= 0 else None
        name = str(reply.get("ename", ""))
        if name == "SystemExit":
            return _exit_status(str(reply.get("evalue", "")))
        if cells.may_fail(number) and self._intent is None:
            return None
        if self._intent is None and isinstance(cells, NotebookCells):
            await self._report_failure(number, reply)
        return EXIT_INTERRUPTED if name == "KeyboardInterrupt" else 1

    async def _report_failure(self, number: int, reply: Mapping[str, Any]) -> None:
        """Have the kernel describe what a notebook's cell raised; else say what it answered."""
        before = self._transcript.recorded_events
        if self._is_attached:
            await self._request(describe_failure_code(number))
        if self._transcript.recorded_events > before:
            return
        source = self._cells.code(number)
        failed = notebook.CellFailed(
            str(reply.get("ename")), str(reply.get("evalue")), number, source
        )
        self._writer.write(
            "exception",
            type=failed.error_type,
            message=failed.error_message,
            frames=failed.frames,
        )

    async def _request(
        self, code: str, *, number: int | None = None, expressions: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Have the kernel execute code; its answer, once all that the code showed is here.

        Raises:
            KernelDied
        """
        if self._died.done():
            raise KernelDied
        if number is not None:
            await self._save_state(number, None)
        request = self._conversation.ask(
            code,
            number=number,
            keeps_history=number is not None and self._cells.keeps_history,
            expressions=expressions,
        )
        if number is not None:
            await self._save_state(number, request.message_id)
        return await self._conversation.answer(request)

    async def _save_state(self, number: int, message_id: str | None) -> None:
        """Note what another supervisor needs to go on if this one dies."""
        if not self._is_attached:
            return
        state = {
            **await self._kernel.state(),
            "cell": number,
            "message_id": message_id,
            "total": self._cells.total,
            "events": self._transcript.recorded_events,
            "started": self._started_at,
        }
        with suppress(OSError):  # the disk is full; the run itself goes on
            run_folder.write_json(Path(self._spec.run_dir, STATE), state)

    def _tell_progress(self, number: int, *, is_done: bool = False) -> None:
        if self._cells.total > 1 or self._cells.keeps_history:
            fields = notebook.progress(number, self._cells.total, is_done=is_done)
            self._writer.write("progress", **fields)

    # -- what the kernel says -----------------------------------------------------------------

    async def _listen(self) -> None:
        async for message in self._conversation.output():
            try:
                self._hear(message)
            except (KeyError, TypeError, ValueError, AttributeError):
                self._transcript.missed_events += 1  # no message that the protocol knows

    def _hear(self, message: Message) -> None:
        kind, content = message["msg_type"], message["content"]
        request = self._conversation.request_of(message)
        if kind == "status":
            if content["execution_state"] == "idle" and request and not request.idle.done():
                request.idle.set_result(None)
            return
        if kind == MESSAGE_TYPE:
            if not self._is_kept:
                self._transcript.record_event(content)
            return
        is_ours = request is not None and request.number is None and kind != "stream"
        # What it says while it starts, or to a console afterwards, is not the program's.
        if self._started_at and not self._is_kept and not is_ours:
            number = request.number if request is not None else None
            self._transcript.show(message, self._current if number is None else number)

    # -- time ---------------------------------------------------------------------------------

    async def _tick(self) -> None:
        """Notice the kernel's death, and do what is due."""
        while True:
            if not self._died.done() and await self._kernel.poll() is not None:
                self._died.set_result(None)
            self._kernel.reap()
            now = time.monotonic()
            self._transcript.write_partial(now)
            if now >= self._deadline:
                self._deadline = FOREVER
                self._stop(StopIntent("timeout", None, None))
            if now >= self._watch.due and not self._is_done:
                self._look()
            if now >= self._kill_at:
                self._shutdown_at = FOREVER
                await self._kernel.send(signal.SIGKILL)
            elif now >= self._shutdown_at:
                self._shutdown_at = FOREVER
                await self._kernel.request_shutdown()
                await self._kernel.send(signal.SIGTERM)
                await self._kernel.send(signal.SIGCONT)
            await asyncio.sleep(SWEEP_SECONDS if now >= self._kill_at else TICK_SECONDS)

    def _look(self) -> None:
        excess = self._watch.look()
        if excess is not None:
            self._writer.write("system", level="error", message=excess)
            self._stop(StopIntent("out_of_memory", None, 0.0))

    # -- stopping -----------------------------------------------------------------------------

    def _on_signal(self) -> None:
        self._signals.clear()
        self._signals.take(signal.SIGCHLD)
        if self._signals.take(signal.SIGTERM):
            self._stop(read_stop_intent(self._spec.run_dir))
        if self._signals.take(signal.SIGINT):
            self._stop(read_stop_intent(self._spec.run_dir)._replace(grace_seconds=0.0))

    def _stop(self, intent: StopIntent) -> None:
        """Begin to stop, or shorten the time that is left. The first reason stays."""
        grace = self._spec.grace_seconds if intent.grace_seconds is None else intent.grace_seconds
        now = time.monotonic()
        if self._intent is None and not self._is_done:
            self._intent = intent._replace(grace_seconds=grace)
            self._deadline = FOREVER
            asked = {"reason": intent.reason, "grace_seconds": grace, "first": "interrupt"}
            self._writer.write("stop", **asked, **({"by": intent.by} if intent.by else {}))
            if self._launching is not None:
                self._launching.cancel()
            elif grace > 0:
                self._spawn(self._kernel.interrupt())
                self._shutdown_at = now + grace / 2
        self._kill_at = min(self._kill_at, now + grace)

    async def _end_kernel(self) -> None:
        """Have the kernel end, and then what it left running."""
        if not self._died.done():
            await self._kernel.request_shutdown()
            self._kill_at = min(self._kill_at, time.monotonic() + SHUTDOWN_SECONDS)
            await asyncio.wait({self._died}, timeout=SHUTDOWN_SECONDS + GIVE_UP_SECONDS)
        leftovers = self._kernel.tree()
        self._left_behind = len(leftovers)
        if leftovers and self._intent is None and not self._is_kept:
            tell_leftovers(self._writer, len(leftovers))
            await self._kernel.send(signal.SIGTERM)
            await self._kernel.send(signal.SIGCONT)
        self._kill_at = min(self._kill_at, time.monotonic() + LEFTOVER_GRACE_SECONDS)
        await self._until_gone()

    async def _until_gone(self) -> None:
        """Wait for the last process; `_kill_at` says from when on they are killed."""
        while self._kernel.tree():
            self._kernel.reap()
            if time.monotonic() >= self._kill_at:
                await self._kernel.send(signal.SIGKILL)
            await self._kernel.poll()
            await asyncio.sleep(SWEEP_SECONDS)
        self._kernel.reap()

    def _write_end(self, status: int | None, *, keep_seconds: float | None = None) -> None:
        self._transcript.flush()
        if status is None:
            status = self._kernel.returncode or 0
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._watch.usage.reaped(used.ru_maxrss, used.ru_utime + used.ru_stime)
        reason = "exit_code" if status >= 0 else "signal"
        kept = {}
        if keep_seconds is not None:
            self._watch.usage.reaped(
                0, self._watch.usage.sample(self._kernel.tree())["cpu_seconds"]
            )
            until = round(time.time() + keep_seconds, 3)
            kept["kernel"] = {**self._kernel.identity(), "until": until}
        self._writer.write_end(
            **kept,
            exit_code=status,
            signal=-status if status < 0 else None,
            reason=reason if self._intent is None else self._intent.reason,
            started=True,
            peak_memory_mb=round(self._watch.usage.peak_mb, 1),
            cpu_seconds=round(self._watch.usage.reaped_cpu_seconds, 3),
            execution_ms=round((self._ended_at - self._started_at) * 1000),
            dropped_events=self._transcript.missed_events,
            left_behind=self._left_behind,
        )


def _exit_status(value: str) -> int:
    """What `SystemExit(value)` means, of which a kernel gives the text."""
    if value in {"", "None"}:
        return 0
    try:
        return int(value) & 0xFF
    except ValueError:
        return 1
