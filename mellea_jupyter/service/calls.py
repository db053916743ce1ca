"""`RunCalls`: the LLM calls and sampling loops of a run, as they are kept and as they change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from mellea_jupyter.accounting.calls import CallRecord, share_of
from mellea_jupyter.accounting.loops import LoopRecord
from mellea_jupyter.accounting.pricing import to_usd
from mellea_jupyter.accounting.series import Point
from mellea_jupyter.accounting.usage import UsageState
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import RunNotFound
from mellea_jupyter.models.calls import (
    CallContent,
    CallPage,
    CallsChanged,
    LlmCall,
    LoopAttempt,
    LoopPage,
    LoopRequirement,
    PriceSource,
    SamplingLoop,
    UsagePoint,
    UsageSeries,
    Verdict,
)
from mellea_jupyter.models.events import RunChanged, RunDeleted
from mellea_jupyter.models.run import Run
from mellea_jupyter.service.access import require_kept
from mellea_jupyter.service.broker import Broker
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.journals.base import JournalStore
from mellea_jupyter.stores.runs.base import CallRow, LoopRow, Reports, RunStore

READ_AT_ONCE = 500
MOST_READ = 5000
"""Calls or loops of a run that a comparison or an export looks at."""
PAGE_BYTES = 4 << 20
"""A page of loops ends where it has so much, however few they are."""
MESSAGE_BYTES = 128 * 1024
"""About the most that one `CallsChanged` holds; a single loop may be longer."""


class RunCalls:
    """Read-only views of what a run reported of its calls; every verb checks access first."""

    def __init__(
        self,
        *,
        store: RunStore,
        journals: JournalStore,
        broker: Broker,
        offload: Offload,
        get_run: Callable[[str, User], Awaitable[Run]],
    ) -> None:
        self._store = store
        self._journals = journals
        self._broker = broker
        self._offload = offload
        self._get_run = get_run

    async def list_calls(self, run_id: str, user: User, *, after: int, limit: int) -> CallPage:
        """LLM calls in order, those after number `after`.

        Raises:
            RunNotFound: no such run for this user.
        """
        await self._get_run(run_id, user)

        def read() -> CallPage:
            rows = self._store.list_calls(run_id, after=after, limit=limit + 1)
            calls = tuple(map(_as_call, rows[:limit]))
            return CallPage(calls=calls, next=calls[-1].call if len(rows) > limit else None)

        return await self._offload.io(read)

    async def list_loops(self, run_id: str, user: User, *, after: int, limit: int) -> LoopPage:
        """Sampling loops in order, those after number `after`; fewer than `limit` if they are long.

        Raises:
            RunNotFound: no such run for this user.
        """
        await self._get_run(run_id, user)

        def read() -> LoopPage:
            rows = self._store.list_loops(
                run_id, after=after, limit=limit + 1, limit_bytes=PAGE_BYTES
            )
            loops = tuple(map(_as_loop, rows[:limit]))
            following = loops[-1].loop if loops else 0
            more = self._store.list_loops(run_id, after=following, limit=1, limit_bytes=1)
            return LoopPage(loops=loops, next=following if more else None)

        return await self._offload.io(read)

    async def all_calls(self, run_id: str, user: User, *, most: int = MOST_READ) -> list[LlmCall]:
        """The first `most` calls, read page by page. Raises as `list_calls`."""
        found: list[LlmCall] = []
        after: int | None = 0
        while after is not None and len(found) < most:
            page = await self.list_calls(run_id, user, after=after, limit=READ_AT_ONCE)
            found += page.calls
            after = page.next
        return found[:most]

    async def all_loops(
        self, run_id: str, user: User, *, most: int = MOST_READ
    ) -> list[SamplingLoop]:
        """The first `most` loops, read page by page. Raises as `list_loops`."""
        found: list[SamplingLoop] = []
        after: int | None = 0
        while after is not None and len(found) < most:
            page = await self.list_loops(run_id, user, after=after, limit=READ_AT_ONCE)
            found += page.loops
            after = page.next
        return found[:most]

    async def get_content(self, run_id: str, call: int, user: User) -> CallContent:
        """What a call was asked and what it answered; nulls where the run kept nothing of it.

        Raises:
            RunNotFound: no such run for this user.
            CallNotFound: the run has made no such call.
            Expired: the journal has been removed.
        """
        run = await self._get_run(run_id, user)
        row = await self._offload.io(self._store.get_call, run_id, call)
        require_kept(run)
        if row.status != "finished" or row.has_content is False:
            return CallContent(call=call)

        def read() -> CallContent:
            with self._journals.open(run_id) as reader:
                return _as_content(call, reader.find_frame(row.seq) or {})

        return await self._offload.io(read)

    async def get_usage(self, run_id: str, user: User) -> UsageSeries:
        """Memory, CPU time and cost over the run's time.

        Raises:
            RunNotFound: no such run for this user.
        """
        await self._get_run(run_id, user)
        stored = await self._offload.io(self._store.find_usage, run_id)
        return UsageSeries(points=()) if stored is None else UsageSeries.model_validate_json(stored)

    async def watch(self, run_id: str, user: User) -> AsyncGenerator[CallsChanged | None]:
        """First None, then calls and loops as they change, each as it is by then.

        Who waits for None and then reads the pages misses nothing: whatever changes after None is
        given here. What is given here replaces what is known of its number; a page never replaces
        what was given here, because it may be older.

        Changes are read from the store when the run's record has changed, a few times a second:
        a slow reader gets fewer and longer messages, each of at most about `MESSAGE_BYTES`.

        Raises:
            RunNotFound: no such run for this user, or it was deleted meanwhile.
        """
        async with self._broker.subscribe() as events:
            await self._get_run(run_id, user)
            after = await self._offload.io(self._store.last_change, run_id)
            yield None
            async for event in events:
                if isinstance(event, RunDeleted) and event.run_id == run_id:
                    raise RunNotFound(run_id)
                if not isinstance(event, RunChanged):
                    continue
                while event.run.id == run_id:
                    found = await self._offload.io(self._changes, run_id, after)
                    if found is None:
                        break
                    after, changes = found
                    yield changes

    def _changes(self, run_id: str, after: int) -> tuple[int, CallsChanged] | None:
        """What changed after a frame, and the last frame that is told of; None for nothing."""
        found = self._store.list_changed(run_id, after=after, limit_bytes=MESSAGE_BYTES)
        if not found:
            return None
        calls = sorted(map(_as_call, found.calls), key=lambda call: call.call)
        loops = sorted(map(_as_loop, found.loops), key=lambda loop: loop.loop)
        last = max([call.seq for call in found.calls] + [loop.seq for loop in found.loops])
        return last, CallsChanged(run_id=run_id, calls=tuple(calls), loops=tuple(loops))


# What was folded, as it is kept


def new_reports(usage: UsageState) -> Reports:
    """What changed since the last time this was asked."""
    points = usage.take_new_points()
    return Reports(
        calls=tuple(map(_call_row, usage.take_changed_calls())),
        loops=tuple(map(_loop_row, usage.take_changed_loops())),
        usage=None if points is None else _series(points).model_dump_json(),
    )


def _call_row(call: CallRecord) -> CallRow:
    price = call.price
    return CallRow(
        call=call.call,
        seq=call.seq or 0,
        started_at=call.started_at or 0.0,
        purpose=call.purpose,
        provider=call.provider,
        model=call.model,
        response_model=call.response_model,
        action=call.action,
        status=call.status,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cached_tokens=call.cached_tokens,
        cache_write_tokens=call.cache_write_tokens,
        reasoning_tokens=call.reasoning_tokens,
        latency_ms=call.latency_ms,
        ttft_ms=call.ttft_ms,
        streaming=call.streaming,
        finish_reason=call.finish_reason,
        requests=call.requests,
        cost_pico_usd=price.picodollars if price else None,
        price_source=price.source if price else None,
        price_version=price.version if price else None,
        price_dated=price.dated if price else None,
        loop=call.loop,
        chain=call.chain,
        attempt=call.attempt,
        requirement=call.requirement,
        error=_error_text(call.error),
        line=call.line,
        has_content=call.has_content,
    )


def _loop_row(loop: LoopRecord) -> LoopRow:
    attempts = sorted(loop.attempts.values(), key=lambda each: (each.chain, each.attempt))
    shown = SamplingLoop(
        loop=loop.loop,
        parent=loop.parent,
        strategy=loop.strategy,
        instruction=loop.instruction,
        budget=loop.budget,
        concurrency=loop.concurrency,
        requirements=tuple(
            LoopRequirement(index=each.index, text=each.text, kind=each.kind)
            for each in loop.requirements
        ),
        attempts=tuple(
            LoopAttempt(
                chain=each.chain,
                attempt=each.attempt,
                form=each.form,
                calls=tuple(each.calls),
                verdicts=tuple(
                    Verdict(
                        requirement=verdict.requirement,
                        text=verdict.text,
                        passed=verdict.passed,
                        score=verdict.score,
                        reason=verdict.reason,
                        latency_ms=verdict.latency_ms,
                        calls=verdict.calls,
                    )
                    for verdict in each.verdicts
                ),
                is_chosen=each.is_chosen,
            )
            for each in attempts
        ),
        status=loop.status,
        chosen_loop=loop.chosen_loop,
        error=_error_text(loop.error),
        started_at=loop.started_at,
        ended_at=loop.ended_at,
        samples=loop.samples,
        cost_usd=loop.cost_usd,
        repair_cost_usd=loop.repair_cost_usd,
        unpriced_calls=loop.unpriced_calls,
        left_out=loop.left_out,
        line=loop.line,
    )
    return LoopRow(loop=loop.loop, seq=loop.seq, doc=shown.model_dump_json())


def _series(points: list[Point]) -> UsageSeries:
    return UsageSeries(
        points=tuple(
            UsagePoint(
                t=point.t,
                memory_mb=point.memory_mb,
                cpu_seconds=point.cpu_seconds,
                cost_usd=None if point.picodollars is None else to_usd(point.picodollars),
            )
            for point in points
        )
    )


def _error_text(error: dict[str, Any] | None) -> str | None:
    if error is None:
        return None
    return ": ".join(str(error[key]) for key in ("type", "message") if error.get(key))[:2000]


# What is kept, as the API gives it


def _as_call(row: CallRow) -> LlmCall:
    fields = dict(row)
    for name in ("seq", "cost_pico_usd", "price_source", "price_version", "price_dated"):
        del fields[name]
    for name, absent in (("streaming", False), ("requests", 1), ("has_content", False)):
        fields[name] = absent if fields[name] is None else fields[name]
    price = None
    if row.price_source is not None:
        price = PriceSource(
            source=row.price_source, version=row.price_version or "", dated=row.price_dated
        )
    cost = None if row.cost_pico_usd is None else to_usd(row.cost_pico_usd)
    return LlmCall(**fields, cost_usd=cost, price=price, share=share_of(row.purpose, row.status))


def _as_loop(row: LoopRow) -> SamplingLoop:
    return SamplingLoop.model_validate_json(row.doc)


def _as_content(call: int, frame: Mapping[str, Any]) -> CallContent:
    """The content in a frame, which is the program's own word and may be anything."""
    if frame.get("kind") != "call_finished" or frame.get("call") != call:
        return CallContent(call=call)
    prompt, reply = _prompt_text(frame.get("prompt")), frame.get("reply")
    reply = reply if isinstance(reply, str) else None
    truncated = frame.get("truncated") is True
    return CallContent(
        call=call,
        prompt=prompt[0],
        reply=reply,
        prompt_bytes=_size(frame.get("prompt_bytes"), prompt[1], truncated=truncated),
        reply_bytes=_size(
            frame.get("reply_bytes"),
            None if reply is None else len(reply.encode(errors="replace")),
            truncated=truncated,
        ),
        truncated=truncated,
    )


def _prompt_text(prompt: Any) -> tuple[str | None, int | None]:
    """A prompt as text, and the size of what was asked in it; messages have their role before."""
    if isinstance(prompt, str):
        return prompt, len(prompt.encode(errors="replace"))
    if not isinstance(prompt, list):
        return None, None
    messages = [each for each in prompt if isinstance(each, dict)]
    contents = [str(each.get("content", "")) for each in messages]
    size = sum(len(each.encode(errors="replace")) for each in contents)
    roles = [str(each.get("role", "")) for each in messages]
    said = (f"{role}: {text}" for role, text in zip(roles, contents, strict=True))
    return "\n\n".join(said), size


def _size(told: Any, kept: int | None, *, truncated: bool) -> int | None:
    if type(told) is int and told >= 0:
        return told
    return None if truncated else kept
