"""`LogFollower`: a run's live log for a caller that also wants to draw, ask and be interrupted.

A thread reads the stream; it never prints. The caller takes what has come and stays in charge of
the terminal, which is what keeps Ctrl-C, the status line and notebooks simple.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Final, Self

from mellea_jupyter.client.aio import AsyncMelleaClient
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.stream import LogCursor
from mellea_jupyter.models.frames import LogFrame

MOST_WAITING: Final = 5_000


class LogFollower:
    """Follows one log in the background while it is used as a context manager.

    At most `MOST_WAITING` frames are held: when the caller is slow, reading pauses.
    """

    def __init__(self, connection: Connection, run_id: str, *, after: str | None = None) -> None:
        self._connection = connection
        self._run_id = run_id
        self._cursor = LogCursor(after)
        self._frames: deque[LogFrame] = deque()
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._is_over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._has_room: asyncio.Event | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"mellea-log-{run_id[:8]}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            loop, task = self._loop, self._task
            self._is_over = True
        if loop is not None and task is not None and not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)
        self._thread.join()

    def take(self, timeout_seconds: float) -> list[LogFrame] | None:
        """Frames that have come, in order; empty when none did in time; None after the last.

        Raises:
            ClientError: the log can not be followed any further.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._is_over, timeout_seconds)
            frames = list(self._frames)
            self._frames.clear()
            is_over, failure, loop, has_room = (
                self._is_over, self._failure, self._loop, self._has_room,
            )  # fmt: skip
        if frames:
            if loop is not None and has_room is not None and not is_over:
                with suppress(RuntimeError):  # it has ended in this moment
                    loop.call_soon_threadsafe(has_room.set)
            return frames
        if failure is not None:
            raise failure
        return None if is_over else []

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            asyncio.run(self._follow())
        except asyncio.CancelledError:
            pass
        except BaseException as exc:  # noqa: BLE001 - given to the caller by take()
            failure = exc
        with self._changed:
            self._failure, self._is_over = failure, True
            self._loop = self._task = self._has_room = None
            self._changed.notify_all()

    async def _follow(self) -> None:
        has_room = asyncio.Event()
        with self._changed:
            if self._is_over:
                return
            self._loop, self._has_room = asyncio.get_running_loop(), has_room
            self._task = asyncio.current_task()
        async with (
            AsyncMelleaClient(self._connection) as client,
            aclosing(client.follow_log(self._run_id, cursor=self._cursor)) as frames,
        ):
            async for frame in frames:
                with self._changed:
                    self._frames.append(frame)
                    self._changed.notify_all()
                while self._is_full():
                    await has_room.wait()  # it may tell of frames that were taken before
                    has_room.clear()

    def _is_full(self) -> bool:
        with self._changed:
            return len(self._frames) >= MOST_WAITING
