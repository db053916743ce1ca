"""An HTTP server that speaks the OpenAI and Ollama protocols with replies made up in process.

Responsible for serving both protocols (`wire` has their formats), for counting what was asked and
answered, and for starting and stopping cleanly. What to reply is a subclass's decision
(`LlmServer.reply_to`): `demo.server` imitates a model, `testing.scripted_llm` plays a list.
Standard library only.

**Source:** OpenAI API reference (models); Ollama ``docs/api.md`` (show, tags, ps, pull).
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal, Self

from .wire import WRITERS, JsonObject, Kind, LlmRequest, Protocol, Reply, error_body, parse_request

MAX_BODY_BYTES = 64 * 1024 * 1024
STOP_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True)
class Exchange:
    """What the server itself counted for one generation request.

    ``outcome`` is ``pending`` until the last byte is written, then ``replied``, ``failed`` (an
    error status, a reply outside the protocol, or a connection that was reset) or ``gone`` (the
    client left first). Tokens are those of the reply as sent, 0 until then. ``usage_sent`` says
    whether the client was told them.
    """

    path: str
    protocol: Protocol
    kind: Kind
    model: str
    api_key: str
    stream: bool
    outcome: Literal["pending", "replied", "failed", "gone"] = "pending"
    input_tokens: int = 0
    output_tokens: int = 0
    usage_sent: bool = False


class LlmServer(ABC):
    """A loopback endpoint for OpenAI (``/v1``) and Ollama (``/api``) clients.

    A context manager: ``with server: ... server.openai_url``. `start` binds and serves on daemon
    threads; `stop` closes every connection and waits until the handlers have returned.
    """

    model_names: ClassVar[Sequence[str]] = ("scripted",)
    system_fingerprint: ClassVar[str] = "scripted"

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._address = (host, port)
        self._lock = threading.Lock()
        self._exchanges: list[Exchange] = []
        self._http: _HttpServer | None = None
        self._thread: threading.Thread | None = None

    @abstractmethod
    def reply_to(self, request: LlmRequest) -> Reply:
        """Choose the reply; called once a request, on the connection's own thread."""

    def get(self, path: str) -> JsonObject | None:
        """Answer a GET path of the subclass's own, or None for 404."""
        return None

    def post(self, path: str, body: Any) -> JsonObject | None:
        """Answer a POST path of the subclass's own, or None for 404."""
        return None

    # Start and stop

    def start(self) -> str:
        """Bind, serve in the background and return `openai_url`. Starting twice is one start."""
        if self._http is None:
            self._http = _HttpServer(self._address, _Handler, llm=self)
            self._thread = threading.Thread(
                target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
            )
            self._thread.start()
        return self.openai_url

    def stop(self) -> None:
        """Close the listener and every connection, and wait for their threads. Idempotent."""
        http, thread = self._http, self._thread
        self._http = self._thread = None
        if http is None or thread is None:
            return
        http.shutdown()
        thread.join(STOP_DEADLINE_SECONDS)
        http.server_close()
        http.close_connections(STOP_DEADLINE_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The server root, which is what ``OLLAMA_HOST`` takes.

        Raises:
            RuntimeError: The server is not started.
        """
        if self._http is None:
            raise RuntimeError("the server is not started")
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def openai_url(self) -> str:
        """The root of the OpenAI protocol, which is what ``OPENAI_BASE_URL`` takes."""
        return f"{self.url}/v1"

    # Counts

    @property
    def exchanges(self) -> list[Exchange]:
        """Every generation request so far, in order of arrival."""
        with self._lock:
            return list(self._exchanges)

    def counts(self, api_key: str | None = None) -> JsonObject:
        """Count requests and the tokens that clients were told of, for one key or for all.

        Shape: ``{requests, replied, failed, gone, input_tokens, output_tokens}``.
        """
        chosen = [e for e in self.exchanges if api_key is None or e.api_key == api_key]
        return {
            "requests": len(chosen),
            **{
                outcome: sum(e.outcome == outcome for e in chosen)
                for outcome in ("replied", "failed", "gone")
            },
            "input_tokens": sum(e.input_tokens for e in chosen if e.usage_sent),
            "output_tokens": sum(e.output_tokens for e in chosen if e.usage_sent),
        }

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self._exchanges.clear()

    def open_exchange(self, path: str, request: LlmRequest) -> int:
        """Count a request that has just arrived and return its index."""
        exchange = Exchange(
            path, request.protocol, request.kind, request.model, request.api_key, request.stream
        )
        with self._lock:
            self._exchanges.append(exchange)
            return len(self._exchanges) - 1

    def close_exchange(self, index: int, **changes: Any) -> None:
        """Record how a request ended. One that was forgotten meanwhile is left alone."""
        with self._lock:
            if index < len(self._exchanges):
                self._exchanges[index] = replace(self._exchanges[index], **changes)


class _HttpServer(ThreadingHTTPServer):
    """A threaded server that knows its open connections, so that it can end them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[_Handler], llm: LlmServer) -> None:
        self.llm = llm
        self._connections: set[socket.socket] = set()
        self._closing = False
        self._idle = threading.Condition()
        super().__init__(address, handler)

    def opened(self, connection: socket.socket) -> None:
        with self._idle:
            self._connections.add(connection)
            closing = self._closing
        if closing:
            _shut(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._idle:
            self._connections.discard(connection)
            self._idle.notify_all()

    def close_connections(self, deadline_seconds: float) -> None:
        with self._idle:
            self._closing = True
            for connection in self._connections:
                _shut(connection)
            self._idle.wait_for(lambda: not self._connections, deadline_seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is ordinary here; `Exchange.outcome` already says so."""


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # already closed by the peer
        connection.shutdown(socket.SHUT_RDWR)


class _ClientGone(ConnectionError):
    """The client closed its connection before the reply was complete."""


class _Handler(BaseHTTPRequestHandler):
    """One connection: parses a request, asks the server for the reply, writes it."""

    protocol_version = "HTTP/1.1"
    server: _HttpServer

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.opened(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.closed(self.connection)

    def log_message(self, *_: Any, **__: Any) -> None:
        """Say nothing: the exchanges are the log."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        models = self.server.llm.model_names
        if path == "/":
            self._send(200, b"Ollama is running", "text/plain")
        elif path == "/v1/models":
            rows = [{"id": name, "object": "model", "created": 0} for name in models]
            self._json({"object": "list", "data": rows})
        elif path == "/api/tags":
            self._json({"models": [{"name": name, "model": name} for name in models]})
        elif path == "/api/ps":
            self._json({"models": []})
        else:
            own = self.server.llm.get(self.path)
            self._json(own if own is not None else {"error": "not found"}, 200 if own else 404)

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if not 0 <= length <= MAX_BODY_BYTES:
            self.close_connection = True
            self._json({"error": "body too large"}, 413)
            return
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            self._json({"error": "the body is not JSON"}, 400)
            return
        path = self.path.partition("?")[0]
        request = parse_request(path, body, self.headers.get("authorization") or "")
        if request is not None:
            self._answer(path, request)
        elif path == "/api/show":
            capabilities = ["completion", "tools"]
            self._json({"details": {}, "model_info": {}, "capabilities": capabilities})
        elif path == "/api/pull":
            self._json({"status": "success"})
        else:
            own = self.server.llm.post(path, body)
            self._json(own if own is not None else {"error": "not found"}, 200 if own else 404)

    def _answer(self, path: str, request: LlmRequest) -> None:
        llm = self.server.llm
        index = llm.open_exchange(path, request)
        reply = llm.reply_to(request)
        try:
            self._wait(reply.delay_seconds)
            if reply.status != 200 or reply.body is not None or reply.cut_after == 0:
                # Counted first: a client may read the counts as soon as it has the answer.
                llm.close_exchange(index, outcome="failed")
                self._fail(request, reply)
                return
            writer = WRITERS[request.protocol](request, reply, llm.system_fingerprint)
            counted = {
                "outcome": "replied",
                "input_tokens": request.input_tokens,
                "output_tokens": writer.output_tokens,
                "usage_sent": writer.sends_usage,
            }
            if not request.stream:
                body = writer.whole()
                llm.close_exchange(index, **counted)
                self._json(body, headers=reply.headers)
                return
            self._start_stream(writer.content_type)
            for position, piece in enumerate(writer.pieces()):
                if position == reply.cut_after:
                    llm.close_exchange(index, outcome="failed")
                    self._reset()
                    return
                if position:
                    self._wait(reply.chunk_delay_seconds)
                self._chunk(piece)
            llm.close_exchange(index, **counted)
            self._chunk(b"")
        except (ConnectionError, _ClientGone):
            llm.close_exchange(index, outcome="gone")
            self.close_connection = True

    def _fail(self, request: LlmRequest, reply: Reply) -> None:
        """Answer an error, or something that is no answer of the protocol, or nothing."""
        if reply.cut_after == 0:
            self._reset()
        elif reply.body is not None:
            self._send(reply.status, reply.body.encode(), reply.content_type, reply.headers)
        else:
            self._json(error_body(request, reply), reply.status, reply.headers)

    def _reset(self) -> None:
        """Break the connection off, as a server that crashes or a network that fails does."""
        self.close_connection = True
        at_once = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        os.close(self.connection.detach())

    def _wait(self, seconds: float) -> None:
        """Wait, but no longer than the client does.

        Raises:
            _ClientGone: The client closed the connection, or the server is stopping.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            readable, _, _ = select.select([self.connection], [], [], left)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                raise _ClientGone
            if readable:  # a pipelined request: it cannot tell us when the client leaves
                time.sleep(min(left, 0.05))

    def _json(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(body).encode(), "application/json", headers)

    def _send(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _start_stream(self, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
