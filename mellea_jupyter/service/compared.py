"""What of runs is compared, and which rows differ. Pure: what was read comes in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mellea_jupyter.models.artifacts import StructuredOutput
from mellea_jupyter.models.base import format_timestamp
from mellea_jupyter.models.calls import SamplingLoop
from mellea_jupyter.models.comparisons import (
    ComparedColumn,
    ComparedRow,
    ComparedRun,
    ComparedValue,
    Section,
    Unit,
)
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.run import Run, RunStatus

MOST_ROWS: Final = 100
"""Requirements, and values of outputs, that are compared."""

_LABEL_CHARACTERS: Final = 60
_TEXT_CHARACTERS: Final = 2000
_DEEPEST: Final = 4
_LISTED_TEXTS: Final = 3
_MAPPINGS: Final = ("env_vars", "parameters")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is compared of one run.

    Attributes:
        run: its record.
        outputs: the JSON results that it declared.
        requirements: by their text: how often met, how often judged.
        loops_met: sampling loops that ended with all requirements met.
        loops_ended: those that ended.
    """

    run: Run
    outputs: Sequence[StructuredOutput] = ()
    requirements: Mapping[str, tuple[int, int]] | None = None
    loops_met: int = 0
    loops_ended: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """The requirements of a run's loops, counted."""

    requirements: Mapping[str, tuple[int, int]]
    loops_met: int
    loops_ended: int


def tally(loops: Iterable[SamplingLoop]) -> Tally:
    """Count what was said of each attempt, by the requirement's text."""
    passed: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    met = ended = 0
    for loop in loops:
        met += loop.status == "met"
        ended += loop.status != "active"
        for attempt in loop.attempts:
            for verdict in attempt.verdicts:
                judged[verdict.text] += 1
                passed[verdict.text] += verdict.passed
    return Tally({text: (passed[text], count) for text, count in judged.items()}, met, ended)


def same_configuration(run: Run) -> str:
    """What is the same for runs that repeat each other."""
    return json.dumps([run.asset_id, run.asset_version, run.config.to_json()], sort_keys=True)


def by_configuration(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that repeat each other, together; in the order of the first of them."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(same_configuration(run), []).append(run)
    return list(found.values())


def compare_rows(columns: Sequence[Sequence[Facts]]) -> tuple[list[ComparedRow], int]:
    """All rows that say something, and how many were left out.

    Args:
        columns: at least one run each.
    """
    rows = [
        *_outcome(columns),
        *_configuration(columns),
        *_resolved(columns),
        *_metrics(columns),
    ]
    requirements, outputs = _requirements(columns), _outputs(columns)
    left_out = sum(max(0, len(part) - MOST_ROWS) for part in (requirements, outputs))
    rows += requirements[:MOST_ROWS]
    rows += outputs[:MOST_ROWS]
    told = [row for row in rows if any(each.value is not None for each in row.values)]
    order = {section: place for place, section in enumerate(Section.__args__)}  # type: ignore[attr-defined]  # of a Literal
    return sorted(told, key=lambda row: (order[row.section], not row.differs)), left_out


def compare_columns(columns: Sequence[Sequence[Facts]]) -> list[ComparedColumn]:
    """The columns' heads; no two labels are the same."""
    labels = _labels([column[0].run for column in columns])
    return [
        ComparedColumn(label=label, runs=tuple(_head(facts.run) for facts in column))
        for label, column in zip(labels, columns, strict=True)
    ]


def _head(run: Run) -> ComparedRun:
    is_unmet = run.status is RunStatus.SUCCEEDED and run.metrics.loops_exhausted > 0
    title = run.name or run.asset_name or run.asset_id
    return ComparedRun(id=run.id, title=title, status=run.status, is_unmet=is_unmet)


def _labels(runs: Sequence[Run]) -> list[str]:
    titles = [run.name or run.asset_name for run in runs]
    asked = [_asked(run.config) for run in runs]
    names = [
        name
        for name in dict.fromkeys(name for each in asked for name in each)
        if len({_key(each.get(name)) for each in asked}) > 1
    ]
    found = []
    for run, title, values in zip(runs, titles, asked, strict=True):
        parts = [title] if len(set(titles)) > 1 else []
        for name in names:
            value = values.get(name)
            if name == "model":
                parts.append(str(value or ", ".join(run.models_used) or "no model"))
            elif value is not None:
                parts.append(f"{name.partition('.')[2] or name}={_brief(value)}")
        text = ", ".join(parts)
        is_long = len(text) > _LABEL_CHARACTERS
        found.append(f"{text[: _LABEL_CHARACTERS - 1]}…" if is_long else text)
    if len(set(found)) == len(found):
        return found
    seen: Counter[str] = Counter()
    for place, text in enumerate(found):
        seen[text] += 1
        found[place] = f"{text} #{seen[text]}".strip()
    return found


# -- the sections --------------------------------------------------------------------------------


def _outcome(columns: Sequence[Sequence[Facts]]) -> list[ComparedRow]:
    def text(name: str, of: Callable[[Run], Any], unit: Unit = "text") -> ComparedRow:
        return _text_row("outcome", name, columns, lambda facts: of(facts.run), unit=unit)

    return [
        text("status", lambda run: run.status.value),
        text("status_reason", lambda run: run.status_reason),
        text("error_message", lambda run: run.error_message),
        text("artifacts", lambda run: len(run.artifacts) or None),
        text("name", lambda run: run.name),
        text("note", lambda run: run.note),
        text("tags", lambda run: ", ".join(run.tags) or None),
        text("owner_id", lambda run: run.owner_id),
        text("created_at", lambda run: format_timestamp(run.created_at), "time"),
        text("retry_of", lambda run: run.retry_of),
    ]


def _configuration(columns: Sequence[Sequence[Facts]]) -> list[ComparedRow]:
    asked = {facts.run.id: _asked(facts.run.config) for column in columns for facts in column}
    names = dict.fromkeys(name for values in asked.values() for name in values)
    return [_text_row("configuration", name, columns, _looked_up(asked, name)) for name in names]


def _asked(config: RunConfig) -> dict[str, Any]:
    """The fields by name, each variable, parameter and dataset by its own; null ones left out."""
    values: dict[str, Any] = {}
    for name, value in config.to_json().items():
        if name in _MAPPINGS:
            values |= {f"{name}.{key}": each for key, each in sorted(value.items())}
        elif name == "datasets":
            values |= {
                f"datasets.{each['name']}": f"{each['dataset_id']} @ {each['version'] or 'latest'}"
                for each in value
            }
        elif value not in (None, [], ""):
            values[name] = value
    return values


def _resolved(columns: Sequence[Sequence[Facts]]) -> list[ComparedRow]:
    def text(name: str, of: Callable[[Run], Any]) -> ComparedRow:
        return _text_row("resolved", name, columns, lambda facts: of(facts.run))

    return [
        text("asset_version", lambda run: run.asset_version),
        text("models_used", lambda run: ", ".join(run.models_used) or None),
        text("environment_name", lambda run: run.environment_name),
        text("image", lambda run: run.image and (run.image.digest or run.image.reference)),
        text("isolation", lambda run: run.isolation),
        text("isolation_reason", lambda run: run.isolation_reason),
        text("host", lambda run: run.host),
    ]


def _metrics(columns: Sequence[Sequence[Facts]]) -> list[ComparedRow]:
    rows = []
    for name in RunMetrics.model_fields:
        samples = [[getattr(facts.run.metrics, name) for facts in column] for column in columns]
        if not all(_is_number(each) or each is None for column in samples for each in column):
            continue
        if not any(each for column in samples for each in column):
            continue
        missing = _missing(name)
        rows.append(
            _row(
                "metrics",
                name,
                _unit(name),
                [
                    _mean(numbers, sum(missing(facts.run.metrics) for facts in column))
                    for numbers, column in zip(samples, columns, strict=True)
                ],
            )
        )
    return rows


def _requirements(columns: Sequence[Sequence[Facts]]) -> list[ComparedRow]:
    rows = []
    if any(facts.loops_ended for column in columns for facts in column):
        met = [
            _share(sum(f.loops_met for f in column), sum(f.loops_ended for f in column))
            for column in columns
        ]
        rows.append(_row("requirements", "loops_met", "share", met))
    texts = dict.fromkeys(
        text for column in columns for facts in column for text in facts.requirements or {}
    )
    for text in texts:
        shares = []
        for column in columns:
            counts = [(facts.requirements or {}).get(text, (0, 0)) for facts in column]
            shares.append(_share(sum(p for p, _ in counts), sum(j for _, j in counts)))
        rows.append(_row("requirements", text, "share", shares))
    return sorted(rows, key=lambda row: not row.differs)


def _outputs(columns: Sequence[Sequence[Facts]]) -> list[ComparedRow]:
    flat = {facts.run.id: _flat(facts.outputs) for column in columns for facts in column}
    names = dict.fromkeys(name for values in flat.values() for name in values)
    rows = [
        _text_row("outputs", name, columns, _looked_up(flat, name), unit="json") for name in names
    ]
    return sorted(rows, key=lambda row: not row.differs)


def _flat(outputs: Sequence[StructuredOutput]) -> dict[str, Any]:
    """The values of outputs by their path: `city`, `days.lunch`; lists stay whole."""
    found: dict[str, Any] = {}
    for number, output in enumerate(outputs, start=1):
        prefix = "" if len(outputs) == 1 else f"#{number}"
        _flatten(output.data, prefix, found, 0)
    return found


def _flatten(value: Any, path: str, found: dict[str, Any], depth: int) -> None:
    if isinstance(value, dict) and value and depth < _DEEPEST:
        for key, inner in value.items():
            _flatten(inner, f"{path}.{key}" if path else str(key), found, depth + 1)
    else:
        found[path or "output"] = value


# -- values --------------------------------------------------------------------------------------


def _text_row(
    section: Section,
    name: str,
    columns: Sequence[Sequence[Facts]],
    value: Callable[[Facts], Any],
    *,
    unit: Unit = "text",
) -> ComparedRow:
    return _row(section, name, unit, [_common([value(f) for f in column]) for column in columns])


def _looked_up(values: Mapping[str, Mapping[str, Any]], name: str) -> Callable[[Facts], Any]:
    """The value of this name of a run; `values` by run."""
    return lambda facts: values[facts.run.id].get(name)


def _row(section: Section, name: str, unit: Unit, values: Sequence[ComparedValue]) -> ComparedRow:
    shown = {_key((each.value, each.of)) for each in values}
    return ComparedRow(
        section=section, name=name, unit=unit, values=tuple(values), differs=len(shown) > 1
    )


def _common(values: Sequence[Any]) -> ComparedValue:
    """The value that all runs of a column have, or the texts of all with their counts."""
    counts = Counter(_key(value) for value in values)
    if len(counts) == 1:
        value = values[0]
        text = _text(value)
        return ComparedValue(value=_cut(text) if len(text) > _TEXT_CHARACTERS else value)
    texts = {_key(value): _text(value) or "none" for value in values}
    parts = [f"{_cut(texts[key])} ({count})" for key, count in counts.most_common(_LISTED_TEXTS)]
    more = len(counts) - len(parts)
    return ComparedValue(value="; ".join(parts) + (f"; +{more}" if more else ""))


def _mean(numbers: Sequence[Any], missing: int) -> ComparedValue:
    known = [float(each) for each in numbers if each is not None]
    if not known:
        return ComparedValue(missing=missing)
    if len(numbers) == 1:
        number = known[0]
        return ComparedValue(value=int(number) if number.is_integer() else number, missing=missing)
    mean = sum(known) / len(known)
    return ComparedValue(value=mean, least=min(known), most=max(known), missing=missing)


def _share(part: int, whole: int) -> ComparedValue:
    return ComparedValue(value=part if whole else None, of=whole or None)


def _missing(name: str) -> Callable[[RunMetrics], int]:
    """How many calls are not in a metric."""
    if name.endswith("_usd"):
        return lambda metrics: metrics.unpriced_calls
    if name.endswith("_tokens"):
        return lambda metrics: metrics.calls_without_usage
    return lambda _: 0


def _unit(name: str) -> Unit:
    units: dict[str, Unit] = {
        "ms": "milliseconds", "usd": "usd", "mb": "megabytes", "seconds": "seconds"
    }  # fmt: skip
    return units.get(name.rpartition("_")[2], "number")


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool | str) and hasattr(value, "__float__")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _brief(value: Any) -> str:
    """As people would write it: `60`, `--city Porto`."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " ".join(value)
    return _text(int(value) if isinstance(value, float) and value.is_integer() else value)


def _cut(text: str) -> str:
    left = len(text) - _TEXT_CHARACTERS
    return f"{text[:_TEXT_CHARACTERS]} … {left:,} more characters" if left > 0 else text


def _key(value: Any) -> str:
    """The same for values that are the same as JSON."""
    return json.dumps(value, sort_keys=True, default=str)
