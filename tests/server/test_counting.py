"""The scenarios of real mellea programs, through the complete server: what a run says it used is
what the endpoint counted."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import httpx
import pytest

from mellea_jupyter.models.calls import CallPage, CallShare, LlmCall, LoopPage, SamplingLoop
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer
from tests.runtime.ladders import ladder
from tests.runtime.scenarios.expected import EXPECTED, LADDERS, PROTOCOLS, Protocol

CASES = [(protocol, name) for protocol in PROTOCOLS for name in EXPECTED[protocol]]


@pytest.mark.parametrize(("protocol", "name"), CASES)
def test_a_run_is_counted_as_its_endpoint_counted_it(
    server: JupyterServer, http: httpx.Client, protocol: Protocol, name: str
) -> None:
    expected = EXPECTED[protocol][name]
    with ScriptedLlm() as endpoint:
        where = {
            "openai": {"OPENAI_BASE_URL": endpoint.openai_url},
            "ollama": {"OLLAMA_HOST": endpoint.url},
        }[protocol]
        variables = {**where, "OPENAI_API_KEY": "sk-scripted"}
        run = server.create(http, f"{name}.py", env_vars=variables)
        final = server.wait_for(http, run["id"])
        counts, exchanges = endpoint.counts(), endpoint.exchanges
    log = http.get(f"api/runs/{run['id']}/logs", params={"download": "text"}).text
    assert final["exit_code"] == expected.exit_code, log
    metrics = final["metrics"]
    assert {key: metrics[key] for key in expected.metrics()} == expected.metrics()
    assert counts["requests"] == (expected.requests or expected.llm_calls)
    for tokens in ("input_tokens", "output_tokens"):
        assert metrics[tokens] == (counts[tokens] if expected.reads_reply else 0)
    assert metrics["malformed_frames"] == metrics["dropped_events"] == 0
    calls = CallPage.model_validate(http.get(f"api/runs/{run['id']}/calls").json()).calls
    loops = LoopPage.model_validate(http.get(f"api/runs/{run['id']}/loops").json()).loops
    assert ladder(loops) == LADDERS.get(name, [])
    told = sorted((e.input_tokens, e.output_tokens) for e in exchanges if e.usage_sent)
    counted = [call for call in calls if call.input_tokens is not None]
    if expected.reads_reply and all(call.requests == 1 for call in calls):
        assert sorted((c.input_tokens, c.output_tokens) for c in counted) == told
    _assert_cost(calls, loops, RunMetrics.model_validate(metrics), protocol)
    _assert_lines(http, run["id"], calls, loops)
    for call in calls:
        content = http.get(f"api/runs/{run['id']}/calls/{call.call}/content").json()
        assert (content["reply"] is not None) == call.has_content == (call.status == "finished")
    if expected.exit_code == 0:
        assert final["status"] == "succeeded"
    assert "sk-scripted" not in str(final)


def _assert_cost(
    calls: Sequence[LlmCall], loops: Sequence[SamplingLoop], metrics: RunMetrics, protocol: Protocol
) -> None:
    """Calls, loops and totals say the same, and what the price list says of the tokens."""
    per_token = {"openai": (Decimal("2.5E-6"), Decimal("1E-5")), "ollama": (Decimal(0),) * 2}
    into, out = per_token[protocol]
    for call in calls:
        if protocol == "openai" and (call.input_tokens is None or call.output_tokens is None):
            assert (call.cost_usd, call.price) == (None, None)
        elif call.status == "finished":
            tokens = (call.input_tokens or 0, call.output_tokens or 0)
            assert call.cost_usd == tokens[0] * into + tokens[1] * out
            assert call.price is not None
    by_share = {
        share: sum((c.cost_usd or Decimal(0) for c in calls if c.share == share), Decimal(0))
        for share in CallShare
    }
    if metrics.estimated_cost_usd is None:
        assert metrics.useful_cost_usd is metrics.cost_per_accepted_output_usd is None
    else:
        split = {share: getattr(metrics, f"{share}_cost_usd") for share in CallShare}
        assert split == by_share
        assert sum(split.values()) == metrics.estimated_cost_usd
        if metrics.accepted_outputs:
            each = metrics.estimated_cost_usd / metrics.accepted_outputs
            told = metrics.cost_per_accepted_output_usd
            assert told is not None
            assert abs(told - each) < Decimal("1E-12")
    inside: dict[int, set[int]] = {}
    for loop in reversed(loops):  # inner ones come after the one around them
        mine = inside.setdefault(loop.loop, set()) | {loop.loop}
        inside[loop.loop] = mine
        if loop.parent is not None:
            inside.setdefault(loop.parent, set()).update(mine)
    for loop in loops:
        its = [call for call in calls if call.loop in inside[loop.loop]]
        assert loop.cost_usd == sum((c.cost_usd or Decimal(0) for c in its), Decimal(0))
        repairs = [call for call in its if call.share == CallShare.REPAIR]
        assert loop.repair_cost_usd == sum((c.cost_usd or Decimal(0) for c in repairs), Decimal(0))
        assert loop.unpriced_calls == sum(c.cost_usd is None for c in its)


def _assert_lines(
    http: httpx.Client, run_id: str, calls: Sequence[LlmCall], loops: Sequence[SamplingLoop]
) -> None:
    """The log's lines name calls and loops, and these name their lines."""
    page = http.get(f"api/runs/{run_id}/logs", params={"stream": "system"}).json()
    told = [(frame["metadata"] or {}, frame["line"]) for frame in page["frames"]]
    of_calls = {m["call"]: (line, m.get("loop")) for m, line in told if "call" in m}
    of_loops = {m["loop"]: line for m, line in told if m.get("kind") == "loop_ended"}
    assert of_calls == {c.call: (c.line, c.loop) for c in calls if c.status != "active"}
    assert of_loops == {loop.loop: loop.line for loop in loops}
