"""Turns what mellea does into journal frames: calls, loops, attempts and verdicts.

`llm_events` wraps mellea's functions and reports each moment here; this module numbers it, says
which loop, chain and attempt it belongs to, and emits the frame. It knows mellea's objects by
feature test only and imports nothing of mellea. Standard library only.

A *chain* is what one asyncio task does in one sampling loop: a first attempt and its repairs.
Which loop and attempt a moment belongs to is carried by context variables, which asyncio hands
on to child tasks and mellea to its own event loop thread.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from . import llm_events_content as content
from .best_attempt import BestAttempts
from .budget import Budget, BudgetExceeded, Ticket
from .prices import Tokens

Fields = dict[str, Any]
Result = TypeVar("Result")

MAX_REQUIREMENTS = 100
MAX_CHECK_CALLS = 100

CALL = "_mellea_jupyter_call"
"""The attribute of a reply that says which call it is of."""

INSIDE: ContextVar[str] = ContextVar("mellea_jupyter_inside", default="")
"""``"judge"`` inside a requirement's validation, ``"tool"`` inside a tool, otherwise empty."""
LOOP: ContextVar[Loop | None] = ContextVar("mellea_jupyter_loop", default=None)
ATTEMPT: ContextVar[Attempt | None] = ContextVar("mellea_jupyter_attempt", default=None)
CHECK: ContextVar[Check | None] = ContextVar("mellea_jupyter_check", default=None)
"""The validation that goes on."""


class Loop:
    """One run of a strategy's ``sample``, inside another one or not."""

    __slots__ = (
        "asked",
        "budget",
        "chains",
        "has_raw_calls",
        "id",
        "indices",
        "indices_by_text",
        "iterations",
        "parent",
        "refusal",
        "samples",
        "strategy",
    )

    def __init__(self, number: int, strategy: Any, parent: Loop | None) -> None:
        self.id = number
        self.strategy = strategy
        self.parent = parent
        self.budget: int | None = None
        self.chains: dict[Any, Chain] = {}
        self.asked: list[Any] = []  # the requirements, so that no other gets the id of one
        self.indices: dict[int, int] = {}  # id(requirement) -> its index in loop_started
        self.indices_by_text: dict[str, int | None] = {}  # None: several have this text
        self.samples = 0
        self.iterations = 0
        self.has_raw_calls = False
        self.refusal: BudgetExceeded | None = None  # of a call that it wanted to make

    def index_of(self, requirement: Any) -> int | None:
        """The index of a requirement, or of the one that it stands in for.

        SOFAI wraps a requirement to have another backend judge it; the text stays.
        """
        index = self.indices.get(id(requirement))
        return (
            index
            if index is not None
            else (self.indices_by_text.get(requirement_text(requirement)))
        )

    def count(self, samples: int = 0, iterations: int = 0) -> None:
        """Count for this loop and for those around it."""
        loop: Loop | None = self
        while loop is not None:
            loop.samples += samples
            loop.iterations += iterations
            loop = loop.parent


class Chain:
    """The attempts of one task in one loop."""

    __slots__ = ("id", "last")

    def __init__(self, number: int) -> None:
        self.id = number
        self.last: Attempt | None = None


class Attempt:
    """One try of a chain; `is_judged` once a requirement has given its verdict on it."""

    __slots__ = ("action", "chain", "is_judged", "loop", "number")

    def __init__(self, loop: Loop, chain: Chain, number: int, action: Any) -> None:
        self.loop = loop
        self.chain = chain
        self.number = number
        self.action = action  # kept, so that its identity cannot be reused meanwhile
        self.is_judged = False


class Check:
    """One requirement's validation: which it is, and the calls that it made."""

    __slots__ = ("calls", "index")

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.calls: list[int] = []


class Call:
    """One call in flight or ended."""

    __slots__ = (
        "attempt",
        "chain",
        "has_ended",
        "id",
        "is_raw",
        "loop",
        "model",
        "provider",
        "purpose",
        "started",
        "ticket",
    )

    def __init__(self, number: int, purpose: str, backend: Any, loop: Loop | None) -> None:
        self.id = number
        self.purpose = purpose
        self.provider = content.name_of(getattr(backend, "_provider", None))
        self.model = content.name_of(getattr(backend, "_model_id", None))
        self.loop = loop
        self.chain: int | None = None
        self.attempt: int | None = None
        self.is_raw = False
        self.has_ended = False
        self.ticket: Ticket | None = None
        self.started = time.perf_counter()

    @property
    def is_sample(self) -> bool:
        """Whether its reply is a sample of its loop's answer."""
        return self.purpose in ("answer", "repair")

    def latency_ms(self) -> float:
        """Time since the call started, until now."""
        return round((time.perf_counter() - self.started) * 1000, 3)


class Recorder:
    """Numbers and emits the LLM events of one run. Thread-safe; never raises into the program.

    Args:
        emit: Takes a frame as ``emit(kind, **fields)``.
        capture_content: Whether prompts, replies and reasons go into the frames.
        budget: What calls are taken from.
        best: Remembers attempts for the case that the budget ends the run.
        content_limit_bytes: The most of a prompt, and of a reply, that goes into a frame.
    """

    def __init__(
        self,
        emit: Callable[..., object],
        *,
        capture_content: bool = True,
        budget: Budget | None = None,
        best: BestAttempts | None = None,
        content_limit_bytes: int = 16384,
    ) -> None:
        self._emit_frame = emit
        self._capture_content = capture_content
        self.budget = budget if budget is not None else Budget(emit)
        self._best = best
        self._content_limit = content_limit_bytes
        self._call_numbers = itertools.count(1)
        self._loop_numbers = itertools.count(1)
        self._chain_lock = threading.Lock()

    def emit(self, kind: str, **fields: Any) -> None:
        """Emit a frame without the fields that are None."""
        present = {name: value for name, value in fields.items() if value is not None}
        self._emit_frame(kind, **present)

    def guard(self, report: Callable[..., Result], *args: Any) -> Result | None:
        """Run one of the reports below; an error in it is ours and never the program's."""
        try:
            return report(*args)
        except Exception:  # the boundary to the user's program
            return None

    # Calls

    def call_started(self, backend: Any, action: Any) -> Call:
        """A backend is about to generate from a context."""
        inside, loop = INSIDE.get(), LOOP.get()
        call = Call(next(self._call_numbers), inside or "answer", backend, loop)
        attempt = ATTEMPT.get() if inside else None
        action_name = type(action).__name__
        if not inside and loop is not None:
            attempt = self._begin_attempt(loop, action, is_raw=False)
            call.purpose = "repair" if attempt.number > 1 else "answer"
        elif not inside and action_name == "ReactThought":
            self._emit_frame("turn", framework="react")
        self._emit_started(call, attempt, action_name)
        return call

    def check_started(self, requirement: Any) -> Check:
        """A requirement begins to be validated; the caller makes the check current."""
        loop = LOOP.get()
        return Check(loop.index_of(requirement) if loop is not None else None)

    def raw_started(self, backend: Any, actions: Any, requests: int) -> Call:
        """A backend is about to complete a batch of prompts without a context."""
        inside, loop = INSIDE.get(), LOOP.get()
        call = Call(next(self._call_numbers), inside or "answer", backend, loop)
        call.is_raw = True
        attempt = ATTEMPT.get() if inside else None
        if not inside and loop is not None:
            loop.has_raw_calls = True
            first = actions[0] if actions else None
            attempt = self._begin_attempt(loop, first, is_raw=True)
            call.purpose = "repair" if attempt.number > 1 else "answer"
        extra = {"raw": True, "batch": len(actions), "requests": requests}
        self._emit_started(call, attempt, type(actions[0]).__name__ if actions else None, **extra)
        return call

    def call_finished(self, call: Call, thunk: Any) -> None:
        """The reply of a call has arrived in full, even if parsing it fails afterwards."""
        if call.has_ended:
            return
        call.has_ended = True
        generation = getattr(thunk, "generation", None)
        fields = content.usage_fields(getattr(generation, "usage", None))
        for name in ("provider", "model", "response_model"):
            value = content.name_of(getattr(generation, name, None))
            if value is not None:
                fields[name] = value
        ttfb_ms = getattr(generation, "ttfb_ms", None)
        if isinstance(ttfb_ms, (int, float)) and ttfb_ms >= 0:
            fields["ttft_ms"] = round(ttfb_ms, 3)
        reasons = getattr(generation, "finish_reasons", None)
        if isinstance(reasons, (list, tuple)) and reasons:
            fields["finish_reason"] = content.name_of(reasons[0])
        if getattr(generation, "streaming", False):
            fields["streaming"] = True
        if self._capture_content:
            fields.update(self._content_of(thunk))
        self._settle(call, fields)
        self._emit_finished(call, fields)
        if call.is_sample and self._best is not None:
            self._best.replied(
                call.loop.id if call.loop is not None else 0,
                call.chain or 0,
                call.attempt or call.id,
                getattr(thunk, "_underlying_value", None),
                call.model,
            )
        if call.loop is not None and call.is_sample:
            call.loop.count(samples=1)

    def raw_finished(self, call: Call, results: Any, usage: Any) -> None:
        """A batch has been completed; ``usage`` is that of the whole batch or None."""
        call.has_ended = True
        fields = content.usage_fields(usage)
        self._settle(call, fields)
        fields["samples"] = len(results)
        if self._capture_content and results:
            fields.update(self._content_of(results[0]))
        self._emit_finished(call, fields)

    def _settle(self, call: Call, fields: Fields) -> None:
        """Tell the budget what a call has cost."""
        tokens = None
        if "input_tokens" in fields and "output_tokens" in fields:
            tokens = Tokens(
                fields["input_tokens"],
                fields["output_tokens"],
                fields.get("cached_tokens", 0),
                fields.get("cache_write_tokens", 0),
                fields.get("reasoning_tokens", 0),
            )
        self.budget.ended(call.ticket, tokens, fields.get("response_model"))

    def call_failed(self, call: Call, error: BaseException) -> None:
        """A call has ended without a reply."""
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self.call_cancelled(call, error)
        elif not call.has_ended:
            call.has_ended = True
            self.budget.failed(call.ticket)
            self._emit_failed(call, error, cancelled=False)

    def call_cancelled(self, call: Call, error: BaseException) -> None:
        """Nobody waits for a call any more, though it may finish when it is read again."""
        if not call.has_ended:
            self.budget.ended(call.ticket, None, None)
            self._emit_failed(call, error, cancelled=True)

    def _emit_failed(self, call: Call, error: BaseException, *, cancelled: bool) -> None:
        self.emit(
            "call_failed",
            call=call.id,
            purpose=call.purpose,
            loop=call.loop.id if call.loop is not None else None,
            chain=call.chain,
            attempt=call.attempt,
            provider=call.provider,
            model=call.model,
            cancelled=cancelled,
            error=content.error_fields(error),
            latency_ms=call.latency_ms(),
            lines=1,
        )

    def _emit_started(
        self, call: Call, attempt: Attempt | None, action: str | None, **fields: Any
    ) -> None:
        if call.loop is not None:
            fields["loop"] = call.loop.id
        if attempt is not None:
            fields["chain"] = call.chain = attempt.chain.id
            fields["attempt"] = call.attempt = attempt.number
        check = CHECK.get() if call.purpose == "judge" else None
        if check is not None:
            if check.index is not None:
                fields["index"] = check.index
            if len(check.calls) < MAX_CHECK_CALLS:
                check.calls.append(call.id)
        if call.provider is not None:
            fields["provider"] = call.provider
        if call.model is not None:
            fields["model"] = call.model
        if action is not None:
            fields["action"] = content.name_of(action)
        self._emit_frame("call_started", call=call.id, purpose=call.purpose, **fields)

    def _emit_finished(self, call: Call, fields: Fields) -> None:
        fields["call"] = call.id
        fields["purpose"] = call.purpose
        fields["latency_ms"] = call.latency_ms()
        fields["lines"] = 1
        if call.loop is not None:
            fields["loop"] = call.loop.id
        if call.attempt is not None and call.loop is not None:
            fields["chain"], fields["attempt"] = call.chain, call.attempt
            if call.loop.budget is not None:
                fields["budget"] = call.loop.budget
        if call.provider is not None:
            fields.setdefault("provider", call.provider)
        if call.model is not None:
            fields.setdefault("model", call.model)
        self._emit_frame("call_finished", **fields)

    def _content_of(self, thunk: Any) -> Fields:
        log = getattr(thunk, "_generate_log", None)
        prompt, reply = getattr(log, "prompt", None), getattr(thunk, "_underlying_value", None)
        return content.content_fields(prompt, reply, self._content_limit)

    # Loops and attempts

    def loop_started(self, strategy: Any, action: Any, requirements: Any) -> Loop:
        """A strategy begins to sample; the caller makes the loop current."""
        loop = Loop(next(self._loop_numbers), strategy, LOOP.get())
        own = getattr(strategy, "requirements", None)
        texts: list[Fields] = []
        asked = own if own is not None else requirements or ()  # its own replace the call's
        loop.asked = list(asked)[:MAX_REQUIREMENTS]
        for index, requirement in enumerate(loop.asked):
            loop.indices[id(requirement)] = index
            text, kind = requirement_text(requirement), requirement_kind(requirement)
            loop.indices_by_text[text] = None if text in loop.indices_by_text else index
            texts.append({"index": index, "text": content.short(text, 300), "kind": kind})
        loop.budget = _integer(strategy, "loop_budget")
        concurrency = _integer(strategy, "concurrency_budget")
        if loop.parent is None or loop.parent.strategy is not strategy:
            # Majority voting runs itself once a sample: so many samples are those of the outer.
            concurrency = _integer(strategy, "number_of_samples") or concurrency
        self.emit(
            "loop_started",
            loop=loop.id,
            parent=loop.parent.id if loop.parent is not None else None,
            strategy=type(strategy).__name__,
            budget=loop.budget,
            concurrency=concurrency,
            instruction=self._instruction(action),
            requirements=texts,
        )
        return loop

    def loop_ended(
        self, loop: Loop, strategy: Any, result: Any, error: BaseException | None
    ) -> None:
        """A strategy has returned ``result`` or raised ``error``."""
        generations = getattr(result, "sample_generations", None)
        if loop.has_raw_calls and isinstance(generations, list):
            # Raw calls are parts of a sample; only the strategy knows how many samples they made.
            missing = len(generations) - loop.samples
            loop.count(samples=max(0, missing))
        loop.count(iterations=max(0, loop.samples - loop.iterations))
        self.emit(
            "loop_ended",
            loop=loop.id,
            parent=loop.parent.id if loop.parent is not None else None,
            strategy=type(strategy).__name__,
            success=bool(getattr(result, "success", False)),
            samples=loop.samples,
            iterations=loop.iterations,
            error=content.error_fields(error) if error is not None else None,
            lines=1,
            **_chosen(loop, result, generations),
        )
        if self._best is not None:
            self._best.loop_ended(loop.id)

    def _begin_attempt(self, loop: Loop, action: Any, *, is_raw: bool) -> Attempt:
        """Number this generation within its chain and report it as a repair if it is one.

        Several raw calls belong to one attempt until a requirement has judged it.
        """
        task = asyncio.current_task()
        with self._chain_lock:
            chain = loop.chains.get(task)
            if chain is None:
                chain = loop.chains[task] = Chain(len(loop.chains) + 1)
        last = chain.last
        if is_raw and last is not None and not last.is_judged:
            return last
        attempt = Attempt(loop, chain, last.number + 1 if last is not None else 1, action)
        chain.last = attempt
        ATTEMPT.set(attempt)
        loop.count(iterations=1)
        if last is not None:
            self.emit(
                "repair",
                loop=loop.id,
                chain=chain.id,
                attempt=attempt.number,
                form="resample"
                if _is_same_action(last.action, action, is_raw=is_raw)
                else "repair",
            )
        return attempt

    def _instruction(self, action: Any) -> str | None:
        if not self._capture_content:
            return None
        for name in ("_description", "content", "value"):
            text = getattr(action, name, None)
            if text is not None:
                return content.short(text, 500)
        return None

    # Verdicts

    def verdict(
        self, check: Check | None, requirement: Any, result: Any, latency_ms: float
    ) -> None:
        """A requirement has judged the current attempt."""
        loop, attempt = LOOP.get(), ATTEMPT.get()
        if attempt is not None:
            attempt.is_judged = True
        reason = getattr(result, "reason", None) if self._capture_content else None
        score = getattr(result, "score", None)
        self.emit(
            "verdict",
            loop=loop.id if loop is not None else None,
            attempt=attempt.number if attempt is not None else None,
            chain=attempt.chain.id if attempt is not None else None,
            requirement=content.short(requirement_text(requirement)),
            index=check.index if check is not None else None,
            passed=bool(result),
            reason=content.short(reason) if reason is not None else None,
            score=score if isinstance(score, (int, float)) else None,
            latency_ms=round(latency_ms, 3),
            calls=check.calls or None if check is not None else None,
        )
        if self._best is not None and attempt is not None:
            text = content.short(requirement_text(requirement))
            self._best.judged(
                attempt.loop.id,
                attempt.chain.id,
                attempt.number,
                requirement=text,
                passed=bool(result),
                reason=reason,
            )

    def keep_best(self) -> None:
        """Write the best attempt so far to the run's results. Raises OSError."""
        if self._best is not None:
            self._best.write()

    def degraded(self, missing: list[str], version: str | None) -> None:
        """Some of mellea's functions could not be wrapped; the counts may be too low."""
        self.emit("degraded", missing=missing, mellea=version or "unknown", lines=1)


def _chosen(loop: Loop, result: Any, generations: Any) -> Fields:
    """Which attempt is the result: of this loop, or of one inside it whose result it took.

    mellea gives a place among the samples in the order in which they arrived, which says nothing
    of chains; the sample itself knows the call that it is of. Samples of raw calls do not, and
    are made one an attempt in a single chain.
    """
    index = _integer(result, "result_index")
    if index is None or not isinstance(generations, list):
        return {}
    if not -len(generations) <= index < len(generations):
        return {}
    fields: Fields = {"chosen": index % len(generations)}
    call = getattr(generations[index], "__dict__", {}).get(CALL)
    if isinstance(call, Call) and call.loop is not None and call.attempt is not None:
        chosen = (call.loop.id, call.chain, call.attempt)
    elif len(loop.chains) == 1 and len(generations) == loop.iterations:
        chosen = (loop.id, 1, index % len(generations) + 1)
    else:
        return fields
    fields["chosen_loop"], fields["chosen_chain"], fields["chosen_attempt"] = chosen
    return fields


def requirement_text(requirement: Any) -> str:
    """A requirement's own words, or its class when it has none."""
    text = getattr(requirement, "description", None)
    return text if isinstance(text, str) and text else type(requirement).__name__


def requirement_kind(requirement: Any) -> str:
    """``function`` when the program checks it itself, ``judge`` when a model does."""
    return "judge" if getattr(requirement, "validation_fn", None) is None else "function"


def _is_same_action(last: Any, action: Any, *, is_raw: bool) -> bool:
    if is_raw:
        text = getattr(action, "value", None)
        return text is not None and text == getattr(last, "value", None)
    return last is action


def _integer(owner: Any, name: str) -> int | None:
    value = getattr(owner, name, None)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
