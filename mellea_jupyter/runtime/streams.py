"""The program's stdin, stdout and stderr as a managed run has them.

stdout is line-buffered, and both streams count what was written, so that events find their place
between the lines. stdin is empty, and asking for input fails at once with the reason.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
from types import ModuleType
from typing import Any, NoReturn, TextIO, Tuple

from .post_import import when_imported

NO_INPUT = (
    "a managed run has no keyboard: its standard input is empty, so {asked} cannot be answered. "
    "Pass values as arguments (sys.argv), as parameters, or as environment variables."
)


class CountedFile(io.FileIO):
    """Standard output or error, counting the bytes this process wrote to it."""

    written_bytes = 0

    def write(self, data: Any) -> int:
        """Write and count."""
        written = super().write(data) or 0
        self.written_bytes += written
        return written


class StandardStreams:
    """Replaces `sys.stdout` and `sys.stderr` by counted ones on the same descriptors."""

    def __init__(self) -> None:
        self._files = (CountedFile(1, "w", closefd=False), CountedFile(2, "w", closefd=False))
        self._pipes = tuple(_pipe_of(descriptor) for descriptor in (1, 2))
        self._streams = (
            _wrap(self._files[0], sys.stdout, "<stdout>"),
            _wrap(self._files[1], sys.stderr, "<stderr>"),
        )
        system: Any = sys  # `__stdout__` is declared final
        system.stdout = system.__stdout__ = self._streams[0]
        system.stderr = system.__stderr__ = self._streams[1]

    def positions(self) -> Tuple[int, int]:
        """Bytes written so far to stdout and stderr."""
        return self._files[0].written_bytes, self._files[1].written_bytes

    def captured_name(self, stream: object) -> str:
        """`stdout` or `stderr` when what `stream` gets ends in the log, otherwise empty."""
        for index, name in enumerate(("stdout", "stderr")):
            if stream is self._streams[index]:
                return name if _pipe_of(index + 1) == self._pipes[index] else ""
        return ""


def _wrap(file: CountedFile, old: TextIO, name: str) -> TextIO:
    """A text stream like `old`, line-buffered, on another file."""
    file.name = name
    wrapper: Any = io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=getattr(old, "encoding", "utf-8"),
        errors=getattr(old, "errors", "backslashreplace"),
        line_buffering=True,
        write_through=bool(getattr(old, "write_through", False)),
    )
    wrapper.mode = "w"
    stream: TextIO = wrapper
    return stream


def refuse_input() -> None:
    """Make `input()` and `getpass()` fail at once and say why."""
    builtins.input = _no_input
    when_imported("getpass", _replace_getpass)


def _no_input(prompt: object = "", /) -> NoReturn:
    """input() of a managed run: always raises EOFError."""
    if str(prompt):
        print(prompt, end="", flush=True)
    raise EOFError(NO_INPUT.format(asked="input()"))


def _no_getpass(*_: object, **__: object) -> NoReturn:
    """getpass() of a managed run: always raises EOFError."""
    raise EOFError(NO_INPUT.format(asked="getpass()"))


def _replace_getpass(module: ModuleType) -> None:
    module.getpass = _no_getpass  # type: ignore[attr-defined]  # a module is open for assignment


def _pipe_of(descriptor: int) -> "tuple[int, int] | None":
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino
