"""Prices through the complete server: the operator's file, and pricing history anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.cli import main
from mellea_jupyter.demo.wire import Reply
from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer

PROGRAM = """
from mellea import start_session
from mellea.stdlib.requirements import req, simple_validate
from mellea.stdlib.sampling import RejectionSamplingStrategy

session = start_session("openai", "acme-1")
session.chat("say something")
check = simple_validate(lambda text: "OK" in text)
session.instruct(
    "write", requirements=[req("has OK", validation_fn=check)],
    strategy=RejectionSamplingStrategy(loop_budget=2),
)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prices") / "prices.json"
    path.write_text(json.dumps({"openai/broken": {"input_cost_per_token": "free"}}))
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, own: Path) -> Iterator[JupyterServer]:
    home = tmp_path_factory.mktemp("server")
    variables = {"MELLEA_PRICING_FILE": str(own)}
    options = ["--MelleaApp.prewarm=False"]
    with JupyterServer(home, options=options, environment=variables) as running:
        running.write("acme.py", PROGRAM)
        yield running


@pytest.fixture
def terminal(server: JupyterServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token_file = tmp_path / "token"
    token_file.touch(0o600)
    token_file.write_text(server.token)
    monkeypatch.chdir(server.root)
    monkeypatch.setenv("MELLEA_JUPYTER_URL", server.url)
    monkeypatch.setenv("MELLEA_JUPYTER_TOKEN_FILE", str(token_file))
    monkeypatch.setenv("MELLEA_JUPYTER_ROOT_DIR", str(server.root))


def test_what_is_wrong_in_the_file_is_said_and_stops_nothing(
    server: JupyterServer, http: httpx.Client, own: Path
) -> None:
    found = http.get("api/prices").json()
    assert (found["source"], found["overrides"]["file"]) == ("genai-prices", str(own))
    (problem,) = found["overrides"]["problems"]
    assert "openai/broken: input_cost_per_token has to be a number" in problem
    assert problem in server.log_path.read_text("utf-8")


def test_history_is_priced_anew(
    server: JupyterServer,
    http: httpx.Client,
    own: Path,
    terminal: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    replies = [
        Reply(text=text, input_tokens=1000, output_tokens=100) for text in ("no", "no", "OK")
    ]
    with ScriptedLlm(replies) as endpoint:
        variables = {"OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "sk-scripted"}
        run = server.create(http, "acme.py", env_vars=variables)
        before = server.wait_for(http, run["id"])
    assert before["metrics"]["estimated_cost_usd"] is None
    assert before["metrics"]["unpriced_calls"] == 3

    priced = {"openai/acme-1": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-05}}
    own.write_text(json.dumps(priced))
    assert main(["reprice", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"{run['id'][:8]} acme.py  unpriced → $0.0060  (3 calls)" in out
    assert "3 calls in 1 run would change ($0 → $0.0060)" in out
    assert get(http, f"api/runs/{run['id']}") == before

    assert main(["reprice", "--since", "1d", "--model", "openai/acme-1", "--json"]) == 0
    reply = json.loads(capsys.readouterr().out)
    assert (reply["runs_changed"], reply["calls_changed"]) == (1, 3)
    after = get(http, f"api/runs/{run['id']}")
    metrics = after["metrics"]
    assert metrics["estimated_cost_usd"] == 0.006
    assert metrics["unpriced_calls"] == 0
    assert metrics["useful_cost_usd"] + metrics["repair_cost_usd"] == 0.006
    assert metrics["repair_cost_usd"] == 0.002
    assert after["version"] == before["version"] + 1
    calls = get(http, f"api/runs/{run['id']}/calls")["calls"]
    assert [call["cost_usd"] for call in calls] == [0.002] * 3
    assert {call["price"]["source"] for call in calls} == {"override"}
    (loop,) = get(http, f"api/runs/{run['id']}/loops")["loops"]
    assert (loop["cost_usd"], loop["repair_cost_usd"]) == (0.004, 0.002)
    assert loop["unpriced_calls"] == 0
    summary = get(http, "api/runs/summary")
    assert (summary["total_cost_usd"], summary["unpriced_calls"]) == (0.006, 0)
    assert main(["reprice"]) == 0
    assert "0 calls in 0 runs changed" in capsys.readouterr().out

    own.write_text("{}")
    http.post("api/prices/reprice", json={}).raise_for_status()
    assert get(http, f"api/runs/{run['id']}")["metrics"] == before["metrics"]
    assert get(http, "api/runs/summary")["unpriced_calls"] == 3


def test_a_check_and_a_budget_from_the_terminal(
    server: JupyterServer, http: httpx.Client, terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "acme.py", "--check", "--max-cost", "0.5", "--model", "demo/x"]) == 0
    out = capsys.readouterr().out
    assert "warning: config.max_cost_usd: The price of demo/x is not known" in out
    assert out.splitlines()[-1].startswith(("usually", "no history"))
    assert main(["run", "acme.py", "--check", "--on-budget", "ask"]) == 1
    assert "error: config.on_budget" in capsys.readouterr().out
    with ScriptedLlm() as endpoint:
        variables = {"OPENAI_BASE_URL": endpoint.openai_url, "OPENAI_API_KEY": "sk-scripted"}
        run = server.create(http, "acme.py", env_vars=variables, max_llm_calls=1, on_budget="ask")
        while get(http, f"api/runs/{run['id']}")["waiting"] is None:
            pass
        assert main(["budget", run["id"]]) == 0
        assert f"jupyter mellea budget {run['id'][:8]} --stop" in capsys.readouterr().out
        assert main(["budget", run["id"], "--allow", "0.5"]) == 3
        assert "no limit in money" in capsys.readouterr().err
        assert main(["budget", run["id"][:8], "--allow-calls", "9"]) == 0
        server.wait_for(http, run["id"])
        assert endpoint.counts()["requests"] == 3
    assert main(["budget", run["id"], "--stop"]) == 3
    assert "does not wait" in capsys.readouterr().err


def get(http: httpx.Client, path: str) -> Any:
    return http.get(path).raise_for_status().json()
