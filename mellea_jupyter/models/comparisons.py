"""Runs side by side, as `GET /api/runs/compare` gives them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from mellea_jupyter.models.base import Model
from mellea_jupyter.models.run import RunStatus

LEAST_COMPARED = 2
MOST_COMPARED = 10

Section = Literal[
    "outcome", "configuration", "requirements", "outputs", "metrics", "resolved"
]  # fmt: skip

Unit = Literal[
    "text", "time", "number", "milliseconds", "seconds", "megabytes", "usd", "share", "json"
]  # fmt: skip


class ComparedRun(Model):
    """A run of a column, as its head names it."""

    id: str = Field(description="The run.")
    title: str = Field(description="Its name, or that of its program.")
    status: RunStatus = Field(description="Where it is.")
    is_unmet: bool = Field(description="It succeeded, and a loop's requirements were not met.")


class ComparedColumn(Model):
    """A run, or the runs of one configuration."""

    label: str = Field(description="What tells it from the others, e.g. its model; short.")
    runs: tuple[ComparedRun, ...] = Field(description="At least one, in order.")


class ComparedValue(Model):
    """A row's value in a column."""

    value: JsonValue = Field(
        None,
        description="As the row's unit says; null where there is none. A mean over the runs of "
        "the column, or its texts with how often they are there; of a share, how many.",
    )
    of: int | None = Field(None, description="Of a share: of how many.")
    least: float | None = Field(None, description="Of several runs: the smallest.")
    most: float | None = Field(None, description="Of several runs: the largest.")
    missing: int = Field(
        0, description="Calls that are not in it: without a price, or without usage."
    )


class ComparedRow(Model):
    """One thing that is compared."""

    section: Section = Field(description="What it is about.")
    name: str = Field(description="A field's name, a requirement's text, or a path in an output.")
    unit: Unit = Field(description="What the values are.")
    values: tuple[ComparedValue, ...] = Field(description="One a column.")
    differs: bool = Field(description="Whether the columns differ.")


class SourceDiff(Model):
    """A file that is not the same as in the first column."""

    path: str = Field(description="Relative path with `/`.")
    columns: tuple[int, ...] = Field(description="Places of the columns that have it so.")
    change: Literal["changed", "added", "removed"] = Field(description="Against the first column.")
    diff: str | None = Field(
        None, description="Unified; null where the file is binary or too large."
    )
    truncated: bool = Field(False, description="The diff is cut.")


class RunComparison(Model):
    """Columns, rows and sources. A section's differing rows come first."""

    group_id: str | None = Field(None, description="The group, where one is compared.")
    columns: tuple[ComparedColumn, ...] = Field(description="In the order that was asked for.")
    rows: tuple[ComparedRow, ...] = Field(description="By section, differing ones first.")
    sources: tuple[SourceDiff, ...] = Field((), description="Files that differ, by path.")
    left_out_runs: int = Field(0, description="Runs of the group beyond the columns.")
    left_out_rows: int = Field(0, description="Requirements and outputs over the limit.")
    left_out_files: int = Field(0, description="Files that differ, over the limit.")
