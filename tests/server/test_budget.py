"""Budgets through the complete server: the endpoint's own log shows which calls were sent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.demo.wire import Reply
from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer

CALLS = """
import sys
from mellea import MelleaSession, start_session

session = start_session("openai", sys.argv[1] if len(sys.argv) > 1 else "gpt-4o")
for number in range(6):
    session.chat("say something")
    print("call", number + 1)
"""

CAUGHT = """
from mellea import start_session
from mellea_jupyter import BudgetExceeded

session = start_session("openai", "gpt-4o")
made = 0
try:
    for _ in range(6):
        session.chat("say something")
        made += 1
except BudgetExceeded as error:
    print("stopped after", made, "calls:", error.kind)
"""

CONCURRENT = """
import asyncio
from mellea import start_session
from mellea_jupyter import BudgetExceeded

session = start_session("openai", "gpt-4o")
session.chat("say something")

async def call(number):
    try:
        await session.achat(f"say something {number}")
    except BudgetExceeded:
        return False
    return True

async def main():
    return await asyncio.gather(*(call(number) for number in range(40)))

print("made", 1 + sum(asyncio.run(main())))
"""

GROUP = """
from mellea import start_session

session = start_session("openai", "gpt-4o")
try:
    for _ in range(3):
        session.chat("say something")
except Exception as error:
    raise ExceptionGroup("the work failed", [ValueError("other"), error])
"""

LOOP = """
from mellea import start_session
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RejectionSamplingStrategy

def has(word):
    return req(f"has {word}", validation_fn=simple_validate(lambda text: word in text))

session = start_session("openai", "gpt-4o")
session.instruct(
    "write", requirements=[has("red"), has("green"), has("blue")],
    strategy=RejectionSamplingStrategy(loop_budget=5),
)
"""

# 1000 tokens in and 100 out of gpt-4o: $0.0035 a call.
REPLY = Reply(text="red and green", input_tokens=1000, output_tokens=100)


@pytest.fixture
def endpoint() -> Iterator[ScriptedLlm]:
    with ScriptedLlm([REPLY]) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def programs(server: JupyterServer) -> None:
    for name, source in {
        "calls.py": CALLS,
        "caught.py": CAUGHT,
        "concurrent.py": CONCURRENT,
        "group.py": GROUP,
        "loop.py": LOOP,
    }.items():
        server.write(f"budget_{name}", source)


def start(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm, name: str, **config: Any
) -> dict[str, Any]:
    variables = {"OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "sk-scripted"}
    return server.create(http, f"budget_{name}.py", env_vars=variables, **config)


def log_of(http: httpx.Client, run: dict[str, Any]) -> str:
    frames = http.get(f"api/runs/{run['id']}/logs").json()["frames"]
    return "\n".join(frame["message"] for frame in frames)


def is_warm(server: JupyterServer, http: httpx.Client) -> bool:
    """Whether the prepared interpreter is there."""
    run = server.create(http, server.write("budget_nothing.py", ""))
    return bool(server.wait_for(http, run["id"])["isolation"] == "warm")


def wait_asking(http: httpx.Client, run: dict[str, Any], ask: int = 1) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found: dict[str, Any] = http.get(f"api/runs/{run['id']}").json()
        if found["waiting"] is not None and found["waiting"]["ask"] == ask:
            return found
        assert found["status"] not in ("succeeded", "failed"), log_of(http, run)
        time.sleep(0.05)
    raise AssertionError("the run does not ask")


@pytest.mark.parametrize("isolation", ["warm", "fresh"])
def test_the_call_that_would_cross_the_line_is_never_sent(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm, isolation: str
) -> None:
    while isolation == "warm" and not is_warm(server, http):
        pass
    run = start(server, http, endpoint, "calls", max_cost_usd="0.0100", isolation=isolation)
    final = server.wait_for(http, run["id"])
    assert endpoint.counts()["requests"] == 2, log_of(http, run)
    assert (final["status"], final["status_reason"]) == ("failed", "budget_exceeded")
    assert final["error_message"] == (
        "the next LLM call would pass $0.01 (max_cost_usd); $0.007 are spent"
    )
    assert final["metrics"]["estimated_cost_usd"] == 0.007
    assert final["budget"]["refused_calls"] == 1
    assert final["isolation"] == isolation
    assert "An LLM call was not made: it would pass $0.01." in log_of(http, run)


def test_a_program_may_catch_it_and_succeed(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    run = start(server, http, endpoint, "caught", max_cost_usd="0.0100")
    final = server.wait_for(http, run["id"])
    assert endpoint.counts()["requests"] == 2
    assert "stopped after 2 calls: cost" in log_of(http, run)
    assert (final["status"], final["status_reason"]) == ("succeeded", None)
    assert final["budget"]["refused_calls"] == 1


def test_calls_at_the_same_time_stay_below_the_line(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    run = start(server, http, endpoint, "concurrent", max_cost_usd="0.0300")
    final = server.wait_for(http, run["id"])
    assert endpoint.counts()["requests"] == 8, log_of(http, run)  # 8 at $0.0035 are $0.0280
    assert "made 8" in log_of(http, run)
    assert final["metrics"]["estimated_cost_usd"] == 0.028
    assert final["budget"]["refused_calls"] == 33


def test_within_a_group_of_exceptions_it_is_still_the_reason(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    run = start(server, http, endpoint, "group", max_llm_calls=2)
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("failed", "budget_exceeded")
    assert endpoint.counts()["requests"] == 2


@pytest.mark.parametrize("captures", [True, False])
def test_the_best_attempt_is_kept(
    server: JupyterServer,
    http: httpx.Client,
    endpoint: ScriptedLlm,
    *,
    captures: bool,
) -> None:
    endpoint.set_script(["red", "red and green", "nothing"])
    run = start(server, http, endpoint, "loop", max_llm_calls=3, capture_content=captures)
    final = server.wait_for(http, run["id"])
    assert final["status_reason"] == "budget_exceeded", log_of(http, run)
    kept = {each["path"]: each["id"] for each in final["artifacts"]}
    best = http.get(f"api/runs/{run['id']}/artifacts/{kept['best-attempt.json']}").json()
    assert (best["loop"], best["attempt"], best["passed"]) == (1, 2, 2)
    verdicts = {each["requirement"]: each["passed"] for each in best["requirements"]}
    assert verdicts == {"has red": True, "has green": True, "has blue": False}
    assert ("best-attempt.txt" in kept) is captures
    assert best["reply"] == ("red and green" if captures else None)
    if captures:
        text = http.get(f"api/runs/{run['id']}/artifacts/{kept['best-attempt.txt']}").text
        assert text == "red and green"


def test_a_model_without_a_price_is_said_before_and_while_it_runs(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    variables = {"OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "sk-scripted"}
    config = {"max_cost_usd": "0.01", "model": "openai/of-my-own", "env_vars": variables}
    body = {"path": "budget_calls.py", "config": config}
    (problem,) = http.post("api/runs/check", json=body).json()["problems"]
    assert (problem["field"], problem["severity"]) == ("config.max_cost_usd", "warning")
    run = start(server, http, endpoint, "calls", max_cost_usd="0.01", args=["of-my-own"])
    final = server.wait_for(http, run["id"])
    assert final["status"] == "succeeded"
    assert final["metrics"]["estimated_cost_usd"] is None
    assert final["metrics"]["unpriced_calls"] == 6
    assert final["budget"]["uncounted_models"] == ["openai/of-my-own"]
    assert "The price of openai/of-my-own is not known" in log_of(http, run)


# Asking


def test_a_run_waits_until_it_may_go_on(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    run = start(server, http, endpoint, "calls", max_cost_usd="0.01", on_budget="ask")
    waiting = wait_asking(http, run)["waiting"]
    assert waiting == {
        "kind": "budget", "ask": 1, "limit": "cost", "calls": 2, "spent_usd": 0.007,
        "max_cost_usd": 0.01, "max_llm_calls": None, "asked_at": waiting["asked_at"],
        "until": waiting["until"],
    }  # fmt: skip
    assert endpoint.counts()["requests"] == 2
    path = f"api/runs/{run['id']}/budget"
    low = http.post(path, json={"decision": "raise", "max_cost_usd": "0.01"})
    assert (low.status_code, low.json()["details"]["field"]) == (422, "max_cost_usd")
    other = http.post(path, json={"decision": "raise", "max_llm_calls": 9})
    assert (other.status_code, other.json()["details"]["field"]) == (422, "max_cost_usd")
    answered = http.post(path, json={"decision": "raise", "max_cost_usd": "0.015"})
    assert answered.status_code == 202, answered.text
    second = wait_asking(http, run, 2)
    assert (second["waiting"]["calls"], second["waiting"]["max_cost_usd"]) == (4, 0.015)
    assert (second["budget"]["times_raised"], second["budget"]["max_cost_usd"]) == (1, 0.015)
    assert http.post(path, json={"decision": "stop"}).status_code == 202
    final = server.wait_for(http, run["id"])
    assert (final["status_reason"], final["waiting"]) == ("budget_exceeded", None)
    assert endpoint.counts()["requests"] == 4
    late = http.post(path, json={"decision": "stop"})
    assert late.status_code == 409
    assert late.json()["details"]["run"]["id"] == run["id"]


def test_a_question_survives_the_server(tmp_path: Path, endpoint: ScriptedLlm) -> None:
    with JupyterServer(tmp_path / "server") as server, server.http() as http:
        server.write("budget_calls.py", CALLS)
        run = start(server, http, endpoint, "calls", max_llm_calls=2, on_budget="ask")
        before = wait_asking(http, run)["waiting"]
        server.kill()
        server.start()
        assert wait_asking(http, run)["waiting"] == before
        path = f"api/runs/{run['id']}/budget"
        assert http.post(path, json={"decision": "raise", "max_llm_calls": 6}).status_code == 202
        final = server.wait_for(http, run["id"])
        assert (final["status"], final["budget"]["max_llm_calls"]) == ("succeeded", 6)
        assert endpoint.counts()["requests"] == 6


def test_nobody_answers_in_time(tmp_path: Path, endpoint: ScriptedLlm) -> None:
    options = ["--MelleaApp.budget_ask_timeout=1"]
    with JupyterServer(tmp_path / "server", options=options) as server, server.http() as http:
        server.write("budget_calls.py", CALLS)
        run = start(server, http, endpoint, "calls", max_llm_calls=2, on_budget="ask")
        final = server.wait_for(http, run["id"])
        assert final["status_reason"] == "budget_exceeded"
        assert "Nobody answered in time." in log_of(http, run)


def test_a_run_that_waits_can_be_cancelled(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    run = start(server, http, endpoint, "calls", max_llm_calls=1, on_budget="ask")
    wait_asking(http, run)
    assert http.delete(f"api/runs/{run['id']}").status_code == 202
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["waiting"]) == ("cancelled", None)


def test_asking_needs_a_budget(server: JupyterServer, http: httpx.Client) -> None:
    body = {"path": "budget_calls.py", "config": {"on_budget": "ask"}}
    (problem,) = http.post("api/runs/check", json=body).json()["problems"]
    assert (problem["field"], problem["severity"]) == ("config.on_budget", "error")
    asset = http.post("api/assets", json={"path": "budget_calls.py"}).json()
    refused = http.post("api/runs", json={"asset_id": asset["id"], "config": body["config"]})
    assert refused.status_code == 422


def test_a_notebook_that_is_over_its_budget(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    source = CALLS.replace('sys.argv[1] if len(sys.argv) > 1 else "gpt-4o"', '"gpt-4o"')
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "a",
        "source": source,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    server.write("budget_cells.ipynb", json.dumps(notebook))
    variables = {"OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "sk-scripted"}
    run = server.create(http, "budget_cells.ipynb", env_vars=variables, max_cost_usd="0.01")
    final = server.wait_for(http, run["id"])
    assert (final["status"], final["status_reason"]) == ("failed", "budget_exceeded"), final
    assert endpoint.counts()["requests"] == 2


# Forecasts


def test_what_a_program_usually_takes(
    server: JupyterServer, http: httpx.Client, endpoint: ScriptedLlm
) -> None:
    server.write("forecast.py", CALLS)
    asset = http.post("api/assets", json={"path": "forecast.py"}).json()
    path = f"api/assets/{asset['id']}/forecast"
    nothing = {
        "runs": 0, "model": None, "duration_ms": None, "cost_usd": None, "llm_calls": None,
        "unpriced_runs": 0,
    }  # fmt: skip
    assert http.get(path).json() == nothing
    check = {"path": "forecast.py", "config": {"model": "openai/gpt-4o"}}
    assert http.post("api/runs/check", json=check).json()["forecast"]["runs"] == 0
    variables = {"OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "sk-scripted"}
    for _ in range(2):
        run = server.create(http, "forecast.py", env_vars=variables, model="openai/gpt-4o")
        final = server.wait_for(http, run["id"])
    took = final["metrics"]["startup_duration_ms"] + final["metrics"]["execution_duration_ms"]
    found = http.get(path, params={"model": "openai/gpt-4o"}).json()
    assert (found["runs"], found["unpriced_runs"]) == (2, 0)
    assert found["cost_usd"] == {"low": 0.021, "high": 0.021}
    assert found["llm_calls"] == {"low": 6, "high": 6}
    assert found["duration_ms"]["low"] <= took <= found["duration_ms"]["high"]
    assert http.get(path, params={"model": "ollama/other"}).json()["runs"] == 0
    assert http.post("api/runs/check", json=check).json()["forecast"] == found
    other = {"path": "forecast.py", "config": {"model": "ollama/other"}}
    of_any = http.post("api/runs/check", json=other).json()["forecast"]
    assert (of_any["runs"], of_any["model"]) == (2, None)
