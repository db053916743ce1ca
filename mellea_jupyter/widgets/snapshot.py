"""Static snapshots of views: what a saved notebook says without a script, a kernel or a server.

HTML with styles inline, since style sheets do not travel with an output. Every value is escaped:
names, messages, log lines and results come from programs and models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

import orjson

from mellea_jupyter.client import phrases, side_by_side, terminal
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.models.artifacts import ArtifactRef, StructuredOutput
from mellea_jupyter.models.calls import SamplingLoop
from mellea_jupyter.models.comparisons import ComparedRow, RunComparison
from mellea_jupyter.models.frames import LogFrame
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.pages import RunPage, RunSummary
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.widgets import ladders

if TYPE_CHECKING:
    from mellea_jupyter.widgets.costs import CostRow

SHOWN_LINES: Final = 8
SHOWN_LOG_LINES: Final = 50
SHOWN_RUNS: Final = 20
SHOWN_LOOPS: Final = 3
_SHOWN_ARTIFACTS: Final = 20
_LINE_CHARACTERS: Final = 500
_OUTPUT_CHARACTERS: Final = 4000

_ESCAPES: Final = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)?")

_COLOURS: Final = {
    RunStatus.SUCCEEDED: "var(--jp-success-color1, #2e7d32)",
    RunStatus.FAILED: "var(--jp-error-color1, #d32f2f)",
    RunStatus.CANCELLED: "var(--jp-warn-color1, #e65100)",
}
_ACTIVE: Final = "var(--jp-info-color1, #0288d1)"
_BORDER: Final = "1px solid var(--jp-border-color2, #bdbdbd)"
_DIM: Final = "color: var(--jp-ui-font-color2, #757575)"
_BOX: Final = (
    f"max-width: 960px; padding: 6px 12px; border: {_BORDER}; border-radius: 2px; "
    "font-family: var(--jp-ui-font-family, sans-serif); font-size: var(--jp-ui-font-size1, 13px)"
)
_MONO: Final = (
    "margin: 6px 0 0; padding: 6px; white-space: pre-wrap; overflow-wrap: anywhere; "
    "font-family: var(--jp-code-font-family, monospace); font-size: 12px; "
    f"border-top: {_BORDER}"
)
_NUMBER: Final = "text-align: right; padding: 2px 0 2px 16px; font-variant-numeric: tabular-nums"
_CELL: Final = "text-align: left; padding: 2px 16px 2px 0"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A view as it was: `text/plain`, which a terminal may show, and `text/html`."""

    text: str
    html: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", terminal.escape(self.text))


def of_message(message: str) -> Snapshot:
    """A sentence in the place of a view that can not be read."""
    return Snapshot(message, _element("div", escape(message), f"{_BOX}; white-space: pre-wrap"))


def of_run(
    run: Run,
    connection: Connection,
    *,
    loops: Sequence[SamplingLoop] = (),
    outputs: Sequence[StructuredOutput] = (),
    lines: Sequence[LogFrame] = (),
) -> Snapshot:
    """The card: status, numbers, what went wrong, attempts, result or last lines, artifacts."""
    failure = _failure_rows(run)
    results = [_pretty(output.data) for output in outputs]
    shown = [] if results else [line_text(frame) for frame in lines[-SHOWN_LINES:]]
    kept = run.artifacts[:_SHOWN_ARTIFACTS]
    left = len(run.artifacts) - len(kept)

    text = [phrases.as_text(run), *failure]
    text += [line for loop in loops[:SHOWN_LOOPS] for line in ladders.as_text(loop)]
    text += [*results, *(f"│ {line}" for line in shown)]
    if kept:
        names = ", ".join(ref.path for ref in kept)
        text.append(f"artifacts: {names}{f' and {left} more' if left else ''}")

    html = [_head(run), _numbers(run)]
    if failure:
        border = _COLOURS.get(run.status, _COLOURS[RunStatus.CANCELLED])
        rows = "".join(_element("div", escape(row)) for row in failure)
        style = f"margin: 6px 0; padding: 6px 10px; border-left: 4px solid {border}"
        html.append(_element("div", rows, f"{style}; white-space: pre-wrap"))
    html += [_ladder(loop) for loop in loops[:SHOWN_LOOPS]]
    html += [_element("pre", escape(result), _MONO) for result in results]
    if shown:
        html.append(_element("pre", escape("\n".join(shown)), _MONO))
    if kept:
        html.append(_artifacts(kept, left, connection))
    html.append(_link(connection.run_url(run.id)))
    border = f"border-left: 3px solid {_COLOURS.get(run.status, _ACTIVE)}"
    return Snapshot("\n".join(text), _element("div", "".join(html), f"{_BOX}; {border}"))


def of_log(run: Run, connection: Connection, lines: Sequence[LogFrame]) -> Snapshot:
    """The end of a log."""
    shown = [line_text(frame) for frame in lines[-SHOWN_LOG_LINES:]]
    before = lines[-len(shown)].line - 1 if shown else 0
    if before:
        shown.insert(0, f"⋯ {phrases.count(before, 'line')} before ⋯")
    body = _element("pre", escape("\n".join(shown) or "nothing was written"), _MONO)
    link = _link(connection.run_url(run.id))
    return Snapshot(
        "\n".join([phrases.heading(run), *shown]),
        _element("div", f"{_head(run)}{body}{link}", _BOX),
    )


def of_metrics(run: Run, connection: Connection) -> Snapshot:
    """The run's figures, each with its meaning."""
    figures = [
        (name, _figure(name, getattr(run.metrics, name)), field.description or "")
        for name, field in RunMetrics.model_fields.items()
    ]
    text = [phrases.heading(run), *(f"  {name:<22} {value}" for name, value, _ in figures)]
    table = _table(
        ["", "", ""],
        [
            [_cell(name), _cell(value, _NUMBER), _cell(f"  {meaning}", f"{_CELL}; {_DIM}")]
            for name, value, meaning in figures
        ],
    )
    link = _link(connection.run_url(run.id))
    return Snapshot("\n".join(text), _element("div", f"{_head(run)}{table}{link}", _BOX))


def of_runs(page: RunPage, totals: RunSummary | None) -> Snapshot:
    """The newest runs of a filter, and the totals of all of them."""
    runs = page.runs[:SHOWN_RUNS]
    head = "" if totals is None else _totals(totals)
    more = page.next is not None or len(page.runs) > len(runs)
    note = f"the newest {len(runs)}" if more else "" if runs else "No runs."
    text = [line for line in (head, note) if line]
    text += [f"{phrases.heading(run)}  {phrases.one_line(run)}" for run in runs]
    rows = [
        [
            _cell(f"{phrases.SYMBOLS[run.status]} {phrases.ending(run)}"),
            _cell(phrases.title_of(run)),
            _cell(run.owner_id),
            _cell(f"{run.created_at:%Y-%m-%d %H:%M} UTC"),
            _cell(phrases.duration(phrases.elapsed_seconds(run)), _NUMBER),
            _cell(phrases.cost(run), _NUMBER),
        ]
        for run in runs
    ]
    table = (
        _table(["Status", "Asset", "Owner", "Started", "Duration", "Cost"], rows) if rows else ""
    )
    parts = [_element("div", escape(each), _DIM) for each in (head, note) if each]
    return Snapshot("\n".join(text), _element("div", f"{''.join(parts)}{table}", _BOX))


def of_costs(title: str, rows: Sequence[CostRow], total: CostRow) -> Snapshot:
    """Costs by group, with bars and with what is not in them."""
    most = max((row.cost_usd for row in rows), default=0) or 1
    text = [title]
    width = max((len(row.label) for row in (*rows, total)), default=0)
    text += [
        f"  {row.label:<{width}}  {phrases.count(row.runs, 'run'):>9}  {row.cost_text}"
        + (f"  ({row.tokens_text} tokens)" if row.calls_without_usage else "")
        for row in (*rows, total)
    ]
    body = [
        [
            _cell(row.label),
            _cell(f"{row.runs:,}", _NUMBER),
            _cell(f"{row.llm_calls:,}", _NUMBER),
            _cell(row.tokens_text, _NUMBER),
            _cell(row.cost_text, _NUMBER),
            _element("td", _bar(float(row.cost_usd / most)) if row is not total else "", _CELL),
        ]
        for row in (*rows, total)
    ]
    table = _table(["", "Runs", "Calls", "Tokens", "Cost", ""], body)
    heading = _element("div", escape(title), "font-weight: 600")
    return Snapshot("\n".join(text), _element("div", heading + table, _BOX))


def of_comparison(comparison: RunComparison, connection: Connection) -> Snapshot:
    """Runs side by side; rows that do not differ are folded."""
    heads = [column.label or side_by_side.run_text(column) for column in comparison.columns]
    body = [_compared_head(comparison, connection)]
    folded = []
    for section, title in side_by_side.TITLES.items():
        rows = [row for row in comparison.rows if row.section == section]
        rows = [row for row in rows if (row.section, row.name) != ("outcome", "status")]
        differing = [_compared_row(row) for row in rows if row.differs]
        if differing:
            body += [_section(title, len(heads)), *differing]
        if same := [_compared_row(row) for row in rows if not row.differs]:
            folded += [_section(title, len(heads)), *same]
    parts = [_table(["", *heads], body)]
    if folded:
        count = sum(not row.differs for row in comparison.rows)
        summary = _element("summary", f"{phrases.count(count, 'row')} the same")
        parts.append(_element("details", summary + _table(["", *heads], folded)))
    parts += [_element("div", text, _DIM) for text in side_by_side.left_out_texts(comparison)]
    for each in comparison.sources:
        names = ", ".join(heads[place] for place in each.columns)
        summary = _element("summary", escape(f"{each.change} {each.path}: {names}"))
        text = each.diff if each.diff is not None else "(binary, or too large)"
        text += "\n(cut)" if each.truncated else ""
        parts.append(_element("details", summary + _element("pre", escape(text), _MONO)))
    scrolling = f"{_BOX}; overflow-x: auto"
    return Snapshot(side_by_side.as_text(comparison), _element("div", "".join(parts), scrolling))


def _compared_head(comparison: RunComparison, connection: Connection) -> list[str]:
    cells = [_cell("status")]
    for column in comparison.columns:
        status = column.runs[0].status
        text = escape(side_by_side.status_text(column))
        link = connection.run_url(column.runs[0].id) if len(column.runs) == 1 else None
        name = side_by_side.run_text(column)
        where = escape(name) if link is None else _anchor(link, name)
        colour = _COLOURS.get(status, _ACTIVE) if len(column.runs) == 1 else _ACTIVE
        cells.append(
            _element("td", f"{_element('span', text, f'color: {colour}')} {where}", _NUMBER)
        )
    return cells


def _compared_row(row: ComparedRow) -> list[str]:
    cells = [_cell(row.name)]
    for place, value in enumerate(row.values):
        change = side_by_side.change_text(row, place)
        small = _element("small", escape(f" {change}"), _DIM) if change else ""
        text = escape(side_by_side.value_text(row, value) or "-")
        cells.append(_element("td", f"{text}{small}", f"{_NUMBER}; overflow-wrap: anywhere"))
    return cells


def _section(title: str, columns: int) -> list[str]:
    return [f'<th colspan="{columns + 1}" style="{_CELL}; padding-top: 8px">{escape(title)}</th>']


def line_text(frame: LogFrame) -> str:
    """A line as text: without escape sequences, of a rewritten line what was left standing."""
    text = _ESCAPES.sub("", frame.message).rstrip("\r").rpartition("\r")[2]
    cut = len(text) - _LINE_CHARACTERS
    return f"{text[:_LINE_CHARACTERS]} … {cut:,} more characters" if cut > 0 else text


def _failure_rows(run: Run) -> list[str]:
    """What went wrong and what to do next; nothing where all went well."""
    short = phrases.short_id(run.id)
    if run.status is RunStatus.SUCCEEDED and run.metrics.loops_exhausted:
        loops = phrases.count(run.metrics.loops_exhausted, "sampling loop")
        return [f"The program ended well, but {loops} ended before the requirements were met."]
    if run.status is not RunStatus.FAILED:
        return []
    rows = [run.error_message or phrases.ending(run)]
    if run.error is not None and run.error.message not in rows[0]:
        rows.append(f"{run.error.type}: {run.error.message}")
    why = run.error_classification
    log = f"Its log: run.logs() or jupyter mellea logs {short}."
    if why is None:
        return [*rows, f"{log} Again: run.retry()"]
    if why.location is not None:
        place = f"{why.location.file}, line {why.location.line}"
        rows.append(f"{place}: {why.location.text}" if why.location.text else place)
    told = [phrases.failure_sentence(why), *rows, why.suggestion, phrases.next_command(run) or "",
            phrases.seen(run) and f"Seen {phrases.seen(run)}.", log]  # fmt: skip
    return [each for each in told if each]


def _head(run: Run) -> str:
    model = ", ".join(run.models_used) or run.config.model or ""
    status = _element(
        "span",
        escape(f"{phrases.SYMBOLS[run.status]} {phrases.ending(run)}"),
        f"color: {_COLOURS.get(run.status, _ACTIVE)}",
    )
    title = _element("b", escape(phrases.title_of(run)))
    facts = [model, phrases.duration(phrases.elapsed_seconds(run))]
    said = _element("span", escape(" · ".join(filter(None, facts))), _DIM)
    return f"<div>{status} &nbsp;{title} &nbsp;{said}</div>"


def _numbers(run: Run) -> str:
    used = run.metrics
    parts: list[str] = []
    if used.llm_calls:
        parts += [
            phrases.count(used.llm_calls, "call"),
            f"{used.input_tokens:,} → {used.output_tokens:,} tok",
            phrases.cost(run),
        ]
    for number, noun in ((used.samples_generated, "sample"), (used.repair_attempts, "repair")):
        if number:
            parts.append(phrases.count(number, noun))
    if used.peak_memory_mb:
        parts.append(f"{used.peak_memory_mb:,.0f} MB")
    if used.cpu_seconds:
        parts.append(f"{phrases.duration(used.cpu_seconds)} CPU")
    return _element("div", escape(" · ".join(parts)), _DIM) if parts else ""


def _ladder(loop: SamplingLoop) -> str:
    """A sampling loop's attempts and what each requirement said of them."""
    ladder = ladders.of(loop)
    rows = [
        [_cell(row.name), *(_cell(text) for text in row.cells), _cell(row.then)]
        for row in ladder.rows
    ]
    heading = _element("div", escape(ladder.title), "margin-top: 6px")
    header = ["", *ladder.requirements, ""]
    cells = "".join(
        _element("th", escape(name), f"{_CELL}; font-weight: normal") for name in header
    )
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    table = (
        _element(
            "table",
            f"<thead><tr>{cells}</tr></thead><tbody>{body}</tbody>",
            "border-collapse: collapse; margin: 2px 0 0 16px",
        )
        if rows
        else ""
    )
    return heading + table


def _artifacts(kept: Sequence[ArtifactRef], left: int, connection: Connection) -> str:
    items = [
        f"{_anchor(connection.artifact_url(ref.run_id, ref.id), ref.path)} "
        + _element("small", escape(_size(ref.size_bytes)), _DIM)
        for ref in kept
    ]
    more = f" and {left} more" if left else ""
    return _element("div", f"{' &nbsp; '.join(items)}{more}", "margin-top: 6px")


def _totals(totals: RunSummary) -> str:
    rate = "" if totals.success_rate is None else f" · {totals.success_rate:.1%} succeeded"
    cost = phrases.usd(totals.total_cost_usd)
    if totals.unpriced_calls:
        cost = f"≥ {cost}, {phrases.count(totals.unpriced_calls, 'call')} unpriced"
    tokens = f"{totals.total_tokens:,} tokens"
    if totals.calls_without_usage:
        calls = phrases.count(totals.calls_without_usage, "call")
        tokens = f"≥ {tokens}, {calls} without usage"
    return f"{phrases.count(totals.total_runs, 'run')}{rate} · {tokens} · {cost}"


def _figure(name: str, value: Any) -> str:
    if value is None:
        return "unpriced"
    if name.endswith("_ms"):
        return phrases.duration(value / 1000)
    if name.endswith("_usd"):
        return phrases.usd(value)
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def _pretty(value: Any) -> str:
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    cut = len(text) - _OUTPUT_CHARACTERS
    return f"{text[:_OUTPUT_CHARACTERS]}\n… {cut:,} more characters" if cut > 0 else text


def _size(size_bytes: int) -> str:
    value = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def _bar(share: float) -> str:
    style = (
        f"display: inline-block; width: {share * 160:.0f}px; height: 10px; "
        "background: var(--jp-brand-color1, #1976d2)"
    )
    return _element("span", "", style)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = ""
    if any(header):
        cells = "".join(
            _element("th", escape(name), _CELL if index < 1 else _NUMBER)
            for index, name in enumerate(header)
        )
        head = f"<thead><tr>{cells}</tr></thead>"
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    style = "border-collapse: collapse; margin: 6px 0 0"
    return _element("table", f"{head}<tbody>{body}</tbody>", style)


def _cell(value: str, style: str = _CELL) -> str:
    return _element("td", escape(value), style)


def _link(url: str | None) -> str:
    return "" if url is None else _element("div", _anchor(url, "Open the run"), "margin-top: 6px")


def _anchor(url: str, text: str) -> str:
    return f'<a href="{escape(url)}" target="_blank" rel="noopener">{escape(text)}</a>'


def _element(name: str, content: str, style: str = "") -> str:
    """An element around content that is HTML already."""
    attribute = f' style="{style}"' if style else ""
    return f"<{name}{attribute}>{content}</{name}>"
