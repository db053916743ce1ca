"""Whole lines of `frames.ndjson`, forwards, backwards and by bisection, and what a frame is.

The file is its own index (docs/contributing/journal.md): each frame carries its `seq` and the
number of log lines before it, and both only grow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson

Frame = dict[str, Any]

MAX_FRAME_BYTES: Final = 64 * 1024
MAX_FRAME_LINES: Final = 64 * 1024
"""Of output; a frame with more than one line has at most 64 KiB of it."""
_CHUNK_BYTES: Final = 4 * MAX_FRAME_BYTES
MAX_NUMBER: Final = 1 << 53
_MAX_TIME: Final = 253_402_300_800  # the year 10000


def parse(line: bytes) -> Frame | None:
    """The frame in a line, or None when it is not a well-formed one."""
    try:
        frame = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if type(frame) is not dict or frame.get("v") != 1 or type(frame.get("kind")) is not str:
        return None
    t = frame.get("t")
    if not (type(t) is float or type(t) is int) or not 0 <= t < _MAX_TIME:
        return None
    if not is_count(frame.get("seq")) or not is_count(frame.get("line")) or frame["seq"] == 0:
        return None
    return frame if frame["kind"] != "output" or _is_output(frame) else None


def is_count(value: object) -> bool:
    """Whether a value is a whole number from 0 to 2^53."""
    return type(value) is int and 0 <= value <= MAX_NUMBER


def _is_output(frame: Frame) -> bool:
    return (
        frame.get("stream") in ("stdout", "stderr")
        and all(
            is_count(frame.get(name))
            for name in ("segment", "offset", "length", "lines", "first_line")
        )
        and frame["lines"] <= MAX_FRAME_LINES
    )


def forward(descriptor: int, offset: int) -> Iterator[tuple[bytes | None, int]]:
    """Whole lines from an offset on, each with the offset behind it.

    None stands for a stretch that is too long to be a frame. Ends before a line that has no
    newline yet.
    """
    while data := os.pread(descriptor, _CHUNK_BYTES, offset):
        whole = data.rfind(b"\n")
        if whole < 0:
            if len(data) < _CHUNK_BYTES:
                return
            offset += len(data)
            yield None, offset
            continue
        for line in data[:whole].split(b"\n"):
            offset += len(line) + 1
            yield (line if len(line) <= MAX_FRAME_BYTES else None), offset


def backward(descriptor: int, end: int) -> Iterator[tuple[bytes | None, int]]:
    """Whole lines before an offset, last first, each with its own offset.

    None stands for a stretch that is too long to be a frame.
    """
    while end > 0:
        start = max(0, end - _CHUNK_BYTES)
        data = os.pread(descriptor, end - start, start)
        whole = data.rfind(b"\n") + 1
        begin = data.find(b"\n") + 1 if start else 0  # the first line began before `start`
        if begin == whole:
            if whole in (0, end - start):
                yield None, start
            end = start if whole == end - start else start + whole
            continue
        offset = start + whole
        for line in reversed(data[begin : whole - 1].split(b"\n")):
            offset -= len(line) + 1
            yield (line if len(line) <= MAX_FRAME_BYTES else None), offset
        end = start + begin


def find_last(descriptor: int, is_before: Callable[[Frame], bool]) -> tuple[int, Frame] | None:
    """The last frame for which `is_before` holds, with its offset; it holds for none after it."""
    low, high = 0, os.fstat(descriptor).st_size
    found = None
    while low < high:
        middle = (low + high) // 2
        probe = _first_frame(descriptor, middle, high)
        if probe is None or not is_before(probe[1]):
            high = middle
        else:
            found = probe[:2]
            low = probe[2]
    return found


def _first_frame(descriptor: int, start: int, stop: int) -> tuple[int, Frame, int] | None:
    """The first frame that begins in `start … stop`: its offset, itself, and the offset behind."""
    if start:
        aligned = next(forward(descriptor, start - 1), None)
        if aligned is None:
            return None
        start = aligned[1]
    nearby = start + _CHUNK_BYTES  # give up on a long stretch without any frame
    for line, behind in forward(descriptor, start):
        if start >= stop or start > nearby:
            return None
        frame = None if line is None else parse(line)
        if frame is not None:
            return start, frame, behind
        start = behind
    return None
