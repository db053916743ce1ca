"""`LogFrame`: one line of a run's log as the API gives it (spec.md §5.4.1).

The frames on disk are another thing: `docs/contributing/journal.md`.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, JsonValue

from mellea_jupyter.models.base import Model


class LogStream(StrEnum):
    """Where a line came from."""

    STDOUT = "stdout"
    STDERR = "stderr"
    SYSTEM = "system"  # LLM calls, sampling loops, remarks of the supervisor


class LogLevel(StrEnum):
    """How serious a line is; from structured records only, never from words in the text."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class LogFrame(Model):
    """One line of the log."""

    timestamp: str = Field(description="ISO 8601 with milliseconds, UTC.")
    stream: LogStream = Field(description="Where it came from.")
    level: LogLevel = Field(description="How serious it is.")
    message: str = Field(description="The text, without its newline.")
    metadata: dict[str, JsonValue] | None = Field(None, description="E.g. an LLM call's numbers.")
    line: int = Field(description="Line number in the run, from 1.")
    cursor: str = Field(description="Resume after this line.")
    partial: bool = Field(False, description="The line has not ended yet.")
    continues: bool = Field(False, description="The text goes on with a line given before.")


class LogPage(Model):
    """A stretch of a log. `next` is the cursor to go on from; `ended`: nothing will follow it."""

    frames: tuple[LogFrame, ...] = Field(description="Lines in order.")
    next: str | None = Field(None, description="Cursor after the last line, to read on from.")
    ended: bool = Field(False, description="The log is complete and this page reaches its end.")
