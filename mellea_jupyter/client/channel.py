"""`Channel`: the server's websocket, as text both ways. Messages: `models/websocket.py`.

Source: https://www.tornadoweb.org/en/stable/websocket.html#client-side-support
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, Self

from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.errors import ConnectionFailed

_CONNECT_SECONDS: Final = 5.0
_FAREWELL_SECONDS: Final = 6.0
"""How long to wait for the server to end it, too; without its word tornado does after five."""
_MOST_BYTES: Final = 64 * 2**20


class Channel:
    """One connection, for the event loop that opened it. Close it, or use `async with`."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self._has_ended = False

    @classmethod
    async def open(cls, connection: Connection) -> Channel:
        """Connect; the token goes as a header to this server and nowhere else.

        Raises:
            ConnectionFailed: the server does not answer, or refuses.
        """
        headers = {"Authorization": f"token {connection.token}"} if connection.token else {}
        request = HTTPRequest(
            # http becomes ws, https wss
            f"ws{connection.api_url.removeprefix('http')}api/runs/ws",
            headers=headers,
            connect_timeout=_CONNECT_SECONDS,
            request_timeout=0,
            follow_redirects=False,
        )
        try:
            async with asyncio.timeout(_CONNECT_SECONDS * 2):
                socket = await websocket_connect(request, max_message_size=_MOST_BYTES)
        except (OSError, HTTPClientError, WebSocketClosedError) as exc:
            raise ConnectionFailed(
                f"No live connection to the Jupyter server at {connection.base_url}: {exc}",
                hint="Runs go on without it.",
            ) from exc
        return cls(socket)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                while await self.receive() is not None:
                    pass

    async def send(self, text: str) -> None:
        """Send a message; nothing on a connection that has ended, which `receive` tells."""
        with suppress(WebSocketClosedError):
            await self._socket.write_message(text)

    async def receive(self) -> str | None:
        """The next message; None when the connection has ended."""
        if self._has_ended:  # which the socket tells only once
            return None
        message = await self._socket.read_message()
        self._has_ended = message is None
        return message.decode("utf-8", "replace") if isinstance(message, bytes) else message

    def close(self) -> None:
        """End the connection. May be called more than once."""
        self._socket.close()
