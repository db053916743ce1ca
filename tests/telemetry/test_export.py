"""Runs of a complete server as traces of a real collector."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from mellea_jupyter.cli import main
from mellea_jupyter.runtime.ports import free_port
from mellea_jupyter.testing.server import JupyterServer
from tests.server.by_model import GOOD, POOR, PROGRAM, ByModel
from tests.telemetry.conftest import OtlpEndpoint, attributes, serve_otlp

SECRET = "key-5b8e0d44"
CLIENT, INTERNAL = 3, 1  # of SpanKind
ERROR = 2  # of StatusCode


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpEndpoint]:
    yield from serve_otlp()


@pytest.fixture(scope="module")
def llm() -> Iterator[ByModel]:
    with ByModel() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def server(
    collector: OtlpEndpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JupyterServer]:
    home = tmp_path_factory.mktemp("server")
    headers = home / "headers"
    headers.touch(0o600)
    headers.write_text(f"x-api-key={SECRET}\nx-tenant=lab\n")
    options = [
        f"--MelleaApp.otlp_endpoint={collector.url}",
        f"--MelleaApp.otlp_headers_file={headers}",
        "--MelleaApp.prewarm=False",
    ]
    with JupyterServer(home, options=options) as running:
        running.write("greet.py", PROGRAM)
        yield running


@pytest.fixture
def http(server: JupyterServer) -> Iterator[httpx.Client]:
    with server.http() as client:
        yield client


def test_a_run_is_a_trace_of_its_loops_attempts_and_calls(
    server: JupyterServer, http: httpx.Client, collector: OtlpEndpoint, llm: ByModel
) -> None:
    run = server.create(http, "greet.py", model=POOR, env_vars=llm.variables)
    final = server.wait_for(http, run["id"])
    spans = collector.wait_for_trace(run["id"])
    path, headers, request = collector.requests[-1]
    assert path == "/v1/traces"
    assert (headers["x-api-key"], headers["x-tenant"]) == (SECRET, "lab")
    (resource,) = request.resource_spans
    assert attributes(resource.resource)["service.name"] == "mellea-jupyter"

    root = spans["invoke_workflow greet.py"]
    assert not root.parent_span_id
    assert root.kind == INTERNAL
    told = attributes(root)
    metrics = final["metrics"]
    assert told["gen_ai.operation.name"] == "invoke_workflow"
    assert told["gen_ai.usage.input_tokens"] == metrics["input_tokens"] > 0
    assert told["mellea.usage.cost_usd"] == pytest.approx(metrics["estimated_cost_usd"])
    assert (told["mellea.usage.llm_calls"], told["mellea.trace.calls"]) == (2, 2)
    assert told["mellea.run.status"] == "succeeded"

    loop = spans["sample RejectionSamplingStrategy #1"]
    assert loop.parent_span_id == root.span_id
    assert attributes(loop)["mellea.loop.status"] == "not_met"
    first, second = spans["answer 1"], spans["resample 2"]
    assert {first.parent_span_id, second.parent_span_id} == {loop.span_id}
    for number, attempt in ((1, first), (2, second)):
        call = spans[f"chat gpt-4o-mini #{number}"]
        assert call.parent_span_id == attempt.span_id
        assert call.kind == CLIENT
        told = attributes(call)
        assert told["gen_ai.operation.name"] == "chat"
        assert told["gen_ai.provider.name"] == "openai"
        assert told["gen_ai.request.model"] == "gpt-4o-mini"
        assert told["gen_ai.usage.output_tokens"] == 1
        assert root.start_time_unix_nano <= loop.start_time_unix_nano <= call.start_time_unix_nano
        assert call.start_time_unix_nano < call.end_time_unix_nano <= root.end_time_unix_nano
        verdicts = {
            told["gen_ai.evaluation.name"]: told["gen_ai.evaluation.score.label"]
            for told in map(attributes, attempt.events)
        }
        assert verdicts == {"requirement 1": "pass", "requirement 2": "fail"}
    assert "guest" not in str(request)
    assert "hello" not in str(request)


def test_a_failed_run_is_an_error_without_its_message(
    server: JupyterServer, http: httpx.Client, collector: OtlpEndpoint
) -> None:
    run = server.create(http, server.write("bad.py", "raise ValueError('a private word')\n"))
    server.wait_for(http, run["id"])
    root = collector.wait_for_trace(run["id"])["invoke_workflow bad.py"]
    assert (root.status.code, root.status.message) == (ERROR, "exit_code")
    assert attributes(root)["error.type"].endswith("ValueError")
    assert "private" not in str(root)
    retry = http.post(f"api/runs/{run['id']}/retry", json={}).json()
    server.wait_for(http, retry["id"])
    again = collector.wait_for_trace(retry["id"])["invoke_workflow bad.py"]
    (link,) = again.links
    assert (link.trace_id, link.span_id) == (root.trace_id, root.span_id)


def test_a_collector_that_was_away_gets_the_same_spans_later(
    server: JupyterServer, http: httpx.Client, collector: OtlpEndpoint, llm: ByModel
) -> None:
    before = len(collector.requests)
    collector.answers.append(503)
    run = server.create(http, "greet.py", model=GOOD, env_vars=llm.variables)
    server.wait_for(http, run["id"])
    collector.wait_for_requests(before + 2)
    first, second = (str(request) for _, _, request in collector.requests[before : before + 2])
    assert first == second


def test_content_is_told_where_the_operator_wants_it(
    endpoint: OtlpEndpoint, llm: ByModel, tmp_path_factory: pytest.TempPathFactory
) -> None:
    options = [
        f"--MelleaApp.otlp_endpoint={endpoint.url}",
        "--MelleaApp.otlp_content=True",
        "--MelleaApp.prewarm=False",
    ]
    with JupyterServer(tmp_path_factory.mktemp("server"), options=options) as server:
        server.write("greet.py", PROGRAM)
        with server.http() as http:
            run = server.create(http, "greet.py", model=GOOD, env_vars=llm.variables)
            server.wait_for(http, run["id"])
        spans = endpoint.wait_for_trace(run["id"])
    told = attributes(spans["chat gpt-4o #1"])
    (reply,) = json.loads(told["gen_ai.output.messages"])
    assert reply == {"role": "assistant", "parts": [{"type": "text", "content": "hello guest"}]}
    assert "Greet a guest." in told["gen_ai.input.messages"]
    judged = {attributes(event)["gen_ai.evaluation.name"] for event in spans["answer 1"].events}
    assert judged == {"The text has hello in it.", "The text has guest in it."}
    assert "sk-scripted" not in str(list(spans.values()))


def test_a_dead_collector_keeps_no_run_from_its_end(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    options = [
        f"--MelleaApp.otlp_endpoint=http://127.0.0.1:{free_port()}/?key={SECRET}",
        "--MelleaApp.prewarm=False",
    ]
    with JupyterServer(tmp_path_factory.mktemp("server"), options=options) as server:
        with server.http() as http:
            run = server.create(http, server.write("fine.py", "print('fine')\n"))
            assert server.wait_for(http, run["id"])["status"] == "succeeded"
            deadline = time.monotonic() + 20
            while "the collector does not answer" not in server.log():
                assert time.monotonic() < deadline, server.log()
                time.sleep(0.05)
            assert http.get("api/notifications").json()["unread"] == 1
        assert SECRET not in server.log()


def test_a_run_is_exported_from_the_terminal(  # noqa: PLR0917 - fixtures
    server: JupyterServer,
    http: httpx.Client,
    llm: ByModel,
    endpoint: OtlpEndpoint,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-api-key={SECRET}")
    run = server.create(http, "greet.py", model=GOOD, env_vars=llm.variables)
    server.wait_for(http, run["id"])
    where = ["--url", f"{server.url}?token={server.token}", "export", run["id"], "--otlp"]
    assert main([*where, endpoint.url]) == 0
    assert "4 spans" in capsys.readouterr().out
    spans = endpoint.wait_for_trace(run["id"])
    assert "gen_ai.output.messages" not in attributes(spans["chat gpt-4o #1"])
    assert endpoint.requests[0][1]["x-api-key"] == SECRET
    assert main([*where, endpoint.url, "--content"]) == 0
    again = endpoint.wait_for_trace(run["id"])["chat gpt-4o #1"]
    assert again.span_id == spans["chat gpt-4o #1"].span_id
    assert "hello guest" in attributes(again)["gen_ai.output.messages"]
    capsys.readouterr()
    endpoint.answers.append(401)
    assert main([*where, endpoint.url]) == 3
    assert "401" in capsys.readouterr().err
    assert main([*where, "localhost:4318"]) == 2
    assert "--otlp" in capsys.readouterr().err
