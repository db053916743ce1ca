"""Where spans go: OTLP over HTTP, as protobuf.

Source: OpenTelemetry protocol specification 1.x, "OTLP/HTTP" (which answers are final, what a
partial success is).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.util.re import parse_env_headers

from mellea_jupyter.certificates import trust_for

TRACES_PATH: Final = "/v1/traces"
TIMEOUT_SECONDS: Final = 15.0
HEADERS_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")

_BATCH: Final = 500
_MAY_PASS: Final = frozenset({408, 429, 502, 503, 504})


class ExportFailed(Exception):
    """A collector did not take the spans.

    Attributes:
        is_final: trying again can not help.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


@dataclass(frozen=True, slots=True)
class Collector:
    """One collector.

    Attributes:
        url: where spans are posted.
        headers: what a request has besides, e.g. a key.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def export(self, spans: Sequence[ReadableSpan]) -> None:
        """Post the spans, some hundred at a time.

        Raises:
            ExportFailed: it does not answer, or refuses some of them.
        """
        trust = await asyncio.to_thread(trust_for, self.url)
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, verify=trust) as client:
            for start in range(0, len(spans), _BATCH):
                body = encode_spans(spans[start : start + _BATCH]).SerializeToString()
                await self._post(client, body)

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> None:
        headers = {
            "User-Agent": "mellea-jupyter",
            **self.headers,
            "Content-Type": "application/x-protobuf",
        }
        try:
            reply = await client.post(self.url, content=body, headers=headers)
        except httpx.HTTPError as error:
            # Its text may name the address, which may hold a key.
            said = f"the collector does not answer ({type(error).__name__})"
            raise ExportFailed(said) from error
        if not reply.is_success:
            raise ExportFailed(
                f"the collector answered {reply.status_code}",
                is_final=reply.status_code not in _MAY_PASS,
            )
        _check_taken(reply)


def _check_taken(reply: httpx.Response) -> None:
    """Raises ExportFailed, final, where the collector says that it dropped spans."""
    if not reply.content or "protobuf" not in reply.headers.get("Content-Type", ""):
        return
    told = ExportTraceServiceResponse()
    told.ParseFromString(reply.content)
    rejected = told.partial_success.rejected_spans
    if rejected:
        raise ExportFailed(f"the collector dropped {rejected} spans", is_final=True)


def endpoint_url(endpoint: str) -> str:
    """The address to post to: `/v1/traces` is added to one without a path.

    Raises:
        ValueError: it is no web address.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("does not begin with https:// or http:// and a host")
    if parts.path in ("", "/"):
        return parts._replace(path=TRACES_PATH).geturl()
    return endpoint


def parse_headers(text: str | None) -> dict[str, str]:
    """`name=value` pairs with commas or lines between; without a text, the environment's."""
    if text is None:
        text = next((os.environ[name] for name in HEADERS_VARIABLES if name in os.environ), "")
    pairs = ",".join(line.strip() for line in text.splitlines() if line.strip())
    return dict(parse_env_headers(pairs, liberal=True))
