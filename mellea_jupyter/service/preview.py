"""What an artifact is shown as: its first bytes by kind, with secret values masked.

The bytes are a program's and may be made to do harm, so nothing here trusts a name or a type: what
is read is bounded, what does not parse is text, and what is no text is not shown.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from mellea_jupyter.models.artifacts import ArtifactPreview, ArtifactRef, PreviewKind
from mellea_jupyter.runtime.redaction import Redactor

TEXT_BYTES: Final = 256 << 10
WHOLE_BYTES: Final = 1 << 20
"""Of what makes no sense in part, JSON and SVG."""

IMAGE_BYTES: Final = 32 << 20
MAX_ROWS: Final = 500
MAX_COLUMNS: Final = 100
MAX_CELL: Final = 2000
_EXACT_DIGITS: Final = 15  # a longer number is another one in a browser

_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_SVG: Final = "image/svg+xml"
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_TABLES: Final = {"text/csv": ",;\t", "text/tab-separated-values": "\t"}


def make_preview(
    artifact: ArtifactRef, read: Callable[[int], bytes], redactor: Redactor | None
) -> ArtifactPreview:
    """The preview of an artifact. Blocks while it reads.

    Args:
        artifact: its `content_type` follows from its name and says only what to try.
        read: the first bytes, at most this many.
        redactor: knows the values to mask; None where they are not known any more, and then no
            text is shown.
    """
    if artifact.content_type in _IMAGES:
        return _image(artifact)
    if artifact.content_type == _SVG and artifact.size_bytes > WHOLE_BYTES:
        return _none(artifact, "too_large")
    if redactor is None:
        return _none(artifact, "secrets_gone")
    limit = _limit(artifact)
    data = redactor.cut(read(limit + redactor.longest), limit)
    is_cut = len(data) < artifact.size_bytes
    text = _decode(data, is_cut=is_cut)
    if text is None:
        return _none(artifact, "binary")
    whole = ArtifactPreview(
        artifact_id=artifact.id, kind=PreviewKind.TEXT, truncated=is_cut, shown_bytes=len(data)
    )
    return whole.model_copy(update=_shown(artifact.content_type, text, redactor, is_cut=is_cut))


def _image(artifact: ArtifactRef) -> ArtifactPreview:
    if artifact.size_bytes > IMAGE_BYTES:
        return _none(artifact, "too_large")
    return ArtifactPreview(
        artifact_id=artifact.id, kind=PreviewKind.IMAGE, shown_bytes=artifact.size_bytes
    )


def _limit(artifact: ArtifactRef) -> int:
    """How many bytes are read."""
    needs_all = artifact.content_type == _SVG or _is_json(artifact.content_type)
    return WHOLE_BYTES if needs_all and artifact.size_bytes <= WHOLE_BYTES else TEXT_BYTES


def _shown(content_type: str, text: str, redactor: Redactor, *, is_cut: bool) -> dict[str, Any]:
    """The fields of a preview that depend on its kind."""
    if _is_json(content_type) and not is_cut:
        masked = _masked_json(text, redactor)
        if masked is not None:
            return {"kind": PreviewKind.JSON, "text": masked}
    text = redactor.text(text)
    if content_type in _TABLES:
        table = _table(text, _TABLES[content_type], redactor, is_cut=is_cut)
        if table is not None:
            rows, has_more = table
            return {"kind": PreviewKind.TABLE, "rows": rows, "truncated": is_cut or has_more}
    if content_type == _SVG:
        return {"kind": PreviewKind.SVG, "text": text}
    if content_type in _HTML:
        return {"kind": PreviewKind.HTML, "text": text}
    if len(text) > TEXT_BYTES:  # was to be JSON
        return {"text": text[:TEXT_BYTES], "truncated": True, "shown_bytes": TEXT_BYTES}
    return {"text": text}


def _none(artifact: ArtifactRef, reason: str) -> ArtifactPreview:
    return ArtifactPreview(
        artifact_id=artifact.id, kind=PreviewKind.NONE, reason=reason, truncated=True
    )


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or content_type.endswith("+json")


def _decode(data: bytes, *, is_cut: bool) -> str | None:
    """The text, if it is one: UTF-8 without NUL characters, but for a character that is cut."""
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if is_cut and error.start >= len(data) - 3 and error.reason == "unexpected end of data":
            return data[: error.start].decode("utf-8-sig")
        return None


def _masked_json(text: str, redactor: Redactor) -> str | None:
    """The value as JSON that browsers read without loss; None where it is not JSON."""

    def whole(digits: str) -> Any:
        return int(digits) if len(digits) <= _EXACT_DIGITS else digits

    try:
        value = json.loads(text, parse_int=whole, parse_constant=str)
        return json.dumps(redactor.value(value), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None


def _table(
    text: str, delimiters: str, redactor: Redactor, *, is_cut: bool
) -> tuple[tuple[tuple[str, ...], ...], bool] | None:
    """Rows, and whether there are more or they are wider; None where this is no table.

    A cell is what stands in the file: nothing is taken for a formula or a number.
    """
    first = text.partition("\n")[0]
    delimiter = max(delimiters, key=first.count)
    lines = text.splitlines(keepends=True)
    if is_cut and len(lines) > 1:
        lines.pop()  # a part of one
    try:
        rows = list(islice(csv.reader(lines, delimiter=delimiter), MAX_ROWS + 1))
    except csv.Error:
        return None
    has_more = len(rows) > MAX_ROWS or any(len(row) > MAX_COLUMNS for row in rows)
    shown = tuple(
        tuple(redactor.text(cell)[:MAX_CELL] for cell in row[:MAX_COLUMNS])
        for row in rows[:MAX_ROWS]
    )
    return shown, has_more
