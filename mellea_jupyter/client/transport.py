"""How both clients use httpx: one set of options, and httpx's errors in our words.

Redirects are never followed and, on this machine, no proxy is asked: the token is for the server's
host only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from mellea_jupyter import __version__
from mellea_jupyter.certificates import trust_for
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.errors import ConnectionFailed
from mellea_jupyter.client.requests import Call

CONNECT_SECONDS: Final = 5.0
REPLY_SECONDS: Final = 60.0
# The server sends a keep-alive every 15 s; three that are missed mean that nobody is there.
SILENCE_SECONDS: Final = 45.0
REPLY_TIMEOUT: Final = httpx.Timeout(REPLY_SECONDS, connect=CONNECT_SECONDS)
PATIENCE_SECONDS: Final = 120.0
"""How long a request is kept back, all in all, because the server says that there were too many."""
_TOO_MANY: Final = 429
STREAM_TIMEOUT: Final = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)


def options(connection: Connection) -> dict[str, Any]:
    """Arguments for `httpx.Client` and `httpx.AsyncClient`."""
    headers = {"User-Agent": f"mellea-jupyter/{__version__}", "Accept": "application/json"}
    if connection.token:
        headers["Authorization"] = f"token {connection.token}"
    return {
        "base_url": connection.api_url,
        "headers": headers,
        "follow_redirects": False,
        "trust_env": not connection.is_loopback,
        "verify": trust_for(connection.api_url),
    }


def arguments(call: Call[Any]) -> dict[str, Any]:
    """Arguments of `build_request` for a call."""
    headers = dict(call.headers)
    if call.content is not None:
        headers["Content-Type"] = "application/json"
    patience: dict[str, Any] = {}
    if call.reply_seconds is not None:
        patience["timeout"] = httpx.Timeout(call.reply_seconds, connect=CONNECT_SECONDS)
    return {
        **patience,
        "method": call.method,
        "url": call.path,
        "params": call.params or None,
        "content": call.content,
        "headers": headers,
    }


class Patience:
    """How long one request waits where the server answers that there are too many of its kind.

    Such a request was not carried out, so any may be sent again.
    """

    def __init__(self) -> None:
        self._left = PATIENCE_SECONDS

    def delay(self, response: httpx.Response) -> float | None:
        """Seconds until the request is to be sent again; None when the reply is to be read."""
        asked = response.headers.get("Retry-After", "")
        if response.status_code != _TOO_MANY or not asked.isdecimal():
            return None
        seconds = int(asked) + random.random()  # noqa: S311 - spreads requests, guards nothing
        if seconds > self._left:
            return None
        self._left -= seconds
        return seconds


@contextmanager
def httpx_errors(connection: Connection) -> Iterator[None]:
    """Raises what httpx raises inside as `ConnectionFailed`."""
    try:
        yield
    except httpx.TimeoutException as exc:
        raise ConnectionFailed(
            f"The Jupyter server at {connection.base_url} did not answer in time",
            hint="It may be busy; runs go on without it. Try again.",
        ) from exc
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
        raise ConnectionFailed(
            f"No connection to the Jupyter server at {connection.base_url}: {exc}",
            hint="Runs go on without it. `jupyter mellea doctor` says what is reachable.",
        ) from exc
