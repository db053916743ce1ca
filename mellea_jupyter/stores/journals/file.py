"""Journals in the run folders: history, live tail, search and download of one run's log.

Written by the runtime (docs/contributing/journal.md), read here as hostile input. There is no
index file: places are found by bisection, and everything else is a scan forwards or backwards
over frames, which become `Block`s of log lines.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from mellea_jupyter.exceptions import InvalidCursor
from mellea_jupyter.models.frames import LogFrame, LogPage
from mellea_jupyter.stores.journals import encode, lines, views
from mellea_jupyter.stores.journals.base import (
    EncodedBatch,
    JournalReader,
    JournalStore,
    LogQuery,
    Position,
)
from mellea_jupyter.stores.journals.folder import JournalFolder, Refused, is_plain_name
from mellea_jupyter.stores.journals.lines import Frame
from mellea_jupyter.stores.journals.views import Block

_CURSOR: Final = re.compile(r"(0|[1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,15})", re.ASCII)
_TEXT_CHUNK_BYTES: Final = 1 << 20
_MAX_OUTPUT_BYTES: Final = 16 << 20  # a segment: no frame holds more
_LINE_COST_BYTES: Final = 370  # what surrounds a message, in an event and in a JSON line together
_MAX_JUNK_BYTES: Final = 16 << 20  # of one call, without a frame in it
_MAX_SCAN_BYTES: Final = 512 << 20  # of one call of `read`, twice the default cap of a log


class FileJournalStore(JournalStore):
    """Journals at `root/<run_id>/journal`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, run_id: str, *, complete: bool = False) -> FileJournalReader:
        return FileJournalReader(self._root, run_id, complete=complete)

    def delete(self, run_id: str) -> None:
        if not is_plain_name(run_id):
            return
        journal = self._root / run_id / "journal"
        if journal.is_symlink():
            journal.unlink(missing_ok=True)
        elif journal.exists():
            shutil.rmtree(journal)


@dataclass(slots=True)
class _Gap:
    """Consecutive output frames whose bytes can not be read."""

    first: Frame
    lines: int
    size_bytes: int
    refused: bool

    @classmethod
    def of(cls, frame: Frame, *, refused: bool) -> _Gap:
        return cls(frame, frame["lines"], frame["length"], refused)

    def __add__(self, later: _Gap) -> _Gap:
        return _Gap(
            self.first,
            self.lines + later.lines,
            self.size_bytes + later.size_bytes,
            self.refused or later.refused,
        )

    def block(self) -> Block:
        return views.gap_block(
            self.first, lines=self.lines, size_bytes=self.size_bytes, refused=self.refused
        )


class _Filter:
    """Which lines of a log a query keeps."""

    def __init__(self, query: LogQuery) -> None:
        self._streams = query.streams
        self._levels = query.levels
        self._needle = (query.search or "").lower()
        self._raw_needle = self._needle.encode() if self._needle.isascii() else b""

    def may_hold(self, data: bytes) -> bool:
        """Whether a line of these raw bytes may match; spares most frames from being decoded."""
        return not self._raw_needle or self._raw_needle in data.lower()

    def keeps_block(self, block: Block) -> bool:
        """Whether the stream and level of the lines are wanted."""
        return (not self._streams or block.stream in self._streams) and (
            not self._levels or block.level in self._levels
        )

    def keeps(self, message: str) -> bool:
        """Whether the text is wanted."""
        return not self._needle or self._needle in message.lower()


_ALL: Final = _Filter(LogQuery())


class FileJournalReader(JournalReader):
    """One run's journal.

    `complete` says that nothing will be written any more (the run has ended). Then bytes that were
    captured and never framed, because the supervisor was killed between the two, are given as
    last lines with the metadata `{"recovered": true}`, and the log has ended where it stops.
    """

    def __init__(self, root: Path, run_id: str, *, complete: bool = False) -> None:
        self._folder = JournalFolder(root, run_id)
        self._complete = complete
        self._rest: list[Frame] | None = None

    def close(self) -> None:
        self._folder.close()

    def size(self) -> int:
        descriptor = self._descriptor()
        return 0 if descriptor is None else os.fstat(descriptor).st_size

    # Frames in order

    def read_frames(self, position: Position, *, limit_bytes: int = 1 << 20) -> list[Frame]:
        start = position.offset
        frames = []
        for frame in self._frames(position):
            frames.append(frame)
            if position.offset - start >= limit_bytes:
                break
        return frames

    def find_frame(self, seq: int) -> Frame | None:
        descriptor = self._descriptor()
        if descriptor is None:
            return None
        found = lines.find_last(descriptor, lambda frame: frame["seq"] <= seq)
        return found[1] if found is not None and found[1]["seq"] == seq else None

    def _frames(self, position: Position) -> Iterator[Frame]:
        """Frames after the position, which is behind each when it is given."""
        try:
            descriptor = self._folder.frames()
        except Refused:
            position.extra["bad"] = max(1, position.extra.get("bad", 0))
            return
        if descriptor is None:
            return
        last = position.offset
        for line, behind in lines.forward(descriptor, position.offset):
            frame = None if line is None else lines.parse(line)
            position.offset = behind
            # A damaged line took one number away; any other jump is nonsense.
            missing = position.extra.get("missing", 0)
            if frame is None or not position.seq < frame["seq"] <= position.seq + 1 + missing:
                position.extra["bad"] = position.extra.get("bad", 0) + 1
                position.extra["missing"] = missing + 1
                if behind - last > _MAX_JUNK_BYTES:
                    return
                continue
            last = behind
            position.extra.pop("missing", None)
            position.seq, position.line = frame["seq"], frame["line"] + _line_count(frame)
            if frame["kind"] == "end":
                position.extra["ended"] = True
            yield frame

    def _all_frames(
        self, position: Position, through_seq: int = lines.MAX_NUMBER
    ) -> Iterator[Frame]:
        """Frames as `_frames` gives them, then the recovered ones, up to the one of that number."""
        if position.seq >= through_seq:
            return
        for frame in self._frames(position):
            yield frame
            if position.seq >= through_seq:
                return
        for frame in self._recovered():
            if position.seq < frame["seq"] <= through_seq:
                position.seq, position.line = frame["seq"], frame["line"] + frame["lines"]
                yield frame

    # Log lines in order

    def read_encoded(
        self, position: Position, *, limit_bytes: int = 1 << 20, through_seq: int | None = None
    ) -> EncodedBatch | None:
        events, documents, count = [], [], 0
        first = last = ""
        through = lines.MAX_NUMBER if through_seq is None else through_seq
        for block in self._blocks(position, _ALL, limit_bytes, through):
            skip = _skipped(position, block.seq)
            event, document, added = encode.encode(block, skip)
            if added:
                events.append(event)
                documents.append(document)
                count += added
                first = first or f"{block.seq}.{skip + 1}"
                last = f"{block.seq}.{len(block.messages)}"
        if not count:
            return None
        return EncodedBatch(
            sse=b"".join(events),
            ndjson=b"".join(documents),
            lines=count,
            first=first,
            last=last,
        )

    def iter_ndjson(self) -> Iterator[bytes]:
        position = Position()
        while (batch := self.read_encoded(position)) is not None:
            yield batch.ndjson

    def _blocks(
        self,
        position: Position,
        filter_: _Filter,
        limit_bytes: int,
        through_seq: int = lines.MAX_NUMBER,
    ) -> Iterator[Block]:
        """Blocks after the position, until about `limit_bytes` were read or nothing is left.

        The position is behind each block when it is given, except that a block which comes
        after a gap is given right after the gap.
        """
        refused = self._refused()
        if refused is not None and not position.extra.get("refused"):
            position.extra["refused"] = True
            yield refused
        left = limit_bytes
        gap: _Gap | None = None
        before = position.offset
        for frame in self._all_frames(position, through_seq):
            left -= position.offset - before
            before = position.offset
            block = self._block(frame, filter_)
            if isinstance(block, _Gap):
                if not position.extra.get("in_gap"):
                    gap = block if gap is None else gap + block
                continue
            if block is not None:
                if gap is not None:
                    yield gap.block()
                gap = None
                position.extra.pop("in_gap", None)
                left -= _cost(frame)
                yield block
            if left <= 0 and gap is None:
                return
        position.extra["at_end"] = True
        if gap is not None:
            position.extra["in_gap"] = True
            yield gap.block()

    def _block(self, frame: Frame, filter_: _Filter) -> Block | _Gap | None:
        """A frame's log lines; a gap when its bytes are gone; None when it is not shown.

        A block whose lines the filter is known to drop comes without messages.
        """
        if frame["kind"] != "output":
            return views.event_block(frame)
        long_line = frame["lines"] <= 1 and frame["length"] > views.MAX_LINE_BYTES
        wanted = views.MAX_LINE_BYTES + 1 if long_line else min(frame["length"], _MAX_OUTPUT_BYTES)
        data, refused = self._bytes(frame["segment"], frame["offset"], wanted)
        if data is None:
            return _Gap.of(frame, refused=refused)
        if filter_.may_hold(data):
            return views.output_block(frame, data)
        return views.dropped_block(frame)

    def _bytes(self, segment: int, offset: int, length: int) -> tuple[bytes | None, bool]:
        """Bytes of a segment or None, and whether that is because it was refused."""
        try:
            return self._folder.read_segment(segment, offset, length), False
        except Refused:
            return None, True

    # Places

    def position_after(self, cursor: str | None) -> Position:
        if cursor is None:
            return Position()
        seq, k = self._parse(cursor, "after")
        if seq == 0:
            return Position(extra={"refused": True} if k else {})
        offset, frame, recovered = self._find(seq, "after")
        before = Position(seq=frame["seq"] - 1, offset=offset, line=frame["line"])
        if frame["seq"] != seq:  # that one is damaged, and the last before it was found
            behind = self._behind(before)
            behind.seq = seq
            return behind
        if not recovered and frame["kind"] == "output" and k:
            data, _ = self._bytes(frame["segment"], frame["offset"], 1)
            if data is None:
                behind = self._behind(before)
                behind.extra["in_gap"] = True
                return behind
        before.extra["skip"] = (seq, k)
        return before

    def _behind(self, position: Position) -> Position:
        """The position moved past its next frame."""
        next(self._frames(position), None)
        return position

    def _find(self, seq: int, field: str) -> tuple[int, Frame, bool]:
        """The frame of a cursor, or the last one before it: offset, frame, whether recovered."""
        descriptor = self._descriptor()
        if descriptor is None:
            raise _invalid(field)
        for frame in self._recovered():
            if frame["seq"] == seq:
                return os.fstat(descriptor).st_size, frame, True
        before = lines.find_last(descriptor, lambda frame: frame["seq"] < seq)
        start = offset = 0 if before is None else before[0]
        for line, behind in lines.forward(descriptor, offset):
            at = None if line is None else lines.parse(line)
            if at is not None and at["seq"] == seq:
                return offset, at, False
            if at is not None and at["seq"] > seq and before is not None:
                return (*before, False)  # the frame itself is damaged
            if behind - start > _MAX_JUNK_BYTES:
                break
            offset = behind
        raise _invalid(field)

    @staticmethod
    def _parse(cursor: str, field: str) -> tuple[int, int]:
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise _invalid(field)
        return int(match[1]), int(match[2])

    # Pages

    def read(self, query: LogQuery) -> LogPage:
        filter_ = _Filter(query)
        if query.tail is not None:
            return self._page_before(None, query.tail, filter_)
        if query.before is not None:
            return self._page_before(self._parse(query.before, "before"), query.limit, filter_)
        if query.line is not None:
            return self._page_from_line(query.line, query.limit, filter_)
        return self._page_after(self.position_after(query.after), query.limit, filter_, query.after)

    def _page_from_line(self, line: int, limit: int, filter_: _Filter) -> LogPage:
        descriptor = self._descriptor()
        found = None
        if descriptor is not None and line > 1:
            found = lines.find_last(descriptor, lambda frame: frame["line"] < line)
        if found is None:
            return self._page_after(Position(), limit, filter_, None, from_line=line)
        offset, frame = found
        position = Position(seq=frame["seq"] - 1, offset=offset, line=frame["line"])
        return self._page_after(position, limit, filter_, None, from_line=line)

    def _page_after(
        self, position: Position, limit: int, filter_: _Filter, reached: str | None,
        from_line: int = 1,
    ) -> LogPage:  # fmt: skip
        """Lines after a position; `reached` is its cursor."""
        kept: list[LogFrame] = []
        for block in self._blocks(position, filter_, _MAX_SCAN_BYTES):
            wanted = filter_.keeps_block(block)
            skip = _skipped(position, block.seq)
            for index in range(skip, len(block.messages)):
                if block.first_line + index < from_line:
                    continue
                if len(kept) >= limit:
                    return LogPage(frames=tuple(kept), next=reached)
                reached = f"{block.seq}.{index + 1}"
                if wanted and filter_.keeps(block.messages[index]):
                    kept.append(block.log_frame(index))
            if block.dropped_lines > skip:
                reached = f"{block.seq}.{block.dropped_lines}"
        extra = position.extra
        ended = bool(extra.get("ended") or (self._complete and extra.get("at_end")))
        return LogPage(frames=tuple(kept), next=reached, ended=ended)

    def _page_before(self, cursor: tuple[int, int] | None, limit: int, filter_: _Filter) -> LogPage:
        """The last lines before a cursor (None: of the log), in order."""
        kept: list[LogFrame] = []
        reached: str | None = None
        end: dict[str, bool] = {}
        for block in self._blocks_before(cursor, filter_, end):
            wanted = filter_.keeps_block(block)
            count = len(block.messages)
            if cursor is not None and block.seq == cursor[0]:
                count = min(count, max(cursor[1] - 1, 0))
            if count:
                reached = reached or f"{block.seq}.{count}"
            for index in reversed(range(count)):
                if len(kept) < limit and wanted and filter_.keeps(block.messages[index]):
                    kept.append(block.log_frame(index))
            if len(kept) >= limit:
                break
        ended = cursor is None and (self._complete or end.get("ended", False))
        return LogPage(frames=tuple(reversed(kept)), next=reached, ended=ended)

    def _blocks_before(
        self, cursor: tuple[int, int] | None, filter_: _Filter, end: dict[str, bool]
    ) -> Iterator[Block]:
        """Blocks backwards, beginning with the one of the cursor; `end` notes an end frame."""
        refused = self._refused()
        if refused is not None and cursor is None:
            yield refused
        gap: _Gap | None = None
        left = _MAX_SCAN_BYTES
        for frame in self._frames_before(cursor):
            end["ended"] = end.get("ended", False) or frame["kind"] == "end"
            block = self._block(frame, filter_)
            left -= _cost(frame)
            if isinstance(block, _Gap):
                if cursor is None or (frame["seq"], 1) < cursor:
                    gap = block if gap is None else block + gap
            elif block is not None:
                if gap is not None:
                    yield gap.block()
                gap = None
                yield block
            if left <= 0 and gap is None:
                return
        if gap is not None:
            yield gap.block()

    def _frames_before(self, cursor: tuple[int, int] | None) -> Iterator[Frame]:
        descriptor = self._descriptor()
        if descriptor is None:
            return
        offset = os.fstat(descriptor).st_size
        following = lines.MAX_NUMBER
        recovered: list[Frame] = self._recovered()
        if cursor is not None:
            if cursor[0] == 0:
                return
            offset, frame, is_recovered = self._find(cursor[0], "before")
            recovered = [f for f in recovered if f["seq"] < cursor[0]] if is_recovered else []
            following = frame["seq"]
            yield frame
        for frame in chain(reversed(recovered), _parsed_backward(descriptor, offset)):
            if frame["seq"] < following:
                following = frame["seq"]
                yield frame

    # Download

    def iter_text(self) -> Iterator[bytes]:
        buffer = bytearray()
        in_gap = False
        for frame in self._all_frames(Position()):
            if frame["kind"] == "record" and frame.get("stream") in ("stdout", "stderr"):
                buffer += str(frame.get("message", "")).encode() + b"\n"
            elif frame["kind"] == "output":
                offset, left = frame["offset"], frame["length"]
                while left > 0:
                    part = min(left, _TEXT_CHUNK_BYTES)
                    data, _ = self._bytes(frame["segment"], offset, part)
                    if data is None and not in_gap:
                        buffer += b"\n[output is missing here]\n"
                    in_gap = data is None
                    buffer += data or b""
                    if not data:
                        break
                    offset, left = offset + len(data), left - len(data)
                    while len(buffer) >= _TEXT_CHUNK_BYTES:
                        yield bytes(buffer[:_TEXT_CHUNK_BYTES])
                        del buffer[:_TEXT_CHUNK_BYTES]
        while buffer:
            yield bytes(buffer[:_TEXT_CHUNK_BYTES])
            del buffer[:_TEXT_CHUNK_BYTES]

    # What was captured and never framed

    def _recovered(self) -> list[Frame]:
        """Output frames made up for bytes after the last frame's range; none while it may grow."""
        descriptor = self._descriptor() if self._complete else None
        if descriptor is None:
            return []
        if self._rest is None:
            self._rest = self._find_rest(descriptor)
        return self._rest

    def _find_rest(self, descriptor: int) -> list[Frame]:
        last: Frame | None = None
        for frame in _parsed_backward(descriptor, os.fstat(descriptor).st_size):
            if frame["kind"] == "end":
                return []
            last = last or frame
            if frame["kind"] == "output":
                return list(self._frames_of_rest(last, frame))
        return list(self._frames_of_rest(last, None)) if last is not None else []

    def _frames_of_rest(self, last: Frame, output: Frame | None) -> Iterator[Frame]:
        segment, offset = 0, 0
        partial = False
        if output is not None:
            segment, offset = output["segment"], output["offset"] + output["length"]
            partial = output.get("partial") is True
        made = {"v": 1, "t": last["t"], "kind": "output", "stream": "stdout", "recovered": True}
        seq, line = last["seq"], last["line"] + _line_count(last)
        for number in (segment, segment + 1):  # the supervisor may just have begun a new one
            data, _ = self._bytes(number, offset, _MAX_OUTPUT_BYTES)
            if data is None:
                return
            if data and partial and output is not None:
                ending = data.find(b"\n") + 1
                length = ending or len(data)
                seq += 1
                yield {**made, "seq": seq, "line": line, "segment": number, "offset": offset,
                       "length": length, "lines": 0, "first_line": _last_line(output),
                       "continues": True, "partial": not ending}  # fmt: skip
                data, offset, partial = data[length:], offset + length, not ending
            for piece in _pieces(data):
                unfinished = not piece.endswith(b"\n")
                count = piece.count(b"\n") + unfinished
                seq += 1
                yield {**made, "seq": seq, "line": line, "segment": number, "offset": offset,
                       "length": len(piece), "lines": count, "first_line": line + 1,
                       "partial": unfinished}  # fmt: skip
                line += count
                offset += len(piece)
            offset = 0

    def _descriptor(self) -> int | None:
        try:
            return self._folder.frames()
        except Refused:
            return None

    def _refused(self) -> Block | None:
        try:
            self._folder.frames()
        except Refused as error:
            return views.refusal_block(str(error))
        return None


def _line_count(frame: Frame) -> int:
    count = frame.get("lines", 0)
    return int(count) if lines.is_count(count) else 0


def _cost(frame: Frame) -> int:
    """About how many bytes it takes to show a frame, as events and as JSON lines together."""
    length = min(int(frame["length"]), _MAX_OUTPUT_BYTES) if frame["kind"] == "output" else 0
    return 256 + length + _LINE_COST_BYTES * min(_line_count(frame), _MAX_OUTPUT_BYTES)


def _skipped(position: Position, seq: int) -> int:
    """How many lines of this frame come before the position."""
    at, k = position.extra.get("skip", (0, 0))
    return k if at == seq else 0


def _pieces(data: bytes) -> Iterator[bytes]:
    """Whole lines in pieces of 64 KiB, longer only for one long line; the last may have no end."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + lines.MAX_FRAME_BYTES) + 1
        end = end or data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _last_line(output: Frame) -> int:
    """The number of the last line that an output frame holds a part of."""
    return int(output["first_line"]) + max(int(output["lines"]) - 1, 0)


def _parsed_backward(descriptor: int, end: int) -> Iterator[Frame]:
    last = end
    for line, offset in lines.backward(descriptor, end):
        frame = None if line is None else lines.parse(line)
        if frame is not None:
            last = offset
            yield frame
        elif last - offset > _MAX_JUNK_BYTES:
            return


def _invalid(field: str) -> InvalidCursor:
    return InvalidCursor(field, "not a cursor of this log", hint="Read from the beginning.")
