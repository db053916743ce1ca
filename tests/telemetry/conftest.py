"""A real collector on this machine: takes OTLP over HTTP and decodes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

DEADLINE_SECONDS = 30.0


@dataclass
class OtlpEndpoint:
    """What was exported to it.

    Attributes:
        url: its address, without a path.
        requests: path, headers (names in lower case) and decoded body of each request.
        answers: statuses of the next replies; 200 without any.
        rejects: spans that its replies say it has dropped.
    """

    url: str = ""
    requests: list[tuple[str, dict[str, str], ExportTraceServiceRequest]] = field(
        default_factory=list
    )
    answers: list[int] = field(default_factory=list)
    rejects: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def spans(self) -> list[Span]:
        """All spans, in the order they came."""
        return [
            span
            for _, _, request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def wait_for_requests(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, DEADLINE_SECONDS)

    def wait_for_trace(self, run_id: str) -> dict[str, Span]:
        """The spans of a run by the text that `key_of` gives them."""
        trace_id = bytes.fromhex(run_id.replace("-", ""))

        def found() -> list[Span]:
            return [span for span in self.spans() if span.trace_id == trace_id]

        with self.changed:
            assert self.changed.wait_for(lambda: bool(found()), DEADLINE_SECONDS)
        return {key_of(span): span for span in found()}


def attributes(span: Any) -> dict[str, Any]:
    """Attributes of a span, an event or a resource as plain values."""
    return {each.key: _plain(each.value) for each in span.attributes}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind)


def key_of(span: Span) -> str:
    """The span's name, and the number of a call or loop."""
    told = attributes(span)
    number = told.get("mellea.call.number") or told.get("mellea.loop.number")
    return f"{span.name} #{number}" if number else span.name


@pytest.fixture
def endpoint() -> Iterator[OtlpEndpoint]:
    yield from serve_otlp()


def serve_otlp() -> Iterator[OtlpEndpoint]:
    """Yields a running endpoint, and stops it."""
    found = OtlpEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest()
            request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
            reply = ExportTraceServiceResponse()
            reply.partial_success.rejected_spans = found.rejects
            body = reply.SerializeToString()
            with found.changed:
                status = found.answers.pop(0) if found.answers else 200
                headers = {name.lower(): value for name, value in self.headers.items()}
                found.requests.append((self.path, headers, request))
                found.changed.notify_all()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()
