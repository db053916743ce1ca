"""`RunMetrics`: what a run used (spec.md §5.1.2 and the extras of the design)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field, PlainSerializer

from mellea_jupyter.models.base import Model

Usd = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]


class RunMetrics(Model):
    """Counts, times and cost of one run; they grow while it runs."""

    queue_duration_ms: int = Field(0, description="Time in the queue.")
    startup_duration_ms: int = Field(
        0, description="From leaving the queue to the program's start."
    )
    execution_duration_ms: int = Field(0, description="The program's own runtime.")
    total_duration_ms: int = Field(0, description="Sum of the phases above.")

    llm_calls: int = Field(0, description="LLM calls started, failed and cancelled ones included.")
    input_tokens: int = Field(0, description="Prompt tokens, as the backends reported them.")
    output_tokens: int = Field(0, description="Completion tokens, as the backends reported them.")
    estimated_cost_usd: Usd | None = Field(
        Decimal(0),
        description="Cost of the priced calls, US dollars; null when calls were made and none "
        "has a price.",
    )

    useful_cost_usd: Usd | None = Field(
        None,
        description="Of it, what answers cost, also those that did not pass; the four are null "
        "when it is, and in runs recorded before they were told apart.",
    )
    repair_cost_usd: Usd | None = Field(None, description="Of it, what repairs cost.")
    judge_cost_usd: Usd | None = Field(None, description="Of it, what judge calls cost.")
    wasted_cost_usd: Usd | None = Field(
        None, description="Of it, what cancelled calls cost, where that is known."
    )
    accepted_outputs: int = Field(
        0,
        description="Outermost sampling loops whose requirements were met, and answers that "
        "arrived outside of loops.",
    )
    cost_per_accepted_output_usd: Usd | None = Field(
        None, description="Whole cost divided by the accepted outputs; null without any."
    )

    samples_generated: int = Field(0, description="Answers generated, judge calls not included.")
    repair_attempts: int = Field(0, description="Follow-up generations after the first of a chain.")
    loop_iterations: int = Field(0, description="Generations in sampling loops plus ReAct turns.")

    peak_memory_mb: float = Field(0, description="Highest memory of the process tree, in MiB.")
    cpu_seconds: float = Field(0, description="CPU time of the process tree.")

    loops_exhausted: int = Field(0, description="Sampling loops that ended, requirements not met.")
    judge_calls: int = Field(0, description="Calls made to check a requirement.")
    failed_calls: int = Field(0, description="Calls that raised an error.")
    cancelled_calls: int = Field(0, description="Calls given up before they answered.")
    unpriced_calls: int = Field(0, description="Calls of a model whose price is not known.")
    calls_without_usage: int = Field(0, description="Finished calls whose tokens are not known.")
    unfinished_calls: int = Field(0, description="Calls that have started and not ended.")
    resamples: int = Field(0, description="Repairs that asked the same again.")
    malformed_frames: int = Field(0, description="Records of the runtime that made no sense.")
    dropped_events: int = Field(0, description="Events the runtime could not deliver.")
