"""What a run tells of its calls while it runs, when it keeps no content, and when it is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tornado.ioloop import IOLoop

from mellea_jupyter.testing.scripted_llm import ScriptedLlm
from mellea_jupyter.testing.server import JupyterServer
from mellea_jupyter.testing.websockets import open_websocket

CANARY = "canary-77aa31c0"

TALKATIVE = """\
import os
from endpoint import must_contain_ok, script, session
from mellea.stdlib.sampling import RejectionSamplingStrategy
m = session()
key = os.environ["MY_API_KEY"]
script(f"bad {key}", "OK " + "x" * 20000)
strategy = RejectionSamplingStrategy(loop_budget=2)
m.instruct(f"say hi with {key}", requirements=[must_contain_ok()], strategy=strategy)
"""

SLOW = """\
from endpoint import must_contain_ok, script, session
from mellea.stdlib.sampling import RejectionSamplingStrategy
m = session()
script("bad", {"text": "OK", "delay_seconds": 60})
strategy = RejectionSamplingStrategy(loop_budget=2)
m.instruct("say hi", requirements=[must_contain_ok()], strategy=strategy)
"""


@contextmanager
def started(
    server: JupyterServer, http: httpx.Client, source: str, **config: Any
) -> Iterator[dict[str, Any]]:
    """A run of this program with an endpoint of its own."""
    variables = config.pop("env_vars", {})
    with ScriptedLlm() as endpoint:
        variables = {"OPENAI_BASE_URL": endpoint.openai_url, **variables}
        path = server.write(f"calls_{abs(hash(source))}.py", source)
        yield server.create(http, path, env_vars=variables, **config)


def loops_of(http: httpx.Client, run: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get(f"api/runs/{run['id']}/loops").json()["loops"]
    return found


def test_content_is_cut_masked_and_gone_with_the_journal(
    server: JupyterServer, http: httpx.Client
) -> None:
    with started(server, http, TALKATIVE, env_vars={"MY_API_KEY": CANARY}) as run:
        server.wait_for(http, run["id"])
    calls = f"api/runs/{run['id']}/calls"
    first = http.get(f"{calls}/1/content").json()
    assert first["reply"] == "bad ••••"
    assert first["prompt"].startswith("user: ")
    assert "say hi with ••••" in first["prompt"]
    assert (first["reply_bytes"], first["truncated"]) == (len("bad ••••".encode()), False)
    second = http.get(f"{calls}/2/content").json()
    assert (len(second["reply"]), second["truncated"]) == (16384, True)
    assert second["reply_bytes"] == 20003
    assert second["prompt_bytes"] > 0
    (loop,) = loops_of(http, run)
    assert loop["instruction"] == "say hi with ••••"
    unknown = http.get(f"{calls}/3/content")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "call_not_found")
    shutil.rmtree(server.data_dir / "runs" / run["id"] / "journal")
    assert http.get(f"{calls}/1/content").json()["reply"] is None
    assert loops_of(http, run) == [loop]


def test_without_content_the_structure_and_the_numbers_stay(
    server: JupyterServer, http: httpx.Client
) -> None:
    secret = {"MY_API_KEY": CANARY}
    with started(server, http, TALKATIVE, env_vars=secret, capture_content=False) as run:
        final = server.wait_for(http, run["id"])
    (loop,) = loops_of(http, run)
    assert (loop["status"], loop["instruction"]) == ("met", None)
    verdicts = [attempt["verdicts"][0] for attempt in loop["attempts"]]
    assert [(each["passed"], each["reason"]) for each in verdicts] == [(False, None), (True, None)]
    assert loop["cost_usd"] == final["metrics"]["estimated_cost_usd"] > 0
    calls = http.get(f"api/runs/{run['id']}/calls").json()["calls"]
    assert [call["has_content"] for call in calls] == [False, False]
    content = http.get(f"api/runs/{run['id']}/calls/1/content")
    assert (content.status_code, content.json()["prompt"], content.json()["reply"]) == (
        200,
        None,
        None,
    )


async def _heard(server: JupyterServer, run_id: str, act: Any) -> list[dict[str, Any]]:
    """What the topic gives, from before `act` until a loop or call is seen to end."""
    headers = {"Authorization": f"token {server.token}"}
    async with open_websocket(f"{server.url}api/runs/ws", headers) as connection:
        topic = f"run/{run_id}/calls"
        await connection.write_message(json.dumps({"type": "subscribe", "topic": topic}))
        heard = json.loads(await connection.read_message() or "{}")
        assert heard["type"] == "subscribed"
        act()
        events: list[dict[str, Any]] = []
        while not any(loop["ended_at"] for event in events for loop in event["loops"]):
            event = json.loads(await connection.read_message() or "{}")
            assert (event["type"], event["topic"]) == ("event", topic)
            events.append(event["event"])
        return events


GATED = """\
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
from endpoint import must_contain_ok, script, session
from mellea.stdlib.sampling import RejectionSamplingStrategy
m = session()
script("bad", {"text": "OK", "delay_seconds": 1.5})
strategy = RejectionSamplingStrategy(loop_budget=2)
m.instruct("say hi", requirements=[must_contain_ok()], strategy=strategy)
"""


def test_calls_and_loops_are_told_while_they_go_on(
    server: JupyterServer, http: httpx.Client
) -> None:
    gate = server.home / "gate"
    with started(server, http, GATED, args=[str(gate)]) as run:
        events = IOLoop(make_current=False).run_sync(
            lambda: _heard(server, run["id"], gate.touch), timeout=60
        )
        server.wait_for(http, run["id"])
    seen = [call["status"] for event in events for call in event["calls"] if call["call"] == 2]
    assert seen == ["active", "finished"]
    last = {loop["loop"]: loop for event in events for loop in event["loops"]}
    assert list(last.values()) == loops_of(http, run)
    attempts = [len(loop["attempts"]) for event in events for loop in event["loops"]]
    assert attempts == sorted(attempts)


@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_what_was_told_before_a_run_died_stays(
    server: JupyterServer, http: httpx.Client, how: str
) -> None:
    with started(server, http, SLOW) as run:
        deadline = time.monotonic() + 60
        while not (loops := loops_of(http, run)) or len(loops[0]["attempts"]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        if how == "cancel":
            http.delete(f"api/runs/{run['id']}")
        else:
            frames = server.data_dir / "runs" / run["id"] / "journal" / "frames.ndjson"
            kinds = {}
            for line in frames.read_text("utf-8").splitlines():
                frame = json.loads(line)
                kinds[frame["kind"]] = frame
            os.kill(kinds["program"]["pid"], signal.SIGKILL)
        final = server.wait_for(http, run["id"])
    assert final["status"] == {"cancel": "cancelled", "kill": "failed"}[how]
    (loop,) = loops_of(http, run)
    first, second = loop["attempts"]
    assert (first["verdicts"][0]["passed"], second["verdicts"]) == (False, [])
    assert loop["cost_usd"] == pytest.approx(final["metrics"]["estimated_cost_usd"])
    calls = http.get(f"api/runs/{run['id']}/calls").json()["calls"]
    assert calls[0]["status"] == "finished"
    if how == "kill":
        assert (calls[1]["status"], loop["status"]) == ("active", "active")
        assert final["metrics"]["unfinished_calls"] == 1
    points = http.get(f"api/runs/{run['id']}/usage").json()["points"]
    assert points
    assert [point["t"] for point in points] == sorted({point["t"] for point in points})
    for point in points:
        assert point["memory_mb"] <= final["metrics"]["peak_memory_mb"]
        assert point["cpu_seconds"] <= final["metrics"]["cpu_seconds"]
