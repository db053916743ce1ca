"""`calls`: what a run asked its models, loop by loop and call by call."""

from __future__ import annotations

import argparse

from rich.table import Table
from rich.text import Text

from mellea_jupyter.cli.picking import open_client, pick_run
from mellea_jupyter.cli.tables import console
from mellea_jupyter.client import phrases
from mellea_jupyter.client.flags import UsageError
from mellea_jupyter.client.terminal import json_text
from mellea_jupyter.models.calls import LlmCall, LoopAttempt, SamplingLoop, Verdict

_STYLES = {
    "met": "green", "not_met": "red", "failed": "red", "cancelled": "yellow", "active": "blue"
}  # fmt: skip
_WORDS = {"not_met": "requirements not met", "met": "requirements met"}
_MANY_REQUIREMENTS = 4
"""So many fit beside each other with their words; above, columns have numbers."""


def calls(flags: argparse.Namespace) -> int:
    """`jupyter mellea calls RUN`."""
    with open_client(flags) as client:
        handle = client.handle(pick_run(client, flags.run))
        loops, made = handle.loops(), handle.calls()
    if flags.loop is not None:
        numbers = _with_inner(loops, flags.loop)
        loops = [loop for loop in loops if loop.loop in numbers]
        made = [call for call in made if call.loop in numbers]
    if flags.json:
        shown = {"loops": [_json(loop) for loop in loops], "calls": [_json(call) for call in made]}
        print(json_text(shown))
        return 0
    out = console()
    for loop in loops:
        out.print(_heading(loop))
        for line in _requirement_lines(loop):
            out.print(line)
        if loop.attempts:
            out.print(_ladder(loop))
        out.print()
    out.print(_call_table(made) if made else Text("no LLM calls", style="dim"))
    return 0


def _with_inner(loops: list[SamplingLoop], number: int) -> set[int]:
    """The loop of this number and those inside it; loops come after the one around them."""
    if all(loop.loop != number for loop in loops):
        raise UsageError(f"the run has no sampling loop {number}; it has {len(loops)}")
    found = {number}
    for loop in loops:
        if loop.parent in found:
            found.add(loop.loop)
    return found


def _json(value: SamplingLoop | LlmCall) -> object:
    return value.model_dump(mode="json")


def _heading(loop: SamplingLoop) -> Text:
    """`loop 1 RejectionSamplingStrategy: requirements met, 3 samples, $0.0001 · say hi`."""
    parts = [_WORDS.get(loop.status, loop.status), phrases.count(loop.samples, "sample")]
    parts.append(phrases.cost_of(loop.cost_usd, loop.unpriced_calls))
    if loop.repair_cost_usd:
        parts.append(f"{phrases.usd(loop.repair_cost_usd)} of it for repairs")
    if loop.parent is not None:
        parts.append(f"inside loop {loop.parent}")
    if loop.chosen_loop is not None:
        parts.append(f"result of loop {loop.chosen_loop}")
    if loop.error is not None:
        parts.append(loop.error)
    text = Text(f"loop {loop.loop} {loop.strategy or 'sampling'}: ", style="bold")
    text.append(", ".join(parts), style=_STYLES.get(loop.status, ""))
    if loop.instruction:
        text.append(" · " + " ".join(loop.instruction.split()), style="dim")
    return text


def _requirement_lines(loop: SamplingLoop) -> list[Text]:
    if len(loop.requirements) <= _MANY_REQUIREMENTS:
        return []
    return [Text(f"  {each.index}: {each.text}", style="dim") for each in loop.requirements]


def _ladder(loop: SamplingLoop) -> Table:
    """A row an attempt, a column a requirement; an arrow at the result."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("", "attempt", "form", "calls"):
        table.add_column(title, no_wrap=True)
    few = len(loop.requirements) <= _MANY_REQUIREMENTS
    for requirement in loop.requirements:
        table.add_column(Text(requirement.text if few else str(requirement.index)))
    others = any(each.requirement is None for try_ in loop.attempts for each in try_.verdicts)
    if others:
        table.add_column("others")
    several = any(attempt.chain != 1 for attempt in loop.attempts)
    for attempt in loop.attempts:
        number = f"{attempt.chain}.{attempt.attempt}" if several else str(attempt.attempt)
        row = [
            Text("→" if attempt.is_chosen else ""),
            Text(number),
            Text(attempt.form),
            Text(_numbers(attempt.calls)),
            *(_cell(attempt, requirement.index) for requirement in loop.requirements),
        ]
        table.add_row(*row, *([_cell(attempt, None)] if others else []))
    return table


def _cell(attempt: LoopAttempt, requirement: int | None) -> Text:
    given = [each for each in attempt.verdicts if each.requirement == requirement]
    return Text("; ").join(map(_verdict, given))


def _verdict(verdict: Verdict) -> Text:
    text = Text("✓" if verdict.passed else "✗", style="green" if verdict.passed else "red")
    if verdict.score is not None:
        text.append(f" {verdict.score:g}")
    if verdict.requirement is None:
        text.append(f" {verdict.text}")
    if verdict.reason and not verdict.passed:
        text.append(" " + " ".join(verdict.reason.split()))
    if verdict.calls:
        text.append(f" (judge {_numbers(verdict.calls)})", style="dim")
    return text


def _numbers(calls: tuple[int, ...]) -> str:
    return ", ".join(f"#{call}" for call in calls)


def _call_table(made: list[LlmCall]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    right = {"tokens in", "tokens out", "took", "cost"}
    for title in ("call", "for", "status", "model", "tokens in", "tokens out", "took", "cost",
                  "loop", "line", "error"):  # fmt: skip
        table.add_column(
            title, justify="right" if title in right else "left", no_wrap=title != "error"
        )
    for call in made:
        ended = call.status != "active"
        model = "/".join(filter(None, (call.provider, call.response_model or call.model)))
        took = "-" if call.latency_ms is None else phrases.duration(call.latency_ms / 1000)
        table.add_row(
            f"#{call.call}",
            call.purpose,
            Text(call.status, style=_STYLES.get(call.status, "")),
            Text(model or "unknown"),
            _tokens(call.input_tokens, ended=ended),
            _tokens(call.output_tokens, ended=ended),
            took,
            _call_cost(call),
            _place(call),
            "-" if call.line is None else str(call.line),
            Text(call.error or ""),
        )
    return table


def _tokens(number: int | None, *, ended: bool) -> str:
    if number is None:
        return "missing" if ended else "-"
    return f"{number:,}"


def _call_cost(call: LlmCall) -> str:
    if call.cost_usd is not None:
        return phrases.usd(call.cost_usd)
    return "unpriced" if call.status in ("finished", "cancelled") else "-"


def _place(call: LlmCall) -> str:
    """`1` for a loop, `1: 2.3` for the third attempt of its second chain."""
    if call.loop is None:
        return "-"
    return str(call.loop) if call.attempt is None else f"{call.loop}: {call.chain}.{call.attempt}"
