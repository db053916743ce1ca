"""The scenarios of real mellea programs, through the complete server: what a run says it used is
what the endpoint counted."""

from __future__ import annotations

import httpx
import pytest

from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer
from tests.runtime.scenarios.expected import EXPECTED, PROTOCOLS, Protocol

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
        counts = endpoint.counts()
    log = http.get(f"api/runs/{run['id']}/logs", params={"download": "text"}).text
    assert final["exit_code"] == expected.exit_code, log
    metrics = final["metrics"]
    assert {key: metrics[key] for key in expected.metrics()} == expected.metrics()
    assert counts["requests"] == (expected.requests or expected.llm_calls)
    for tokens in ("input_tokens", "output_tokens"):
        assert metrics[tokens] == (counts[tokens] if expected.reads_reply else 0)
    assert metrics["malformed_frames"] == metrics["dropped_events"] == 0
    calls = http.get(f"api/runs/{run['id']}/calls").json()["calls"]
    assert sum(call["input_tokens"] or 0 for call in calls) == metrics["input_tokens"]
    if expected.exit_code == 0:
        assert final["status"] == "succeeded"
    assert "sk-scripted" not in str(final)
