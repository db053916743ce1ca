"""A record of what a page does, and should not do."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Error, Page, Request, WebSocket

OUR_SOCKET = "runs/ws"
NETWORK_CHANGED = "ERR_NETWORK_CHANGED"
"""What Chromium says of a connection that it gave up since an interface came or went: with every
container that another worker's test starts."""
DEBUGGER_CANCELED = "Could not restore the debugger state: Canceled future"
"""What JupyterLab's debugger says of a kernel that is restarted or left before it has answered."""


class PageWatch:
    """What one page logged, threw and asked for, from its first request on.

    `check` raises for console errors, exceptions nobody caught and requests that leave the
    machine, unless a test said with `expect` that it provokes them.
    """

    def __init__(self, page: Page) -> None:
        self.console: list[str] = []
        self.errors: list[str] = []
        self.requests: list[Request] = []
        self.sockets: list[WebSocket] = []
        self._expected = [re.compile(NETWORK_CHANGED), re.compile(DEBUGGER_CANCELED)]
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        page.on("request", self._on_request)
        page.on("websocket", self._on_socket)

    def expect(self, *patterns: str) -> None:
        """Errors whose text matches are not the page's fault."""
        self._expected += [re.compile(pattern) for pattern in patterns]

    def forget_lost_network(self) -> bool:
        """Whether a request failed since an interface came or went.

        Then all errors so far are forgotten: the others may follow from it.
        """
        lost = any(NETWORK_CHANGED in error for error in self.errors)
        if lost:
            self.errors.clear()
        return lost

    @property
    def open_sockets(self) -> list[WebSocket]:
        """Our websockets that are open."""
        return [s for s in self.sockets if OUR_SOCKET in s.url and not s.is_closed()]

    def log_requests(self) -> list[Request]:
        """Requests for pages of a log."""
        return [r for r in self.requests if urlsplit(r.url).path.endswith("/logs")]

    def check(self) -> None:
        """Raise AssertionError for what should not have happened."""
        unexpected = [
            error
            for error in self.errors
            if not any(pattern.search(error) for pattern in self._expected)
        ]
        assert not unexpected, "\n".join(["the page had errors:", *unexpected])
        foreign = {r.url for r in self.requests if _leaves_the_machine(r.url)}
        assert not foreign, f"requests left the machine: {sorted(foreign)}"

    def _on_console(self, message: ConsoleMessage) -> None:
        place = message.location
        text = f"{message.type}: {message.text} ({place.get('url')}:{place.get('lineNumber')})"
        self.console.append(text)
        if message.type == "error":
            self.errors.append(text)

    def _on_error(self, error: Error) -> None:
        text = f"uncaught: {error.message}\n{error.stack}"
        self.console.append(text)
        self.errors.append(text)

    def _on_request(self, request: Request) -> None:
        self.requests.append(request)

    def _on_socket(self, socket: WebSocket) -> None:
        self.sockets.append(socket)


def _leaves_the_machine(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1"
