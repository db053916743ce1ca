"""An HTTP client that reads only when a test says so: for streams, slow and vanishing peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

DEADLINE_SECONDS = 30.0


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until `condition()` holds; fails after a generous deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - anything may make it true
            await asyncio.sleep(0.01)


class RawClient:
    """One connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._token = token

    async def get(self, path: str, **headers: str) -> None:
        """Send a GET with the token; `_` in header names stands for `-`."""
        lines = [
            f"GET /a%40b/{path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: token {self._token}",
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self._writer.drain()

    async def read_until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self._reader.readuntil(mark)

    async def read_exactly(self, size: int) -> bytes:
        """The next `size` bytes."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self._reader.readexactly(size)

    async def read_to_end(self) -> bytes:
        """Everything until the body ends or the server closes the connection."""
        received = bytearray()
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not received.endswith(b"0\r\n\r\n"):
                piece = await self._reader.read(1 << 20)
                if not piece:
                    break
                received += piece
        return bytes(received)

    async def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self._writer.write(data)
        await self._writer.drain()


@asynccontextmanager
async def connect(serverapp: Any, port: int) -> AsyncIterator[RawClient]:
    """A connection to the test server, closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
    try:
        yield RawClient(reader, writer, serverapp.identity_provider.token)
    finally:
        writer.close()
        await writer.wait_closed()
