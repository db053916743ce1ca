"""Serves widgets: what browsers ask over a comm goes to the server, what is new comes back.

Everything happens on one thread of its own with an event loop, never on the kernel's: a browser is
answered while a cell runs, as soon as the kernel hands its messages on. Messages go to every
browser that shows a widget; each carries the name of the one that is meant. The other side, and
the shape of the messages: `labextension/src/widget/comm.ts`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from mellea_jupyter.client.aio import AsyncMelleaClient
from mellea_jupyter.client.channel import Channel
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.errors import ClientError, ConnectionFailed, ServerError
from mellea_jupyter.models.run import Run
from mellea_jupyter.widgets.limits import (
    Refused,
    Request,
    check_download,
    check_request,
    check_subscription,
)

MOST_REPLY_BYTES: Final = 16 * 2**20
MOST_DOWNLOAD_BYTES: Final = 64 * 2**20
MOST_BROWSERS: Final = 32
MOST_REQUESTS: Final = 32
MOST_SOCKETS: Final = 4
SILENCE_SECONDS: Final = 240.0
"""A browser says something twice a minute; a tab in the background once a minute."""

FIRST_LOOK_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 900.0

_SECOND_MODULE: Final = Path(__file__).parent / "static" / "loops.js"
"""What draws sampling loops; with the first script it would be in every widget."""

Value = TypeVar("Value")
Send = Callable[[dict[str, Any], list[bytes]], None]


class BridgeThread:
    """The thread and its event loop; started when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, work: Coroutine[Any, Any, Value]) -> Future[Value]:
        """Run a coroutine there."""
        return asyncio.run_coroutine_threadsafe(work, self._running_loop())

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function there, in the order of the calls."""
        self._running_loop().call_soon_threadsafe(function, *arguments)

    def stop(self) -> None:
        """End what runs there, and the thread. It starts again when it is needed again."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run_loop, args=(self._loop,), name="mellea-widgets", daemon=True
                )
                self._thread.start()
            return self._loop


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


BRIDGE: Final = BridgeThread()


class Browser:
    """One page that shows a widget."""

    def __init__(self) -> None:
        self.heard_at = time.monotonic()
        self.requests: set[asyncio.Task[None]] = set()
        self.sockets: dict[int, Socket] = {}

    def close(self) -> None:
        """Give up its requests and end its sockets."""
        for request in self.requests:
            request.cancel()
        for socket in self.sockets.values():
            socket.close()


class Socket:
    """One websocket of a browser, and what waits to be sent.

    Attributes:
        task: passes messages on, until the connection has ended.
    """

    def __init__(self, follow: Callable[[asyncio.Queue[str]], Coroutine[Any, Any, None]]) -> None:
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()
        self.task = asyncio.create_task(follow(self._outgoing))

    def send(self, text: str) -> None:
        """Send a checked message once the connection is there."""
        self._outgoing.put_nowait(text)

    def close(self) -> None:
        """End it."""
        self.task.cancel()


class WidgetServer:
    """Answers the browsers of one widget.

    Args:
        connection: the server that is asked.
        send: sends a message with buffers to all browsers; may be called on any thread.
    """

    def __init__(self, connection: Connection, send: Send) -> None:
        self._connection = connection
        self._send = send
        self._browsers: dict[str, Browser] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: AsyncMelleaClient | None = None
        self._is_closed = False
        self.was_attached = False
        """Whether a browser has ever shown the widget."""

    def receive(self, content: Any) -> None:
        """Take a message of a browser. Called on a thread of the kernel; returns at once."""
        if not self._is_closed:
            BRIDGE.call(self._dispatch, content)

    def close(self) -> Future[None]:
        """End everything. Called on any thread; messages that come later are dropped.

        Returns:
            Done when the connections have ended. Nobody has to wait for it.
        """
        self._is_closed = True
        return BRIDGE.start(self._close())

    async def _close(self) -> None:
        for browser in self._browsers.values():
            browser.close()
        self._browsers.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _dispatch(self, content: Any) -> None:
        if self._is_closed or not isinstance(content, dict):
            return
        name = content.get("client")
        if not isinstance(name, str) or not 0 < len(name) <= 64:
            return
        self.was_attached = True
        self._forget_silent()
        if content.get("kind") == "bye":
            if (gone := self._browsers.pop(name, None)) is not None:
                gone.close()
            return
        if name not in self._browsers and len(self._browsers) >= MOST_BROWSERS:
            self._reply(name, content.get("id"), 429, _error("busy", "Too many open views"))
            return
        browser = self._browsers.setdefault(name, Browser())
        browser.heard_at = time.monotonic()
        self._serve(name, browser, content)

    def _serve(self, name: str, browser: Browser, content: dict[str, Any]) -> None:
        number = content.get("socket")
        match content.get("kind"):
            case "request" | "download" | "module":
                self._begin_request(name, browser, content)
            case "open" if isinstance(number, int):
                self._open_socket(name, browser, number)
            case "send" if isinstance(number, int) and number in browser.sockets:
                with suppress(Refused):  # what our own script sends is never refused
                    browser.sockets[number].send(check_subscription(content.get("text")))
            case "close" if isinstance(number, int):
                if (socket := browser.sockets.pop(number, None)) is not None:
                    socket.close()
            case "ping" | "hello":
                self._post(name, {"kind": "pong"})

    def _begin_request(self, name: str, browser: Browser, content: dict[str, Any]) -> None:
        if len(browser.requests) >= MOST_REQUESTS:
            busy = _error("busy", "Too many requests at once")
            self._reply(name, content.get("id"), 429, busy)
            return
        task = asyncio.create_task(self._answer(name, content))
        browser.requests.add(task)
        task.add_done_callback(browser.requests.discard)
        self._keep(task)

    async def _answer(self, name: str, content: dict[str, Any]) -> None:
        is_download = content.get("kind") == "download"
        buffers: list[bytes] = []
        try:
            if content.get("kind") == "module":
                module = await asyncio.to_thread(_SECOND_MODULE.read_bytes)
                self._reply(name, content.get("id"), 200, module)
                return
            if is_download:
                request, most = check_download(content.get("path")), MOST_DOWNLOAD_BYTES
            else:
                request = check_request(
                    content.get("method"), content.get("path"), content.get("body")
                )
                most = MOST_REPLY_BYTES
            status, body = await self._ask(request, most)
        except Refused as exc:
            status, body = exc.status, _error("refused", str(exc))
        except ClientError as exc:
            status, body = _status_of(exc), _error(exc.code, exc.message, exc.hint)
        except Exception as exc:  # noqa: BLE001 - every request is answered
            status, body = 500, _error("internal_error", f"The kernel failed: {exc}")
        if is_download and status == 200:
            buffers, body = [body], b""
        self._reply(name, content.get("id"), status, body, buffers)

    async def _ask(self, request: Request, most_bytes: int) -> tuple[int, bytes]:
        if self._client is None:
            self._client = AsyncMelleaClient(self._connection)
        return await self._client.forward(
            request.method, request.path,
            params=request.params, content=request.content, most_bytes=most_bytes,
        )  # fmt: skip

    def _open_socket(self, name: str, browser: Browser, number: int) -> None:
        if number in browser.sockets or len(browser.sockets) >= MOST_SOCKETS:
            self._post(name, {"kind": "closed", "socket": number})
            return

        async def follow(outgoing: asyncio.Queue[str]) -> None:
            try:
                await self._follow(name, number, outgoing)
            except ClientError:
                pass  # the browser hears that it has ended and tries again
            finally:
                if browser.sockets.pop(number, None) is not None:
                    self._post(name, {"kind": "closed", "socket": number})

        browser.sockets[number] = socket = Socket(follow)
        self._keep(socket.task)

    async def _follow(self, name: str, number: int, outgoing: asyncio.Queue[str]) -> None:
        async with await Channel.open(self._connection) as channel:
            self._post(name, {"kind": "opened", "socket": number})
            sending = asyncio.create_task(_send_all(channel, outgoing))
            try:
                while (text := await channel.receive()) is not None:
                    self._post(name, {"kind": "text", "socket": number, "text": text})
            finally:
                sending.cancel()

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Have `_close` wait for it, also when its browser has gone."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget_silent(self) -> None:
        """Drop browsers that went without a word."""
        before = time.monotonic() - SILENCE_SECONDS
        for name in [name for name, each in self._browsers.items() if each.heard_at < before]:
            self._browsers.pop(name).close()

    def _reply(
        self, name: str, number: Any, status: int, body: bytes, buffers: list[bytes] | None = None
    ) -> None:
        text = body.decode("utf-8", "replace")
        message = {"kind": "reply", "id": number, "status": status, "body": text}
        self._post(name, message, buffers)

    def _post(self, name: str, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        if not self._is_closed:
            self._send({**message, "client": name}, buffers or [])


async def _send_all(channel: Channel, outgoing: asyncio.Queue[str]) -> None:
    while True:
        await channel.send(await outgoing.get())


def _status_of(exc: ClientError) -> int:
    if isinstance(exc, ServerError):
        return exc.status
    return 503 if isinstance(exc, ConnectionFailed) else 502


def _error(code: str, message: str, hint: str = "") -> bytes:
    """An error in the API's shape."""
    body = {"code": code, "message": message, "hint": hint, "details": {}, "request_id": ""}
    return orjson.dumps(body)


async def watch_run(
    connection: Connection, run: Run, *, on_change: Callable[[Run], None]
) -> Run | None:
    """Look at a run until it has ended; gives its last record.

    Args:
        connection: its server.
        run: the run as it is known.
        on_change: called with each newer record, the last one included.

    Returns:
        The final record; None when the run is gone, or its server for `PATIENCE_SECONDS`.
    """
    pause, heard_at = FIRST_LOOK_SECONDS, time.monotonic()
    async with AsyncMelleaClient(connection) as client:
        while not run.is_terminal:
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 1.3)
            try:
                found = await client.get_run(run.id)
            except ConnectionFailed:
                if time.monotonic() - heard_at > PATIENCE_SECONDS:
                    return None
                continue
            except ClientError:
                return None
            heard_at = time.monotonic()
            if found.version != run.version:
                run = found
                on_change(run)
    return run
