"""The contract of journal readers: history and live are the same call.

Writers are the runtime's business (docs/contributing/journal.md). Readers are synchronous, hold
only what a call needs, and treat everything they read as hostile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from mellea_jupyter.models.frames import LogLevel, LogPage, LogStream


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What part of a log, and which of its lines.

    At most one of `after`, `before`, `tail`, `line` is given; with none, from the beginning.
    `stream`, `level` and `search` (text, case-insensitive) drop lines; `limit` counts kept ones.
    """

    after: str | None = None
    before: str | None = None
    tail: int | None = None
    line: int | None = None
    limit: int = 1000
    streams: frozenset[LogStream] = frozenset()
    levels: frozenset[LogLevel] = frozenset()
    search: str | None = None


@dataclass(slots=True)
class Position:
    """Where a sequential reader stands: pass it back to go on. Starts before the first frame."""

    seq: int = 0
    offset: int = 0
    line: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """New log lines, encoded once for all subscribers.

    `sse` holds complete SSE events (`event: log`, `id:`, `data:`) and `ndjson` the same frames as
    JSON lines (each a `LogFrame`); `first` and `last` are cursors; `lines` counts them.
    """

    sse: bytes
    ndjson: bytes
    lines: int
    first: str
    last: str


class JournalReader(ABC):
    """One run's journal. Not thread-safe; open one for each task, close it after."""

    @abstractmethod
    def read_frames(
        self, position: Position, *, limit_bytes: int = 1 << 20
    ) -> list[dict[str, Any]]:
        """The next whole raw frames after `position`, which is moved past them.

        Only well-formed frames with the next `seq` are given; others are skipped and counted in
        `position.extra["bad"]`. An empty list means: nothing new at present.
        """

    @abstractmethod
    def find_frame(self, seq: int) -> dict[str, Any] | None:
        """The raw frame of this number; None when it is not there or damaged."""

    @abstractmethod
    def read_encoded(
        self, position: Position, *, limit_bytes: int = 1 << 20, through_seq: int | None = None
    ) -> EncodedBatch | None:
        """The next log lines as encoded bytes, or None when there is nothing new.

        Nothing after the frame `through_seq` is read, so that the position is right behind it.
        """

    @abstractmethod
    def position_after(self, cursor: str | None) -> Position:
        """Where to go on reading after a cursor (None: from the beginning).

        Raises:
            InvalidCursor: not a cursor of this journal.
        """

    @abstractmethod
    def read(self, query: LogQuery) -> LogPage:
        """A page of log lines.

        Raises:
            InvalidCursor: `after` or `before` is not a cursor of this journal.
        """

    @abstractmethod
    def iter_text(self) -> Iterator[bytes]:
        """All that the program wrote, both streams in captured order, in chunks up to 1 MiB."""

    @abstractmethod
    def iter_ndjson(self) -> Iterator[bytes]:
        """All log frames as JSON lines, in chunks."""

    @abstractmethod
    def size(self) -> int:
        """Bytes of `frames.ndjson`; grows when there is something new. Cheap (one fstat)."""

    @abstractmethod
    def close(self) -> None:
        """Close descriptors. Idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class JournalStore(ABC):
    """Journals by run."""

    @abstractmethod
    def open(self, run_id: str, *, complete: bool = False) -> JournalReader:
        """A reader. A run without a journal (yet) reads as empty and finds it when it appears.

        `complete` says that nothing will be written any more (the run is terminal): then the log
        has ended where it stops, also without an end frame, and bytes that were captured and
        never framed are its last lines.
        """

    @abstractmethod
    def delete(self, run_id: str) -> None:
        """Remove the journal. Idempotent."""
