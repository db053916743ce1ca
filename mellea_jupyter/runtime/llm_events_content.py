"""What an LLM event says of texts, tokens and errors, each cut to a bounded size.

The work is bounded, not only the result: a 100-turn conversation costs no more than its last
messages. Everything is read by feature test; what is missing is left out. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Fields = dict[str, Any]

MAX_MESSAGES = 6
MAX_MESSAGE_PARTS = 16
MAX_NAME_BYTES = 200
MAX_TEXT_BYTES = 2000


def cut(text: str, limit_bytes: int) -> tuple[str, bool]:
    """Cut a text to at most ``limit_bytes`` of UTF-8 and say whether anything was removed."""
    if text.isascii():
        return (text, False) if len(text) <= limit_bytes else (text[:limit_bytes], True)
    encoded = text[: limit_bytes + 1].encode("utf-8", "replace")
    shortened = len(encoded) > limit_bytes
    return encoded[:limit_bytes].decode("utf-8", "ignore"), shortened


def short(value: Any, limit_bytes: int = MAX_TEXT_BYTES) -> str:
    """A value as a text that fits into a frame beside others."""
    return cut(value if isinstance(value, str) else str(value), limit_bytes)[0]


def name_of(value: Any) -> str | None:
    """A model or provider name as text; None when there is none."""
    return short(value, MAX_NAME_BYTES) if value else None


def prompt_fields(prompt: Any, limit_bytes: int) -> Fields:
    """The end of a prompt: ``{"prompt": text | messages, "truncated"?: True}``.

    Messages are ``{"role", "content"}``, oldest first: at most the last `MAX_MESSAGES` of a
    conversation, because the calls before have shown the others.
    """
    if isinstance(prompt, str):
        return _text_fields("prompt", prompt, limit_bytes)
    if not isinstance(prompt, list):
        return {}
    messages: list[Fields] = []
    left = limit_bytes
    truncated = len(prompt) > MAX_MESSAGES
    for message in reversed(prompt[-MAX_MESSAGES:]):
        if left <= 0:
            truncated = True
            break
        content, shortened = _message_content(message, left)
        truncated = truncated or shortened
        left -= len(content)
        role = message.get("role") if isinstance(message, Mapping) else None
        messages.append({"role": short(role or "", MAX_NAME_BYTES), "content": content})
    fields: Fields = {"prompt": messages[::-1]}
    if truncated:
        fields["truncated"] = True
    return fields


def reply_fields(reply: Any, limit_bytes: int) -> Fields:
    """The beginning of a reply: ``{"reply": text, "truncated"?: True}``."""
    return _text_fields("reply", reply, limit_bytes) if isinstance(reply, str) else {}


def _text_fields(name: str, text: str, limit_bytes: int) -> Fields:
    kept, shortened = cut(text, limit_bytes)
    return {name: kept, "truncated": True} if shortened else {name: kept}


def _message_content(message: Any, limit_bytes: int) -> tuple[str, bool]:
    """The text of a chat message; parts that are not text are named in brackets."""
    content = message.get("content") if isinstance(message, Mapping) else message
    if isinstance(content, str):
        return cut(content, limit_bytes)
    if not isinstance(content, list):
        return "", False
    texts = []
    for part in content[:MAX_MESSAGE_PARTS]:
        text = part.get("text") if isinstance(part, Mapping) else None
        kind = part.get("type", "part") if isinstance(part, Mapping) else "part"
        texts.append(text[:limit_bytes] if isinstance(text, str) else f"[{kind}]")
    text, shortened = cut("\n".join(texts), limit_bytes)
    return text, shortened or len(content) > MAX_MESSAGE_PARTS


def usage_fields(usage: Any) -> Fields:
    """Token counts exactly as the backend reported them; absent ones are left out."""
    if not isinstance(usage, Mapping):
        return {}
    fields: Fields = {}
    _put_count(fields, "input_tokens", usage, "prompt_tokens")
    _put_count(fields, "output_tokens", usage, "completion_tokens")
    _put_count(fields, "cached_tokens", usage.get("prompt_tokens_details"), "cached_tokens")
    _put_count(
        fields, "reasoning_tokens", usage.get("completion_tokens_details"), "reasoning_tokens"
    )
    return fields


def _put_count(fields: Fields, name: str, source: Any, key: str) -> None:
    value = source.get(key) if isinstance(source, Mapping) else None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        fields[name] = value


def error_fields(error: BaseException) -> Fields:
    """An exception as ``{type, message, code?, status?}``, the type with its module."""
    kind = type(error)
    module = kind.__module__
    qualified = kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
    fields: Fields = {"type": short(qualified, MAX_NAME_BYTES), "message": short(error)}
    code = getattr(error, "code", None)
    if isinstance(code, (str, int)):
        fields["code"] = short(code, MAX_NAME_BYTES)
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        fields["status"] = status
    return fields
