"""`DemoModel`: the endpoint behind the model name ``demo/scripted``.

Not a language model: its replies are scripted, and every one is labelled so by its model name and
``system_fingerprint``. Programs reach it through their ordinary OpenAI backend. Standard library
only, and cheap to import.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from urllib.parse import parse_qs

from .protocol import LlmServer
from .replies import compose
from .wire import JsonObject, LlmRequest, Reply

MODEL_NAME = "demo/scripted"


class DemoModel(LlmServer):
    """Deterministic replies with real latency, real HTTP and its own counts.

    ``GET /counts`` is what it counted in all, ``GET /counts?api_key=demo-<run_id>`` what it
    counted for the requests that came with this key, in the shape of `LlmServer.counts`.

    Args:
        latency_seconds: How long a reply takes, so that a newcomer sees it happen.
        host: The address to bind; loopback, because it asks nobody who they are.
        port: 0 picks a free one.
    """

    model_names = (MODEL_NAME,)
    system_fingerprint = "scripted-demo"

    def __init__(
        self, latency_seconds: float = 0.15, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        super().__init__(host, port)
        self._latency_seconds = latency_seconds
        self._attempts: Counter[tuple[str, bytes]] = Counter()

    def reply_to(self, request: LlmRequest) -> Reply:
        """Compose the reply and let it take its time."""
        reply = compose(request, self._count_attempt(request))
        return replace(
            reply,
            delay_seconds=self._latency_seconds,
            chunk_delay_seconds=self._latency_seconds / 10,
        )

    def get(self, path: str) -> JsonObject | None:
        """Answer ``/counts``."""
        name, _, query = path.partition("?")
        if name != "/counts":
            return None
        api_key = parse_qs(query).get("api_key", [None])[0]
        return {"model": MODEL_NAME, "scripted": True, **self.counts(api_key)}

    def _count_attempt(self, request: LlmRequest) -> int:
        """How often this key has made this very request; concurrent ones count up as well."""
        asked = json.dumps([list(request.messages), list(request.prompts), request.schema])
        key = (request.api_key, hashlib.sha256(asked.encode()).digest())
        with self._lock:
            self._attempts[key] += 1
            return self._attempts[key]
