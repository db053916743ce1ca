"""Sampling loops as the lines of `scenarios.expected.LADDERS`."""

from __future__ import annotations

from collections.abc import Iterable

from mellea_jupyter.models.calls import LoopAttempt, SamplingLoop


def ladder(loops: Iterable[SamplingLoop]) -> list[str]:
    """Every loop as a line, then its attempts."""
    lines: list[str] = []
    for loop in loops:
        lines.append(_loop_line(loop))
        several = len({attempt.chain for attempt in loop.attempts}) > 1
        attempts = [_attempt_line(attempt, several=several) for attempt in loop.attempts]
        lines += _by_result(loop, attempts) if several else attempts
    return lines


def _loop_line(loop: SamplingLoop) -> str:
    asked = ", ".join(
        each.text + ("?" if each.kind == "judge" else "") for each in loop.requirements
    )
    inside = "" if loop.parent is None else f"in {loop.parent} "
    took = "" if loop.chosen_loop is None else f" takes {loop.chosen_loop}"
    budget = f"{loop.budget}x{loop.concurrency}"
    return f"{loop.loop} {inside}{loop.strategy} {loop.status} {budget} [{asked}]{took}"


def _attempt_line(attempt: LoopAttempt, *, several: bool) -> str:
    said = [
        f"{verdict.requirement}{'+' if verdict.passed else '-'} {verdict.reason}"
        + (f" ({', '.join(map(str, verdict.calls))})" if verdict.calls else "")
        for verdict in attempt.verdicts
    ]
    chain = "?" if several else attempt.chain
    line = f"{chain}.{attempt.attempt} {attempt.form}: {', '.join(said)}".rstrip()
    return line + (" *" if attempt.is_chosen else "")


def _by_result(loop: SamplingLoop, lines: list[str]) -> list[str]:
    """The lines chain by chain, the one with the result last."""
    chosen = next((each.chain for each in loop.attempts if each.is_chosen), None)
    pairs = list(zip(loop.attempts, lines, strict=True))
    others = [line for attempt, line in pairs if attempt.chain != chosen]
    return others + [line for attempt, line in pairs if attempt.chain == chosen]
