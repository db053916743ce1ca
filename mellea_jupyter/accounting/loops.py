"""Sampling loops: what they ask, what they tried, what was said of it and what they cost.

A loop's attempts are told apart by chain and number. What does not fit into the bounds below is
left out and counted in ``left_out``; samples, iterations and money are counted in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

from mellea_jupyter.accounting.calls import CallRecord
from mellea_jupyter.accounting.pricing import to_usd
from mellea_jupyter.accounting.reading import (
    Frame,
    MalformedFrame,
    Texts,
    any_number,
    count,
    counts,
    error,
    log_line,
    number,
    required_count,
    text,
)

MAX_LOOPS: Final = 100_000
MAX_LOOP_DEPTH: Final = 32
MAX_REQUIREMENTS: Final = 100
MAX_ATTEMPTS: Final = 500
"""Of one loop; and so many calls of one attempt."""
MAX_VERDICTS: Final = 2000
MAX_ATTEMPT_CALLS: Final = 100
_TEXT_CHARS: Final = 128 * 1024  # of one loop
_ALL_ITEMS: Final = 400_000  # attempts, verdicts and chains of all loops
_REQUIREMENT_CHARS: Final = 300
_REASON_CHARS: Final = 2000
_INSTRUCTION_CHARS: Final = 500

Form = Literal["answer", "resample", "repair"]


@dataclass(frozen=True, slots=True)
class RequirementRecord:
    """What a loop asks of its samples; ``kind`` is ``function`` or ``judge``."""

    index: int
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """What one requirement said of one attempt."""

    requirement: int | None
    text: str
    passed: bool
    score: float | None
    reason: str | None
    latency_ms: float | None
    calls: tuple[int, ...]


@dataclass(slots=True)
class AttemptRecord:
    """One try of a chain."""

    chain: int
    attempt: int
    form: Form
    calls: list[int] = field(default_factory=list)
    verdicts: list[VerdictRecord] = field(default_factory=list)
    is_chosen: bool = False


@dataclass(slots=True)
class LoopRecord:
    """One sampling loop; samples, iterations and money include those of the loops inside it.

    ``seq`` is the last frame that changed it. ``chosen_loop`` is the inner loop whose result it
    took for its own.
    """

    loop: int
    parent: int | None = None
    strategy: str | None = None
    instruction: str | None = None
    budget: int | None = None
    concurrency: int | None = None
    requirements: tuple[RequirementRecord, ...] = ()
    attempts: dict[tuple[int, int], AttemptRecord] = field(default_factory=dict)
    samples: int = 0
    iterations: int = 0
    success: bool | None = None
    error: dict[str, Any] | None = None
    chosen_loop: int | None = None
    started_at: float = 0.0
    ended_at: float | None = None
    picodollars: int = 0
    repair_picodollars: int = 0
    priced_calls: int = 0
    unpriced_calls: int = 0
    left_out: int = 0
    line: int | None = None
    seq: int = 0
    depth: int = 0
    last_attempts: dict[int, int] = field(default_factory=dict)
    verdict_count: int = 0
    texts: Texts = field(default_factory=lambda: Texts(_TEXT_CHARS))

    @property
    def status(self) -> Literal["active", "met", "not_met", "failed"]:
        """How it stands."""
        if self.success is None:
            return "active"
        if self.error is not None:
            return "failed"
        return "met" if self.success else "not_met"

    @property
    def cost_usd(self) -> Decimal | None:
        """What its priced calls cost; None when it made calls and none has a price."""
        nothing_priced = self.unpriced_calls > 0 and self.priced_calls == 0
        return None if nothing_priced else to_usd(self.picodollars)

    @property
    def repair_cost_usd(self) -> Decimal | None:
        """What its priced repairs cost; None as for `cost_usd`."""
        return None if self.cost_usd is None else to_usd(self.repair_picodollars)


class Loops:
    """The loops of one run, by number. Raises `MalformedFrame` before anything is changed."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._loops: dict[int, LoopRecord] = {}
        self._changed: set[int] = set()
        self._items_left = _ALL_ITEMS

    def __iter__(self) -> Iterator[LoopRecord]:
        return iter(self._loops.values())

    def get(self, loop: int | None) -> LoopRecord | None:
        """The loop of this number, if it is known."""
        return self._loops.get(loop) if loop is not None else None

    def with_outer(self, loop: LoopRecord) -> list[LoopRecord]:
        """The loop and those around it, innermost first."""
        found = [loop]
        while (parent := self.get(found[-1].parent)) is not None:
            found.append(parent)
        return found

    def take_changed(self) -> list[LoopRecord]:
        """Loops that changed since this was last asked, by number."""
        changed, self._changed = sorted(self._changed), set()
        return [self._loops[loop] for loop in changed]

    # What frames say

    def started(self, frame: Frame) -> None:
        """A loop begins."""
        loop, parent = required_count(frame, "loop"), count(frame, "parent")
        outer = self.get(parent)
        depth = outer.depth + 1 if outer is not None else 0
        if loop in self._loops or depth > MAX_LOOP_DEPTH or (parent or 0) >= loop:
            raise MalformedFrame("loop")
        record = LoopRecord(
            loop,
            parent,
            strategy=self._texts.keep(text(frame, "strategy")),
            instruction=self._texts.keep(text(frame, "instruction"), _INSTRUCTION_CHARS),
            budget=count(frame, "budget"),
            concurrency=count(frame, "concurrency"),
            requirements=tuple(_requirements(frame, self._texts)),
            started_at=number(frame, "t") or 0.0,
            depth=depth,
        )
        if len(self._loops) < MAX_LOOPS:
            self._loops[loop] = record
            self._touch(record, frame)

    def ended(self, frame: Frame) -> LoopRecord:
        """A loop ends; the loop. Its samples and iterations are the caller's to count."""
        record = self.get(required_count(frame, "loop"))
        success, at, line = frame.get("success"), number(frame, "t"), log_line(frame)
        chosen = [count(frame, f"chosen_{name}") for name in ("loop", "chain", "attempt")]
        if record is None or record.success is not None or not isinstance(success, bool):
            raise MalformedFrame("loop")
        record.success, record.ended_at, record.line = success, at, line
        record.error = self._texts.keep_error(error(frame.get("error")))
        inner, chain, number_ = chosen
        if inner is not None and inner != record.loop and inner in self._loops:
            record.chosen_loop = inner
        elif chain is not None and number_ is not None:
            attempt = record.attempts.get((chain, number_))
            if attempt is not None:
                attempt.is_chosen = True
        self._touch(record, frame)
        return record

    def repaired(self, frame: Frame, form: Form) -> None:
        """A chain tries again."""
        loop, chain, number_ = (count(frame, name) for name in ("loop", "chain", "attempt"))
        record = self.get(loop)
        if record is not None and chain is not None and number_ is not None:
            self._attempt(record, chain, number_, form)
            self._touch(record, frame)

    def sampled(self, call: CallRecord, frame: Frame) -> bool:
        """A call that generates begins; whether it is the first of a new attempt."""
        record = self.get(call.loop)
        if record is None or call.purpose not in ("answer", "repair") or call.attempt is None:
            return False
        chain = call.chain or 0
        form: Form = "answer" if call.attempt == 1 else "repair"
        attempt = self._attempt(record, chain, call.attempt, form)
        if attempt is not None and len(attempt.calls) < MAX_ATTEMPT_CALLS:
            attempt.calls.append(call.call)
        self._touch(record, frame)
        if call.attempt <= record.last_attempts.get(chain, 0):
            return False
        if chain in record.last_attempts or self._has_room():
            record.last_attempts[chain] = call.attempt
        return True

    def judged(self, frame: Frame) -> None:
        """A requirement has given its verdict on an attempt of a loop."""
        loop, chain, number_ = (count(frame, name) for name in ("loop", "chain", "attempt"))
        passed, index = frame.get("passed"), count(frame, "index")
        score, latency_ms = any_number(frame, "score"), number(frame, "latency_ms")
        words, reason = text(frame, "requirement"), text(frame, "reason")
        calls = counts(frame, "calls", MAX_ATTEMPT_CALLS)
        if not isinstance(passed, bool):
            raise MalformedFrame("passed")
        record = self.get(loop)
        if record is None or chain is None or number_ is None:
            return  # of no attempt of a loop
        attempt = self._attempt(record, chain, number_, "answer" if number_ == 1 else "repair")
        self._touch(record, frame)
        if attempt is None:
            return
        if record.verdict_count >= MAX_VERDICTS or not self._has_room():
            record.left_out += 1
            return
        record.verdict_count += 1
        known = index is not None and index < len(record.requirements)
        said = record.requirements[index].text if known and index is not None else words
        attempt.verdicts.append(
            VerdictRecord(
                requirement=index if known else None,
                text=record.texts.keep(said, _REQUIREMENT_CHARS) or "",
                passed=passed,
                score=score,
                reason=self._texts.keep(record.texts.keep(reason, _REASON_CHARS), _REASON_CHARS),
                latency_ms=latency_ms,
                calls=calls,
            )
        )

    def spent(self, call: CallRecord, sign: int) -> None:
        """Count what a call costs its loops, or take it back; only calls that are paid for."""
        record = self.get(call.loop)
        if record is None:
            return
        for loop in self.with_outer(record):
            loop.unpriced_calls += sign * (call.price is None)
            if call.price is not None:
                loop.priced_calls += sign
                loop.picodollars += sign * call.price.picodollars
                is_repair = call.purpose == "repair" and call.status == "finished"
                loop.repair_picodollars += sign * is_repair * call.price.picodollars

    def touch_around(self, loop: int | None, frame: Frame) -> None:
        """Note that a loop and those around it are no longer what they were."""
        record = self.get(loop)
        for each in self.with_outer(record) if record is not None else ():
            self._touch(each, frame)

    def _touch(self, record: LoopRecord, frame: Frame) -> None:
        seq = frame.get("seq")
        record.seq = seq if type(seq) is int else record.seq
        self._changed.add(record.loop)

    def _attempt(
        self, record: LoopRecord, chain: int, number_: int, form: Form
    ) -> AttemptRecord | None:
        """An attempt, made when it is new; None when it is left out."""
        known = record.attempts.get((chain, number_))
        if known is not None:
            return known
        if len(record.attempts) >= MAX_ATTEMPTS or not self._has_room():
            record.left_out += 1
            return None
        made = record.attempts[chain, number_] = AttemptRecord(chain, number_, form)
        return made

    def _has_room(self) -> bool:
        """Whether one more item may be kept; it then counts."""
        self._items_left -= self._items_left > 0
        return self._items_left > 0


def _requirements(frame: Frame, texts: Texts) -> Iterator[RequirementRecord]:
    """The requirements that a loop's beginning tells, numbered from 0."""
    given = frame.get("requirements")
    if given is None:
        return
    if not isinstance(given, list):
        raise MalformedFrame("requirements")
    for index, each in enumerate(given[:MAX_REQUIREMENTS]):
        if not isinstance(each, dict):
            raise MalformedFrame("requirements")
        kind = "judge" if each.get("kind") == "judge" else "function"
        words = texts.keep(text(each, "text"), _REQUIREMENT_CHARS) or ""
        yield RequirementRecord(index, words, kind)
