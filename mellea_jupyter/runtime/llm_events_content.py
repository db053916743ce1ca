"""What an LLM event says of texts, tokens and errors, each cut to a bounded size.

The work is bounded, not only the result: a 100-turn conversation costs no more than its last
messages. Everything is read by feature test; what is missing is left out. Standard library only.
"""

from __future__ import annotations

from typing import Any

Fields = dict[str, Any]

MAX_MESSAGES = 4
MAX_MESSAGE_PARTS = 16
MAX_NAME_CHARS = 200
MAX_TEXT_BYTES = 2000
MAX_MEASURED_PARTS = 32
MAX_ENCODED_CHARS = 16384


def cut(text: str, limit_bytes: int) -> tuple[str, int, bool]:
    """The beginning of a text, its size in bytes of UTF-8, and whether anything was removed.

    It has at most ``limit_bytes``; what UTF-8 can not express becomes a question mark.
    """
    if text.isascii():
        kept = text[:limit_bytes]
        return kept, len(kept), len(kept) < len(text)
    try:
        encoded = text[: limit_bytes + 1].encode()
    except UnicodeEncodeError:
        return cut(text.encode("utf-8", "replace").decode(), limit_bytes)
    if len(encoded) <= limit_bytes:
        return text, len(encoded), False
    return encoded[:limit_bytes].decode("utf-8", "ignore"), limit_bytes, True


def short(value: Any, limit_bytes: int = MAX_TEXT_BYTES) -> str:
    """A value as a text that fits into a frame beside others."""
    return cut(value if isinstance(value, str) else str(value), limit_bytes)[0]


def name_of(value: Any) -> str | None:
    """A model or provider name as text; None when there is none."""
    if type(value) is str and 0 < len(value) <= MAX_NAME_CHARS:
        return value
    return str(value)[:MAX_NAME_CHARS] if value else None


def content_fields(prompt: Any, reply: Any, limit_bytes: int) -> Fields:
    """The end of a prompt and the beginning of its reply.

    Where one of them is cut (``truncated``), ``prompt_bytes`` and ``reply_bytes`` are the sizes of
    the whole texts, left out where they are not found quickly.
    """
    fields = {**prompt_fields(prompt, limit_bytes), **reply_fields(reply, limit_bytes)}
    if "truncated" in fields:
        messages = prompt if isinstance(prompt, list) else [prompt]
        sizes = {"prompt_bytes": _size_of(messages), "reply_bytes": _size_of([reply])}
        fields.update((name, size) for name, size in sizes.items() if size is not None)
    return fields


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
    for message in prompt[: -MAX_MESSAGES - 1 : -1]:
        if left <= 0:
            truncated = True
            break
        fields = message if isinstance(message, dict) else {"content": message}
        content, size, shortened = _message_content(fields.get("content"), left)
        truncated = truncated or shortened
        left -= size
        messages.append({"role": name_of(fields.get("role")) or "", "content": content})
    messages.reverse()
    return {"prompt": messages, "truncated": True} if truncated else {"prompt": messages}


def reply_fields(reply: Any, limit_bytes: int) -> Fields:
    """The beginning of a reply: ``{"reply": text, "truncated"?: True}``."""
    return _text_fields("reply", reply, limit_bytes) if isinstance(reply, str) else {}


def _text_fields(name: str, text: str, limit_bytes: int) -> Fields:
    kept, _, shortened = cut(text, limit_bytes)
    return {name: kept, "truncated": True} if shortened else {name: kept}


def _size_of(parts: list[Any]) -> int | None:
    """The UTF-8 size of a few texts and messages; None where it takes long to find.

    Only few are looked at, so that a turn of a long conversation costs no more than one of a
    short one. The size of ASCII is known without reading it; of other texts little is read.
    """
    if len(parts) > MAX_MEASURED_PARTS:
        return None
    size, left = 0, MAX_ENCODED_CHARS
    for part in parts:
        content = part.get("content") if isinstance(part, dict) else part
        if isinstance(content, list):
            return None  # with parts of its own
        if not isinstance(content, str):
            continue
        if content.isascii():
            size += len(content)
            continue
        left -= len(content)
        if left < 0:
            return None
        size += len(content.encode("utf-8", "replace"))
    return size


def _message_content(content: Any, limit_bytes: int) -> tuple[str, int, bool]:
    """The text of a chat message, its size in bytes, and whether something was cut off.

    Parts that are not text are named in brackets.
    """
    if isinstance(content, str):
        return cut(content, limit_bytes)
    if not isinstance(content, list):
        return "", 0, False
    texts = []
    for part in content[:MAX_MESSAGE_PARTS]:
        text = part.get("text") if isinstance(part, dict) else None
        kind = part.get("type", "part") if isinstance(part, dict) else "part"
        texts.append(text[:limit_bytes] if isinstance(text, str) else f"[{name_of(kind)}]")
    text, size, shortened = cut("\n".join(texts), limit_bytes)
    return text, size, shortened or len(content) > MAX_MESSAGE_PARTS


_COUNTS = (
    ("input_tokens", None, "prompt_tokens"),
    ("output_tokens", None, "completion_tokens"),
    ("cached_tokens", "prompt_tokens_details", "cached_tokens"),
    ("cache_write_tokens", "prompt_tokens_details", "cache_creation_tokens"),
    ("cache_write_tokens", None, "cache_creation_input_tokens"),
    ("reasoning_tokens", "completion_tokens_details", "reasoning_tokens"),
)


def usage_fields(usage: Any) -> Fields:
    """Token counts exactly as the backend reported them; absent ones are left out."""
    fields: Fields = {}
    if not isinstance(usage, dict):
        return fields
    for name, part, key in _COUNTS:
        source = usage if part is None else usage.get(part)
        value = source.get(key) if isinstance(source, dict) else None
        if type(value) is int and value >= 0:
            fields[name] = value
    return fields


def error_fields(error: BaseException) -> Fields:
    """An exception as ``{type, message, code?, status?}``, the type with its module."""
    kind = type(error)
    module = kind.__module__
    qualified = kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"
    fields: Fields = {"type": name_of(qualified), "message": short(error)}
    code = getattr(error, "code", None)
    if isinstance(code, (str, int)):
        fields["code"] = name_of(str(code))
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        fields["status"] = status
    return fields


_TEXT_NAMES = ("_description", "content", "_underlying_value", "value")
_MOST_OUTPUT_NAMES = ("@@@max_new_tokens@@@", "max_completion_tokens", "max_tokens", "num_predict")
MAX_COUNTED_PARTS = 1000


def prompt_characters(actions: list[Any], context: Any) -> int:
    """Characters that a prompt has at least, without rendering it.

    Those of what is asked, and of what was said before: its last `MAX_COUNTED_PARTS` parts.
    """
    parts = list(actions)
    view = getattr(context, "view_for_generation", None)
    said = view() if callable(view) else None
    if isinstance(said, list):
        parts += said[-MAX_COUNTED_PARTS:]
    return sum(map(_characters, parts))


def _characters(part: Any) -> int:
    for name in _TEXT_NAMES:
        text = getattr(part, name, None)
        if text is not None:
            return len(text if isinstance(text, str) else str(text))
    return 0


def most_output_tokens(backend: Any, options: Any) -> int | None:
    """The most tokens a reply may have, where the program says so."""
    for source in (options, getattr(backend, "model_options", None)):
        if not isinstance(source, dict):
            continue
        for name in _MOST_OUTPUT_NAMES:
            value = source.get(name)
            if type(value) is int and value > 0:
                return value
    return None
