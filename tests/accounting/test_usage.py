"""Frames fold into metrics; hostile ones are counted and change nothing else."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mellea_jupyter.accounting.usage import UsageState, fold
from mellea_jupyter.service.calls import new_reports


def folded(*frames: dict[str, Any]) -> UsageState:
    state = UsageState()
    for frame in frames:
        fold(state, frame)
    return state


def started(call: int, **fields: Any) -> dict[str, Any]:
    defaults = {"purpose": "answer", "provider": "openai", "model": "gpt-4o"}
    return {"kind": "call_started", "t": 1.0, "call": call, **defaults, **fields}


def finished(call: int, tokens_in: int | None = 1000, out: int | None = 1000, **fields: Any) -> Any:
    counts = {"input_tokens": tokens_in, "output_tokens": out}
    present = {name: count for name, count in counts.items() if count is not None}
    return {"kind": "call_finished", "call": call, "purpose": "answer", **present, **fields}


def failed(call: int, *, cancelled: bool = False) -> dict[str, Any]:
    error = {"type": "openai.RateLimitError", "message": "slow down", "status": 429, "code": 7}
    kind = {"kind": "call_failed", "call": call, "purpose": "answer"}
    return {**kind, "cancelled": cancelled, "error": error, "latency_ms": 2.5, "seq": 9}


def test_calls_tokens_and_cost_add_up() -> None:
    state = folded(started(1), finished(1, ttft_ms=3, seq=5), started(2), finished(2, 2000, 0))
    metrics = state.metrics()
    assert metrics["llm_calls"] == metrics["samples_generated"] == 2
    assert (metrics["input_tokens"], metrics["output_tokens"]) == (3000, 1000)
    assert metrics["estimated_cost_usd"] == Decimal("0.0175")
    assert metrics["unpriced_calls"] == metrics["unfinished_calls"] == 0
    first = state.calls[0]
    assert (first.status, first.started_at, first.ttft_ms, first.seq) == ("finished", 1.0, 3.0, 5)


def test_a_partly_priced_run_has_a_lower_bound_and_an_unpriced_one_has_none() -> None:
    unknown = (started(1, model="my-model"), finished(1))
    assert folded(*unknown).metrics()["estimated_cost_usd"] is None
    metrics = folded(*unknown, started(2), finished(2)).metrics()
    assert (metrics["estimated_cost_usd"], metrics["unpriced_calls"]) == (Decimal("0.0125"), 1)


def test_a_run_without_calls_costs_nothing() -> None:
    assert folded().metrics()["estimated_cost_usd"] == 0


def test_a_failed_call_is_a_call_but_no_sample() -> None:
    state = folded(started(1), failed(1))
    metrics = state.metrics()
    assert (metrics["llm_calls"], metrics["failed_calls"], metrics["samples_generated"]) == (
        1,
        1,
        0,
    )
    assert metrics["calls_without_usage"] == 0
    assert state.calls[0].error == {
        "type": "openai.RateLimitError",
        "message": "slow down",
        "status": 429,
    }


def test_a_cancelled_call_has_unknown_usage_until_it_finishes_after_all() -> None:
    frames = [started(1), failed(1, cancelled=True)]
    metrics = folded(*frames).metrics()
    assert (metrics["cancelled_calls"], metrics["calls_without_usage"]) == (1, 1)
    metrics = folded(*frames, finished(1)).metrics()
    assert (metrics["cancelled_calls"], metrics["calls_without_usage"]) == (0, 0)
    assert (metrics["samples_generated"], metrics["unpriced_calls"]) == (1, 0)


def test_a_call_whose_start_was_lost_is_still_counted_once() -> None:
    metrics = folded(finished(1), started(1)).metrics()
    assert (metrics["llm_calls"], metrics["samples_generated"]) == (1, 1)
    assert metrics["malformed_frames"] == 1


def test_judgements_are_no_samples() -> None:
    metrics = folded(started(1, purpose="judge"), finished(1)).metrics()
    assert (metrics["judge_calls"], metrics["samples_generated"]) == (1, 0)


def test_only_outermost_loops_are_exhausted() -> None:
    def ended(loop: int, *, success: bool, **fields: Any) -> dict[str, Any]:
        return {"kind": "loop_ended", "loop": loop, "success": success, **fields}

    outer, inner = {"kind": "loop_started", "loop": 1}, {"kind": "loop_started", "loop": 2}
    inner["parent"] = 1
    metrics = folded(outer, inner, ended(2, success=False), ended(1, success=True)).metrics()
    assert metrics["loops_exhausted"] == 0
    metrics = folded(outer, inner, ended(2, success=False), ended(1, success=False)).metrics()
    assert metrics["loops_exhausted"] == 1
    metrics = folded(outer, ended(1, success=False, error={"type": "ValueError"})).metrics()
    assert metrics["loops_exhausted"] == 0


def test_samples_of_raw_calls_are_known_when_their_loop_ends() -> None:
    outer = {"kind": "loop_started", "loop": 1}
    inner = {"kind": "loop_started", "loop": 2, "parent": 1}
    calls = [started(n, loop=2, chain=1, attempt=1, raw=True, requests=1) for n in (1, 2)]
    ends = [finished(n, samples=1) for n in (1, 2)]
    state = folded(outer, inner, *calls, *ends)
    assert state.metrics()["samples_generated"] == 0
    assert state.metrics()["loop_iterations"] == 1
    fold(state, {"kind": "loop_ended", "loop": 2, "success": True, "samples": 2, "iterations": 2})
    fold(state, {"kind": "loop_ended", "loop": 1, "success": True, "samples": 2, "iterations": 2})
    assert state.metrics()["samples_generated"] == 2
    assert state.metrics()["loop_iterations"] == 2
    assert [loop.samples for loop in state.loops] == [2, 2]


def test_memory_is_a_peak_and_cpu_the_latest() -> None:
    metrics = folded(
        {"kind": "usage", "rss_mb": 120.5, "cpu_seconds": 1},
        {"kind": "usage", "rss_mb": 80, "cpu_seconds": 2},
        {"kind": "end", "peak_memory_mb": 100, "cpu_seconds": 2.5},
    ).metrics()
    assert (metrics["peak_memory_mb"], metrics["cpu_seconds"]) == (120.5, 2.5)


@pytest.mark.parametrize(
    "frame",
    [
        {"kind": "call_started"},
        {"kind": "call_started", "call": "1", "purpose": "answer"},
        {"kind": "call_started", "call": True, "purpose": "answer"},
        {"kind": "call_started", "call": 10**30, "purpose": "answer"},
        {"kind": "call_started", "call": 3, "purpose": "theft"},
        {"kind": "call_started", "call": 3, "purpose": ["answer"]},
        {"kind": "call_finished", "call": 1, "input_tokens": -1},
        {"kind": "call_finished", "call": 1, "input_tokens": 1.5},
        {"kind": "call_finished", "call": 1, "latency_ms": float("nan")},
        {"kind": "call_finished", "call": 1, "model": {"a": 1}},
        {"kind": "call_finished", "call": 1, "t": "now"},
        {"kind": "loop_started", "loop": 4, "parent": 4},
        {"kind": "loop_ended", "loop": 99, "success": True},
        {"kind": "repair", "form": None},
        {"kind": "usage", "rss_mb": "lots"},
        ["not", "an", "object"],
    ],
)
def test_a_hostile_frame_is_counted_and_changes_nothing_else(frame: Any) -> None:
    before = folded(started(1)).metrics()
    after = folded(started(1), frame).metrics()
    assert after.pop("malformed_frames") == 1
    before.pop("malformed_frames")
    assert after == before


_VALUES: list[Any] = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    3,
    1.5,
    float("nan"),
    "answer",
    "judge",
    [],
    {},
]
_NAMES = ["call", "loop", "parent", "purpose", "success", "samples", "input_tokens", "t", "attempt"]
_NAMES += ["chain", "index", "passed", "calls", "requirements", "error", "form", "rss_mb", "seq"]
_KINDS = ["call_started", "call_finished", "call_failed", "loop_started", "loop_ended", "turn"]
_KINDS += ["verdict", "repair", "usage"]
_FRAMES = st.dictionaries(st.sampled_from(_NAMES), st.sampled_from(_VALUES))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a loaded machine
@given(st.lists(st.tuples(st.sampled_from(_KINDS), _FRAMES), max_size=12))
def test_no_frame_ever_raises_or_makes_a_count_negative(frames: list[Any]) -> None:
    state = folded(*({**fields, "kind": kind} for kind, fields in frames))
    new_reports(state)
    metrics = state.metrics()
    assert all(value is None or value >= 0 for value in metrics.values())


def test_ten_thousand_calls_fold_in_a_moment() -> None:
    frames = [frame for n in range(1, 10_001) for frame in (started(n), finished(n))]
    folded(frames[0], frames[1])  # loads the price list
    begun = time.perf_counter()
    state = folded(*frames)
    assert time.perf_counter() - begun < 5
    assert state.metrics()["estimated_cost_usd"] == Decimal(125)
    assert len(state.calls) == 10_000
