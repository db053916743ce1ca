"""Shows a run in a terminal, or as text in a notebook, until it ends.

The program's stdout goes to `out` and its stderr to `err`: unchanged into a file, a pipe or a
notebook, and to a terminal as text and colours (`client/terminal.py`). Everything of ours goes to
`err`: one status line that rewrites itself where that is a terminal, dimmed system lines, and the
closing table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

from mellea_jupyter.client import phrases
from mellea_jupyter.client.errors import ConnectionFailed
from mellea_jupyter.client.following import LogFollower
from mellea_jupyter.client.handle import RunHandle
from mellea_jupyter.client.terminal import OutputFilter, escape_line
from mellea_jupyter.models.frames import LogFrame, LogLevel, LogStream
from mellea_jupyter.models.run import Run, RunStatus

if TYPE_CHECKING:
    from rich.console import Console

TICK_SECONDS: Final = 0.1
REFRESH_SECONDS: Final = 0.5


class RunConsole:
    """Writes one run's lines and, on a terminal, keeps a status line below them.

    Args:
        out: gets the program's stdout.
        err: gets its stderr, and everything of ours.
        shows_status: whether to keep a status line.
        raw: whether a terminal gets all that the program wrote.
    """

    def __init__(
        self, out: TextIO, err: TextIO, *, shows_status: bool = True, raw: bool = False
    ) -> None:
        from mellea_jupyter.client.safe_console import SafeConsole

        self._out = out
        self._err = err
        self._filters = {
            name: OutputFilter()
            for name, file in ((LogStream.STDOUT, out), (LogStream.STDERR, err))
            if file.isatty() and not raw
        }
        self._console: Console = SafeConsole(file=err, soft_wrap=True)
        self._shares_screen = self._console.is_terminal and out.isatty()
        self._rewrites = (
            shows_status and self._console.is_terminal and not self._console.is_dumb_terminal
        )
        self._shown = ""  # the status line that stands on the terminal now
        self._open: TextIO | None = None  # the stream whose last line has not ended yet
        self._attempt = ""
        self._asked = 0  # the last question about a budget that was shown

    def write(self, frames: Iterable[LogFrame]) -> None:
        """Write lines in order. A line that has not ended keeps the cursor behind it."""
        self.clear()
        for frame in frames:
            if frame.stream is LogStream.SYSTEM:
                self._system(frame)
            else:
                self._program(frame)
        self._out.flush()
        self._err.flush()

    def status(self, run: Run) -> None:
        """Rewrite the status line; nothing where lines can not be rewritten."""
        if not self._rewrites or self._open is not None:
            return  # never in the middle of a line of the program
        text = escape_line(phrases.one_line(run) + (f" · {self._attempt}" if self._attempt else ""))
        width = self._console.width - 1
        text = text if len(text) <= width else f"{text[: width - 1]}…"
        if text != self._shown:
            self._err.write(f"\r\x1b[2K{text}")
            self._err.flush()
            self._shown = text

    def ask(self, run: Run) -> None:
        """Say once what a run that waits at its budget waits for, and how to answer."""
        if run.waiting is not None and run.waiting.ask > self._asked:
            self._asked = run.waiting.ask
            self.say(phrases.question(run), style="yellow")

    def clear(self) -> None:
        """Take the status line away."""
        if self._shown:
            self._err.write("\r\x1b[2K")
            self._err.flush()
            self._shown = ""

    def say(self, text: str, style: str = "dim") -> None:
        """A line of ours, on a line of its own."""
        from rich.text import Text

        self.clear()
        self._end_line()
        self._console.print(Text(text, style=style))

    def table(self, run: Run) -> None:
        """The closing table."""
        self.clear()
        self._end_line()
        print_rows(self._console, phrases.summary_rows(run), status=run.status)

    def _program(self, frame: LogFrame) -> None:
        stream = self._out if frame.stream is LogStream.STDOUT else self._err
        if self._open is not None and self._open is not stream and self._shares_screen:
            self._end_line()
        text = frame.message
        if (shown := self._filters.get(frame.stream)) is not None:
            text = shown.feed(text, ends=not frame.partial)
        stream.write(text if frame.partial else f"{text}\n")
        self._open = stream if frame.partial else None

    def _system(self, frame: LogFrame) -> None:
        self._attempt = attempt_of(frame) or self._attempt
        self._end_line()
        from rich.text import Text

        style = "yellow" if frame.level in (LogLevel.WARN, LogLevel.ERROR) else "dim"
        self._console.print(Text(frame.message, style=style))

    def _end_line(self) -> None:
        """Begin a new line where the program left one open and both share the screen."""
        if self._open is None:
            return
        if self._open is self._err or self._shares_screen:
            self._err.write("\n")
        self._open = None


_STATUS_STYLES: Final = {
    RunStatus.SUCCEEDED: "bold green",
    RunStatus.FAILED: "bold red",
    RunStatus.CANCELLED: "bold yellow",
}


def print_rows(
    console: Console, rows: list[tuple[str, str]], *, status: RunStatus | None = None
) -> None:
    """Print `(label, value)` rows with the values aligned; the status in its colour."""
    from rich.text import Text

    width = max((len(label) for label, _ in rows), default=0) + 2
    for label, value in rows:
        style = _STATUS_STYLES.get(status, "") if status and label == "status" else ""
        # Lines of a value stay under it: none can look like a row of its own.
        below = value.replace("\n", f"\n{'':<{width}}")
        console.print(Text.assemble((label.ljust(width), "dim"), (below, style)))


def attempt_of(frame: LogFrame) -> str:
    """`attempt 2/5` where a system line says which one of a sampling loop it was."""
    metadata: dict[str, Any] = frame.metadata or {}
    attempt, budget = metadata.get("attempt"), metadata.get("budget")
    if not isinstance(attempt, int):
        return ""
    return f"attempt {attempt}/{budget}" if isinstance(budget, int) else f"attempt {attempt}"


def show_until_end(
    handle: RunHandle,
    console: RunConsole,
    *,
    after: str | None = None,
    should_leave: Callable[[], bool] | None = None,
    shows: Callable[[LogFrame], bool] | None = None,
) -> bool:
    """Show a run's lines and status until it has ended; its record is in the handle then.

    Args:
        handle: the run.
        console: where to.
        after: begin after this cursor.
        should_leave: asked ten times a second; True leaves the run alone.
        shows: which lines; all by default.

    Returns:
        Whether the end was reached.

    Raises:
        ClientError: the server refused, or did not come back.
    """
    next_refresh = 0.0
    with LogFollower(handle.client.connection, handle.id, after=after) as follower:
        try:
            while (frames := follower.take(TICK_SECONDS)) is not None:
                if frames:
                    console.write(filter(shows, frames) if shows is not None else frames)
                if should_leave is not None and should_leave():
                    return False
                if time.monotonic() >= next_refresh:
                    with suppress(ConnectionFailed):  # the follower decides when that is too long
                        handle.refresh()
                    next_refresh = time.monotonic() + REFRESH_SECONDS
                console.ask(handle.run)
                console.status(handle.run)
        finally:
            console.clear()
    handle.wait()  # the log is complete in the moment before the record says so
    return True
