"""Write a run's journal: raw output segments and `frames.ndjson` (docs/contributing/journal.md).

One writer a run. Nothing here ever raises because the disk is full: what does not fit is counted
and told in a `gap` frame as soon as there is space again.
"""

from __future__ import annotations

import json
import math
import os
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from .redaction import Redactor

WIRE_VERSION = 1
MAX_FRAME_BYTES = 64 * 1024
MAX_SEGMENT_BYTES = 16 * 1024 * 1024
RESERVE_BYTES = 128 * 1024
RETRY_FULL_DISK_SECONDS = 0.25
ENOUGH_SPACE_BYTES = 2 * RESERVE_BYTES
END_RETRY_SECONDS = 10.0

ONE_LINE_KINDS = frozenset(
    ("call_finished", "call_failed", "loop_ended", "degraded", "budget", "gap", "stop", "system")
)
"""Kinds that are shown in the log as exactly one line; a gap made by the cap is not."""

ESSENTIAL_KINDS = frozenset(("started", "program", "exception", "gap", "stop", "end"))
"""Kinds for which the reserve is given back when the disk is full."""

RESERVED_FIELDS = ("v", "seq", "t", "line", "kind", "lines")


def encode(value: Dict[str, Any], limit: int) -> bytes:
    """One JSON object without newline, at most `limit` bytes.

    What JSON cannot hold becomes text, numbers that are not finite become null, lone surrogates
    `?`. An object that is too long loses the ends of its longest texts and gets `truncated: true`.
    """
    data = _dump(value)
    if len(data) <= limit:
        return data
    for longest in (16384, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 16):
        data = _dump({**_cut(value, longest), "truncated": True})
        if len(data) <= limit:
            return data
    scalars = {k: v for k, v in value.items() if isinstance(v, (str, int, float, type(None)))}
    return _dump({**_cut(scalars, 16), "truncated": True})


def _dump(value: Dict[str, Any]) -> bytes:
    try:
        text = _encode_strict(value)
    except (ValueError, RecursionError):  # NaN or an infinity, or a cycle
        text = _encode_strict(_finite(value, 0))
    return text.encode("utf-8", "replace")


_encode_strict = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    check_circular=False,  # a cycle ends in RecursionError, which `_dump` knows
    separators=(",", ":"),
    default=str,
).encode


def _finite(value: Any, depth: int) -> Any:
    if depth > 20:
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else value[:longest] + "…"
    if isinstance(value, dict):
        return {key: _cut(item, longest) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cut(item, longest) for item in value[: longest // 4]]
    return value


class _Segment(NamedTuple):
    number: int
    size_bytes: int
    lines: int


class FrameWriter:
    """The journal's only writer.

    Args:
        journal_dir: Existing folder; `frames.ndjson` must not exist in it.
        cap_bytes: Output kept at most; above it whole segments leave the middle.
        now: Wall clock, Unix seconds.
        redactor: Masks secret values in everything that is written.
        resume: Go on with a journal that has no end, after its writer has died.

    Attributes:
        last_written_at: When the last frame before a resumption was written, Unix seconds.

    Raises:
        FileExistsError: The folder already has a journal: the run was launched before; or it has
            its end, when it is to be resumed.
        OSError: The files cannot be created, or opened to resume.
    """

    def __init__(
        self,
        journal_dir: str,
        cap_bytes: int,
        *,
        now: Callable[[], float] = time.time,
        redactor: Optional[Redactor] = None,
        resume: bool = False,
    ) -> None:
        self._now = now
        self._redactor = redactor or Redactor()
        self._cap_bytes = cap_bytes
        self._segment_bytes = min(MAX_SEGMENT_BYTES, max(cap_bytes // 16, 4096))
        self._dir = os.open(journal_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._frames_size = 0
        self._record_bytes = 0
        self._closed_segments: List[_Segment] = []
        self._segment_index = 0
        self._segment_size = 0
        self._segment_lines = 0
        self._full_until: Optional[float] = None
        self._lost = {"disk_full": [0, 0], "dropped": [0, 0]}  # reason: bytes, lines
        self.seq = 0
        self.line = 0
        self.last_written_at = 0.0
        if resume:
            self._resume()
        else:
            self._frames = self._create("frames.ndjson")
            self._segment = self._create("output.000")
        self._make_reserve()

    def _resume(self) -> None:
        """Take up where the last whole frame is; a torn one goes, bytes without one get theirs."""
        self._frames = self._reopen("frames.ndjson")
        sizes: Dict[int, List[int]] = {0: [0, 0]}  # segment: bytes, lines
        with os.fdopen(os.dup(self._frames), "rb") as file:
            for data in file:
                if not data.endswith(b"\n"):
                    break
                self._frames_size += len(data)
                try:
                    self._count(json.loads(data), len(data), sizes)
                except (ValueError, TypeError, KeyError, AttributeError):
                    self.seq += 1  # no frame of ours: a reader counts it as one
        os.ftruncate(self._frames, self._frames_size)
        self._segment_index = max(sizes)
        self._segment_size, self._segment_lines = sizes.pop(self._segment_index)
        self._closed_segments = [_Segment(n, *sizes[n]) for n in sorted(sizes)]
        self._segment = self._reopen(f"output.{self._segment_index:03d}")
        orphans = os.pread(self._segment, MAX_SEGMENT_BYTES, self._segment_size)
        os.ftruncate(self._segment, self._segment_size)
        if orphans:
            lines = orphans.count(b"\n") + (not orphans.endswith(b"\n"))
            self.write_output("stdout", orphans, lines=lines)

    def _count(self, frame: Dict[str, Any], length: int, sizes: Dict[int, List[int]]) -> None:
        if frame["kind"] == "end":
            raise FileExistsError("the journal has its end")
        self.seq = int(frame["seq"])
        self.line = int(frame["line"]) + int(frame.get("lines", 0))
        self.last_written_at = float(frame["t"])
        if frame["kind"] != "output":
            self._record_bytes += length
            return
        counted = sizes.setdefault(int(frame["segment"]), [0, 0])
        counted[0] = int(frame["offset"]) + int(frame["length"])
        counted[1] += int(frame["lines"])

    # -- frames ---------------------------------------------------------------------------

    def write(self, kind: str, **fields: Any) -> bool:
        """Append one frame; False when it had to be dropped (it is then part of the next gap)."""
        shown = _shown_lines(kind, fields)
        for name in RESERVED_FIELDS:
            fields.pop(name, None)
        fields = self._redactor.fields(kind, fields)
        essential = kind in ESSENTIAL_KINDS
        if not essential:
            if self._record_bytes > self._cap_bytes:  # frames of a program that never stops
                self._lose("dropped", 0, shown)
                return False
            if not self._can_write():
                self._lose("disk_full", 0, shown)
                return False
        if self._append_frame(kind, fields, shown) or (
            essential and self._release_reserve() and self._append_frame(kind, fields, shown)
        ):
            return True
        if not essential:
            self._lose("disk_full", 0, shown)
        return False

    def write_end(self, **fields: Any) -> bool:
        """The last frame. Waits a while for space, since without it the run looks lost."""
        give_up = time.monotonic() + END_RETRY_SECONDS
        while True:
            self._report_lost()
            if self.write("end", **fields):
                return True
            if time.monotonic() > give_up:
                return False
            time.sleep(0.1)

    def write_output(
        self,
        stream: str,
        data: bytes,
        *,
        lines: int,
        continues: Optional[int] = None,
        partial: bool = False,
    ) -> Optional[int]:
        """Append captured bytes, then the frame that names them.

        Args:
            stream: `stdout` or `stderr`.
            data: The bytes as they were captured.
            lines: Lines that begin in `data`.
            continues: The first line's number when it began in an earlier frame.
            partial: The last line has no newline yet.

        Returns:
            The number of the first line, or None when the bytes were lost to a full disk.
        """
        data = self._redactor.data(data)
        if self._segment_size and self._segment_size + len(data) > self._segment_bytes:
            self._roll(len(data))
        if not self._can_write() or not self._append(self._segment, self._segment_size, data):
            self._lose("disk_full", len(data), lines)
            return None
        first_line = self.line + 1 if continues is None else continues
        fields: Dict[str, Any] = {
            "stream": stream,
            "segment": self._segment_index,
            "offset": self._segment_size,
            "length": len(data),
            "first_line": first_line,
        }
        if partial:
            fields["partial"] = True
        if continues is not None:
            fields["continues"] = True
        if not self._append_frame("output", fields, lines, always_lines=True):
            os.ftruncate(self._segment, self._segment_size)
            self._lose("disk_full", len(data), lines)
            return None
        self._segment_size += len(data)
        self._segment_lines += lines
        return first_line

    def close(self) -> None:
        """Close the files. The reserve is removed: it has no use after the end."""
        self._release_reserve()
        for descriptor in (self._segment, self._frames, self._dir):
            os.close(descriptor)

    def _append_frame(
        self, kind: str, fields: Dict[str, Any], lines: int, *, always_lines: bool = False
    ) -> bool:
        frame: Dict[str, Any] = {
            "v": WIRE_VERSION,
            "seq": self.seq + 1,
            "t": round(self._now(), 3),
            "line": self.line,
            "kind": kind,
            **fields,
        }
        if lines or always_lines:
            frame["lines"] = lines
        data = encode(frame, MAX_FRAME_BYTES - 1) + b"\n"
        if not self._append(self._frames, self._frames_size, data):
            return False
        self._frames_size += len(data)
        if kind != "output":
            self._record_bytes += len(data)
        self.seq += 1
        self.line += lines
        return True

    # -- the cap --------------------------------------------------------------------------

    def _roll(self, incoming_bytes: int) -> None:
        """Begin the next segment; the oldest ones behind the head go until it fits the cap."""
        try:
            following = self._create(f"output.{self._segment_index + 1:03d}")
        except OSError:
            return  # no inode left: the current segment grows on
        os.close(self._segment)
        self._closed_segments.append(
            _Segment(self._segment_index, self._segment_size, self._segment_lines)
        )
        self._segment = following
        self._segment_index += 1
        self._segment_size = self._segment_lines = 0
        kept = sum(segment.size_bytes for segment in self._closed_segments)
        while kept + max(self._segment_bytes, incoming_bytes) > self._cap_bytes:
            victim = self._first_behind_head()
            if victim is None:
                return
            self._closed_segments.remove(victim)
            kept -= victim.size_bytes
            try:
                os.unlink(f"output.{victim.number:03d}", dir_fd=self._dir)
            except OSError:
                pass  # the program was there before us; its reader sees what is left
            self.write(
                "gap",
                bytes=victim.size_bytes,
                gap_lines=victim.lines,
                reason="cap",
                segments=[victim.number, victim.number],
            )

    def _first_behind_head(self) -> Optional[_Segment]:
        before = 0
        for segment in self._closed_segments:
            if before >= self._cap_bytes // 4:
                return segment
            before += segment.size_bytes
        return None

    # -- a full disk ----------------------------------------------------------------------

    def _can_write(self) -> bool:
        """Whether to try: yes, unless the disk was full a moment ago. Reports what was lost."""
        if self._full_until is not None:
            now = time.monotonic()
            if now < self._full_until:
                return False
            status = os.fstatvfs(self._dir)
            if status.f_bavail * status.f_frsize < ENOUGH_SPACE_BYTES:
                self._full_until = now + RETRY_FULL_DISK_SECONDS
                return False
            self._full_until = None
            if self._report_lost():
                self._make_reserve()
        return self._full_until is None

    def _lose(self, reason: str, size_bytes: int, lines: int) -> None:
        counted = self._lost[reason]
        counted[0] += size_bytes
        counted[1] += lines
        if reason == "disk_full" and self._full_until is None:
            self._full_until = time.monotonic() + RETRY_FULL_DISK_SECONDS

    def _report_lost(self) -> bool:
        for reason, counted in self._lost.items():
            if counted != [0, 0]:
                fields = {"bytes": counted[0], "gap_lines": counted[1], "reason": reason}
                if not self._append_frame("gap", fields, 1):
                    self._full_until = time.monotonic() + RETRY_FULL_DISK_SECONDS
                    return False
                counted[:] = [0, 0]
        return True

    def _append(self, descriptor: int, size: int, data: bytes) -> bool:
        """All of `data` at the end of a file of `size` bytes, or none of it."""
        view = memoryview(data)
        done = 0
        try:
            while done < len(view):
                done += os.write(descriptor, view[done:])
        except OSError:
            if done:
                os.ftruncate(descriptor, size)
            return False
        return True

    def _reopen(self, name: str) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=self._dir)

    def _create(self, name: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=self._dir)

    def _make_reserve(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open("reserve", flags, 0o600, dir_fd=self._dir)
        except OSError:
            return
        try:
            os.write(descriptor, bytes(RESERVE_BYTES))
        except OSError:
            pass  # half a reserve is better than none
        finally:
            os.close(descriptor)

    def _release_reserve(self) -> bool:
        try:
            os.unlink("reserve", dir_fd=self._dir)
        except OSError:
            return False
        return True


def _shown_lines(kind: str, fields: Dict[str, Any]) -> int:
    """How many log lines a frame of this kind takes."""
    if kind == "gap" and fields.get("reason") == "cap":
        return 0  # the reader shows one gap where the removed segments were
    if kind in ONE_LINE_KINDS:
        return 1
    if kind == "record":
        return str(fields.get("message", "")).count("\n") + 1
    return 0
