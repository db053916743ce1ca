"""Filters, pages and summaries of runs."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from mellea_jupyter.models.assets import Asset
from mellea_jupyter.models.base import Model, Timestamp
from mellea_jupyter.models.metrics import Usd
from mellea_jupyter.models.run import Run, RunStatus

MAX_PAGE = 1000
DEFAULT_PAGE = 50

RunSort = Literal[
    "created_at", "started_at", "finished_at", "duration", "cost", "status", "asset", "owner",
    "model", "llm_calls", "tokens",
]  # fmt: skip


class RunFilters(Model):
    """Which runs. Values of one field are alternatives, fields combine."""

    status: tuple[RunStatus, ...] = Field((), description="Any of these.")
    owner_id: tuple[str, ...] = Field((), description="Any of these.")
    asset_id: tuple[str, ...] = Field((), description="Any of these.")
    model: tuple[str, ...] = Field((), description="Any of these default models.")
    tags: tuple[str, ...] = Field((), description="All of these.")
    group_id: tuple[str, ...] = Field((), description="Any of these groups.")
    fingerprint: tuple[str, ...] = Field(
        (), description="Failed in any of these ways (`error_classification.fingerprint`)."
    )
    started_after: Timestamp | None = Field(None, description="Created at or after.")
    started_before: Timestamp | None = Field(None, description="Created before.")
    shared: Literal["with_me", "none"] | None = Field(
        None,
        description="`with_me`: only runs of others that are shared with you; `none`: only your "
        "own; else all that you may see.",
    )
    search: str | None = Field(
        None, max_length=500, description="Words in name, note, asset, model, error or tags."
    )


class RunQuery(RunFilters):
    """Filters, an order and a page. `sort` starts with `-` for descending order."""

    sort: str = Field("-created_at", description="Column of `RunSort`, `-` for descending.")
    limit: int = Field(DEFAULT_PAGE, ge=1, le=MAX_PAGE, description="Runs on a page.")
    cursor: str | None = Field(None, description="Opaque, from the page before.")


class RunPage(Model):
    """A page of runs in the asked order."""

    runs: tuple[Run, ...] = Field(description="The runs.")
    next: str | None = Field(None, description="Cursor of the next page; null on the last.")
    total: int | None = Field(None, description="Number of runs of the filter, where it was asked.")


class RunGroup(Model):
    """Runs that were started together."""

    group_id: str = Field(description="What lists and comparisons know them by.")
    runs: tuple[Run, ...] = Field(description="All variants once, then all again.")


class RunSummary(Model):
    """Totals of the runs a filter selects (spec.md §5.7.2)."""

    total_runs: int = Field(0, description="All runs of the filter.")
    by_status: dict[str, int] = Field(default_factory=dict, description="Runs per status.")
    success_rate: float | None = Field(
        None, description="Succeeded by terminal runs; null when none has ended."
    )
    input_tokens: int = Field(0, description="Prompt tokens.")
    output_tokens: int = Field(0, description="Completion tokens.")
    total_tokens: int = Field(0, description="Both.")
    llm_calls: int = Field(0, description="LLM calls.")
    total_cost_usd: Usd = Field(Decimal(0), description="Cost of the priced calls.")
    useful_cost_usd: Usd = Field(
        Decimal(0),
        description="Of it, what answers cost. The four are together less than the total where "
        "runs were recorded before they were told apart.",
    )
    repair_cost_usd: Usd = Field(Decimal(0), description="Of it, what repairs cost.")
    judge_cost_usd: Usd = Field(Decimal(0), description="Of it, what judge calls cost.")
    wasted_cost_usd: Usd = Field(
        Decimal(0), description="Of it, what cancelled calls cost, where that is known."
    )
    accepted_outputs: int = Field(
        0, description="Loops whose requirements were met, and answers outside of loops."
    )
    cost_per_accepted_output_usd: Usd | None = Field(
        None, description="Cost that is told apart by the accepted outputs; null without any."
    )
    unpriced_calls: int = Field(0, description="Calls without a price.")
    calls_without_usage: int = Field(0, description="Calls whose tokens are not known.")
    average_duration_ms: float | None = Field(None, description="Mean of the terminal runs.")


class SummaryGroup(Model):
    """One group of a grouped summary."""

    key: str = Field(description="The day (`2026-01-15`), owner, asset, model or status.")
    summary: RunSummary = Field(description="Totals of the group.")


class SummaryReply(RunSummary):
    """Totals, and the groups where some were asked for."""

    groups: tuple[SummaryGroup, ...] = Field((), description="Ordered by key.")


class AssetPage(Model):
    """A page of assets, newest first."""

    assets: tuple[Asset, ...] = Field(description="The assets.")
    next: str | None = Field(None, description="Cursor of the next page; null on the last.")
