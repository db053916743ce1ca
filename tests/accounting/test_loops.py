"""Loops, attempts and verdicts fold from frames; what is too much is left out and counted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mellea_jupyter.accounting import loops
from mellea_jupyter.accounting.reading import Texts
from mellea_jupyter.accounting.usage import UsageState
from mellea_jupyter.models.calls import CallsChanged, SamplingLoop
from mellea_jupyter.service.calls import new_reports

MTOK = {"input_tokens": 400_000, "output_tokens": 0}  # a dollar of gpt-4o


def folded(*frames: dict[str, Any], state: UsageState | None = None) -> UsageState:
    state = state or UsageState()
    for frame in frames:
        state.fold(frame)
    return state


def numbered(*frames: dict[str, Any]) -> list[dict[str, Any]]:
    """The frames as the supervisor writes them."""
    return [{"seq": n, "t": float(n), "line": n, **f} for n, f in enumerate(frames, 1)]


def loop_started(loop: int = 1, **fields: Any) -> dict[str, Any]:
    asked = [{"index": 0, "text": "be kind", "kind": "judge"}]
    return {"kind": "loop_started", "loop": loop, "strategy": "S", "requirements": asked, **fields}


def loop_ended(loop: int = 1, **fields: Any) -> dict[str, Any]:
    return {"kind": "loop_ended", "loop": loop, "success": True, "lines": 1, **fields}


def call(number: int, *, loop: int | None = 1, purpose: str = "answer", attempt: int = 1,
         chain: int = 1, **end: Any) -> list[dict[str, Any]]:  # fmt: skip
    """A call from its beginning to its end."""
    place = {} if loop is None else {"loop": loop, "chain": chain, "attempt": attempt}
    head = {"call": number, "purpose": purpose, "provider": "openai", "model": "gpt-4o", **place}
    done = {"kind": "call_finished", "lines": 1, **head, **MTOK, **end}
    return [{"kind": "call_started", **head}, done]


def verdict(**fields: Any) -> dict[str, Any]:
    place = {"loop": 1, "chain": 1, "attempt": 1, "requirement": "be kind", "index": 0}
    return {"kind": "verdict", "passed": True, "latency_ms": 1.0, **place, **fields}


def shown(state: UsageState) -> list[SamplingLoop]:
    return [SamplingLoop.model_validate_json(row.doc) for row in new_reports(state).loops]


def test_a_loop_is_told_as_it_went() -> None:
    frames = numbered(
        loop_started(budget=3, concurrency=1, instruction="write"),
        *call(1),
        *call(2, purpose="judge", index=0),
        verdict(passed=False, reason="rude", score=0.25, calls=[2]),
        {"kind": "repair", "loop": 1, "chain": 1, "attempt": 2, "form": "resample"},
        *call(3, purpose="repair", attempt=2),
        loop_ended(chosen_loop=1, chosen_chain=1, chosen_attempt=2),
    )
    state = folded(*frames)
    (loop,) = shown(state)
    assert (loop.status, loop.budget, loop.instruction, loop.line) == ("met", 3, "write", 11)
    assert (loop.started_at, loop.ended_at) == (1.0, 10.0)
    first, second = loop.attempts
    assert (first.form, second.form) == ("answer", "resample")
    assert (first.calls, second.calls) == ((1,), (3,))
    assert (first.is_chosen, second.is_chosen) == (False, True)
    (said,) = first.verdicts
    assert (said.requirement, said.reason, said.score, said.calls) == (0, "rude", 0.25, (2,))
    assert (loop.cost_usd, loop.repair_cost_usd) == (Decimal(3), Decimal(1))
    metrics = state.metrics()
    split = [metrics[f"{share}_cost_usd"] for share in ("useful", "repair", "judge", "wasted")]
    assert split == [1, 1, 1, 0]
    assert (metrics["accepted_outputs"], metrics["cost_per_accepted_output_usd"]) == (1, 3)
    again = folded(*frames)
    assert new_reports(again) == new_reports(folded(*frames))
    assert again.metrics() == metrics


def test_money_of_inner_loops_is_that_of_the_outer_ones_too() -> None:
    state = folded(
        loop_started(), loop_started(2, parent=1), *call(1, loop=2),
        *call(2, loop=1, model="unknown"), loop_ended(2), loop_ended(chosen_loop=2),
    )  # fmt: skip
    outer, inner = shown(state)
    assert (inner.cost_usd, inner.unpriced_calls, inner.chosen_loop) == (Decimal(1), 0, None)
    assert (outer.cost_usd, outer.unpriced_calls, outer.chosen_loop) == (Decimal(1), 1, 2)


def test_a_cancelled_call_takes_its_cost_back_when_it_finishes_after_all() -> None:
    begun, done = call(1)
    gone = {"kind": "call_failed", "call": 1, "purpose": "answer", "cancelled": True}
    state = folded(loop_started(), begun, gone)
    assert [(each.cost_usd, each.unpriced_calls) for each in shown(state)] == [(None, 1)]
    folded(done, state=state)
    assert [(each.cost_usd, each.unpriced_calls) for each in shown(state)] == [(Decimal(1), 0)]
    assert state.metrics()["wasted_cost_usd"] == 0


@pytest.mark.parametrize(
    ("end", "status", "accepted"),
    [
        ({"success": False}, "not_met", 0),
        ({"success": False, "error": {"type": "ValueError", "message": "no"}}, "failed", 0),
        ({"success": True}, "met", 1),
    ],
)
def test_how_a_loop_ends(end: dict[str, Any], status: str, accepted: int) -> None:
    state = folded(loop_started(), *call(1), loop_ended(**end), *call(2, loop=None))
    assert [each.status for each in shown(state)] == [status]
    metrics = state.metrics()
    assert metrics["accepted_outputs"] == accepted + 1  # and the answer outside
    assert metrics["loops_exhausted"] == (status == "not_met")


@pytest.mark.parametrize(
    "frame",
    [
        verdict(passed="yes"),
        verdict(calls="1"),
        verdict(calls=[1, "2"]),
        verdict(score=float("inf")),
        verdict(reason={}),
        verdict(index=-1),
        loop_started(9, requirements="all"),
        loop_started(9, requirements=["be kind"]),
        loop_started(9, requirements=[{"text": 5}]),
        loop_started(9, instruction=7),
        loop_ended(chosen_attempt="1"),
        loop_ended(t="now"),
        {"kind": "repair", "form": "repair", "loop": []},
    ],
)
def test_a_hostile_frame_of_a_loop_changes_nothing(frame: dict[str, Any]) -> None:
    before = folded(loop_started(), *call(1))
    after = folded(loop_started(), *call(1), frame)
    assert shown(after) == shown(before)
    assert after.metrics()["malformed_frames"] == 1


def test_a_verdict_of_no_loop_is_no_harm() -> None:
    state = folded(loop_started(), verdict(loop=None), verdict(loop=7), verdict(attempt=None))
    assert state.metrics()["malformed_frames"] == 0
    assert shown(state)[0].attempts == ()


def test_a_requirement_that_is_not_the_loops_keeps_its_own_words() -> None:
    (loop,) = shown(folded(loop_started(), verdict(index=5, requirement="another")))
    (said,) = loop.attempts[0].verdicts
    assert (said.requirement, said.text) == (None, "another")


def test_a_loop_is_bounded_whatever_the_journal_says() -> None:
    state = folded(loop_started())
    for number in range(1, 3 * loops.MAX_ATTEMPTS):
        begun, _ = call(number, attempt=number)
        folded(begun, state=state)
    for number in range(3 * loops.MAX_VERDICTS):
        folded(verdict(attempt=number % 7 + 1, reason="x" * 5000), state=state)
    (loop,) = shown(state)
    assert len(loop.attempts) == loops.MAX_ATTEMPTS
    assert sum(len(each.verdicts) for each in loop.attempts) == loops.MAX_VERDICTS
    assert loop.left_out == 2 * loops.MAX_ATTEMPTS - 1 + 2 * loops.MAX_VERDICTS
    assert loop.samples == 0
    assert state.metrics()["loop_iterations"] == 3 * loops.MAX_ATTEMPTS - 1
    assert len(loop.model_dump_json()) < 1 << 20


def test_texts_of_a_whole_journal_are_bounded() -> None:
    texts = Texts(left=100)
    assert texts.keep("a" * 60, 1000) == "a" * 60
    assert texts.keep("a" * 60, 1000) == "a" * 60  # known already
    assert texts.keep("b" * 60, 1000) is None
    assert texts.keep("b" * 60, 40) == "b" * 40
    assert texts.keep_error({"type": "c", "status": 500}) == {"status": 500}


def test_changes_are_given_once_and_with_the_frame_that_made_them() -> None:
    frames = numbered(loop_started(), loop_started(2, parent=1), *call(1, loop=2))
    state = folded(*frames[:2])
    first = new_reports(state)
    assert [(row.loop, row.seq) for row in first.loops] == [(1, 1), (2, 2)]
    assert not new_reports(state)
    folded(*frames[2:], state=state)
    second = new_reports(state)
    assert [(row.call, row.seq) for row in second.calls] == [(1, 4)]
    assert [(row.loop, row.seq) for row in second.loops] == [(1, 4), (2, 4)]
    changed = CallsChanged(run_id="r", loops=tuple(shown(folded(*frames))))
    assert changed.loops[0].samples == 1
