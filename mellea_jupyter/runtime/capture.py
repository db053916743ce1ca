"""Turn what a program writes into lines of the journal.

`StreamCapture` holds one stream (stdout or stderr): the pipe's reading end and the bytes that are
not in the journal yet. It never decodes: bytes are kept as they are.
"""

from __future__ import annotations

import fcntl
import os
import re
from typing import Optional

from .frames import FrameWriter

PIPE_BYTES = 1024 * 1024
READ_BYTES = 1024 * 1024
MAX_DRAIN_BYTES = 8 * 1024 * 1024
FRAME_BYTES = 64 * 1024
FRAME_LINES = 2000  # each line costs its reader some 370 bytes, however short it is
PARTIAL_AFTER_SECONDS = 0.1
MAX_HELD_BYTES = 1024 * 1024
F_SETPIPE_SZ = 1031

_FRAME_OF_LINES = re.compile(rb"(?:[^\n]*\n){%d}" % FRAME_LINES)


def open_pipe() -> "tuple[int, int]":
    """A pipe `(reading end, writing end)` as large as allowed; the reading end never blocks."""
    reading, writing = os.pipe()
    try:
        fcntl.fcntl(writing, F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        pass  # not Linux, or the user's share of pipe memory is used up: 64 KiB works too
    os.set_blocking(reading, False)
    return reading, writing


class StreamCapture:
    """One captured stream of the program.

    Args:
        name: `stdout` or `stderr`.
        descriptor: Non-blocking reading end of the pipe; owned and closed here. None where what the
            program writes comes another way, and is given to `take`.
        writer: Where lines go.
    """

    def __init__(self, name: str, descriptor: Optional[int], writer: FrameWriter) -> None:
        self.name = name
        self.descriptor: Optional[int] = descriptor
        self.received_bytes = 0
        self._writer = writer
        self._held = bytearray()
        self._held_since: Optional[float] = None
        self._open_line: Optional[int] = None

    def drain(self) -> int:
        """Read what the pipe holds, at most 8 MiB; the number of bytes read."""
        total = 0
        while self.descriptor is not None and total < MAX_DRAIN_BYTES:
            try:
                data = os.read(self.descriptor, READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.close()
                break
            self._held += data
            total += len(data)
        self.received_bytes += total
        return total

    def take(self, data: bytes) -> None:
        """Hold bytes that did not come through a pipe."""
        self._held += data
        self.received_bytes += len(data)

    def close(self) -> None:
        """Close the pipe; held bytes stay until they are written."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def write_lines(self, now: float, up_to: Optional[int] = None) -> None:
        """Write the complete lines among the first `up_to` bytes ever received (default all)."""
        end = len(self._held)
        if up_to is not None:
            end = min(end, max(0, up_to - (self.received_bytes - len(self._held))))
        end = self._held.rfind(b"\n", 0, end) + 1
        if end:
            chunk = bytes(memoryview(self._held)[:end])
            del self._held[:end]
            self._held_since = None
            self._write_chunk(chunk)
        if self._held and self._held_since is None:
            self._held_since = now

    def write_partial(self, now: float, *, final: bool = False) -> None:
        """Write an unfinished line that has waited long enough, or anyway when `final`."""
        if not self._held:
            return
        if final or now >= self.partial_due() or len(self._held) >= MAX_HELD_BYTES:
            data = bytes(self._held)
            self._held.clear()
            self._held_since = None
            begins = 0 if self._open_line is not None else 1
            self._open_line = self._writer.write_output(
                self.name, data, lines=begins, continues=self._open_line, partial=True
            )

    def partial_due(self) -> float:
        """When an unfinished line must be written; infinity when there is none."""
        if self._held_since is None:
            return float("inf")
        return self._held_since + PARTIAL_AFTER_SECONDS

    def _write_chunk(self, chunk: bytes) -> None:
        """Write whole lines in frames of 64 KiB and 2,000 lines, longer only for one long line."""
        start = 0
        if self._open_line is not None:
            start = chunk.index(b"\n") + 1
            self._writer.write_output(self.name, chunk[:start], lines=0, continues=self._open_line)
            self._open_line = None
        while start < len(chunk):
            end = len(chunk)
            if end - start > FRAME_BYTES:
                end = chunk.rfind(b"\n", start, start + FRAME_BYTES) + 1
                if end <= start:
                    end = chunk.index(b"\n", start) + 1
            lines = chunk.count(b"\n", start, end)
            while lines > FRAME_LINES:
                full = _FRAME_OF_LINES.match(chunk, start, end)
                if full is None:
                    break
                self._writer.write_output(self.name, full.group(), lines=FRAME_LINES)
                start, lines = full.end(), lines - FRAME_LINES
            self._writer.write_output(self.name, chunk[start:end], lines=lines)
            start = end
