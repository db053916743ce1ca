"""Send Python logging records as `record` frames, so that the log knows their level.

Handlers that write text to the captured stdout or stderr send the formatted text with its level
instead; whatever cannot be sent that way is written as text, as without us. mellea's own records go
out as `system` records, because its console handler is off in a run.
"""

from __future__ import annotations

import logging
from typing import Any

from .control import Channel
from .streams import StandardStreams

MAX_MESSAGE_CHARS = 12_000


def level_name(number: int) -> str:
    """The log's word for a logging level."""
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"


def send_stream_handlers(channel: Channel, streams: StandardStreams) -> None:
    """Wrap `logging.StreamHandler.emit` (called once `logging` is imported)."""
    original = logging.StreamHandler.emit

    def emit(handler: "logging.StreamHandler[Any]", record: logging.LogRecord) -> None:
        if not _send(handler, record):
            original(handler, record)

    def _send(handler: "logging.StreamHandler[Any]", record: logging.LogRecord) -> bool:
        try:
            name = streams.captured_name(handler.stream)
            if not name or handler.terminator != "\n":
                return False
            message = handler.format(record)
            if len(message) > MAX_MESSAGE_CHARS:
                return False
            handler.flush()
        except Exception:
            return False  # the original reports it the way logging does
        return channel.emit(
            "record",
            stream=name,
            level=level_name(record.levelno),
            logger=record.name,
            message=message,
        )

    handler_class: Any = logging.StreamHandler
    handler_class.emit = emit


class SystemRecords(logging.Handler):
    """Sends a logger's records as `system` records of the run."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; text that is too long is cut."""
        try:
            message = self.format(record)[:MAX_MESSAGE_CHARS]
        except Exception:
            self.handleError(record)
            return
        level = level_name(record.levelno)
        self._channel.emit(
            "record", stream="system", level=level, logger=record.name, message=message
        )


def send_mellea_records(channel: Channel) -> None:
    """Attach to mellea's logger (called once mellea is imported)."""
    logger = logging.getLogger("mellea")
    if not any(isinstance(handler, SystemRecords) for handler in logger.handlers):
        logger.addHandler(SystemRecords(channel))
