"""A run in words: the one line, the heading and the closing table's rows."""

from __future__ import annotations

import math
import signal
from datetime import UTC, datetime
from decimal import Decimal

from mellea_jupyter import clock
from mellea_jupyter.models.budget import Forecast
from mellea_jupyter.models.failures import ErrorClassification
from mellea_jupyter.models.run import Run, RunStatus

SYMBOLS = {
    RunStatus.CREATED: "○",
    RunStatus.QUEUED: "○",
    RunStatus.PULLING_IMAGE: "◌",
    RunStatus.STARTING: "◌",
    RunStatus.RUNNING: "◉",
    RunStatus.SUCCEEDED: "✓",
    RunStatus.FAILED: "✗",
    RunStatus.CANCELLED: "⊘",
}

SHORT_ID = 8


def short_id(run_id: str) -> str:
    """As many digits as people want to read; every command accepts them."""
    return run_id[:SHORT_ID]


def title_of(run: Run) -> str:
    """The name people gave the run, or its program's."""
    return run.name or run.asset_name or run.asset_id


def duration(seconds: float) -> str:
    """`0.3 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int, noun: str) -> str:
    """`1 call`, `2,000 calls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def cost(run: Run) -> str:
    """`$0.0031`, `≥ $0.12, 3 calls unpriced`, or `unpriced` when no call has a price."""
    return cost_of(run.metrics.estimated_cost_usd, run.metrics.unpriced_calls)


def cost_of(amount: Decimal | None, unpriced: int) -> str:
    """As `cost`, of what is priced and of how many calls are not."""
    if amount is None:
        return "unpriced"
    if unpriced and not amount:
        return f"{count(unpriced, 'call')} unpriced"
    return f"≥ {usd(amount)}, {count(unpriced, 'call')} unpriced" if unpriced else usd(amount)


def limits(run: Run) -> str:
    """`may spend $0.50 and make 20 calls`; empty without a budget."""
    now = run.budget
    most = run.config.max_cost_usd if now is None else now.max_cost_usd
    calls = run.config.max_llm_calls if now is None else now.max_llm_calls
    parts = [
        *([f"spend {limit(most)}"] if most is not None else []),
        *([f"make {count(calls, 'call')}"] if calls is not None else []),
    ]
    return f"may {' and '.join(parts)}" if parts else ""


def limit(amount: Decimal) -> str:
    """`$0.50`, `$0.0035`: all its digits, at least two decimals."""
    text = f"{amount:f}"
    whole, _, decimals = text.partition(".")
    return f"${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def question(run: Run) -> str:
    """`Would pass $0.50. Allow more: … · stop: …`; empty when the run does not wait."""
    waiting = run.waiting
    if waiting is None:
        return ""
    short = short_id(run.id)
    if waiting.limit == "cost" and waiting.max_cost_usd is not None:
        what, flag = limit(waiting.max_cost_usd), f"--allow {limit(waiting.max_cost_usd)[1:]}"
    else:
        what, flag = count(waiting.max_llm_calls or 0, "call"), "--allow-calls 10"
    until = f"{waiting.until.astimezone():%H:%M:%S}"
    return (
        f"Would pass {what}. Waiting until {until}. Allow more: "
        f"jupyter mellea budget {short} {flag} · stop: jupyter mellea budget {short} --stop"
    )


def forecast(found: Forecast) -> str:
    """`usually 3.0 s to 5.2 s and $0.0040 to $0.0060, from 12 runs`; `no history` without any."""
    if not found.runs or found.duration_ms is None:
        return "no history"
    low, high = (duration(ms / 1000) for ms in (found.duration_ms.low, found.duration_ms.high))
    parts = [low if low == high else f"{low} to {high}"]
    if found.cost_usd is not None:
        amounts = (found.cost_usd.low, found.cost_usd.high)
        cheap, dear = (usd(Decimal(str(amount))) for amount in amounts)
        parts.append(cheap if cheap == dear else f"{cheap} to {dear}")
    elif found.unpriced_runs:
        parts.append("an unknown price")
    model = f" with {found.model}" if found.model else ""
    return f"usually {' and '.join(parts)}, from {count(found.runs, 'run')}{model}"


def usd(amount: Decimal) -> str:
    """`$0`, `$0.0031`, `$12.50`: four digits below a dollar, cents above."""
    if not amount:
        return "$0"
    if amount < Decimal("0.0001"):
        return "< $0.0001"
    return f"${amount:,.2f}" if amount >= 1 else f"${amount:.4f}"


def elapsed_seconds(run: Run, now: datetime | None = None) -> float:
    """How long the run has taken: the phases' sum once it has ended, until then by the clock."""
    if run.is_terminal:
        return run.metrics.total_duration_ms / 1000
    return max(0.0, ((now or datetime.now(UTC)) - run.created_at).total_seconds())


def ending(run: Run) -> str:
    """The status and why: `failed: rate limit`, `cancelled by ann`."""
    if run.status is RunStatus.FAILED and run.error_classification is not None:
        return f"failed: {run.error_classification.summary}"
    return _status(run)


def _status(run: Run) -> str:
    """The status and how it came to it: `failed (exit code 3)`."""
    if run.status is RunStatus.CANCELLED and run.cancelled_by:
        return f"cancelled by {run.cancelled_by}"
    if run.status is not RunStatus.FAILED:
        return run.status.value
    return f"failed ({_reason(run)})" if run.status_reason else "failed"


def _reason(run: Run) -> str:
    code = run.exit_code
    if run.status_reason == "exit_code" and code is not None:
        return f"exit code {code}"
    if run.status_reason == "signal" and code is not None:
        return _signal_name(-code)
    return str(run.status_reason).replace("_", " ")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def one_line(run: Run, now: datetime | None = None) -> str:
    """`◉ 12 s · 7 calls · $0.0031`, with what it waits for while it is queued."""
    parts = [f"{SYMBOLS[run.status]} {duration(elapsed_seconds(run, now))}"]
    if run.status is RunStatus.QUEUED:
        place = f"queued, {run.queue_position} in line" if run.queue_position else "queued"
        parts.append(f"{place}: {run.queue_reason}" if run.queue_reason else place)
    elif run.status in (RunStatus.PULLING_IMAGE, RunStatus.STARTING):
        parts.append(run.status.value.replace("_", " "))
    if run.metrics.llm_calls:
        parts += [count(run.metrics.llm_calls, "call"), cost(run)]
    if run.progress is not None and (done := run.progress.get("done")) is not None:
        total, text = run.progress.get("total"), run.progress.get("text")
        counted = f"{done}/{total}" if total is not None else str(done)
        parts.append(str(text) if run.progress.get("unit") and text else counted)
    if run.waiting is not None:
        parts.append("waits at its budget")
    if run.is_stop_requested and not run.is_terminal:
        parts.append("stopping")
    return " · ".join(parts)


def heading(run: Run) -> str:
    """`run 3f2a91bc trip.py: running`."""
    return f"run {short_id(run.id)} {title_of(run)}: {ending(run)}"


def summary_rows(run: Run) -> list[tuple[str, str]]:
    """The rows of the closing table, `(label, value)`."""
    used = run.metrics
    tokens = f"{used.input_tokens:,} in, {used.output_tokens:,} out"
    if used.calls_without_usage:
        tokens += f", {count(used.calls_without_usage, 'call')} without usage"
    rows = [
        ("run", run.id),
        ("status", _status(run)),
        ("duration", duration(elapsed_seconds(run))),
        ("calls", _with(used.llm_calls, failed=used.failed_calls, cancelled=used.cancelled_calls)),
        ("tokens", tokens),
        ("cost", cost(run)),
        ("samples", f"{used.samples_generated:,}"),
        ("repairs", f"{used.repair_attempts:,}"),
        ("iterations", f"{used.loop_iterations:,}"),
        ("artifacts", _with(len(run.artifacts), skipped=len(run.artifacts_skipped))),
    ]
    if run.budget is not None and run.budget.refused_calls:
        refused = count(run.budget.refused_calls, "call")
        rows.insert(6, ("budget", f"{refused} not made, {limits(run)}"))
    if used.loops_exhausted:
        loops = count(used.loops_exhausted, "loop")
        rows.insert(2, ("requirements", f"not met in {loops}"))
    if run.error_message and run.status != RunStatus.SUCCEEDED:
        rows.insert(2, ("error", run.error_message))
    if run.error_classification is not None:
        at = [label for label, _ in rows].index("duration")
        rows[at:at] = failure_rows(run, run.error_classification)
    return rows


def failure_rows(run: Run, why: ErrorClassification) -> list[tuple[str, str]]:
    """Why it failed, what to do and with which command, and how often that was seen."""
    again = f"jupyter mellea ls --failure {why.fingerprint}"
    told = seen(run)
    rows = [
        ("failure", failure(why)),
        ("why", why.explanation),
        ("next", why.suggestion),
        ("command", next_command(run) or ""),
        ("seen", told and f"{told} ({again})"),
    ]
    return [(label, value) for label, value in rows if value]


def failure(why: ErrorClassification) -> str:
    """`rate limit (external service)`, with the user's line where one is known."""
    place = f" at {why.location.file}:{why.location.line}" if why.location is not None else ""
    return f"{why.summary} ({why.category.replace('_', ' ')}){place}"


def failure_sentence(why: ErrorClassification) -> str:
    """`Rate limit. The provider refused a call: too many …`, for people."""
    return f"{why.summary[:1].upper()}{why.summary[1:]}. {why.explanation}".strip()


def next_command(run: Run) -> str | None:
    """The next step after a failure as a command; None where there is none."""
    why = run.error_classification
    if why is None or why.next_step is None:
        return None
    return why.next_step.command_for(run.id, run.environment_id)


def seen(run: Run, now: datetime | None = None) -> str:
    """`4 times since Tuesday`; empty for a failure that is new."""
    if run.seen is None or run.seen.count < 2:
        return ""
    first = run.seen.first_seen_at.astimezone()
    today = (now or clock.now()).astimezone().date()
    days = (today - first.date()).days
    since = (
        f"{first:%H:%M}" if days <= 0
        else "yesterday" if days == 1
        else f"{first:%A}" if days < 7
        else f"{first:%Y-%m-%d}"
    )  # fmt: skip
    return f"{run.seen.count:,} times since {since}"


def size(size_bytes: int) -> str:
    """`912 B`, `1.4 MB`: powers of 1000, as disks are sold."""
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"


def expiry(run: Run, now: datetime | None = None) -> str:
    """`expires in 3 days`, `pinned`, `expired on 2026-03-04`; empty for an active run."""
    if run.artifacts_purged:
        on = run.artifacts_purged_at
        return f"expired on {on.astimezone():%Y-%m-%d}" if on else "expired"
    if not run.is_terminal:
        return ""
    if run.pinned:
        return "pinned: kept for good"
    if run.expires_at is None:
        return "kept for good"
    left = (run.expires_at - (now or clock.now())).total_seconds()
    if left <= 0:
        return "expires within the hour"
    days, hours = divmod(math.ceil(left / 3600), 24)
    return f"expires in {count(days, 'day') if days else count(hours, 'hour')}"


def _with(number: int, **others: int) -> str:
    """`7`, or `7 (1 failed)`."""
    notes = ", ".join(f"{each:,} {name}" for name, each in others.items() if each)
    return f"{number:,} ({notes})" if notes else f"{number:,}"


def as_text(run: Run) -> str:
    """Two lines for a terminal."""
    return f"{heading(run)}\n{one_line(run)}"
