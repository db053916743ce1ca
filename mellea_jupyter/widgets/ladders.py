"""The attempt ladder of a sampling loop as plain values and as text, for static snapshots.

What the front end draws of the same: `labextension/src/panels/calls/grid.ts`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mellea_jupyter.client import phrases
from mellea_jupyter.models.calls import LoopAttempt, SamplingLoop, Verdict

SHOWN_ATTEMPTS: Final = 20
_TITLE_CHARACTERS: Final = 60
_REASON_CHARACTERS: Final = 48
_REQUIREMENT_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True)
class Row:
    """One attempt: its name, a cell a requirement, and how it went on."""

    name: str
    cells: tuple[str, ...]
    then: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """Attempts and requirements of a loop; texts are not escaped."""

    title: str
    requirements: tuple[str, ...]
    rows: tuple[Row, ...]


def of(loop: SamplingLoop) -> Ladder:
    """The ladder of a loop, its first `SHOWN_ATTEMPTS` attempts."""
    columns = [(each.index, each.text) for each in loop.requirements]
    others = {
        verdict.text: None
        for attempt in loop.attempts
        for verdict in attempt.verdicts
        if verdict.requirement is None
    }
    texts = [*(text for _, text in columns), *others]
    has_chains = any(attempt.chain > 1 for attempt in loop.attempts)
    rows = []
    for place, attempt in enumerate(loop.attempts[:SHOWN_ATTEMPTS], start=1):
        after = loop.attempts[place] if place < len(loop.attempts) else None
        number = f"{attempt.chain}.{attempt.attempt}" if has_chains else str(attempt.attempt)
        cells = [_cell(_verdict(attempt, index, None)) for index, _ in columns]
        cells += [_cell(_verdict(attempt, None, text)) for text in others]
        then = ["chosen"] if attempt.is_chosen else []
        if after is not None and after.chain == attempt.chain:
            then.append(f"→ {after.form}")
        rows.append(Row(f"{number} {attempt.form}", tuple(cells), " ".join(then)))
    return Ladder(
        title=_title(loop),
        requirements=tuple(_cut(text, _REQUIREMENT_CHARACTERS) for text in texts),
        rows=tuple(rows),
    )


def as_text(loop: SamplingLoop) -> list[str]:
    """The same as lines."""
    ladder = of(loop)
    table = [("", *ladder.requirements, ""), *((r.name, *r.cells, r.then) for r in ladder.rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in (table if ladder.rows else [])
    ]
    return [ladder.title, *(f"  {line}" for line in lines)]


def _title(loop: SamplingLoop) -> str:
    """`“Write an email…”  RepairTemplate · 3 attempts · met · $0.0021`."""
    strategy = re.sub(r"(Sampling)?Strategy$", "", loop.strategy or "") or "sampling"
    count = phrases.count(len(loop.attempts), "attempt")
    parts = [strategy, count, _outcome(loop)]
    if loop.cost_usd or loop.unpriced_calls:
        parts.append(phrases.cost_of(loop.cost_usd, loop.unpriced_calls))
    name = f"“{_cut(loop.instruction, _TITLE_CHARACTERS)}”" if loop.instruction else ""
    return "  ".join(filter(None, [name or f"Loop {loop.loop}", " · ".join(parts)]))


def _outcome(loop: SamplingLoop) -> str:
    match loop.status:
        case "met":
            return "requirements met"
        case "not_met":
            return f"requirements not met after {len(loop.attempts)}"
        case "failed":
            return f"failed: {loop.error}" if loop.error else "failed"
        case _:
            return "running"


def _verdict(attempt: LoopAttempt, requirement: int | None, text: str | None) -> Verdict | None:
    found = None
    for verdict in attempt.verdicts:
        if verdict.requirement == requirement and (text is None or verdict.text == text):
            found = verdict
    return found


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    said = "" if verdict.score is None else f"{verdict.score:g}"
    if not said and not verdict.passed and verdict.reason:
        said = _cut(verdict.reason, _REASON_CHARACTERS)
    return f"{'✓' if verdict.passed else '✕'} {said}".rstrip()


def _cut(text: str, characters: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= characters else f"{line[: characters - 1].rstrip()}…"
