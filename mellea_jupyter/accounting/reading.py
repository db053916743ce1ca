"""Reading the fields of frames that the user's program may have made up.

An absent field is None; one of a wrong type raises `MalformedFrame`, so that a frame is taken as
a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

Frame = Mapping[str, Any]

_MAX_COUNT: Final = 10**12
_NAME_CHARS: Final = 200
_ERROR_CHARS: Final = 2000


class MalformedFrame(ValueError):
    """A frame that does not follow the contract."""


class Texts:
    """Keeps texts of one journal within a number of characters; a short one is kept once.

    When nothing is left, texts come back as None: numbers go on being counted.
    """

    _MAX_KNOWN = 4096

    def __init__(self, left: int = 32 << 20) -> None:
        self._left = left
        self._known: dict[str, str] = {}

    def keep(self, text: str | None, most: int = _NAME_CHARS) -> str | None:
        """The first `most` characters of the text, or None when there is no room for it."""
        if text is None:
            return None
        text = text[:most]
        known = self._known.get(text)
        if known is not None:
            return known
        if len(text) > self._left:
            return None
        self._left -= len(text)
        if len(text) <= _NAME_CHARS and len(self._known) < self._MAX_KNOWN:
            self._known[text] = text
        return text

    def keep_error(self, error: dict[str, Any] | None) -> dict[str, Any] | None:
        """An error with the texts that there is room for."""
        if error is None:
            return None
        kept = {name: self._kept_detail(value) for name, value in error.items()}
        return {name: value for name, value in kept.items() if value is not None}

    def _kept_detail(self, value: str | int) -> str | int | None:
        return self.keep(value, _ERROR_CHARS) if isinstance(value, str) else value


def count(frame: Frame, name: str) -> int | None:
    """A count, or None when absent."""
    value = frame.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_COUNT:
        raise MalformedFrame(name)
    return value


def required_count(frame: Frame, name: str) -> int:
    """A count that has to be there."""
    value = count(frame, name)
    if value is None:
        raise MalformedFrame(name)
    return value


def counts(frame: Frame, name: str, most: int) -> tuple[int, ...]:
    """The first `most` of a list of counts; empty when absent."""
    values = frame.get(name)
    if values is None:
        return ()
    if not isinstance(values, list):
        raise MalformedFrame(name)
    return tuple(required_count({name: value}, name) for value in values[:most])


def number(frame: Frame, name: str) -> float | None:
    """A number not below 0, or None when absent."""
    value = any_number(frame, name)
    if value is not None and not 0 <= value <= _MAX_COUNT:
        raise MalformedFrame(name)
    return value


def any_number(frame: Frame, name: str) -> float | None:
    """A number of reasonable size, or None when absent."""
    value = frame.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MalformedFrame(name)
    if not -_MAX_COUNT <= value <= _MAX_COUNT:  # also refuses NaN
        raise MalformedFrame(name)
    return float(value)


def text(frame: Frame, name: str) -> str | None:
    """A text of any length, or None when absent."""
    value = frame.get(name)
    if value is not None and not isinstance(value, str):
        raise MalformedFrame(name)
    return value


def time(frame: Frame) -> datetime | None:
    """When the frame was made."""
    seconds = number(frame, "t")
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise MalformedFrame("t") from error


def log_line(frame: Frame) -> int | None:
    """The number of the log line that shows the frame; None when none does."""
    before, lines = count(frame, "line"), count(frame, "lines")
    return before + 1 if before is not None and lines else None


def error(value: Any) -> dict[str, Any] | None:
    """The known fields of an error, those of a wrong type left out."""
    if not isinstance(value, Mapping):
        return None
    texts = {name: value.get(name) for name in ("type", "message", "code")}
    known: dict[str, Any] = {name: text for name, text in texts.items() if isinstance(text, str)}
    status = value.get("status")
    if isinstance(status, int) and abs(status) <= _MAX_COUNT:
        known["status"] = status
    return known
