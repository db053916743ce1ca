"""Folds the frames of a run into its metrics and its list of calls, frame by frame.

Pure arithmetic over frames: no I/O, no clock. Frames come from the user's program, so a frame
that is malformed or contradicts an earlier one is counted and otherwise ignored.

What is counted:

- ``llm_calls``: calls started, failed and cancelled ones included. A raw batch counts the
  requests that it makes. Retries inside a provider's SDK are not seen.
- ``input_tokens``, ``output_tokens``: sums of what backends reported; ``calls_without_usage``
  says how many ended without a report.
- ``samples_generated``: answers that arrived, so not judgements, failures or cancellations.
- ``repair_attempts``: attempts after the first of a chain, of which ``resamples`` repeat the
  same action.
- ``loop_iterations``: attempts begun in sampling loops, and ReAct turns.
- ``loops_exhausted``: outermost loops that ended without a sample that met its requirements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from .pricing import Price, price_call, to_usd

MAX_RECORDS = 100_000
MAX_LOOP_DEPTH = 32
_MAX_COUNT = 10**12
_MAX_TEXT = 4096

Purpose = Literal["answer", "repair", "judge", "tool"]
CallStatus = Literal["started", "finished", "failed", "cancelled"]
Pricer = Callable[..., Price | None]

_PURPOSES = {"answer", "repair", "judge", "tool"}


@dataclass(slots=True)
class CallRecord:
    """One LLM call. Times are Unix seconds; absent facts are None.

    ``seq`` is the frame that ended the call: the prompt and the reply are read from there.
    """

    call: int
    purpose: Purpose
    status: CallStatus = "started"
    provider: str | None = None
    model: str | None = None
    response_model: str | None = None
    action: str | None = None
    loop: int | None = None
    chain: int | None = None
    attempt: int | None = None
    is_raw: bool = False
    requests: int = 1
    samples: int = 1
    started_at: float | None = None
    latency_ms: float | None = None
    ttft_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_reason: str | None = None
    streaming: bool = False
    error: dict[str, Any] | None = None
    price: Price | None = None
    seq: int | None = None


@dataclass(slots=True)
class LoopRecord:
    """One sampling loop; samples and iterations include those of the loops inside it."""

    loop: int
    parent: int | None = None
    strategy: str | None = None
    samples: int = 0
    iterations: int = 0
    success: bool | None = None
    depth: int = 0
    attempts: dict[int, int] = field(default_factory=dict)


class _MalformedFrame(ValueError):
    """A frame that does not follow the contract."""


class UsageState:
    """The metrics of one run so far. Mutable: `fold` changes it in place.

    Args:
        price: Prices a call from its tokens; `pricing.price_call` unless operators override it.
    """

    def __init__(self, price: Pricer = price_call) -> None:
        self._price = price
        self._calls: dict[int, CallRecord] = {}
        self._loops: dict[int, LoopRecord] = {}
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self._picodollars = 0
        self._priced_calls = 0
        self._peak_memory_mb = 0.0
        self._cpu_seconds = 0.0
        self._dropped_events = 0
        self._changed: set[int] = set()

    def take_changed_calls(self) -> list[CallRecord]:
        """Calls that started or ended since this was last asked, in order of their numbers."""
        changed, self._changed = sorted(self._changed), set()
        return [self._calls[number] for number in changed if number in self._calls]

    def models_used(self) -> tuple[str, ...]:
        """The models of the calls so far as `provider/name`, sorted."""
        names = {
            "/".join(filter(None, (call.provider, call.response_model or call.model)))
            for call in self._calls.values()
        }
        return tuple(sorted(names - {""}))

    @property
    def calls(self) -> list[CallRecord]:
        """Every call in order of its start, at most `MAX_RECORDS`."""
        return list(self._calls.values())

    @property
    def loops(self) -> list[LoopRecord]:
        """Every sampling loop in order of its start, at most `MAX_RECORDS`."""
        return list(self._loops.values())

    def metrics(self) -> dict[str, Any]:
        """The metrics so far.

        Shape: the usage fields of ``RunMetrics`` (timing is not ours) and the counters of this
        module. ``estimated_cost_usd`` is a Decimal, a lower bound while ``unpriced_calls`` is
        not 0, and None when no call could be priced though there were some.
        """
        nothing_priced = self._counts["unpriced_calls"] > 0 and self._priced_calls == 0
        return {
            **self._counts,
            "estimated_cost_usd": None if nothing_priced else to_usd(self._picodollars),
            "peak_memory_mb": self._peak_memory_mb,
            "cpu_seconds": self._cpu_seconds,
            "dropped_events": self._dropped_events,
        }

    def fold(self, frame: Mapping[str, Any]) -> None:
        """Take one frame into account. Kinds that do not concern usage are passed over."""
        try:
            kind = frame.get("kind")
            handler = self._HANDLERS.get(kind) if isinstance(kind, str) else None
            if handler is not None:
                handler(self, frame)
        except (_MalformedFrame, AttributeError):
            self._counts["malformed_frames"] += 1

    # Calls

    def _call_started(self, frame: Mapping[str, Any]) -> None:
        record = self._new_record(frame)
        loop = self._loop_of(record.loop)
        iterates = record.purpose in ("answer", "repair") and loop is not None
        if record.call in self._calls:
            raise _MalformedFrame("call started twice")
        self._add_record(record)
        if iterates and loop is not None and record.attempt is not None:
            chain = record.chain or 0
            if record.attempt > loop.attempts.get(chain, 0):
                loop.attempts[chain] = record.attempt
                self._count_in_loop(loop, iterations=1)

    def _new_record(self, frame: Mapping[str, Any]) -> CallRecord:
        purpose = frame.get("purpose")
        if not isinstance(purpose, str) or purpose not in _PURPOSES:
            raise _MalformedFrame("purpose")
        is_raw = frame.get("raw") is True
        return CallRecord(
            call=_required_count(frame, "call"),
            purpose=purpose,  # type: ignore[arg-type]  # checked against the set above
            provider=_text(frame, "provider"),
            model=_text(frame, "model"),
            action=_text(frame, "action"),
            loop=_count(frame, "loop"),
            chain=_count(frame, "chain"),
            attempt=_count(frame, "attempt"),
            is_raw=is_raw,
            requests=(_count(frame, "requests") if is_raw else None) or 1,
            started_at=_number(frame, "t"),
        )

    def _add_record(self, record: CallRecord) -> None:
        self._counts["llm_calls"] += record.requests
        self._counts["judge_calls"] += record.purpose == "judge"
        self._counts["unfinished_calls"] += 1
        if len(self._calls) < MAX_RECORDS:
            self._calls[record.call] = record
            self._changed.add(record.call)

    def _ending(self, frame: Mapping[str, Any]) -> CallRecord:
        """The record of a call that ends now; a new one when its start was lost."""
        number = _required_count(frame, "call")
        self._changed.add(number)
        record = self._calls.get(number)
        if record is None:
            record = self._new_record(frame)
            if len(self._calls) < MAX_RECORDS:
                self._add_record(record)
        elif record.status not in ("started", "cancelled"):
            raise _MalformedFrame("call ended twice")
        return record

    def _call_finished(self, frame: Mapping[str, Any]) -> None:
        counts = {name: _count(frame, name) for name in (*_TOKEN_FIELDS, "seq")}
        numbers = {name: _number(frame, name) for name in ("latency_ms", "ttft_ms")}
        names = ("provider", "model", "response_model", "finish_reason")
        texts = {name: text for name in names if (text := _text(frame, name)) is not None}
        samples, at = _count(frame, "samples"), _time(frame)
        record = self._ending(frame)
        self._settle(record, -1)
        for name, value in {**counts, **numbers, **texts}.items():
            setattr(record, name, value)
        record.status, record.error = "finished", None
        record.streaming = frame.get("streaming") is True
        record.samples = 1 if samples is None else samples
        record.price = self._price_of(record, at)
        self._settle(record, 1)

    def _call_failed(self, frame: Mapping[str, Any]) -> None:
        latency, at, seq = _number(frame, "latency_ms"), _time(frame), _count(frame, "seq")
        cancelled = frame.get("cancelled") is True
        error = frame.get("error")
        record = self._ending(frame)
        self._settle(record, -1)
        record.status = "cancelled" if cancelled else "failed"
        record.latency_ms, record.seq = latency, seq
        record.error = _error(error)
        record.price = self._price_of(record, at) if cancelled else None
        self._settle(record, 1)

    def _settle(self, record: CallRecord, sign: int) -> None:
        """Count what a call contributes in its present status, or take it back."""
        counts = self._counts
        if record.status == "started":
            counts["unfinished_calls"] += sign
            return
        if record.status == "failed":
            counts["failed_calls"] += sign
            return
        # A cancelled call is paid for as well, but nobody is told how much.
        counts["cancelled_calls"] += sign * (record.status == "cancelled")
        has_usage = record.input_tokens is not None and record.output_tokens is not None
        counts["calls_without_usage"] += sign * (not has_usage)
        counts["input_tokens"] += sign * (record.input_tokens or 0)
        counts["output_tokens"] += sign * (record.output_tokens or 0)
        counts["unpriced_calls"] += sign * (record.price is None)
        if record.price is not None:
            self._priced_calls += sign
            self._picodollars += sign * record.price.picodollars
        if record.status == "finished" and record.purpose != "judge":
            self._count_sample(record, sign)

    def _count_sample(self, record: CallRecord, sign: int) -> None:
        loop = self._loop_of(record.loop)
        if record.is_raw and loop is not None:
            return  # a part of a sample: the loop says at its end how many there were
        samples = record.samples if record.is_raw else 1
        self._counts["samples_generated"] += sign * samples
        if loop is not None and record.purpose != "tool":
            loop.samples += sign * samples
            for outer in self._around(loop):
                outer.samples += sign * samples

    def _price_of(self, record: CallRecord, at: datetime | None) -> Price | None:
        return self._price(
            record.provider,
            record.model,
            record.input_tokens,
            record.output_tokens,
            cached_tokens=record.cached_tokens,
            cache_write_tokens=record.cache_write_tokens,
            reasoning_tokens=record.reasoning_tokens,
            response_model=record.response_model,
            at=at,
        )

    # Loops

    def _loop_started(self, frame: Mapping[str, Any]) -> None:
        number, parent = _required_count(frame, "loop"), _count(frame, "parent")
        outer = self._loop_of(parent)
        depth = outer.depth + 1 if outer is not None else 0
        if number in self._loops or depth > MAX_LOOP_DEPTH or (parent or 0) >= number:
            raise _MalformedFrame("loop")
        if len(self._loops) < MAX_RECORDS:
            strategy = _text(frame, "strategy")
            self._loops[number] = LoopRecord(number, parent, strategy, depth=depth)

    def _loop_ended(self, frame: Mapping[str, Any]) -> None:
        loop = self._loop_of(_required_count(frame, "loop"))
        success = frame.get("success")
        samples, iterations = _count(frame, "samples"), _count(frame, "iterations")
        if loop is None or loop.success is not None or not isinstance(success, bool):
            raise _MalformedFrame("loop")
        loop.success = success
        self._count_in_loop(
            loop,
            samples=max(0, (samples or 0) - loop.samples),
            iterations=max(0, (iterations or 0) - loop.iterations),
        )
        if loop.parent is None and not success and frame.get("error") is None:
            self._counts["loops_exhausted"] += 1

    def _count_in_loop(self, loop: LoopRecord, samples: int = 0, iterations: int = 0) -> None:
        self._counts["samples_generated"] += samples
        self._counts["loop_iterations"] += iterations
        for record in (loop, *self._around(loop)):
            record.samples += samples
            record.iterations += iterations

    def _loop_of(self, number: int | None) -> LoopRecord | None:
        return self._loops.get(number) if number is not None else None

    def _around(self, loop: LoopRecord) -> list[LoopRecord]:
        """The loops around this one, innermost first."""
        outer: list[LoopRecord] = []
        parent = self._loop_of(loop.parent)
        while parent is not None:
            outer.append(parent)
            parent = self._loop_of(parent.parent)
        return outer

    def _repair(self, frame: Mapping[str, Any]) -> None:
        form = frame.get("form")
        if form not in ("resample", "repair"):
            raise _MalformedFrame("form")
        self._counts["repair_attempts"] += 1
        self._counts["resamples"] += form == "resample"

    def _turn(self, frame: Mapping[str, Any]) -> None:
        self._counts["loop_iterations"] += 1

    # Resources

    def _usage(self, frame: Mapping[str, Any]) -> None:
        memory, cpu = _number(frame, "rss_mb"), _number(frame, "cpu_seconds")
        self._use(memory, cpu)

    def _end(self, frame: Mapping[str, Any]) -> None:
        memory, cpu = _number(frame, "peak_memory_mb"), _number(frame, "cpu_seconds")
        self._use(memory, cpu)
        self._dropped_events = _count(frame, "dropped_events") or 0

    def _use(self, memory_mb: float | None, cpu_seconds: float | None) -> None:
        self._peak_memory_mb = max(self._peak_memory_mb, memory_mb or 0.0)
        self._cpu_seconds = max(self._cpu_seconds, cpu_seconds or 0.0)

    _HANDLERS: ClassVar[Mapping[str, Callable[[UsageState, Mapping[str, Any]], None]]] = {
        "call_started": _call_started,
        "call_finished": _call_finished,
        "call_failed": _call_failed,
        "loop_started": _loop_started,
        "loop_ended": _loop_ended,
        "repair": _repair,
        "turn": _turn,
        "usage": _usage,
        "end": _end,
    }


def fold(state: UsageState, frame: Mapping[str, Any]) -> UsageState:
    """Fold one frame into the state and return it; never raises, whatever the frame."""
    state.fold(frame)
    return state


_COUNTERS = (
    "llm_calls",
    "input_tokens",
    "output_tokens",
    "samples_generated",
    "repair_attempts",
    "loop_iterations",
    "loops_exhausted",
    "resamples",
    "judge_calls",
    "failed_calls",
    "cancelled_calls",
    "unfinished_calls",
    "calls_without_usage",
    "unpriced_calls",
    "malformed_frames",
)
_TOKEN_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


# Reading hostile frames


def _count(frame: Mapping[str, Any], name: str) -> int | None:
    """A count, or None when absent. Raises _MalformedFrame for anything else."""
    value = frame.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_COUNT:
        raise _MalformedFrame(name)
    return value


def _required_count(frame: Mapping[str, Any], name: str) -> int:
    value = _count(frame, name)
    if value is None:
        raise _MalformedFrame(name)
    return value


def _number(frame: Mapping[str, Any], name: str) -> float | None:
    """A number not below 0, or None when absent. Raises _MalformedFrame for anything else."""
    value = frame.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _MalformedFrame(name)
    if not 0 <= value <= _MAX_COUNT:  # also refuses NaN
        raise _MalformedFrame(name)
    return float(value)


def _text(frame: Mapping[str, Any], name: str) -> str | None:
    value = frame.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _MalformedFrame(name)
    return value[:_MAX_TEXT]


def _time(frame: Mapping[str, Any]) -> datetime | None:
    seconds = _number(frame, "t")
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise _MalformedFrame("t") from error


def _error(value: Any) -> dict[str, Any] | None:
    """The known fields of an error, those of a wrong type left out."""
    if not isinstance(value, Mapping):
        return None
    texts = {name: value.get(name) for name in ("type", "message", "code")}
    error: dict[str, Any] = {
        name: text[:_MAX_TEXT] for name, text in texts.items() if isinstance(text, str)
    }
    if isinstance(value.get("status"), int):
        error["status"] = value["status"]
    return error
