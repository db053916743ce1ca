"""Folds the frames of a run into its metrics, its calls and its sampling loops, frame by frame.

Pure arithmetic over frames: no I/O, no clock. Frames come from the user's program, so a frame
that is malformed or contradicts an earlier one is counted and otherwise ignored, and what is kept
is bounded. The same frames always fold into the same state.

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
- ``useful_cost_usd``, ``repair_cost_usd``, ``judge_cost_usd``, ``wasted_cost_usd``: the cost by
  `CallShare`; together they are ``estimated_cost_usd``.
- ``accepted_outputs``: outermost loops whose requirements were met, and answers that arrived
  outside of loops. ``cost_per_accepted_output_usd`` is the whole cost divided by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from mellea_jupyter.accounting import reading
from mellea_jupyter.accounting.calls import CallRecord, new_call
from mellea_jupyter.accounting.loops import LoopRecord, Loops
from mellea_jupyter.accounting.pricing import Price, price_call, to_usd
from mellea_jupyter.accounting.reading import MalformedFrame, Texts
from mellea_jupyter.accounting.series import Point, Series
from mellea_jupyter.models.calls import CallShare

MAX_RECORDS = 100_000

Pricer = Callable[..., Price | None]
_PICODOLLAR = Decimal(1).scaleb(-12)


class UsageState:
    """The metrics of one run so far. Mutable: `fold` changes it in place.

    Args:
        price: Prices a call from its tokens; `pricing.price_call` unless operators override it.
    """

    def __init__(self, price: Pricer = price_call) -> None:
        self._price = price
        self._texts = Texts()
        self._calls: dict[int, CallRecord] = {}
        self._loops = Loops(self._texts)
        self._series = Series()
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self._shares = dict.fromkeys(CallShare, 0)  # pico-dollars
        self._priced_calls = 0
        self._peak_memory_mb = 0.0
        self._cpu_seconds = 0.0
        self._dropped_events = 0
        self._changed: set[int] = set()

    def take_changed_calls(self) -> list[CallRecord]:
        """Calls that started or ended since this was last asked, in order of their numbers."""
        changed, self._changed = sorted(self._changed), set()
        return [self._calls[number] for number in changed if number in self._calls]

    def take_changed_loops(self) -> list[LoopRecord]:
        """Loops that changed since this was last asked, their calls' cost included, by number."""
        return self._loops.take_changed()

    def take_new_points(self) -> list[Point] | None:
        """Memory, CPU time and cost over time, or None if unchanged since this was last asked."""
        if not self._series.is_changed:
            return None
        self._series.is_changed = False
        return self._series.points

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
        """Every sampling loop in order of its start, at most `loops.MAX_LOOPS`."""
        return list(self._loops)

    def metrics(self) -> dict[str, Any]:
        """The metrics so far.

        Shape: the usage fields of ``RunMetrics`` (timing is not ours) and the counters of this
        module. ``estimated_cost_usd`` is a Decimal, a lower bound while ``unpriced_calls`` is
        not 0, and None when no call could be priced though there were some.
        """
        cost = self._cost()
        accepted = self._counts["accepted_outputs"]
        return {
            **self._counts,
            "estimated_cost_usd": cost,
            **{
                f"{share}_cost_usd": None if cost is None else to_usd(picodollars)
                for share, picodollars in self._shares.items()
            },
            "cost_per_accepted_output_usd": (
                (cost / accepted).quantize(_PICODOLLAR) if cost is not None and accepted else None
            ),
            "peak_memory_mb": self._peak_memory_mb,
            "cpu_seconds": self._cpu_seconds,
            "dropped_events": self._dropped_events,
        }

    def _cost(self) -> Decimal | None:
        nothing_priced = self._counts["unpriced_calls"] > 0 and self._priced_calls == 0
        return None if nothing_priced else to_usd(sum(self._shares.values()))

    def fold(self, frame: Mapping[str, Any]) -> None:
        """Take one frame into account. Kinds that do not concern usage are passed over."""
        try:
            kind = frame.get("kind")
            handler = self._HANDLERS.get(kind) if isinstance(kind, str) else None
            if handler is not None:
                handler(self, frame)
        except (MalformedFrame, AttributeError):
            self._counts["malformed_frames"] += 1

    # Calls

    def _call_started(self, frame: Mapping[str, Any]) -> None:
        record = new_call(frame, self._texts)
        if record.call in self._calls:
            raise MalformedFrame("call started twice")
        self._add_record(record)
        loop = self._loops.get(record.loop)
        if self._loops.sampled(record, frame) and loop is not None:
            self._count_in_loop(loop, frame, iterations=1)

    def _add_record(self, record: CallRecord) -> None:
        self._counts["llm_calls"] += record.requests
        self._counts["judge_calls"] += record.purpose == "judge"
        self._counts["unfinished_calls"] += 1
        if len(self._calls) < MAX_RECORDS:
            self._calls[record.call] = record
            self._changed.add(record.call)

    def _ending(self, frame: Mapping[str, Any]) -> CallRecord:
        """The record of a call that ends now; a new one when its start was lost."""
        number = reading.required_count(frame, "call")
        record = self._calls.get(number)
        if record is None:
            record = new_call(frame, self._texts)
            if len(self._calls) < MAX_RECORDS:
                self._add_record(record)
        elif record.status not in ("active", "cancelled"):
            raise MalformedFrame("call ended twice")
        self._changed.add(number)
        return record

    def _call_finished(self, frame: Mapping[str, Any]) -> None:
        counts = {name: reading.count(frame, name) for name in (*_TOKEN_FIELDS, "seq")}
        numbers = {name: reading.number(frame, name) for name in ("latency_ms", "ttft_ms")}
        names = ("provider", "model", "response_model", "finish_reason")
        texts = {name: text for name in names if (text := reading.text(frame, name)) is not None}
        samples, at = reading.count(frame, "samples"), reading.time(frame)
        line = reading.log_line(frame)
        record = self._ending(frame)
        self._settle(record, -1)
        for name, value in {**counts, **numbers}.items():
            setattr(record, name, value)
        for name, text in texts.items():
            setattr(record, name, self._texts.keep(text))
        record.status, record.error, record.line = "finished", None, line
        record.streaming = frame.get("streaming") is True
        record.has_content = any(frame.get(name) is not None for name in ("prompt", "reply"))
        record.samples = 1 if samples is None else samples
        record.price = self._price_of(record, at)
        self._settle(record, 1)
        self._loops.touch_around(record.loop, frame)

    def _call_failed(self, frame: Mapping[str, Any]) -> None:
        latency, at = reading.number(frame, "latency_ms"), reading.time(frame)
        seq, line = reading.count(frame, "seq"), reading.log_line(frame)
        cancelled = frame.get("cancelled") is True
        error = reading.error(frame.get("error"))
        record = self._ending(frame)
        self._settle(record, -1)
        record.status = "cancelled" if cancelled else "failed"
        record.latency_ms, record.seq, record.line = latency, seq, line
        record.error = self._texts.keep_error(error)
        record.price = self._price_of(record, at) if cancelled else None
        self._settle(record, 1)
        self._loops.touch_around(record.loop, frame)

    def _settle(self, record: CallRecord, sign: int) -> None:
        """Count what a call contributes in its present status, or take it back."""
        counts = self._counts
        if record.status == "active":
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
            self._shares[record.share] += sign * record.price.picodollars
        self._loops.spent(record, sign)
        if record.status == "finished" and record.purpose != "judge":
            self._count_sample(record, sign)

    def _count_sample(self, record: CallRecord, sign: int) -> None:
        loop = self._loops.get(record.loop)
        if record.is_raw and loop is not None:
            return  # a part of a sample: the loop says at its end how many there were
        samples = record.samples if record.is_raw else 1
        self._counts["samples_generated"] += sign * samples
        if loop is None:
            self._counts["accepted_outputs"] += sign * samples * (record.purpose == "answer")
        elif record.purpose != "tool":
            for each in self._loops.with_outer(loop):
                each.samples += sign * samples

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
        self._loops.started(frame)

    def _loop_ended(self, frame: Mapping[str, Any]) -> None:
        samples, iterations = reading.count(frame, "samples"), reading.count(frame, "iterations")
        loop = self._loops.ended(frame)
        self._count_in_loop(
            loop,
            frame,
            samples=max(0, (samples or 0) - loop.samples),
            iterations=max(0, (iterations or 0) - loop.iterations),
        )
        if loop.parent is None:
            self._counts["accepted_outputs"] += loop.status == "met"
            self._counts["loops_exhausted"] += loop.status == "not_met"

    def _count_in_loop(
        self, loop: LoopRecord, frame: Mapping[str, Any], samples: int = 0, iterations: int = 0
    ) -> None:
        self._counts["samples_generated"] += samples
        self._counts["loop_iterations"] += iterations
        for record in self._loops.with_outer(loop):
            record.samples += samples
            record.iterations += iterations
        if samples:
            self._loops.touch_around(loop.loop, frame)

    def _verdict(self, frame: Mapping[str, Any]) -> None:
        self._loops.judged(frame)

    def _repair(self, frame: Mapping[str, Any]) -> None:
        form = frame.get("form")
        if form != "resample" and form != "repair":  # noqa: PLR1714 - so that mypy knows it
            raise MalformedFrame("form")
        self._loops.repaired(frame, form)
        self._counts["repair_attempts"] += 1
        self._counts["resamples"] += form == "resample"

    def _turn(self, frame: Mapping[str, Any]) -> None:
        self._counts["loop_iterations"] += 1

    # Resources

    def _usage(self, frame: Mapping[str, Any]) -> None:
        memory, cpu = reading.number(frame, "rss_mb"), reading.number(frame, "cpu_seconds")
        self._use(memory, cpu)
        self._sample(frame, memory)

    def _end(self, frame: Mapping[str, Any]) -> None:
        memory, cpu = reading.number(frame, "peak_memory_mb"), reading.number(frame, "cpu_seconds")
        self._dropped_events = reading.count(frame, "dropped_events") or 0
        self._use(memory, cpu)

    def _use(self, memory_mb: float | None, cpu_seconds: float | None) -> None:
        self._peak_memory_mb = max(self._peak_memory_mb, memory_mb or 0.0)
        self._cpu_seconds = max(self._cpu_seconds, cpu_seconds or 0.0)

    def _sample(self, frame: Mapping[str, Any], memory_mb: float | None) -> None:
        at, cost = reading.number(frame, "t"), self._cost()
        if at is not None:
            picodollars = None if cost is None else sum(self._shares.values())
            self._series.add(Point(at, memory_mb or 0.0, self._cpu_seconds, picodollars))

    _HANDLERS: ClassVar[Mapping[str, Callable[[UsageState, Mapping[str, Any]], None]]] = {
        "call_started": _call_started,
        "call_finished": _call_finished,
        "call_failed": _call_failed,
        "loop_started": _loop_started,
        "loop_ended": _loop_ended,
        "repair": _repair,
        "verdict": _verdict,
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
    "accepted_outputs",
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
