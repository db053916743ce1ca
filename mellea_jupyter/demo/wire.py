"""The OpenAI and Ollama wire formats of scripted endpoints: requests read, replies written.

Pure functions and values, no sockets. Standard library only.

**Source:** OpenAI API reference (chat completions, completions, streaming events); Ollama
``docs/api.md`` (chat, generate).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Protocol = Literal["openai", "ollama"]
Kind = Literal["chat", "completion"]
JsonObject = dict[str, Any]

_OLLAMA_DATE = "2026-01-01T00:00:00Z"


def count_tokens(text: str) -> int:
    """Count whitespace-separated words, at least 1: our tokens, the same in both protocols."""
    return max(1, len(text.split()))


@dataclass(frozen=True)
class ToolCall:
    """A tool the reply asks for, with its arguments by name."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What to answer to one request.

    ``status`` other than 200 answers an error with ``text`` as its message. A delay ends early
    when the client goes away. ``usage=False`` leaves the token counts out of the answer, and
    ``input_tokens`` and ``output_tokens`` are what an answer in OpenAI's protocol says instead of
    what the texts have. ``body`` is sent as it stands in place of what the protocol says, as a
    proxy's page is. ``cut_after`` resets the connection after so many pieces of a stream; 0 sends
    no byte at all.
    """

    text: str = "ok"
    tool_calls: Sequence[ToolCall] = ()
    status: int = 200
    error_type: str = "server_error"
    error_code: str | None = None
    delay_seconds: float = 0.0
    chunk_delay_seconds: float = 0.0
    usage: bool = True
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    content_type: str = "application/json"
    cut_after: int | None = None


@dataclass(frozen=True)
class LlmRequest:
    """One generation request, the same for both protocols.

    ``messages`` are ``{"role", "content"}`` with content as plain text; a completion request has
    ``prompts`` instead. ``schema`` is the JSON schema that the reply must follow, if any.
    """

    protocol: Protocol
    kind: Kind
    model: str
    messages: Sequence[Mapping[str, str]] = ()
    prompts: Sequence[str] = ()
    schema: JsonObject | None = None
    tools: Sequence[JsonObject] = ()
    stream: bool = False
    wants_usage: bool = True
    api_key: str = ""

    @property
    def input_tokens(self) -> int:
        """Tokens of every message or prompt together."""
        texts = [message["content"] for message in self.messages] or self.prompts
        return sum(count_tokens(text) for text in texts)


# Requests


def parse_request(path: str, body: Any, authorization: str) -> LlmRequest | None:
    """Read a generation request of either protocol; None when the path is not one."""
    if not isinstance(body, dict):
        return None
    api_key = authorization.removeprefix("Bearer ").strip()
    model = str(body.get("model") or "")
    stream = bool(body.get("stream"))
    if path in ("/v1/chat/completions", "/chat/completions"):
        options = body.get("stream_options") or {}
        response_format = body.get("response_format") or {}
        return LlmRequest(
            "openai",
            "chat",
            model,
            messages=_messages(body),
            schema=(response_format.get("json_schema") or {}).get("schema"),
            tools=body.get("tools") or (),
            stream=stream,
            wants_usage=not stream or bool(options.get("include_usage")),
            api_key=api_key,
        )
    if path in ("/v1/completions", "/completions"):
        prompt = body.get("prompt") or ""
        prompts = [str(p) for p in prompt] if isinstance(prompt, list) else [str(prompt)]
        return LlmRequest("openai", "completion", model, prompts=prompts, api_key=api_key)
    schema = body["format"] if isinstance(body.get("format"), dict) else None
    if path == "/api/chat":
        return LlmRequest(
            "ollama",
            "chat",
            model,
            messages=_messages(body),
            schema=schema,
            tools=body.get("tools") or (),
            stream=stream,
            api_key=api_key,
        )
    if path == "/api/generate":
        prompts = [str(body.get("prompt") or "")]
        return LlmRequest(
            "ollama", "completion", model, prompts=prompts, schema=schema, api_key=api_key
        )
    return None


def _messages(body: JsonObject) -> list[dict[str, str]]:
    return [
        {"role": str(message.get("role") or ""), "content": _text(message.get("content"))}
        for message in body.get("messages") or []
    ]


def _text(content: Any) -> str:
    """The text of a message: a string, or a list of parts of which only text counts."""
    if isinstance(content, list):
        return "\n".join(str(part.get("text") or "") for part in content)
    return str(content or "")


# Replies


def error_body(request: LlmRequest, reply: Reply) -> JsonObject:
    """The body of a reply whose status is not 200."""
    if request.protocol == "ollama":
        return {"error": reply.text}
    error: JsonObject = {"message": reply.text, "type": reply.error_type, "param": None}
    return {"error": {**error, "code": reply.error_code}}


def _fragments(text: str) -> Iterator[str]:
    """Cut a reply into the words that a stream sends one by one."""
    for position, word in enumerate(text.split(" ")):
        yield word if position == 0 else f" {word}"


class OpenAiWriter:
    """Replies as ``/v1/chat/completions`` and ``/v1/completions`` write them."""

    content_type = "text/event-stream"

    def __init__(self, request: LlmRequest, reply: Reply, fingerprint: str) -> None:
        self._request = request
        self._reply = reply
        copies = max(1, len(request.prompts))
        made = count_tokens(reply.text) if reply.output_tokens is None else reply.output_tokens
        self.output_tokens = copies * made
        self.sends_usage = reply.usage and request.wants_usage
        chat = request.kind == "chat"
        self._head: JsonObject = {
            "id": "scripted",
            "object": "chat.completion" if chat else "text_completion",
            "created": 0,
            "model": request.model,
            "system_fingerprint": fingerprint,
        }

    def whole(self) -> JsonObject:
        """The body of a reply in one piece."""
        if self._request.kind == "completion":
            choices: list[JsonObject] = [
                {"index": i, "text": self._reply.text, "finish_reason": "stop", "logprobs": None}
                for i in range(len(self._request.prompts))
            ]
        else:
            message: JsonObject = {"role": "assistant", "content": self._reply.text or None}
            message.update(self._tools())
            choices = [{"index": 0, "message": message, "finish_reason": self._finish_reason()}]
        return {**self._head, "choices": choices, **self._usage()}

    def pieces(self) -> Iterator[bytes]:
        """The pieces of a streamed reply, each with its separator."""
        head = {**self._head, "object": "chat.completion.chunk"}

        def event(delta: JsonObject, finish_reason: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            return _sse({**head, "choices": [choice]})

        yield event({"role": "assistant", "content": ""})
        for fragment in _fragments(self._reply.text):
            yield event({"content": fragment})
        if self._reply.tool_calls:
            yield event(self._tools(streamed=True))
        yield event({}, self._finish_reason())
        if self.sends_usage:
            yield _sse({**head, "choices": [], **self._usage()})
        yield b"data: [DONE]\n\n"

    def _finish_reason(self) -> str:
        return "tool_calls" if self._reply.tool_calls else "stop"

    def _tools(self, *, streamed: bool = False) -> JsonObject:
        if not self._reply.tool_calls:
            return {}
        calls = []
        for position, call in enumerate(self._reply.tool_calls):
            function = {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
            place = {"index": position} if streamed else {}
            calls.append({**place, "id": f"call_{position}", "type": "function"})
            calls[-1]["function"] = function
        return {"tool_calls": calls}

    def _usage(self) -> JsonObject:
        if not self.sends_usage:
            return {}
        given = self._reply.input_tokens
        tokens = (self._request.input_tokens if given is None else given, self.output_tokens)
        usage: JsonObject = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
        usage["total_tokens"] = sum(tokens)
        if self._reply.cached_tokens is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self._reply.cached_tokens}
        if self._reply.reasoning_tokens is not None:
            details = {"reasoning_tokens": self._reply.reasoning_tokens}
            usage["completion_tokens_details"] = details
        return {"usage": usage}


class OllamaWriter:
    """Replies as ``/api/chat`` and ``/api/generate`` write them."""

    content_type = "application/x-ndjson"

    def __init__(self, request: LlmRequest, reply: Reply, fingerprint: str) -> None:
        self._request = request
        self._reply = reply
        self.output_tokens = count_tokens(reply.text)
        self.sends_usage = reply.usage
        self._head: JsonObject = {
            "model": request.model,
            "created_at": _OLLAMA_DATE,
            "system_fingerprint": fingerprint,
        }

    def whole(self) -> JsonObject:
        """The body of a reply in one piece."""
        return {**self._head, **self._content(self._reply.text, last=True), **self._end()}

    def pieces(self) -> Iterator[bytes]:
        """The pieces of a streamed reply, each with its separator."""
        for fragment in _fragments(self._reply.text):
            body = {**self._head, **self._content(fragment, last=False), "done": False}
            yield json.dumps(body).encode() + b"\n"
        body = {**self._head, **self._content("", last=True), **self._end()}
        yield json.dumps(body).encode() + b"\n"

    def _content(self, text: str, *, last: bool) -> JsonObject:
        if self._request.kind == "completion":
            return {"response": text}
        message: JsonObject = {"role": "assistant", "content": text}
        if last and self._reply.tool_calls:
            message["tool_calls"] = [
                {"function": {"name": call.name, "arguments": dict(call.arguments)}}
                for call in self._reply.tool_calls
            ]
        return {"message": message}

    def _end(self) -> JsonObject:
        end: JsonObject = {"done": True, "done_reason": "stop", "total_duration": 1}
        if self.sends_usage:
            end["prompt_eval_count"] = self._request.input_tokens
            end["eval_count"] = self.output_tokens
        return end


def _sse(data: JsonObject) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


WRITERS: Mapping[Protocol, type[OpenAiWriter | OllamaWriter]] = {
    "openai": OpenAiWriter,
    "ollama": OllamaWriter,
}
