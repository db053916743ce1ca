"""Live logs: server-sent events decoded, resumed by cursor after every disconnect.

A log is over when the server says so (`event: complete`), never because a connection ended. The
decoding and the decisions are in `LogCursor`, without I/O; the two generators below only read.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (lines end with LF or CRLF).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Final

import orjson
from pydantic import ValidationError

from mellea_jupyter.client.errors import ClientError, ConnectionFailed, ServerError, UnexpectedReply
from mellea_jupyter.client.requests import unexpected
from mellea_jupyter.models.frames import LogFrame
from mellea_jupyter.models.run import RunStatus

FIRST_DELAY_SECONDS: Final = 0.25
LONGEST_DELAY_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 120.0
_REMEMBERED: Final = 4096
_TRY_AGAIN: Final = frozenset({429, 502, 503, 504})

OpenSync = Callable[[str | None], AbstractContextManager[Iterator[bytes]]]
OpenAsync = Callable[[str | None], AbstractAsyncContextManager[AsyncIterator[bytes]]]


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event as it was sent."""

    event: str
    data: str
    id: str | None


class EventDecoder:
    """Turns chunks of bytes, cut anywhere, into events."""

    def __init__(self) -> None:
        self._rest = b""
        self._event = ""
        self._data: list[str] = []
        self._id: str | None = None

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Yields the events that `chunk` completes, in order."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            text = line.removesuffix(b"\r").decode("utf-8", "replace")
            if not text:
                if self._data:
                    yield ServerSentEvent(self._event or "message", "\n".join(self._data), self._id)
                self._event, self._data, self._id = "", [], None
            else:
                self._field(text)

    def _field(self, text: str) -> None:
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id":
            self._id = value
        # A line that begins with a colon is the keep-alive; other fields are not ours.


class LogCursor:
    """Where a reader of one log is, and what to do about each event and each failure.

    Attributes:
        position: cursor of the last frame given; the next connection resumes after it.
        status: the final status, once the log is complete.
    """

    def __init__(
        self, after: str | None = None, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self.position = after
        self.status: RunStatus | None = None
        self._patience_seconds = patience_seconds
        self._given: set[str] = set()
        self._order: deque[str] = deque()
        self._failures = 0
        self._heard_at = time.monotonic()

    def accept(self, event: ServerSentEvent) -> LogFrame | None:
        """The frame of an event; None for one that was given before or carries none.

        Raises:
            UnexpectedReply: the event is not of this API.
            ServerError: the server reports that it can not read the log.
        """
        self._failures, self._heard_at = 0, time.monotonic()
        try:
            if event.event == "log":
                return self._new(LogFrame.model_validate_json(event.data))
            if event.event == "complete":
                self.status = RunStatus(orjson.loads(event.data)["status"])
            elif event.event == "error":
                body = orjson.loads(event.data)
                raise ServerError(
                    str(body["message"]),
                    code=str(body["code"]),
                    status=500,
                    hint=str(body.get("hint", "")),
                )
        except (ValidationError, ValueError, KeyError, TypeError) as exc:
            if isinstance(exc, ClientError):
                raise
            raise unexpected(f"event {event.event!r}: {exc}") from exc
        return None

    def _new(self, frame: LogFrame) -> LogFrame | None:
        if frame.cursor in self._given:
            return None
        if len(self._order) == _REMEMBERED:
            self._given.discard(self._order.popleft())
        self._given.add(frame.cursor)
        self._order.append(frame.cursor)
        self.position = frame.cursor
        return frame

    def delay_after(self, failure: ClientError | None) -> float:
        """Seconds to wait before connecting again, after `failure` or a connection that just ended.

        Raises:
            ClientError: the failure, when trying again can not help, or was tried long enough.
        """
        if failure is not None and not _is_passing(failure):
            raise failure
        if time.monotonic() - self._heard_at > self._patience_seconds:
            raise failure or ConnectionFailed(
                "The server keeps closing the log stream before the run has ended",
                hint="See the server's log.",
            )
        delay: float = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**self._failures)
        self._failures += 1
        return delay * random.uniform(0.5, 1)  # noqa: S311 - spreads reconnects, guards nothing


def _is_passing(failure: ClientError) -> bool:
    if isinstance(failure, ServerError):
        return failure.status in _TRY_AGAIN
    return isinstance(failure, ConnectionFailed)


def follow_log(connect: OpenSync, cursor: LogCursor) -> Generator[LogFrame, None, None]:
    """Yields every frame after the cursor once, in order; ends when the log is complete.

    Args:
        connect: opens the stream after a cursor, as chunks of bytes.
        cursor: where to begin; holds the final status afterwards.

    Raises:
        ClientError: the server refused, or could not be reached for the cursor's patience.
    """
    while True:
        failure: ClientError | None = None
        decoder = EventDecoder()
        try:
            with connect(cursor.position) as chunks:
                for chunk in chunks:
                    for event in decoder.feed(chunk):
                        if (frame := cursor.accept(event)) is not None:
                            yield frame
                        if cursor.status is not None:
                            return
        except (ConnectionFailed, ServerError, UnexpectedReply) as exc:
            failure = exc
        time.sleep(cursor.delay_after(failure))


async def follow_log_async(connect: OpenAsync, cursor: LogCursor) -> AsyncGenerator[LogFrame, None]:
    """The same as `follow_log`, awaiting."""
    while True:
        failure: ClientError | None = None
        decoder = EventDecoder()
        try:
            async with connect(cursor.position) as chunks:
                async for chunk in chunks:
                    for event in decoder.feed(chunk):
                        if (frame := cursor.accept(event)) is not None:
                            yield frame
                        if cursor.status is not None:
                            return
        except (ConnectionFailed, ServerError, UnexpectedReply) as exc:
            failure = exc
        await asyncio.sleep(cursor.delay_after(failure))
