"""Time and new ids, in one place so that tests can inject their own."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime

from mellea_jupyter.models.ids import RunId


def now() -> datetime:
    """The present moment, aware UTC, cut to whole milliseconds as every timestamp of the API is."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def from_unix(seconds: float) -> datetime:
    """A frame's `t` (Unix seconds) as an aware UTC timestamp with whole milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def monotonic() -> float:
    """Seconds for measuring durations; never goes back."""
    return time.monotonic()


def new_run_id() -> RunId:
    """A new run id, a UUID v4 in its usual text form (spec.md §5.1.1)."""
    return RunId(str(uuid.uuid4()))


def new_id(prefix: str) -> str:
    """A new id that says what it names: `prog_3f2a…`, `art_91bc…`."""
    return f"{prefix}_{uuid.uuid4().hex}"
