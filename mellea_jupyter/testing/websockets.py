"""A websocket for tests, which is gone when they have done with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect


@asynccontextmanager
async def open_websocket(
    url: str, headers: dict[str, str]
) -> AsyncIterator[WebSocketClientConnection]:
    """Connect to the websocket at a server's `http://…` address.

    Leaving waits for the other side's farewell: a loop that ends before leaves the socket open.

    Raises:
        tornado.httpclient.HTTPClientError: the handshake is refused; `code` is its status.
    """
    request = HTTPRequest(url.replace("http", "ws", 1), headers=headers)
    connection = await websocket_connect(request)
    try:
        yield connection
    finally:
        connection.close()
        while await connection.read_message() is not None:
            pass
