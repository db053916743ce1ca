"""Gives a run that failed its classification, from its record and what it left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mellea_jupyter.accounting.calls import CallRecord
from mellea_jupyter.failures.classifier import classify
from mellea_jupyter.failures.evidence import Evidence, Raised
from mellea_jupyter.models.run import Run, RunStatus

ERROR_LINES = 60


@dataclass(frozen=True, slots=True)
class Traces:
    """What is known of a run besides its record.

    Attributes:
        executor: where it ran.
        exception: its journal's `exception` frame.
        calls: its LLM calls in order.
        error_output: the last lines of its stderr.
        memory_limit_mb: what its environment allows.
    """

    executor: str = ""
    exception: Mapping[str, Any] = field(default_factory=dict)
    calls: Sequence[CallRecord] = ()
    error_output: Sequence[str] = ()
    memory_limit_mb: float | None = None


def explained(before: Run, after: Run, traces: Traces | None = None) -> Run:
    """`after`, with its classification where it has just failed without one."""
    if after.status != RunStatus.FAILED or after.error_classification is not None:
        return after
    if before.is_terminal:
        return after
    evidence = evidence_of(before, after, traces or Traces())
    return after.model_copy(update={"error_classification": classify(evidence)})


def evidence_of(before: Run, after: Run, traces: Traces) -> Evidence:
    """What is known of a run that failed while it was `before`."""
    last = traces.calls[-1] if traces.calls else None
    failed = last.error if last is not None and last.status == "failed" else None
    limits = after.config if after.budget is None else after.budget
    return Evidence(
        phase=before.status,
        reason=after.status_reason,
        executor=traces.executor or ("docker" if after.image is not None else "process"),
        message=after.error_message or "",
        exit_code=after.exit_code,
        exception=Raised.of(traces.exception),
        failed_call=Raised.of(failed),
        calls=len(traces.calls),
        cancelled_calls=sum(call.status == "cancelled" for call in traces.calls),
        error_output=tuple(traces.error_output),
        peak_memory_mb=after.metrics.peak_memory_mb,
        memory_limit_mb=traces.memory_limit_mb,
        asset=after.asset_id,
        model=after.config.model,
        timeout_seconds=after.config.timeout_seconds,
        max_cost_usd=limits.max_cost_usd,
        max_llm_calls=limits.max_llm_calls,
    )
