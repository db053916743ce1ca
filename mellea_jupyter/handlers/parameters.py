"""Query strings of the endpoints that no model of the domain describes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mellea_jupyter.models.audit import DEFAULT_AUDIT_PAGE, MAX_AUDIT_PAGE
from mellea_jupyter.models.base import Model
from mellea_jupyter.models.frames import LogLevel, LogStream
from mellea_jupyter.models.notifications import DEFAULT_NOTICE_PAGE, MAX_NOTICE_PAGE
from mellea_jupyter.models.pages import DEFAULT_PAGE, MAX_PAGE, RunFilters

_CURSOR = 200  # characters; ours are far shorter


class SummaryQuery(RunFilters):
    """Filters, and how to group."""

    group_by: Literal["day", "owner", "asset", "model", "status"] | None = Field(
        None, description="Totals of each group besides those of all."
    )
    utc_offset_minutes: int = Field(
        0, ge=-14 * 60, le=14 * 60, description="Where a day begins: minutes east of UTC."
    )


class RunAuditQuery(Model):
    """A page of what was done to a run."""

    limit: int = Field(
        DEFAULT_AUDIT_PAGE, ge=1, le=MAX_AUDIT_PAGE, description="Entries on a page."
    )
    cursor: str | None = Field(None, description="Opaque, from the page before.")


class CompareQuery(Model):
    """What to compare: two to ten runs, or a group."""

    run_id: tuple[str, ...] = Field(
        (), max_length=100, description="The runs, in the order of their columns."
    )
    group_id: str | None = Field(None, description="Or, without runs, all of this group.")


class AssetQuery(Model):
    """A page of assets."""

    limit: int = Field(DEFAULT_PAGE, ge=1, le=MAX_PAGE, description="Assets on a page.")
    cursor: str | None = Field(None, description="Opaque, from the page before.")


class ForecastQuery(Model):
    """Which runs to look at."""

    model: str | None = Field(
        None, min_length=1, max_length=300, description="Only runs with this default model."
    )


class DatasetQuery(Model):
    """A page of datasets."""

    limit: int = Field(DEFAULT_PAGE, ge=1, le=MAX_PAGE, description="Datasets on a page.")
    cursor: str | None = Field(None, description="Opaque, from the page before.")


class NoticeQuery(Model):
    """A page of notices."""

    unread: bool = Field(False, description="Only unread ones.")
    limit: int = Field(
        DEFAULT_NOTICE_PAGE, ge=1, le=MAX_NOTICE_PAGE, description="Notices on a page."
    )
    cursor: str | None = Field(None, description="Opaque, from the page before.")


class EnvironmentQuery(Model):
    """How current the answer has to be."""

    refresh: bool = Field(
        False, description="Check now and wait for the outcome, which may take seconds."
    )


class CallQuery(Model):
    """A page of LLM calls."""

    after: int = Field(0, ge=0, description="Calls after this number.")
    limit: int = Field(MAX_PAGE, ge=1, le=MAX_PAGE, description="Calls on a page.")


class LogPageQuery(Model):
    """A stretch of a log. At most one of `after`, `before`, `tail`, `line`; else the beginning."""

    after: str | None = Field(None, max_length=_CURSOR, description="Lines after this cursor.")
    before: str | None = Field(None, max_length=_CURSOR, description="Lines before this cursor.")
    tail: int | None = Field(None, ge=1, le=MAX_PAGE, description="The last lines, this many.")
    line: int | None = Field(None, ge=1, description="Lines from this number on.")
    limit: int = Field(MAX_PAGE, ge=1, le=MAX_PAGE, description="Lines on a page.")
    stream: tuple[LogStream, ...] = Field((), description="Only lines of these streams.")
    level: tuple[LogLevel, ...] = Field((), description="Only lines of these levels.")
    search: str | None = Field(
        None, min_length=1, max_length=500, description="Only lines with this text, in any case."
    )
    download: Literal["text", "ndjson"] | None = Field(
        None,
        description="The whole log as a file: what the program wrote, or all lines as JSON. "
        "Goes with no other parameter.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> LogPageQuery:
        places = self.model_fields_set & {"after", "before", "tail", "line"}
        if len(places) > 1:
            msg = f"give only one of {', '.join(sorted(places))}"
            raise ValueError(msg)
        if self.download is not None and len(self.model_fields_set) > 1:
            msg = "download gives the whole log and goes with no other parameter"
            raise ValueError(msg)
        return self


class LinkQuery(Model):
    """What a link carries. Jupyter keeps parameters with `key` in their name out of its log."""

    link_key: str = Field(min_length=1, max_length=4000, description="As the link has it.")


class LogStreamQuery(Model):
    """Where a live log begins."""

    after: str | None = Field(
        None, max_length=_CURSOR, description="Lines after this cursor; `Last-Event-ID` wins."
    )
