"""`cost_summary`: what runs cost, by model, program, owner or day: a table, a chart, values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, get_args

from mellea_jupyter.client import phrases
from mellea_jupyter.client.errors import ClientError, InvalidConfig
from mellea_jupyter.client.sync import MelleaClient
from mellea_jupyter.models.pages import RunFilters, RunSummary
from mellea_jupyter.widgets import snapshot
from mellea_jupyter.widgets.snapshot import Snapshot
from mellea_jupyter.widgets.views import View

Group = Literal["model", "asset", "owner", "day"]

_SPAN: Final = re.compile(r"(\d{1,4})\s*([hdw])")
_UNITS: Final = {"h": "hours", "d": "days", "w": "weeks"}
_TITLES: Final = {
    "model": "Cost by model",
    "asset": "Cost by program",
    "owner": "Cost by owner",
    "day": "Cost by day",
}

VEGALITE_MIME_TYPE: Final = "application/vnd.vegalite.v5+json"
"""What JupyterLab 4 has a renderer for."""


@dataclass(frozen=True, slots=True)
class CostRow:
    """One model, program, owner or day.

    Attributes:
        key: the model, the asset's id, the owner, or the day (`2026-01-15`, this machine's time
            zone).
        label: the same for people; an asset's name.
        runs: number of runs.
        llm_calls: LLM calls of them.
        input_tokens: prompt tokens.
        output_tokens: completion tokens.
        cost_usd: cost of the calls that have a price.
        unpriced_calls: calls without a price; not in `cost_usd`.
        calls_without_usage: calls whose tokens nobody told; not in the tokens.
    """

    key: str
    label: str
    runs: int
    llm_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    unpriced_calls: int
    calls_without_usage: int

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens."""
        return self.input_tokens + self.output_tokens

    @property
    def cost_text(self) -> str:
        """`$0.42`, `≥ $0.42, 3 calls unpriced`, `3 calls unpriced`."""
        unpriced = phrases.count(self.unpriced_calls, "call") + " unpriced"
        if not self.unpriced_calls:
            return phrases.usd(self.cost_usd)
        return f"≥ {phrases.usd(self.cost_usd)}, {unpriced}" if self.cost_usd else unpriced

    @property
    def tokens_text(self) -> str:
        """`1,204`, `1,204, 3 calls without usage`."""
        if not self.calls_without_usage:
            return f"{self.total_tokens:,}"
        calls = phrases.count(self.calls_without_usage, "call")
        return f"{self.total_tokens:,}, {calls} without usage"

    @classmethod
    def of(cls, key: str, label: str, summary: RunSummary) -> CostRow:
        """A row of the server's totals."""
        return cls(
            key=key,
            label=label,
            runs=summary.total_runs,
            llm_calls=summary.llm_calls,
            input_tokens=summary.input_tokens,
            output_tokens=summary.output_tokens,
            cost_usd=summary.total_cost_usd,
            unpriced_calls=summary.unpriced_calls,
            calls_without_usage=summary.calls_without_usage,
        )


class CostSummary(View):
    """Costs by group. Read once, when they are first asked for; `cost_summary` makes one."""

    def __init__(self, by: Group, last: timedelta | None, client: MelleaClient | None) -> None:
        super().__init__(client)
        self.by = by
        self.last = last
        self._rows: tuple[CostRow, ...] | None = None
        self._total = CostRow.of("", "Total", RunSummary())

    @property
    def rows(self) -> tuple[CostRow, ...]:
        """The groups: days in their order, others with the highest cost first.

        Raises:
            ClientError: there is no server, or it refuses.
        """
        if self._rows is None:
            with MelleaClient(self.connection) as client:
                self._load(client)
        return self._rows or ()

    @property
    def total(self) -> CostRow:
        """All groups together. Raises as `rows`."""
        _ = self.rows
        return self._total

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows for a table, e.g. `pandas.DataFrame(summary.to_dicts())`. Raises as `rows`."""
        return [{name: getattr(row, name) for name in row.__slots__} for row in self.rows]

    def chart(self) -> CostChart:
        """The same as a bar chart, by Vega-Lite. Raises as `rows`."""
        return CostChart(self)

    def spec(self) -> dict[str, Any]:
        seconds = None if self.last is None else int(self.last.total_seconds())
        return {"view": "cost", "by": self.by, "last_seconds": seconds}

    def read(self, client: MelleaClient) -> Snapshot:
        if self._rows is None:
            self._load(client)
        return snapshot.of_costs(self.title, self._rows or (), self._total)

    def _load(self, client: MelleaClient) -> None:
        after = None if self.last is None else datetime.now(UTC) - self.last
        offset = datetime.now().astimezone().utcoffset() or timedelta()
        reply = client.summarize_runs(
            RunFilters(started_after=after),
            group_by=self.by,
            utc_offset_minutes=int(offset.total_seconds() // 60),
        )
        rows = [
            CostRow.of(group.key, self._label(group.key, client), group.summary)
            for group in reply.groups
        ]
        if self.by != "day":
            rows.sort(key=lambda row: (-row.cost_usd, -row.llm_calls, row.label))
        self._rows, self._total = tuple(rows), CostRow.of("", "Total", reply)

    def _label(self, key: str, client: MelleaClient) -> str:
        if not key:
            return "(none)"
        if self.by != "asset":
            return key
        try:
            return client.get_asset(key).name or key
        except ClientError:
            return key  # the id is a name, too

    @property
    def title(self) -> str:
        """What it shows, and how far back."""
        if self.last is None:
            return _TITLES[self.by]
        days = self.last / timedelta(days=1)
        return (
            f"{_TITLES[self.by]} · last {phrases.count(int(days), 'day')}"
            if days >= 1
            else (f"{_TITLES[self.by]} · last {phrases.duration(self.last.total_seconds())}")
        )

    def __repr__(self) -> str:
        return f"<CostSummary by {self.by}>"


class CostChart:
    """A cost summary as a chart; text where nothing draws Vega-Lite."""

    def __init__(self, summary: CostSummary) -> None:
        self._summary = summary
        self._rows = summary.rows
        self._text = snapshot.of_costs(summary.title, self._rows, summary.total).text

    def to_vegalite(self) -> dict[str, Any]:
        """The specification, Vega-Lite 5, with its data. What has no price is in the subtitle."""
        by_day = self._summary.by == "day"
        cost = {"field": "cost", "type": "quantitative", "title": "US dollars"}
        group: dict[str, Any] = {"field": "label", "title": None}
        group |= {"type": "temporal", "timeUnit": "yearmonthdate"} if by_day else {
            "type": "nominal", "sort": None
        }  # fmt: skip
        shown = ("label", "cost_text", "runs", "llm_calls", "tokens_text")
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "title": {"text": self._summary.title, "subtitle": self._summary.total.cost_text},
            "width": 480,
            "data": {
                "values": [
                    {
                        "label": row.label,
                        "cost": float(row.cost_usd),
                        "cost_text": row.cost_text,
                        "runs": row.runs,
                        "llm_calls": row.llm_calls,
                        "tokens_text": row.tokens_text,
                    }
                    for row in self._rows
                ]
            },
            "mark": "bar",
            "encoding": {
                "x": group if by_day else cost,
                "y": cost if by_day else group,
                "tooltip": [{"field": name, "type": "nominal"} for name in shown],
            },
        }

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {VEGALITE_MIME_TYPE: self.to_vegalite(), "text/plain": self._text}


def cost_summary(
    by: Group = "model", last: str | timedelta | None = "7d", *, client: MelleaClient | None = None
) -> CostSummary:
    """What runs cost: a table with bars in a notebook, `.rows` and `.total` to compute with.

    Args:
        by: `model` (the one that was asked for), `asset`, `owner` or `day`.
        last: how far back: `24h`, `7d`, `4w` or a timedelta; None for all runs.
        client: the server; by default the one that is found.

    Raises:
        InvalidConfig: `by` or `last` has a value it can not have.
    """
    if by not in get_args(Group):
        known = ", ".join(get_args(Group))
        raise InvalidConfig(f"by: {by!r} is not one of {known}", field="by")
    return CostSummary(by, _parse_span(last), client)


def _parse_span(last: str | timedelta | None) -> timedelta | None:
    if last is None:
        return None
    span = last if isinstance(last, timedelta) else timedelta()
    if isinstance(last, str) and (match := _SPAN.fullmatch(last.strip().lower())):
        span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if not timedelta() < span <= timedelta(days=36500):
        raise InvalidConfig(
            f"last: {last!r} is not a span of time", hint="Write 24h, 7d or 4w.", field="last"
        )
    return span
