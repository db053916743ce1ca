"""Live logs: a run's journal is read and encoded once for all who look at it.

Subscribers pull. One that stands at the live edge gets the batch everybody gets; one that starts
further back, or falls behind what is kept, reads the journal by itself until it has caught up. A
slow reader therefore costs a file position and nothing that grows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Self

from mellea_jupyter.exceptions import StoreError
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.journals.base import (
    EncodedBatch,
    JournalReader,
    JournalStore,
    LogQuery,
    Position,
)

KEEP_BYTES = 1 << 20
BATCH_BYTES = 1 << 20
MIN_TICK_SECONDS = 0.02
SECONDS_PER_FLUSH = 22e-6  # measured: CPU of one write to one client
CPU_SHARE = 0.25  # of a core that flushing may take
STATUS_POLL_SECONDS = 1.0


def _copy(position: Position) -> Position:
    return replace(position, extra=dict(position.extra))


def tick_seconds(subscribers: int) -> float:
    """Pause between batches: `max(20 ms, subscribers x 22 us / 0.25)`."""
    return max(MIN_TICK_SECONDS, subscribers * SECONDS_PER_FLUSH / CPU_SHARE)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A batch, the last frame before it, and where a reader stands after it."""

    start_seq: int
    end: Position
    batch: EncodedBatch | None


class _Channel:
    """The live edge of one run's log; lives while somebody is subscribed."""

    def __init__(self, run_id: str, hub: LogHub, reader: JournalReader, start: Position) -> None:
        self.run_id = run_id
        self.subscribers = 0
        self.final_status: RunStatus | None = None
        self.is_complete = False
        self.error: BaseException | None = None
        self._hub = hub
        self._reader = reader
        self._position = start
        self._kept: deque[_Kept] = deque()
        self._kept_bytes = 0
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._task = asyncio.create_task(self._pump(), name=f"log-channel-{run_id}")

    @property
    def seq(self) -> int:
        """The last frame that was read."""
        return self._position.seq

    def find(self, after_seq: int) -> _Kept | None:
        """The kept batch that begins right after this frame."""
        if not self._kept or after_seq < self._kept[0].start_seq:
            return None
        return next((kept for kept in self._kept if kept.start_seq == after_seq), None)

    async def wait(self) -> None:
        """Until there is another batch, or the log is complete."""
        await self._wake.wait()

    def end(self, status: RunStatus) -> None:
        """The run has its final status; what is written by now is all there is."""
        self.final_status = status
        self._hurry.set()

    async def close(self) -> None:
        """Stop reading; whoever still waits gets an error, since the log has not ended."""
        if not self.is_complete and self.error is None:
            self.error = StoreError("The server is stopping", hint="Resume from the last id.")
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._reader.close()

    async def _pump(self) -> None:
        try:
            await self._read_until_complete()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - given to every subscriber of this run
            self.error = error
        finally:
            self._notify()

    async def _read_until_complete(self) -> None:
        size = -1
        idle = 0.0
        while True:
            final = self.final_status  # looked at before reading: then nothing can come after
            grown = self._reader.size()
            if grown != size or final is not None:
                size = grown
                more = await self._read_batch()
                if more:
                    idle = 0.0
                    if more >= BATCH_BYTES // 2:
                        size = -1
                        continue
                    await self._pause(tick_seconds(self.subscribers))
                    size = -1
                    continue
            if final is not None:
                self.is_complete = True
                return
            pause = tick_seconds(self.subscribers)
            idle += pause
            if idle >= STATUS_POLL_SECONDS:
                idle = 0.0
                await self._poll_status()
            await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        if self._hurry.is_set():
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    async def _poll_status(self) -> None:
        """Notice an end that another service recorded."""
        run = await self._hub.get_run(self.run_id)
        if run.is_terminal:
            self.end(run.status)

    async def _read_batch(self) -> int:
        start = self._position.seq
        batch = await self._hub.offload.io(
            self._reader.read_encoded, self._position, limit_bytes=BATCH_BYTES
        )
        end = self._position.seq
        if end == start:
            return 0
        size = len(batch.sse) + len(batch.ndjson) if batch else 0
        self._kept.append(_Kept(start, _copy(self._position), batch))
        self._kept_bytes += size
        while len(self._kept) > 1 and self._kept_bytes > KEEP_BYTES:
            gone = self._kept.popleft().batch
            self._kept_bytes -= len(gone.sse) + len(gone.ndjson) if gone else 0
        self._notify()
        return size or 1

    def _notify(self) -> None:
        self._wake.set()
        self._wake = asyncio.Event()


class LogSubscription:
    """One reader of a run's log, from a cursor to its end."""

    def __init__(self, hub: LogHub, run_id: str, after: str | None) -> None:
        self._hub = hub
        self._run_id = run_id
        self._after = after
        self._channel: _Channel | None = None
        self._reader: JournalReader | None = None
        self._position = Position()
        self.ended: RunStatus | None = None
        """The final status, once every batch has been given."""

    async def __aenter__(self) -> Self:
        """Raises InvalidCursor when `after` is not a cursor of this log."""
        reader = self._hub.open(self._run_id)
        try:
            self._position = await self._hub.offload.io(reader.position_after, self._after)
            self._channel = await self._hub.join(self._run_id)
        except BaseException:
            reader.close()
            raise
        self._reader = reader
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._channel is not None:
            channel, self._channel = self._channel, None
            await self._hub.leave(channel)

    async def next(self, timeout_seconds: float) -> EncodedBatch | None:
        """The next lines, or None after `timeout_seconds` without any and when the log ended.

        Raises:
            StoreError, OSError: the journal could not be read.
        """
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while (channel := self._channel) is not None:
            if (kept := channel.find(self._position.seq)) is not None and not self._inside_frame:
                self._position = _copy(kept.end)
                if kept.batch is not None:
                    return kept.batch
                continue
            if self._position.seq < channel.seq or self._inside_frame:
                if (batch := await self._catch_up()) is not None:
                    return batch
                continue
            if channel.error is not None:
                raise channel.error
            if channel.is_complete:
                self.ended = channel.final_status
                return None
            if asyncio.get_running_loop().time() >= deadline:
                return None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await channel.wait()
        return None

    @property
    def _inside_frame(self) -> bool:
        """Whether the position is between two lines of one frame, where no shared batch begins."""
        frame, _ = self._position.extra.get("skip", (0, 0))
        return bool(frame > self._position.seq)  # a frame that was passed leaves its mark behind

    async def _catch_up(self) -> EncodedBatch | None:
        """Lines read from the journal by ourselves; the position moves also when there are none."""
        if self._reader is None:
            return None
        before = self._position.seq
        batch = await self._hub.offload.io(
            self._reader.read_encoded, self._position, limit_bytes=BATCH_BYTES // 4
        )
        if batch is None and self._position.seq == before:
            await asyncio.sleep(MIN_TICK_SECONDS)
        return batch


class LogHub:
    """Subscriptions to the logs of runs, and the channels they share."""

    def __init__(
        self,
        *,
        journals: JournalStore,
        offload: Offload,
        get_run: Callable[[str], Awaitable[Run]],
    ) -> None:
        self.offload = offload
        self.get_run = get_run
        self._journals = journals
        self._channels: dict[str, _Channel] = {}
        self._joining: dict[str, asyncio.Lock] = {}

    def subscribe(self, run_id: str, after: str | None) -> LogSubscription:
        """Follow a run's log after a cursor (None: from the beginning). Check access before."""
        return LogSubscription(self, run_id, after)

    def open(self, run_id: str) -> JournalReader:
        """A reader of the run's journal; the caller closes it."""
        return self._journals.open(run_id)

    def run_changed(self, run: Run) -> None:
        """Told of every change: a run that ended completes its stream."""
        if run.is_terminal and (channel := self._channels.get(run.id)) is not None:
            channel.end(run.status)

    async def join(self, run_id: str) -> _Channel:
        """The run's channel, opened at the present end of its journal for the first to join."""
        lock = self._joining.setdefault(run_id, asyncio.Lock())
        async with lock:
            channel = self._channels.get(run_id)
            if channel is None:
                run = await self.get_run(run_id)
                reader = self.open(run_id)
                try:
                    start = await self.offload.io(self._live_edge, reader)
                except BaseException:
                    reader.close()
                    raise
                channel = self._channels[run_id] = _Channel(run_id, self, reader, start)
                if run.is_terminal:
                    channel.end(run.status)
            channel.subscribers += 1
            return channel

    @staticmethod
    def _live_edge(reader: JournalReader) -> Position:
        page = reader.read(LogQuery(tail=1))
        position = reader.position_after(page.next)
        # The cursor may stand inside a frame. Shared batches hold whole frames only, so go past it;
        # subscribers, who are all further back, read it by themselves.
        reader.read_encoded(position)
        return position

    async def leave(self, channel: _Channel) -> None:
        """A subscriber is gone; the last one closes the channel."""
        channel.subscribers -= 1
        if channel.subscribers == 0:
            if self._channels.get(channel.run_id) is channel:
                del self._channels[channel.run_id]
                self._joining.pop(channel.run_id, None)
            await channel.close()

    async def close(self) -> None:
        """End all streams: the server stops."""
        for channel in tuple(self._channels.values()):
            await channel.close()
        self._channels.clear()
