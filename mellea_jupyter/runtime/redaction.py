"""Keep known secret values out of the journal.

Only exact values are found, so nothing else is lost, and those that JSON, Python or a URL spells
otherwise in that spelling, since errors quote values, URLs and bodies. A program that prints a
secret in base64, reversed, cut in two or spread over two unfinished lines still shows it. In frames
only the fields that hold free text are searched: a key may be an ordinary word (local servers take
any), and what names a model, a kind or a stream must not change by that.
"""

from __future__ import annotations

import json
import os
import string
from typing import Any, Dict, Iterable, Iterator, List, Tuple

MASK = "••••"
MIN_LENGTH = 8  # shorter values ("true", "none", "ollama") are words of ordinary output

FREE_TEXT_FIELDS = frozenset(
    ("message", "prompt", "reply", "reason", "instruction", "requirement", "text", "data",
     "metadata")
)  # fmt: skip
"""Fields of frames, at any depth, whose texts are a program's, a model's or an error's."""

_UNRESERVED = string.ascii_letters + string.digits + "_.-~"

PROTOCOL_REASONS = frozenset(("started", "gap", "stop", "end"))
"""Kinds of frames whose `reason` is one of ours."""


class Redactor:
    """Replaces secret values by a mask, in captured bytes and in the texts of frames.

    A value of several lines is replaced line by line, since lines may reach the journal apart. A
    value that is the path of something that exists is no secret, only where one may be kept.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        parts = {
            part.strip() for value in values if not _is_path(value) for part in value.splitlines()
        }
        spelled = {form for p in parts if len(p) >= MIN_LENGTH for form in _spellings(p)}
        needles = sorted(spelled, key=len, reverse=True)
        self._texts: List[str] = needles
        self._bytes: List[Tuple[bytes, bytes]] = [
            (needle.encode("utf-8", "surrogateescape"), MASK.encode()) for needle in needles
        ]

    @property
    def longest(self) -> int:
        """Bytes of the longest value; 0 without values."""
        return max((len(needle) for needle, _ in self._bytes), default=0)

    def cut(self, data: bytes, limit: int) -> bytes:
        """At most the first `limit` bytes, fewer where that would cut a value in two.

        `data` has to have `longest` bytes more than `limit`, as far as there are any: of a value
        that is cut, half would not be known.
        """
        end, is_settled = min(limit, len(data)), False
        while not is_settled:
            is_settled = True
            for needle, _ in self._bytes:
                begin = max(0, end - len(needle) + 1)
                found = data.find(needle, begin, end + len(needle) - 1)
                if found >= 0:
                    end, is_settled = found, False
        return data[:end]

    def text(self, text: str) -> str:
        """A text with the values masked."""
        for needle in self._texts:
            if needle in text:
                text = text.replace(needle, MASK)
        return text

    def data(self, data: bytes) -> bytes:
        """Captured bytes with the values masked; the number of lines stays."""
        for needle, mask in self._bytes:
            if needle in data:
                data = data.replace(needle, mask)
        return data

    def fields(self, kind: str, fields: Dict[str, Any]) -> Dict[str, Any]:
        """A frame's fields with the values masked wherever free text stands."""
        if not self._texts:
            return fields
        masked = {name: self._field(name, value) for name, value in fields.items()}
        if kind in PROTOCOL_REASONS and "reason" in fields:
            masked["reason"] = fields["reason"]
        return masked

    def _field(self, name: str, value: Any) -> Any:
        if name in FREE_TEXT_FIELDS:
            return self.value(value)
        if isinstance(value, dict):
            return {key: self._field(key, item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._field("", item) for item in value]
        return value

    def value(self, value: Any) -> Any:
        """A JSON value with the secret ones masked in every text inside it, and as numbers."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        if type(value) in (int, float):
            written = repr(value)
            masked = self.text(written)
            return value if masked == written else masked
        return value


def _spellings(part: str) -> Iterator[str]:
    """A value as it is, in JSON, in Python and in URLs; all the same for most keys."""
    yield part
    yield repr(part)[1:-1]
    yield json.dumps(part)[1:-1]
    yield json.dumps(part, ensure_ascii=False)[1:-1]
    for safe in ("/", ""):
        quoted = _quoted(part, _UNRESERVED + safe)
        yield quoted
        yield quoted.replace("%20", "+")


def _quoted(part: str, safe: str) -> str:
    """As `urllib.parse.quote`, which would have to be imported before each program."""
    data = part.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if chr(byte) in safe else "%%%02X" % byte for byte in data)


def _is_path(value: str) -> bool:
    try:
        return os.path.isabs(value) and os.path.exists(value)
    except ValueError:  # a NUL character
        return False
