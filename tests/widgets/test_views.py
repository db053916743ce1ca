"""What views put into outputs: ids for our front end, HTML and text for everybody else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

import mellea_jupyter
from mellea_jupyter import LogView, RunMetrics, RunsDashboard, RunsTable, cost_summary
from mellea_jupyter.client import ClientError, MelleaClient, RunHandle
from mellea_jupyter.client.errors import InvalidConfig
from mellea_jupyter.models.artifacts import StructuredOutput
from mellea_jupyter.models.calls import LoopAttempt, LoopRequirement, SamplingLoop, Verdict
from mellea_jupyter.models.failures import (
    ErrorClassification,
    FailureCategory,
    FailureType,
    NextAction,
    NextStep,
    SourceLocation,
)
from mellea_jupyter.models.metrics import RunMetrics as Metrics
from mellea_jupyter.models.run import ErrorDetails, RunStatus
from mellea_jupyter.widgets import View, ladders
from mellea_jupyter.widgets.display import VIEW_MIME_TYPE
from mellea_jupyter.widgets.snapshot import line_text
from tests.client.fake_server import TOKEN, FakeServer, a_frame, a_run, an_artifact

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"&"


class _Markup(HTMLParser):
    """Tags and attributes that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def bundle_of(view: View | RunHandle) -> dict[str, Any]:
    bundle = view._repr_mimebundle_()
    assert TOKEN not in json.dumps(bundle)
    markup = _Markup(bundle["text/html"])
    assert markup.tags <= {
        "div", "span", "b", "pre", "small", "a", "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert markup.attributes <= {"style", "href", "target", "rel"}
    return bundle


def evil_run(fake: FakeServer, status: str = "failed") -> RunHandle:
    run = a_run(name=EVIL, asset_name=EVIL, models_used=(EVIL,), owner_id="ann")
    ref = an_artifact(run.id, f"plots/{EVIL}.svg", b"x")
    fake.add(run.changed(artifacts=(ref,)), a_frame(1, EVIL), a_frame(2, "\x1b[31mred\x1b[0m"))
    fake.end(
        run.id, status, status_reason="exit_code", exit_code=1, error_message=EVIL,
        error=ErrorDetails(type="E", message=EVIL + "2"),
    )  # fmt: skip
    return RunHandle(MelleaClient(fake.connection), fake.runs[run.id])


def test_a_handle_is_displayed_as_its_card(fake: FakeServer, client: MelleaClient) -> None:
    run = a_run()
    ref = an_artifact(run.id, "out/plan.md", b"x")
    run = fake.add(run.changed(artifacts=(ref,)), *[a_frame(n, f"line {n}") for n in range(1, 21)])
    fake.end(run.id, metrics=Metrics(llm_calls=7, input_tokens=1204, output_tokens=388,
             estimated_cost_usd=Decimal("0.0041"), total_duration_ms=3200))  # fmt: skip
    bundle = bundle_of(client.handle(run.id))
    for text in (bundle["text/plain"], bundle["text/html"]):
        for said in ("succeeded", "trip.py", "7 calls", "$0.0041", "line 20", "out/plan.md"):
            assert said in text
        assert "line 12\n" not in text  # the last eight
    assert "1,204 → 388 tok" in bundle["text/html"]
    assert f"mellea-run={run.id}" in bundle["text/html"]
    assert f"/runs/{run.id}/artifacts/{ref.id}" in bundle["text/html"]


def test_the_result_stands_in_the_place_of_the_log(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run(), a_frame(1, "a line"))
    fake.outputs[run.id] = [StructuredOutput(artifact_id="a", data={"city": "Lisbon <b>"})]
    fake.end(run.id)
    bundle = bundle_of(client.handle(run.id))
    assert '"city": "Lisbon <b>"' in bundle["text/plain"]
    assert "Lisbon &lt;b&gt;" in bundle["text/html"]
    assert "a line" not in bundle["text/html"]


def test_a_failure_says_what_to_do_next(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run())
    fake.end(run.id, "failed", status_reason="exit_code", exit_code=3, error_message="No key.")
    text = bundle_of(client.handle(run.id))["text/plain"]
    assert "failed (exit code 3)" in text
    assert "No key." in text
    assert f"jupyter mellea logs {run.id[:8]}" in text
    assert "run.retry()" in text


def test_a_failure_is_explained_in_the_saved_card(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run())
    at = SourceLocation(file="trip.py", line=2, function="plan", text='trip["<city>"]')
    why = ErrorClassification(
        category=FailureCategory.EXTERNAL_SERVICE, type=FailureType.RATE_LIMITED, confidence=1,
        retryable=True, summary="rate limit", explanation="The provider refused a call.",
        suggestion="Wait, then try again.", fingerprint="f1", location=at,
        next_step=NextStep(action=NextAction.RETRY, label="Retry"),
    )  # fmt: skip
    fake.end(run.id, "failed", exit_code=1, error_message="429", error_classification=why)
    bundle = bundle_of(client.handle(run.id))
    for text in (bundle["text/plain"], bundle["text/html"]):
        assert "failed: rate limit" in text
        assert "Rate limit. The provider refused a call." in text
        assert "Wait, then try again." in text
        assert f"jupyter mellea retry {run.id[:8]}" in text
    assert 'trip.py, line 2: trip["<city>"]' in bundle["text/plain"]
    assert "trip[&quot;&lt;city&gt;&quot;]" in bundle["text/html"]


def test_unmet_requirements_are_said(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run())
    fake.end(run.id, metrics=Metrics(loops_exhausted=2, total_duration_ms=1))
    assert "2 sampling loops ended" in bundle_of(client.handle(run.id))["text/plain"]


def a_loop(**change: Any) -> SamplingLoop:
    """Two attempts of which the second is the result."""
    verdict = Verdict(requirement=0, text="short", passed=False, reason=f"too long {EVIL}")
    attempts = (
        LoopAttempt(chain=1, attempt=1, form="answer", calls=(1,), verdicts=(verdict,)),
        LoopAttempt(
            chain=1, attempt=2, form="repair", calls=(2,), is_chosen=True,
            verdicts=(Verdict(requirement=0, text="short", passed=True, score=8),),
        ),
    )  # fmt: skip
    fields = {
        "loop": 1, "strategy": "RepairTemplateStrategy", "instruction": "Write an email",
        "requirements": (LoopRequirement(index=0, text="short", kind="function"),),
        "attempts": attempts, "status": "met", "started_at": 1.0, "cost_usd": Decimal("0.0021"),
    }  # fmt: skip
    return SamplingLoop(**{**fields, **change})


def test_a_card_keeps_the_attempts_of_its_loops(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run())
    inner = a_loop(loop=2, parent=1, instruction="inside")
    fake.loops[run.id] = (a_loop(), inner, a_loop(loop=3, status="not_met", instruction=None))
    fake.end(run.id, metrics=Metrics(loop_iterations=2, total_duration_ms=1))
    bundle = bundle_of(client.handle(run.id))
    text, html = bundle["text/plain"], bundle["text/html"]
    for said in (text, html):
        assert "“Write an email”  RepairTemplate · 2 attempts · requirements met · $0.0021" in said
        assert "Loop 3  RepairTemplate · 2 attempts · requirements not met after 2" in said
        assert "→ repair" in said
        assert "chosen" in said
        assert "✓ 8" in said
        assert "inside" not in said
    assert "✕ too long <script>" in text
    assert "✕ too long &lt;script&gt;" in html


def test_a_ladder_is_as_long_as_there_is_room() -> None:
    attempts = [LoopAttempt(chain=1, attempt=n, form="resample") for n in range(1, 40)]
    lines = ladders.as_text(a_loop(attempts=tuple(attempts)))
    assert len(lines) == 2 + ladders.SHOWN_ATTEMPTS
    assert ladders.as_text(a_loop(attempts=(), status="active")) == [
        "“Write an email”  RepairTemplate · 0 attempts · running · $0.0021"
    ]


def test_attempts_of_chains_and_foreign_requirements_stand_apart() -> None:
    odd = Verdict(requirement=None, text="safe", passed=False)
    loop = a_loop(
        requirements=(),
        attempts=(
            LoopAttempt(chain=1, attempt=1, form="answer", verdicts=(odd,)),
            LoopAttempt(chain=2, attempt=1, form="answer"),
        ),
    )
    ladder = ladders.of(loop)
    assert ladder.requirements == ("safe",)
    assert [(row.name, row.cells, row.then) for row in ladder.rows] == [
        ("1.1 answer", ("✕",), ""),
        ("2.1 answer", ("-",), ""),
    ]


def test_markup_in_names_logs_and_results_is_text(fake: FakeServer) -> None:
    handle = evil_run(fake)
    for view in (handle, LogView(handle), RunMetrics(handle), RunsTable(client=handle.client)):
        html = bundle_of(view)["text/html"]
        assert "&lt;script&gt;" in html
    handle.client.close()


def test_lines_are_shown_without_escape_sequences() -> None:
    def shown(message: str) -> str:
        return line_text(a_frame(1, message))

    assert shown("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07") == "red link"
    assert shown("10 %\r50 %\r100 %\r") == "100 %"
    assert shown("x" * 600).endswith("100 more characters")


def test_our_front_end_gets_ids_only(fake: FakeServer, client: MelleaClient) -> None:
    # found, not given: the front end's own server knows the run
    run = fake.add(a_run())
    assert VIEW_MIME_TYPE not in bundle_of(client.handle(run.id))
    assert bundle_of(LogView(run.id))[VIEW_MIME_TYPE] == {"view": "log", "run_id": run.id}
    table = RunsTable(status="failed", tags=["a"], started_after="2026-01-15T00:00:00Z")
    assert bundle_of(table)[VIEW_MIME_TYPE] == {
        "view": "table",
        "filters": {
            "status": ["failed"], "tags": ["a"], "started_after": "2026-01-15T00:00:00.000Z",
        },
    }  # fmt: skip


def test_the_dashboard_says_the_totals(fake: FakeServer) -> None:
    fake.add(a_run())
    totals = {
        "total_runs": 3, "success_rate": 0.5, "total_tokens": 1592, "total_cost_usd": 0.12,
        "unpriced_calls": 3,
    }  # fmt: skip
    fake.answer("GET", "/api/runs/summary", 200, json.dumps(totals).encode())
    text = bundle_of(RunsDashboard())["text/plain"]
    assert "3 runs · 50.0% succeeded · 1,592 tokens · ≥ $0.1200, 3 calls unpriced" in text
    assert "trip.py" in text


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"state": "failed"}, "there is no filter 'state'"),
        ({"status": "broken"}, "status"),
        ({"started_after": "yesterday"}, "started_after"),
    ],
)
def test_a_wrong_filter_is_named(filters: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        RunsTable(filters)
    with pytest.raises(InvalidConfig, match=said):
        RunsDashboard(**filters)


@pytest.mark.parametrize("wrong", ["a1b2c3", 7, None])
def test_what_is_no_run_is_said_at_once(wrong: Any) -> None:
    with pytest.raises(ClientError, match=r"not the id of a run|RunHandle or an id"):
        LogView(wrong)


def test_a_run_that_is_gone_is_a_sentence(fake: FakeServer, client: MelleaClient) -> None:
    handle = client.handle(fake.add(a_run()).id)
    del fake.runs[handle.id]
    bundle = bundle_of(handle)
    assert "No run with id" in bundle["text/plain"]
    assert VIEW_MIME_TYPE not in bundle


def test_without_a_server_a_view_is_text(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MELLEA_JUPYTER_URL")
    for view in (RunsDashboard(), cost_summary(), LogView(a_run().id)):
        bundle = bundle_of(view)
        assert bundle["text/plain"].startswith("No Jupyter server with mellea-jupyter was found")
        assert "Start JupyterLab" in bundle["text/html"]
    with pytest.raises(ClientError, match="No Jupyter server"):
        _ = cost_summary().rows


def summary(key: str, cost: float, unpriced: int = 0, runs: int = 1) -> dict[str, Any]:
    totals = {
        "total_runs": runs, "llm_calls": 4, "input_tokens": 10, "output_tokens": 5,
        "total_tokens": 15, "total_cost_usd": cost, "unpriced_calls": unpriced,
    }  # fmt: skip
    return {"key": key, "summary": totals}


def test_costs_are_rows_and_a_table(fake: FakeServer) -> None:
    groups = [summary("openai/gpt-4o", 0.1), summary("x/<i>y</i>", 0, 3), summary("a/b", 0.4, 1)]
    reply = {**summary("", 0.5, 4, 3)["summary"], "groups": groups}
    fake.answer("GET", "/api/runs/summary", 200, json.dumps(reply).encode())
    costs = cost_summary(by="model", last="7d")
    assert [(row.key, row.cost_usd) for row in costs.rows] == [
        ("a/b", Decimal("0.4")), ("openai/gpt-4o", Decimal("0.1")), ("x/<i>y</i>", Decimal(0)),
    ]  # fmt: skip
    assert costs.total.unpriced_calls == 4
    assert costs.to_dicts()[0]["runs"] == 1
    bundle = bundle_of(costs)
    assert bundle[VIEW_MIME_TYPE] == {"view": "cost", "by": "model", "last_seconds": 604800}
    assert "≥ $0.4000, 1 call unpriced" in bundle["text/plain"]
    assert "3 calls unpriced" in bundle["text/html"]
    ((_, query, *_),) = [each for each in fake.requests if "summary" in each[1]]
    assert re.search(r"started_after=20\d\d-.*group_by=model", query)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"by": "week"}, "'week' is not one of model, asset, owner, day"),
        ({"last": "soon"}, "'soon' is not a span"),
        ({"last": "0d"}, "is not a span"),
        ({"last": timedelta(days=-1)}, "is not a span"),
    ],
)
def test_a_wrong_group_or_span_is_said(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        cost_summary(**arguments)


def test_the_package_exports_the_widgets_without_importing_them() -> None:
    for name in ("LogView", "RunMetrics", "RunsDashboard", "RunsTable", "cost_summary"):
        assert name in mellea_jupyter.__all__
    program = (
        "import sys, mellea_jupyter, mellea_jupyter.widgets\n"
        "print([m for m in ('anywidget', 'pydantic', 'httpx', 'IPython') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_in_a_terminal_a_handle_is_its_text(fake: FakeServer, client: MelleaClient) -> None:
    handle = client.handle(fake.add(a_run(status=RunStatus.RUNNING)).id)
    with pytest.raises(NotImplementedError):  # what makes IPython take the text
        handle._ipython_display_()
