"""`FaultyService`: one HTTP server that stands for every service that fails in its own way.

The first segment of the path names the service (`/weather-401/v1/today`), so one server plays all
of them at once and keeps no state. Bodies and status codes are those of the real services.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

LONGER_THAN_ANY_CLIENT_SECONDS: Final = 60.0
NGINX_502: Final = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.24.0</center>\r\n"
    "</body>\r\n</html>\r\n"
)


@dataclass(frozen=True)
class Answer:
    """What a service says. `hangs`: it never does; `resets`: it breaks the connection off."""

    status: int = 200
    body: Any = ""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    resets: bool = False


def _anthropic(status: int, kind: str, message: str) -> Answer:
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return Answer(status, body, headers={"request-id": "req_011CSHoEeqs5C35K2UUqR7Fy"})


def _google(status: int, word: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": status, "message": message, "status": word}})


def _openai(status: int, kind: str, code: str | None, message: str) -> Answer:
    error = {"message": message, "type": kind, "param": None, "code": code}
    return Answer(status, {"error": error})


SERVICES: Final[dict[str, Answer | dict[str, Answer]]] = {
    "anthropic-401": _anthropic(401, "authentication_error", "invalid x-api-key"),
    "anthropic-429": _anthropic(
        429,
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 50,000 input tokens per "
        "minute.",
    ),
    "anthropic-529": _anthropic(529, "overloaded_error", "Overloaded"),
    "anthropic-credit": _anthropic(
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing "
        "to upgrade or purchase credits.",
    ),
    "anthropic-context": _anthropic(
        400, "invalid_request_error", "prompt is too long: 213462 tokens > 200000 maximum"
    ),
    "anthropic-model": _anthropic(404, "not_found_error", "model: claude-3-opus-latest"),
    "gemini-key": _google(
        400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."
    ),
    "deepseek-402": _openai(402, "unknown_error", "invalid_request_error", "Insufficient Balance"),
    "embeddings-model": _openai(
        404,
        "invalid_request_error",
        "model_not_found",
        "The model `text-embedding-9-small` does not exist or you do not have access to it.",
    ),
    "embeddings-quota": _openai(
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "moderation-400": _openai(
        400, "invalid_request_error", None, "Invalid type for 'input': expected a string."
    ),
    "ollama-empty": {
        "/": Answer(200, "Ollama is running", "text/plain"),
        "/api/tags": Answer(200, {"models": []}),
        "/api/ps": Answer(200, {"models": []}),
        "/api/pull": Answer(500, {"error": "pull model manifest: file does not exist"}),
    },
    "weather-401": Answer(401, {"cod": 401, "message": "Invalid API key."}),
    "weather-403": Answer(403, {"message": "Forbidden"}),
    "weather-404": Answer(404, {"cod": "404", "message": "city not found"}),
    "weather-429": Answer(429, {"message": "Too many requests"}, headers={"Retry-After": "30"}),
    "weather-500": Answer(500, {"message": "Internal server error"}),
    "weather-502": Answer(502, NGINX_502, "text/html"),
    "weather-503": Answer(503, "upstream connect error", "text/plain"),
    "weather-hangs": Answer(hangs=True),
    "weather-resets": Answer(resets=True),
    "weather-html": Answer(200, "<html><body>Please log in</body></html>", "text/html"),
    "weather-ok": Answer(200, {"city": "Lisbon", "days": []}),
    # An image registry: /v2/<service>/manifests/<tag>
    "private-image": Answer(
        401,
        {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]},
        headers={"Docker-Distribution-Api-Version": "registry/2.0"},
    ),
    "denied-image": Answer(
        403,
        {"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]},
        headers={"Docker-Distribution-Api-Version": "registry/2.0"},
    ),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any, **__: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/v2")
        name, _, rest = path.lstrip("/").partition("/")
        found = SERVICES.get(name, Answer(200 if path == "/" else 404, {}))
        if isinstance(found, dict):
            found = found.get(f"/{rest}", Answer(404, {"error": "not found"}))
        if found.hangs:
            self.close_connection = True
            self.server.closing.wait(LONGER_THAN_ANY_CLIENT_SECONDS)
        elif found.resets:
            self._reset()
        else:
            self._send(found)

    def _send(self, answer: Answer) -> None:
        is_text = isinstance(answer.body, str)
        body = (answer.body if is_text else json.dumps(answer.body)).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        self.close_connection = True
        at_once = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        os.close(self.connection.detach())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    closing = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is ordinary here."""


class FaultyService:
    """Serves `SERVICES` on loopback; a context manager."""

    def __init__(self) -> None:
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.closing = threading.Event()
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """The root; a service's name comes next."""
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
