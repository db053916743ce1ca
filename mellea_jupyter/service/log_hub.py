"""Live logs: a run's journal is read and encoded once for all who look at it.

Subscribers pull. One that stands at the live edge gets the batch everybody gets; one that starts
further back, or falls behind what is kept, reads the journal by itself up to a place where a
shared batch begins. A slow reader therefore costs a position and nothing that grows, and no reader
holds a file open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Self

from mellea_jupyter import clock
from mellea_jupyter.exceptions import StoreError
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.service.access import require_kept
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.journals.base import (
    EncodedBatch,
    JournalReader,
    JournalStore,
    LogQuery,
    Position,
)

BATCH_BYTES = 1 << 20  # of encoded lines, the most that is read at once
KEEP_BYTES = 4 << 20  # of encoded lines, kept for readers that are a little late
_ENTRY_BYTES = 16 << 10  # what a kept batch counts at least: one without lines is not free
MIN_TICK_SECONDS = 0.02
SECONDS_PER_FLUSH = 22e-6  # measured: CPU of one write to one client
CPU_SHARE = 0.25  # of a core that flushing may take
STATUS_POLL_SECONDS = 1.0
QUICK_SECONDS = 0.004  # between looks at a log that was quiet only for a moment
QUICK_FOR_SECONDS = 2.0

_Place = tuple[int, int]


def _place(position: Position) -> _Place:
    """The last frame that was read, and how many lines of the one after it; ordered."""
    if position.seq == 0 and position.extra.get("refused"):
        return (0, 1)  # behind the line that says that the journal can not be read
    frame, lines = position.extra.get("skip", (0, 0))
    return (position.seq, lines if frame > position.seq else 0)  # a passed frame leaves its mark


def _copy(position: Position) -> Position:
    return replace(position, extra=dict(position.extra))


def tick_seconds(subscribers: int) -> float:
    """Pause between batches: `max(20 ms, subscribers x 22 us / 0.25)`."""
    return max(MIN_TICK_SECONDS, subscribers * SECONDS_PER_FLUSH / CPU_SHARE)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A batch, and where a reader stands after it. No batch: frames that are not shown."""

    batch: EncodedBatch | None
    end: Position  # shared: copied before it is given to a reader
    size_bytes: int


class _LiveEdge:
    """The last batches of one log, by the place where each begins."""

    def __init__(self, keep_bytes: int) -> None:
        self._keep_bytes = keep_bytes
        self._kept: dict[_Place, _Kept] = {}  # oldest first
        self._kept_bytes = 0

    def find(self, place: _Place) -> _Kept | None:
        """The batch that begins here."""
        return self._kept.get(place)

    def add(self, begin: _Place, batch: EncodedBatch | None, end: Position) -> None:
        """Keep a batch and let go of the oldest; one that is too large is not kept at all."""
        size = _ENTRY_BYTES + (len(batch.sse) + len(batch.ndjson) if batch else 0)
        self._kept[begin] = _Kept(batch, end, size)
        self._kept_bytes += size
        while self._kept_bytes > self._keep_bytes:
            oldest = next(iter(self._kept))
            self._kept_bytes -= self._kept.pop(oldest).size_bytes


class _Channel:
    """One run's log as it grows; lives while somebody is subscribed.

    Begins at the end that the journal has when the first subscribes.
    """

    def __init__(self, run_id: str, hub: LogHub) -> None:
        self.run_id = run_id
        self.subscribers = 0
        self.final_status: RunStatus | None = None
        self.is_complete = False
        self.error: BaseException | None = None
        self.edge = _LiveEdge(hub.keep_bytes)
        self._hub = hub
        self._reader: JournalReader | None = None
        self._position = Position()
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()
        self._task = asyncio.create_task(self._read_until_complete(), name=f"log-{run_id}")
        self._task.add_done_callback(self._stopped)

    @property
    def place(self) -> _Place:
        """How far the log was read."""
        return _place(self._position)

    @property
    def through_seq(self) -> int:
        """The last frame of which lines were read."""
        seq, lines = self.place
        return seq + 1 if lines else seq

    async def wait(self) -> None:
        """Until there is another batch, or the log is complete, or can not be read."""
        await self._changed.wait()

    def end(self, status: RunStatus) -> None:
        """The run has its final status; what is written by now is all there is."""
        self.final_status = status
        self._hurry.set()

    async def close(self) -> None:
        """Stop reading; whoever still waits gets an error, since the log has not ended."""
        if not self.is_complete and self.error is None:
            self.error = StoreError("The server is stopping", hint="Resume from the last id.")
        self._task.cancel()
        await asyncio.wait({self._task})

    def _stopped(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.error = task.exception()  # raised by every subscriber
        self._close_reader()
        self._notify()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _read_until_complete(self) -> None:
        reader = self._open()
        self._position = await self._hub.offload.io(_end_of, reader)
        self._notify()
        size = -1  # of the file when it had nothing new for us
        idle_seconds = 0.0
        quick_until = clock.monotonic() + QUICK_FOR_SECONDS
        while self.final_status is None:
            grown = reader.size()
            pause = tick_seconds(self.subscribers)
            if grown != size and (read_bytes := await self._read_batch(reader)) is not None:
                size, idle_seconds = -1, 0.0
                quick_until = clock.monotonic() + QUICK_FOR_SECONDS
                if read_bytes >= self._hub.batch_bytes // 2:  # there is more
                    continue
            else:
                size = grown
                if clock.monotonic() < quick_until:
                    pause = QUICK_SECONDS  # the first line after a silence does not wait for a tick
                idle_seconds += pause
            if idle_seconds >= STATUS_POLL_SECONDS:
                idle_seconds = 0.0
                await self._poll_status()
            await self._pause(pause)
        self._close_reader()
        reader = self._open()  # one that knows that nothing will follow
        while await self._read_batch(reader) is not None:
            pass
        self.is_complete = True

    def _open(self) -> JournalReader:
        self._reader = self._hub.open(self.run_id, complete=self.final_status is not None)
        return self._reader

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    async def _poll_status(self) -> None:
        """Notice an end that another service recorded."""
        run = await self._hub.get_run(self.run_id)
        if run.is_terminal:
            self.end(run.status)

    async def _read_batch(self, reader: JournalReader) -> int | None:
        """Read on; bytes that were encoded, or None when there was nothing at all."""
        begin, position = self.place, _copy(self._position)
        batch = await self._hub.offload.io(
            reader.read_encoded, position, limit_bytes=self._hub.batch_bytes
        )
        self._position = position
        if self.place == begin:
            return None
        self.edge.add(begin, batch, position)
        self._notify()
        return len(batch.sse) + len(batch.ndjson) if batch else 0


def _end_of(reader: JournalReader) -> Position:
    """Where a log ends at present."""
    page = reader.read(LogQuery(tail=1))
    position = reader.position_after(page.next)
    reader.read_encoded(position)  # past the rest of the frame, which has no further lines
    return position


class LogSubscription:
    """One reader of a run's log, from a cursor to its end."""

    def __init__(self, hub: LogHub, run_id: str, after: str | None) -> None:
        self._hub = hub
        self._run_id = run_id
        self._after = after
        self._channel: _Channel | None = None
        self._position = Position()  # may be shared: never changed in place
        self.ended: RunStatus | None = None
        """The final status, once every batch has been given."""

    async def __aenter__(self) -> Self:
        """Raises InvalidCursor: `after` is not of this log; Expired: the log has been removed."""
        run = require_kept(await self._hub.get_run(self._run_id))
        self._position = await self._hub.position_after(run, self._after)
        self._channel = self._hub.join(run)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._channel is not None:
            channel, self._channel = self._channel, None
            await self._hub.leave(channel)

    async def next(self, timeout_seconds: float) -> EncodedBatch | None:
        """The next lines, or None after `timeout_seconds` without any and when the log ended.

        Being cancelled loses no line: the next call gives them.

        Raises:
            StoreError, OSError: the journal could not be read.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        while (channel := self._channel) is not None and self.ended is None:
            before = self._position
            if (batch := await self._read_on(channel)) is not None:
                return batch
            if self._position == before:
                if channel.error is not None:
                    raise channel.error
                if channel.is_complete:
                    self.ended = channel.final_status
                    return None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await channel.wait()
            if loop.time() >= deadline:
                return None
        return None

    async def _read_on(self, channel: _Channel) -> EncodedBatch | None:
        """What comes next, shared or read by ourselves; the position may move without any lines."""
        here = _place(self._position)
        if (kept := channel.edge.find(here)) is not None:
            self._position = kept.end
            return kept.batch
        if here >= channel.place:
            return None
        self._position, batch = await self._hub.read(
            self._run_id,
            self._position,
            through_seq=channel.through_seq,
            complete=channel.final_status is not None,
        )
        return batch


class LogHub:
    """Subscriptions to the logs of runs, and the channels they share.

    Args:
        batch_bytes: Encoded lines that are read at once, at most.
        keep_bytes: Encoded lines of one run that are kept for readers which are a little late.
    """

    def __init__(
        self,
        *,
        journals: JournalStore,
        offload: Offload,
        get_run: Callable[[str], Awaitable[Run]],
        batch_bytes: int = BATCH_BYTES,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        self.offload = offload
        self.get_run = get_run
        self.batch_bytes = batch_bytes
        self.keep_bytes = keep_bytes
        self._journals = journals
        self._channels: dict[str, _Channel] = {}

    def subscribe(self, run_id: str, after: str | None) -> LogSubscription:
        """Follow a run's log after a cursor (None: from the beginning). Check access before."""
        return LogSubscription(self, run_id, after)

    def run_changed(self, run: Run) -> None:
        """Told of every change: a run that ended completes its stream."""
        if run.is_terminal and (channel := self._channels.get(run.id)) is not None:
            channel.end(run.status)

    async def close(self) -> None:
        """End all streams: the server stops."""
        for channel in tuple(self._channels.values()):
            await channel.close()
        self._channels.clear()

    # For channels and subscriptions

    def open(self, run_id: str, *, complete: bool) -> JournalReader:
        """A reader of the run's journal; the caller closes it."""
        return self._journals.open(run_id, complete=complete)

    async def position_after(self, run: Run, cursor: str | None) -> Position:
        """Where to go on reading after a cursor.

        Raises:
            InvalidCursor: not a cursor of this log.
        """

        def find() -> Position:
            with self.open(run.id, complete=run.is_terminal) as reader:
                return reader.position_after(cursor)

        return Position() if cursor is None else await self.offload.io(find)

    async def read(
        self, run_id: str, position: Position, *, through_seq: int, complete: bool
    ) -> tuple[Position, EncodedBatch | None]:
        """Lines after a position up to a frame, for one reader; and where it stands then."""

        def read() -> tuple[Position, EncodedBatch | None]:
            behind = _copy(position)
            with self.open(run_id, complete=complete) as reader:
                batch = reader.read_encoded(
                    behind, limit_bytes=self.batch_bytes // 4, through_seq=through_seq
                )
            return behind, batch

        return await self.offload.io(read)

    def join(self, run: Run) -> _Channel:
        """The run's channel, opened for the first to join."""
        channel = self._channels.get(run.id)
        if channel is None or channel.error is not None:
            channel = self._channels[run.id] = _Channel(run.id, self)
        if run.is_terminal:
            channel.end(run.status)
        channel.subscribers += 1
        return channel

    async def leave(self, channel: _Channel) -> None:
        """A subscriber is gone; the last one closes the channel."""
        channel.subscribers -= 1
        if channel.subscribers == 0:
            if self._channels.get(channel.run_id) is channel:
                del self._channels[channel.run_id]
            await channel.close()
