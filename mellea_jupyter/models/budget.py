"""A run's budget: what it waits for when a call would pass it, the answer, how it stands."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from mellea_jupyter.models.base import Model, Timestamp
from mellea_jupyter.models.metrics import Usd


class RunWaiting(Model):
    """What an active run waits for: an answer about its budget."""

    kind: Literal["budget"] = Field("budget", description="What it is about.")
    ask: int = Field(description="Number of the question in its run, from 1.")
    limit: Literal["cost", "calls"] = Field(description="Which limit the next call would pass.")
    calls: int = Field(description="LLM calls taken so far, those under way included.")
    spent_usd: Usd | None = Field(None, description="Spent so far; null without a money budget.")
    max_cost_usd: Usd | None = Field(None, description="The limit as it is now, US dollars.")
    max_llm_calls: int | None = Field(None, description="The limit as it is now, calls.")
    asked_at: Timestamp = Field(description="When it began to wait.")
    until: Timestamp = Field(description="When the answer is no if nobody has given one.")


class RunBudget(Model):
    """How a run with a budget stands; what its runtime reports."""

    max_cost_usd: Usd | None = Field(None, description="The limit as it is now, US dollars.")
    max_llm_calls: int | None = Field(None, description="The limit as it is now, calls.")
    times_raised: int = Field(0, description="How often somebody raised it.")
    refused_calls: int = Field(0, description="LLM calls that were not made because of it.")
    uncounted_models: tuple[str, ...] = Field(
        (), description="Models without a price: their calls do not count against max_cost_usd."
    )


class BudgetDecision(Model):
    """`POST /api/runs/{id}/budget`: the answer to a run that waits."""

    decision: Literal["raise", "stop"] = Field(
        description="`raise`: go on with a higher limit. `stop`: the call is refused."
    )
    max_cost_usd: Decimal | None = Field(
        None, gt=0, description="The new limit in US dollars, not what is added; for `raise`."
    )
    max_llm_calls: int | None = Field(None, gt=0, description="The new limit of calls.")


class Interval(Model):
    """From the 10 % to the 90 % quantile; of fewer than 5 values, the least and the greatest."""

    low: float = Field(description="The lower end.")
    high: float = Field(description="The upper end.")


class Forecast(Model):
    """What a program usually takes, from its runs that succeeded; `runs` 0: no history."""

    runs: int = Field(description="How many runs it is from: the latest ones, at most 200.")
    model: str | None = Field(None, description="Only of runs with this model; null: of all.")
    duration_ms: Interval | None = Field(None, description="Starting included, not the queue.")
    cost_usd: Interval | None = Field(
        None, description="Null where a run among them has calls without a price."
    )
    llm_calls: Interval | None = Field(None, description="LLM calls.")
    unpriced_runs: int = Field(0, description="Runs among them with calls without a price.")
