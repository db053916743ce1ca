"""Between models and rows: a `Run` as columns and document, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from mellea_jupyter.models.calls import CallShare
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.run import Run

PICO: Final = 10**12
"""Pico-dollars of a US dollar."""

# Counts are what a program says of itself. These bounds keep one run's nonsense from breaking
# the totals of all: sums of a million such runs still fit 63 bits.
_MAX_COUNT: Final = 10**12
_MAX_COST: Final = 10**16  # ten thousand dollars


def bounded(value: int, most: int = _MAX_COUNT) -> int:
    """The value, held within 0 and `most`."""
    return min(max(value, 0), most)


def to_ms(moment: datetime) -> int:
    """Unix milliseconds, rounded up: then "at or after" and "before" mean the same in the table."""
    whole = int(moment.timestamp()) * 1000
    return whole + -(-moment.microsecond // 1000)


def to_time(ms: int) -> datetime:
    """The time of Unix milliseconds, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def to_pico(usd: Decimal | None) -> int | None:
    """US dollars as whole pico-dollars."""
    return None if usd is None else bounded(int((usd * PICO).to_integral_value()), _MAX_COST)


def to_usd(pico: int) -> Decimal:
    """Pico-dollars as US dollars."""
    return Decimal(pico).scaleb(-12).normalize() + 0


def run_columns(run: Run) -> dict[str, Any]:
    """The columns of `runs` that follow from the run; all but `n` and `retry_root`."""
    known_duration = run.started_at is not None or run.finished_at is not None
    duration = bounded(run.metrics.total_duration_ms)
    why = run.error_classification
    return {
        "id": run.id,
        "version": run.version,
        "owner_id": run.owner_id,
        "asset_id": run.asset_id,
        "asset_name": run.asset_name,
        "model": run.config.model or None,
        "status": run.status.value,
        "created_ms": to_ms(run.created_at),
        "started_ms": None if run.started_at is None else to_ms(run.started_at),
        "finished_ms": None if run.finished_at is None else to_ms(run.finished_at),
        "duration_ms": duration if known_duration else None,
        **_usage_columns(run.metrics),
        "attempt": run.attempt,
        "expires_ms": None if run.expires_at is None else to_ms(run.expires_at),
        "group_id": run.group_id,
        "fingerprint": None if why is None else why.fingerprint,
        "doc": run.model_dump_json(exclude={"seen"}),
    }


def _usage_columns(metrics: RunMetrics) -> dict[str, Any]:
    input_tokens, output_tokens = bounded(metrics.input_tokens), bounded(metrics.output_tokens)
    return {
        "llm_calls": bounded(metrics.llm_calls),
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "tokens": input_tokens + output_tokens,
        "cost_pico_usd": to_pico(metrics.estimated_cost_usd),
        "unpriced_calls": bounded(metrics.unpriced_calls),
        "calls_without_usage": bounded(metrics.calls_without_usage),
        **{
            f"{share}_pico_usd": to_pico(getattr(metrics, f"{share}_cost_usd"))
            for share in CallShare
        },
        "accepted_outputs": bounded(metrics.accepted_outputs),
    }


def search_text(run: Run) -> str:
    """What a search looks at."""
    error = run.error
    parts = (
        run.name,
        run.note,
        run.asset_name,
        run.config.model,
        run.error_message,
        None if error is None else f"{error.type}: {error.message}",
        *run.tags,
    )
    return "\n".join(part for part in parts if part)


def load_run(doc: str) -> Run:
    """The run of a stored document."""
    return Run.model_validate_json(doc)
