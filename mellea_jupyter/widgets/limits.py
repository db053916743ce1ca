"""What a browser may ask of the kernel: routes of our own API, and nothing else.

A widget's messages come from whoever shows the notebook. They are checked against this table, and
what leaves the kernel is built from the checked parts, never from the text that came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from pydantic import ValidationError

from mellea_jupyter.client.requests import Params
from mellea_jupyter.models.websocket import Subscribe, Unsubscribe, parse_client_message

MOST_BODY_BYTES: Final = 256 * 1024

_PARTS: Final = {
    "run": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "call": r"[1-9][0-9]{0,8}",
    "asset": r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}",
    "artifact": r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}",
}

ROUTES: Final = (
    ("GET", "runs"),
    ("GET", "runs/summary"),
    ("GET", "runs/compare"),
    ("GET", "runs/{run}"),
    ("GET", "runs/{run}/logs"),
    ("GET", "runs/{run}/metrics"),
    ("GET", "runs/{run}/calls"),
    ("GET", "runs/{run}/calls/{call}/content"),
    ("GET", "runs/{run}/loops"),
    ("GET", "runs/{run}/outputs"),
    ("GET", "users/me/runs"),
    ("GET", "assets/{asset}"),
    ("DELETE", "runs/{run}"),  # cancel
    ("POST", "runs/{run}/retry"),
    ("POST", "runs/{run}/budget"),
    ("POST", "runs/bulk/cancel"),
)
"""Method and path, relative to the API's prefix. Nothing is removed or created through a widget."""

DOWNLOADS: Final = ("runs/{run}/artifacts/{artifact}",)


class Refused(Exception):
    """A message that is not served.

    Attributes:
        status: the HTTP status to answer with.
    """

    def __init__(self, message: str, *, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request that may be sent."""

    method: str
    path: str
    params: Params
    content: bytes | None = None


def check_request(method: Any, target: Any, body: Any) -> Request:
    """What a browser asks for, as what may be sent.

    Raises:
        Refused: the method and path are not in the table, or the body is not a JSON object.
    """
    path, params = _split(target)
    if not any(method == allowed and _matches(path, route) for allowed, route in ROUTES):
        raise Refused(f"A widget may not send {method} {path}")
    return Request(str(method), path, params, _content(method, body))


def check_download(target: Any) -> Request:
    """The same for bytes.

    Raises:
        Refused: it is not the path of an artifact.
    """
    path, _ = _split(target)
    if not any(_matches(path, route) for route in DOWNLOADS):
        raise Refused(f"A widget may not download {path}")
    return Request("GET", path, ())


def check_subscription(text: Any) -> str:
    """A message for the server's websocket, built anew.

    Raises:
        Refused: it is none, or its topic is not one of runs and their logs.
    """
    if not isinstance(text, str):
        raise Refused("A message has to be text", status=422)
    try:
        message: Subscribe | Unsubscribe = parse_client_message(text)
    except ValidationError as exc:
        raise Refused("A widget may only subscribe and unsubscribe", status=422) from exc
    if message.topic.split("/")[0] not in ("runs", "run"):
        raise Refused(f"A widget may not subscribe to {message.topic}")
    return message.model_dump_json(exclude_none=True)


def _split(target: Any) -> tuple[str, Params]:
    if not isinstance(target, str) or len(target) > 8192:
        raise Refused("The path has to be text", status=422)
    path, _, query = target.partition("?")
    return path, tuple(parse_qsl(query))


def _matches(path: str, route: str) -> bool:
    pattern = re.sub(r"\\{(\w+)\\}", lambda match: _PARTS[match[1]], re.escape(route))
    return re.fullmatch(pattern, path, re.ASCII) is not None


def _content(method: Any, body: Any) -> bytes | None:
    if method != "POST":
        return None
    if not isinstance(body, str) or len(body) > MOST_BODY_BYTES:
        raise Refused("The body has to be a JSON object", status=422)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise Refused("The body is not JSON", status=422) from exc
    if not isinstance(value, dict):
        raise Refused("The body has to be a JSON object", status=422)
    return orjson.dumps(value)
