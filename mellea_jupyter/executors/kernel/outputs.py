"""What a kernel shows besides text: kept as files among the run's outputs, one for each format."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mellea_jupyter.runtime.redaction import Redactor

MAX_DISPLAYS: Final = 500

_SUFFIXES: Final = {
    "text/html": "html",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/pdf": "pdf",
    "application/json": "json",
    "application/geo+json": "geojson",
    "text/markdown": "md",
    "text/latex": "tex",
    "text/csv": "csv",
}
_BINARY: Final = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"}
)


class Displays:
    """Keeps displayed data as `cell-007-1.png`: the first display of cell 7, by format.

    Plain text alone is not kept: it is in the log. A display that is updated replaces its files.

    Args:
        folder: the run's outputs.
        redactor: masks secret values in text formats.
    """

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self._folder = folder
        self._redactor = redactor
        self._counts: dict[int, int] = {}
        self._names: dict[str, str] = {}
        self.kept = 0
        self.skipped = 0

    def keep(self, cell: int, data: Mapping[str, Any], display_id: str | None) -> None:
        """Keep what one message shows; nothing where it has no format that is kept."""
        formats = {mime: suffix for mime in data if (suffix := _suffix(mime)) is not None}
        if not formats:
            return
        name = self._names.get(display_id) if display_id is not None else None
        if name is None:
            if self.kept >= MAX_DISPLAYS:
                self.skipped += 1
                return
            self.kept += 1
            self._counts[cell] = self._counts.get(cell, 0) + 1
            name = f"cell-{cell:03d}-{self._counts[cell]}"
            if display_id is not None:
                self._names[display_id] = name
        for mime, suffix in formats.items():
            content = self._content(mime, data[mime])
            if content is not None:
                self._write(f"{name}.{suffix}", content)

    def _content(self, mime: str, value: Any) -> bytes | None:
        if mime in _BINARY:
            try:
                return base64.b64decode(value)
            except (binascii.Error, ValueError, TypeError):
                return None
        masked = self._redactor.value(value)
        if isinstance(masked, str):
            return masked.encode("utf-8", "replace")
        return json.dumps(masked, indent=1, default=str).encode()

    def _write(self, name: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(self._folder / name, flags, 0o600), "wb") as file:
            file.write(content)


def _suffix(mime: str) -> str | None:
    """The file name's end for a format; None where it is not kept."""
    if mime in _SUFFIXES:
        return _SUFFIXES[mime]
    if mime.endswith("+json") and "widget" not in mime:
        return "json"
    return None
