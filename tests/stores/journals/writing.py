"""Writes journals as docs/contributing/journal.md describes them, for tests of readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class JournalWriter:
    """Appends output and frames to `root/<run_id>/journal`."""

    def __init__(self, root: Path, run_id: str = "run", *, segment_bytes: int = 16 << 20) -> None:
        self.folder = root / run_id / "journal"
        self.folder.mkdir(parents=True)
        self.frames = self.folder / "frames.ndjson"
        self.frames.touch()
        self.seq = self.line = self.segment = self.offset = 0
        self._segment_bytes = segment_bytes
        self._open_line: dict[str, int] = {}

    def output(self, data: bytes, stream: str = "stdout") -> None:
        """Capture bytes: a continuation of an open line and then a run of lines."""
        if stream in self._open_line:
            end = data.find(b"\n") + 1 or len(data)
            self._write(data[:end], stream, continues=True)
            data = data[end:]
        if data:
            self._write(data, stream, continues=False)

    def _write(self, data: bytes, stream: str, *, continues: bool) -> None:
        if self.offset and self.offset + len(data) > self._segment_bytes:
            self.segment, self.offset = self.segment + 1, 0
        place = {"segment": self.segment, "offset": self.offset, "length": len(data)}
        self.raw(data)
        partial = not data.endswith(b"\n")
        lines = 0 if continues else data.count(b"\n") + partial
        first = self._open_line[stream] if continues else self.line + 1
        flags = {k: True for k, v in (("partial", partial), ("continues", continues)) if v}
        self.frame("output", stream=stream, **place, lines=lines, first_line=first, **flags)
        self._open_line.pop(stream, None)
        if partial:
            self._open_line[stream] = first if continues else self.line

    def raw(self, data: bytes) -> None:
        """Bytes in the segment without a frame, as a killed supervisor leaves them."""
        with (self.folder / f"output.{self.segment:03d}").open("ab") as file:
            file.write(data)
        self.offset += len(data)

    def frame(self, kind: str, **fields: Any) -> None:
        """Any frame, with the next `seq`."""
        self.seq += 1
        head = {"v": 1, "seq": self.seq, "t": 1_760_000_000.5 + self.seq, "line": self.line}
        self.line += fields.get("lines", 0)
        self.text(json.dumps({**head, "kind": kind, **fields}) + "\n")

    def text(self, text: str) -> None:
        """Anything at the end of `frames.ndjson`."""
        with self.frames.open("a", encoding="utf-8") as file:
            file.write(text)

    def end(self) -> None:
        """The end frame of a program that ended well."""
        self.frame("end", exit_code=0, signal=None, reason="exit_code", started=True)
