"""Keep known secret values out of the journal.

Only exact values are found, so nothing else is lost; a program that prints a secret encoded, cut
in two or spread over two unfinished lines still shows it.
"""

from __future__ import annotations

from typing import Any, Iterable, List, Tuple

MASK = "••••"
MIN_LENGTH = 6  # shorter values ("true", "1234") are words of ordinary output


class Redactor:
    """Replaces secret values by a mask, in captured bytes and in the texts of frames.

    A value of several lines is replaced line by line, since lines may reach the journal apart.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        parts = {part.strip() for value in values for part in value.splitlines()}
        needles = sorted((p for p in parts if len(p) >= MIN_LENGTH), key=len, reverse=True)
        self._texts: List[str] = needles
        self._bytes: List[Tuple[bytes, bytes]] = [
            (needle.encode("utf-8", "surrogateescape"), MASK.encode()) for needle in needles
        ]

    def data(self, data: bytes) -> bytes:
        """Captured bytes with the values masked; the number of lines stays."""
        for needle, mask in self._bytes:
            if needle in data:
                data = data.replace(needle, mask)
        return data

    def value(self, value: Any) -> Any:
        """A frame's field with the values masked in every text inside it."""
        if not self._texts:
            return value
        if isinstance(value, str):
            for needle in self._texts:
                if needle in value:
                    value = value.replace(needle, MASK)
            return value
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value
