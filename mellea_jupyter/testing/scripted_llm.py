"""An endpoint that plays a list of replies, for tests: real HTTP, scripted words.

Its own count of requests and tokens is the truth that tests compare the run's metrics with.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any
from urllib.request import Request, urlopen

from mellea_jupyter.demo.protocol import LlmServer
from mellea_jupyter.demo.schema_values import value_for_schema
from mellea_jupyter.demo.wire import JsonObject, LlmRequest, Reply, ToolCall

Step = str | Reply | Mapping[str, Any]
"""A reply: its text, a `Reply`, or the fields of one (``tool_calls`` as ``[name, args]``)."""


class ScriptedLlm(LlmServer):
    """Replies in the order of its script; the last step repeats for ever.

    A request that carries a JSON schema gets a value for it, unless the step's text is a JSON
    object already. Another process can drive it over HTTP: ``POST /__script`` with a list of
    steps restarts the script and the counts, ``GET /__counts`` and ``GET /__exchanges`` read
    them (`set_remote_script`, `get_remote`).
    """

    model_names = ("llama3", "gpt-4o", "granite4.2:3b", "granite4:micro")
    system_fingerprint = "scripted-test"

    def __init__(self, script: Iterable[Step] = (), host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host, port)
        self._turn = threading.Lock()
        self._steps: list[Reply] = []
        self._position = 0
        self.set_script(script)

    def set_script(self, script: Iterable[Step]) -> None:
        """Play this script from its beginning and start counting anew."""
        steps = [_as_reply(step) for step in script]
        with self._turn:
            self._steps, self._position = steps, 0
        self.forget()

    def reply_to(self, request: LlmRequest) -> Reply:
        """Play the next step."""
        with self._turn:
            last = len(self._steps) - 1
            reply = self._steps[min(self._position, last)] if self._steps else Reply()
            self._position += 1
        if request.schema and reply.status == 200 and not reply.text.lstrip().startswith("{"):
            text = json.dumps(value_for_schema(request.schema))
            return replace(reply, text=text)
        return reply

    def get(self, path: str) -> JsonObject | None:
        """Answer the control paths that read."""
        if path == "/__counts":
            return self.counts()
        if path == "/__exchanges":
            return {"exchanges": [asdict(exchange) for exchange in self.exchanges]}
        return None

    def post(self, path: str, body: Any) -> JsonObject | None:
        """Answer the control path that sets the script."""
        if path != "/__script" or not isinstance(body, list):
            return None
        self.set_script(body)
        return {"steps": len(body)}


def set_remote_script(url: str, script: Iterable[Step]) -> None:
    """Give a script to the `ScriptedLlm` at ``url``, which may be its OpenAI URL."""
    body = [asdict(step) if isinstance(step, Reply) else step for step in script]
    request = Request(  # noqa: S310  a URL of ours
        _root(url) + "/__script",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30) as response:  # noqa: S310
        response.read()


def get_remote(url: str, name: str) -> JsonObject:
    """Read ``counts`` or ``exchanges`` of the `ScriptedLlm` at ``url``."""
    with urlopen(f"{_root(url)}/__{name}", timeout=30) as response:  # noqa: S310
        answer: JsonObject = json.load(response)
        return answer


def _root(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1")


def _as_reply(step: Step) -> Reply:
    if isinstance(step, Reply):
        return step
    if isinstance(step, str):
        return Reply(text=step)
    fields = dict(step)
    calls = fields.pop("tool_calls", ())
    return Reply(**fields, tool_calls=[_as_tool_call(call) for call in calls])


def _as_tool_call(call: Any) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    if isinstance(call, Mapping):
        return ToolCall(**call)
    name, arguments = call
    return ToolCall(name, arguments)
