"""A run under way: its real journal, and the hub that follows it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.runtime.frames import FrameWriter
from mellea_jupyter.service.log_hub import LogHub, LogSubscription
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.journals.base import JournalStore
from mellea_jupyter.stores.journals.file import FileJournalStore

DEADLINE_SECONDS = 20.0


class Scene:
    """A run, what its supervisor writes, and who follows the log."""

    def __init__(self, root: Path, journals: JournalStore | None = None, **limits: int) -> None:
        self.journal = root / "run" / "journal"
        self.journal.mkdir(parents=True)
        self.writer: FrameWriter | None = FrameWriter(str(self.journal), 256 << 20)
        self.journals = journals or FileJournalStore(root)
        self.offload = Offload()
        self.hub = LogHub(
            journals=self.journals, offload=self.offload, get_run=self._get_run, **limits
        )
        self._run = _run(RunStatus.RUNNING)

    async def _get_run(self, run_id: str) -> Run:
        return self._run

    def output(self, *lines: str) -> None:
        """The program prints; one frame."""
        assert self.writer is not None
        data = "".join(f"{line}\n" for line in lines).encode()
        self.writer.write_output("stdout", data, lines=len(lines))

    def unseen(self) -> None:
        """A frame that is not shown in the log."""
        assert self.writer is not None
        self.writer.write("usage", rss_mb=1.0)

    def end(self) -> None:
        """The program ends well, and so does the run."""
        assert self.writer is not None
        self.writer.write_end(exit_code=0, signal=None, reason="exit_code", started=True)
        self.run_ended(RunStatus.SUCCEEDED)

    def lose(self, *captured: str) -> None:
        """The supervisor is killed after it captured lines and before it framed them."""
        with (self.journal / "output.000").open("ab") as file:
            file.write("".join(f"{line}\n" for line in captured).encode())
        self.run_ended(RunStatus.FAILED)

    def run_ended(self, status: RunStatus) -> None:
        """The run has its final status, whatever was written."""
        self._close_writer()
        self._run = _run(status)
        self.hub.run_changed(self._run)

    def history(self) -> list[dict[str, Any]]:
        """All lines of the log, as the API gives them."""
        with self.journals.open("run", complete=self._run.is_terminal) as reader:
            lines = b"".join(reader.iter_ndjson()).splitlines()
        return [orjson.loads(line) for line in lines]

    def close(self) -> None:
        """Close what is open; nobody follows any more."""
        self.offload.close()
        self._close_writer()

    def _close_writer(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def _run(status: RunStatus) -> Run:
    return Run(
        id="run",
        asset_id="a",
        asset_version="1",
        owner_id="ann",
        config=RunConfig(),
        status=status,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


@dataclass
class Client:
    """Reads one subscription and remembers what it got."""

    subscription: LogSubscription
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]

    async def read(self, timeout_seconds: float = 0.5) -> None:
        """What comes next, if anything."""
        batch = await self.subscription.next(timeout_seconds)
        if batch is not None:
            found = [orjson.loads(line) for line in batch.ndjson.splitlines()]
            assert (batch.lines, batch.last) == (len(found), found[-1]["cursor"])
            ids = [part.split(b"\n")[0] for part in batch.sse.split(b"\n\n") if part]
            assert ids == [f"id: {line['cursor']}".encode() for line in found]
            self.lines += found

    async def read_lines(self, count: int) -> list[str]:
        """Wait for at least so many lines in all; their messages."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self.lines) < count and self.subscription.ended is None:
                await self.read()
        return self.messages

    async def read_to_end(self) -> list[str]:
        """Wait for the end of the log; all messages."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while self.subscription.ended is None:
                await self.read()
        return self.messages


def open_files() -> int:
    """Descriptors of this process that lead to files or folders."""
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            links.append(str(entry.readlink()))
    return sum(link.startswith("/") and not link.startswith("/dev") for link in links)
