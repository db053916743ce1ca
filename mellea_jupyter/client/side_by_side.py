"""A comparison in words: its values, its rows as text, and what was left out."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from mellea_jupyter.client import phrases
from mellea_jupyter.client.terminal import escape
from mellea_jupyter.models.comparisons import (
    ComparedColumn,
    ComparedRow,
    ComparedValue,
    RunComparison,
    Section,
)

TITLES: Final[dict[Section, str]] = {
    "outcome": "Outcome",
    "configuration": "Configuration",
    "requirements": "Requirements met",
    "outputs": "Outputs",
    "metrics": "Metrics",
    "resolved": "What it ran with",
}
_NARROWEST: Final = 12
_WIDEST: Final = 40
_CELL_CHARACTERS: Final = 300


def value_text(row: ComparedRow, value: ComparedValue) -> str:
    """`3.2 s`, `≥ $0.0031, 2 calls unpriced`, `4 of 5 (80 %)`; empty where there is none.

    Over several runs: the mean, and the smallest and largest where they differ.
    """
    if row.unit == "usd" and value.value is None and value.missing:
        return "unpriced"
    if value.value is None:
        return ""
    text = _plain(row, value.value)
    if row.unit == "share":
        part, whole = value.value, value.of
        share = f" ({part / whole:.0%})" if isinstance(part, int | float) and whole else ""
        return f"{text} of {whole:,}{share}"
    if value.least is not None and value.least != value.most:
        text += f" ({_plain(row, value.least)} … {_plain(row, value.most)})"
    if value.missing:
        calls = phrases.count(value.missing, "call")
        if row.unit == "usd":
            return f"≥ {text}, {calls} unpriced" if value.value else f"{calls} unpriced"
        return f"{text}, {calls} without usage"
    return text


def change_text(row: ComparedRow, place: int) -> str:
    """How a number differs from the first column's: `+12 %`, `x15`; empty for no such share."""
    first, value = row.values[0].value, row.values[place].value
    if place == 0 or row.unit in ("text", "time", "json", "share"):
        return ""
    if not isinstance(first, int | float) or not isinstance(value, int | float) or not first:
        return ""
    ratio = value / first
    if ratio >= 10:
        return f"x{ratio:.0f}"
    percent = round((ratio - 1) * 100)
    return f"{percent:+d} %" if percent else ""


def status_text(column: ComparedColumn) -> str:
    """`✓ succeeded`, or how many runs of the column have which status."""
    counts = Counter(run.status for run in column.runs)
    if len(column.runs) == 1:
        (run,) = column.runs
        unmet = ", requirements not met" if run.is_unmet else ""
        return f"{phrases.SYMBOLS[run.status]} {run.status.value}{unmet}"
    return ", ".join(
        f"{phrases.SYMBOLS[status]} {count} {status.value}" for status, count in counts.items()
    )


def run_text(column: ComparedColumn) -> str:
    """The first digits of the column's run, or how many there are."""
    if len(column.runs) == 1:
        return phrases.short_id(column.runs[0].id)
    return phrases.count(len(column.runs), "run")


def left_out_texts(comparison: RunComparison) -> list[str]:
    """What there is besides, a sentence each."""
    counts = (
        (comparison.left_out_runs, "run", "of the group are not shown"),
        (comparison.left_out_rows, "row", "over the limit are not shown"),
        (comparison.left_out_files, "file", "that differ are not shown"),
    )
    return [f"{phrases.count(number, noun)} {what}." for number, noun, what in counts if number]


def as_text(
    comparison: RunComparison, *, width: int = 100, shows_same: bool = False, diffs: bool = True
) -> str:
    """The whole comparison; columns beside each other where they fit, otherwise below.

    Args:
        comparison: what to show.
        width: characters of a line.
        shows_same: whether rows that do not differ are there, too.
        diffs: whether the differences in source are.
    """
    heads = [column.label or run_text(column) for column in comparison.columns]
    rows = [
        ("", heads),
        ("run", [run_text(column) for column in comparison.columns]),
        ("status", [status_text(column) for column in comparison.columns]),
    ]
    parts: list[tuple[str, list[tuple[str, list[str]]]]] = [("", rows)]
    folded = 0
    for section, title in TITLES.items():
        of_section = [row for row in comparison.rows if row.section == section]
        shown = [row for row in of_section if row.differs or shows_same]
        shown = [row for row in shown if (row.section, row.name) != ("outcome", "status")]
        folded += sum(not row.differs for row in of_section) if not shows_same else 0
        if shown:
            parts.append((title, [(row.name, _cells(row)) for row in shown]))
    lines = _beside(parts, width) or _below(parts, heads, width)
    if folded:
        lines += ["", f"{phrases.count(folded, 'row')} the same."]
    lines += left_out_texts(comparison)
    if diffs:
        for each in comparison.sources:
            names = ", ".join(heads[place] for place in each.columns)
            lines += ["", f"{each.change} {each.path}: {names}"]
            lines.append(each.diff if each.diff is not None else "(binary, or too large)")
            lines += ["(cut)"] if each.truncated else []
    return escape("\n".join(lines))


def _cells(row: ComparedRow) -> list[str]:
    cells = []
    for place, value in enumerate(row.values):
        change = change_text(row, place)
        text = value_text(row, value) or "-"
        text = text if len(text) <= _CELL_CHARACTERS else f"{text[:_CELL_CHARACTERS]}…"
        cells.append(f"{text} ({change})" if change else text)
    return cells


def _beside(parts: Sequence[tuple[str, list[tuple[str, list[str]]]]], width: int) -> list[str]:
    """A column of text each; nothing where the columns would be too narrow."""
    rows = [row for _, of_part in parts for row in of_part]
    count = len(rows[0][1])
    first = min(max(len(name) for name, _ in rows), _WIDEST)
    each = (width - first) // count - 2
    needed = max(len(cell) for _, cells in rows for cell in cells)
    each = min(each, max(needed, _NARROWEST), _WIDEST)
    if each < _NARROWEST:
        return []
    lines: list[str] = []
    for title, of_part in parts:
        lines += ["", title] if title else []
        for name, cells in of_part:
            wrapped = [_wrap(name, first), *(_wrap(cell, each) for cell in cells)]
            for number in range(max(map(len, wrapped))):
                texts = [lines_[number] if number < len(lines_) else "" for lines_ in wrapped]
                widths = [first, *[each] * count]
                padded = (t.ljust(w) for t, w in zip(texts, widths, strict=True))
                lines.append("  ".join(padded).rstrip())
    return lines


def _below(
    parts: Sequence[tuple[str, list[tuple[str, list[str]]]]], heads: list[str], width: int
) -> list[str]:
    """The values of a row one under the other, each with its column's label."""
    label = min(max(map(len, heads)), _WIDEST)
    lines: list[str] = []
    for title, of_part in parts:
        lines += ["", title] if title else []
        for name, cells in of_part:
            if not name:
                continue
            lines.append(name)
            for head, cell in zip(heads, cells, strict=True):
                wrapped = _wrap(cell, max(width - label - 4, _NARROWEST))
                lines.append(f"  {head[:label]:<{label}}  {wrapped[0]}")
                lines += [f"{'':<{label + 4}}{line}" for line in wrapped[1:]]
    return lines


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _plain(row: ComparedRow, value: Any) -> str:
    if not _is_number(value):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    match row.unit:
        case "milliseconds":
            return phrases.duration(value / 1000)
        case "seconds":
            return phrases.duration(value)
        case "usd":
            return phrases.usd(Decimal(str(value)))
        case "megabytes":
            return f"{value:,.0f} MB"
        case "number" | "share":
            return f"{value:,.1f}" if value % 1 else f"{value:,.0f}"
        case _:
            return json.dumps(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
