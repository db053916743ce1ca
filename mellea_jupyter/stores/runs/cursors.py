"""Page cursors: the sort value and id of the last row of a page, opaque and URL-safe."""

from __future__ import annotations

import base64
import binascii
import json

from mellea_jupyter.exceptions import InvalidCursor

Value = int | str | None

_MAX_LENGTH = 4096


def encode(order: str, value: Value, row_id: str) -> str:
    """A cursor that continues a listing in this order after this row."""
    text = json.dumps([order, value, row_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(cursor: str, order: str, kind: type[int | str]) -> tuple[Value, str]:
    """The sort value (of `kind`, or None) and id in a cursor of this order.

    Raises:
        InvalidCursor: not made by `encode` for this order.
    """
    parts = _parts(cursor)
    if parts is None:
        msg = "not a cursor of this listing"
        raise InvalidCursor("cursor", msg, hint="Start again without a cursor.")
    given, value, row_id = parts
    if given != order:
        msg = f"belongs to the order {given!r}, not {order!r}"
        raise InvalidCursor("cursor", msg, hint="Keep `sort` while paging, or start again.")
    if value is not None and type(value) is not kind:
        msg = "not a cursor of this listing"
        raise InvalidCursor("cursor", msg, hint="Start again without a cursor.")
    return value, row_id


def _parts(cursor: str) -> tuple[str, Value, str] | None:
    if len(cursor) > _MAX_LENGTH:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        return None
    match parts:
        case [str(order), (None | int() | str()) as value, str(row_id)]:
            fits = not isinstance(value, int) or abs(value) < 1 << 63
            return (order, value, row_id) if fits else None
    return None
