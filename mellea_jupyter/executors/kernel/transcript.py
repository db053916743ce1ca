"""What a kernel says, as it goes into the run: log, events, notebook, displays."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mellea_jupyter.executors.kernel.cells import Cells
from mellea_jupyter.executors.kernel.outputs import Displays
from mellea_jupyter.runtime.capture import StreamCapture
from mellea_jupyter.runtime.control import PROGRAM_KINDS
from mellea_jupyter.runtime.frames import FrameWriter
from mellea_jupyter.runtime.redaction import Redactor
from mellea_jupyter.runtime.spec import RunSpec

MAX_LAST_WORDS_BYTES: Final = 64 * 1024
_NOISE: Final = "[IPKernelApp] WARNING | Kernel is running over TCP without encryption."
"""Of every kernel whose server is not set to encrypt (`MappingKernelManager`)."""


class Transcript:
    """Takes the messages of one run's kernel.

    Args:
        spec: the run.
        writer: the journal.
        redactor: masks secret values in what does not go through the journal.

    Attributes:
        cells: keep what is shown in them; None before they have been read.
        recorded_events: number of the last event of the runtime in the kernel.
        missed_events: how many did not come, or were none.
    """

    def __init__(self, spec: RunSpec, writer: FrameWriter, redactor: Redactor) -> None:
        self._run_dir = spec.run_dir
        self._writer = writer
        self._displays = Displays(Path(spec.output_dir), redactor)
        self._streams = {name: StreamCapture(name, None, writer) for name in ("stdout", "stderr")}
        self.cells: Cells | None = None
        self.recorded_events = 0
        self.missed_events = 0

    def show(self, message: Mapping[str, Any], number: int) -> None:
        """Take what the program shows in a cell into the log, the notebook and the run's files."""
        kind, content = message["msg_type"], message["content"]
        if number and self.cells is not None:
            self.cells.add(number, message)
        if kind == "stream":
            self._take("stderr" if content["name"] == "stderr" else "stdout", content["text"])
        elif kind in {"display_data", "execute_result", "update_display_data"}:
            if kind != "update_display_data" and (text := content["data"].get("text/plain")):
                self._take("stdout", f"{text}\n")
            display_id = (content.get("transient") or {}).get("display_id")
            self._displays.keep(number, content["data"], display_id)
        elif kind == "error":
            self._take("stderr", "\n".join([*content["traceback"], ""]))

    def record_event(self, content: Mapping[str, Any]) -> None:
        """Write an event of the runtime in the kernel; a jump in its number is a gap."""
        number = int(content["number"])
        missing = number - self.recorded_events - 1
        self.recorded_events = number
        if missing > 0:
            self.missed_events += missing
            self._writer.write("gap", bytes=0, gap_lines=0, events=missing, reason="unheard")
        fields = json.loads(content["event"])
        kind = fields.pop("kind")
        if kind not in PROGRAM_KINDS:
            self.missed_events += 1
            return
        self._write_lines()
        self._writer.write(kind, **fields)

    def _take(self, name: str, text: str) -> None:
        stream = self._streams[name]
        stream.take(text.encode("utf-8", "replace"))
        stream.write_lines(time.monotonic())

    def _write_lines(self) -> None:
        now = time.monotonic()
        for stream in self._streams.values():
            stream.write_lines(now)

    def write_partial(self, now: float) -> None:
        """Write unfinished lines that have waited long enough (`now`: monotonic)."""
        for stream in self._streams.values():
            stream.write_partial(now)

    def flush(self) -> None:
        """Write all that there is, lines or not; and of displays that were too many, that."""
        self._write_lines()
        for stream in self._streams.values():
            stream.write_partial(time.monotonic(), final=True)
        if self._displays.skipped:
            message = f"{self._displays.skipped} displays were not kept: there are too many."
            self._writer.write("system", level="warn", message=message)

    def add_last_words(self) -> None:
        """What a kernel that died wrote past its channels, e.g. a crash's own report."""
        try:
            with Path(self._run_dir, "supervisor.log").open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - MAX_LAST_WORDS_BYTES))
                words = file.read()
        except OSError:
            return
        for line in words.decode("utf-8", "replace").splitlines(keepends=True):
            if not line.startswith(_NOISE):
                self._take("stderr", line)
