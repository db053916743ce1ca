"""The kernel's side of a widget's comm: answers, limits, live messages, and an end."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import queue
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from mellea_jupyter.client import MelleaClient, RunHandle
from mellea_jupyter.client.discovery import given
from mellea_jupyter.testing.server import JupyterServer
from mellea_jupyter.widgets.bridge import BRIDGE, MOST_REQUESTS, WidgetServer, watch_run
from tests.client.fake_server import TOKEN, FakeServer, a_frame, a_run, an_artifact
from tests.examples.conftest import demo, server

__all__ = ["demo", "server"]

DEADLINE_SECONDS = 20.0


class Browser:
    """One page: what it sends, and what comes back for it."""

    def __init__(self, connection: Any, name: str = "one") -> None:
        self.sent: queue.Queue[tuple[dict[str, Any], list[bytes]]] = queue.Queue()
        self.server = WidgetServer(connection, lambda *message: self.sent.put(message))
        self.name = name

    def say(self, kind: str, **fields: Any) -> None:
        self.server.receive({"client": self.name, "kind": kind, **fields})

    def hear(self, kind: str) -> dict[str, Any]:
        while True:
            message, buffers = self.sent.get(timeout=DEADLINE_SECONDS)
            if message["kind"] == kind and message["client"] == self.name:
                return {**message, "buffers": buffers}

    def close(self) -> None:
        self.server.close().result(DEADLINE_SECONDS)

    def ask(self, path: str, method: str = "GET", body: str | None = None) -> tuple[int, Any]:
        self.say("request", id=1, method=method, path=path, body=body)
        reply = self.hear("reply")
        assert reply["id"] == 1
        return reply["status"], json.loads(reply["body"])


@pytest.fixture
def browser(fake: FakeServer, bridge: None) -> Iterator[Browser]:
    browser = Browser(fake.connection)
    yield browser
    browser.close()


def test_a_request_is_answered_and_the_token_stays_here(fake: FakeServer, browser: Browser) -> None:
    run = fake.add(a_run(), a_frame(1, "hello"))
    assert browser.ask(f"runs/{run.id}")[1]["id"] == run.id
    status, page = browser.ask(f"runs/{run.id}/logs?tail=5")
    assert (status, page["frames"][0]["message"]) == (200, "hello")
    assert fake.seen("GET", f"/api/runs/{run.id}")[0][0]["authorization"] == f"token {TOKEN}"


def test_a_refusal_of_the_server_is_passed_on(fake: FakeServer, browser: Browser) -> None:
    status, body = browser.ask(f"runs/{a_run().id}")
    assert (status, body["code"], body["hint"]) == (404, "run_not_found", "Look again.")


def test_what_is_not_allowed_never_leaves_the_kernel(fake: FakeServer, browser: Browser) -> None:
    for method, path in (("GET", "../contents"), ("POST", "runs"), ("DELETE", "runs/x")):
        status, body = browser.ask(path, method, "{}")
        assert (status, body["code"]) == (403, "refused")
    assert fake.requests == []


def test_a_server_that_is_gone_is_an_answer_too(bridge: None) -> None:
    browser = Browser(given("http://127.0.0.1:9/", "t"))
    status, body = browser.ask("runs")
    assert (status, body["code"]) == (503, "connection_failed")
    browser.close()


def test_an_artifact_comes_as_bytes(fake: FakeServer, browser: Browser) -> None:
    run = a_run()
    ref = an_artifact(run.id, "a.bin", b"\x00\xff")
    fake.add(run.changed(artifacts=(ref,)))
    fake.artifacts[ref.id] = b"\x00\xff"
    browser.say("download", id=7, path=f"runs/{run.id}/artifacts/{ref.id}")
    reply = browser.hear("reply")
    assert (reply["id"], reply["status"], reply["buffers"]) == (7, 200, [b"\x00\xff"])
    browser.say("download", id=8, path=f"runs/{run.id}")
    assert browser.hear("reply")["status"] == 403


def test_the_second_script_is_sent_when_it_is_asked_for(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "loops.js"
    monkeypatch.setattr("mellea_jupyter.widgets.bridge._SECOND_MODULE", script)
    browser.say("module", id=1)  # an installation without it
    assert browser.hear("reply")["status"] == 500
    script.write_text("export const mount = 1;", "utf-8")
    browser.say("module", id=2)
    reply = browser.hear("reply")
    assert (reply["id"], reply["status"], reply["body"]) == (2, 200, "export const mount = 1;")


@pytest.mark.parametrize(
    "content", [None, 7, {}, {"client": 3}, {"client": ""}, {"client": "x" * 65, "kind": "ping"}]
)
def test_what_makes_no_sense_is_dropped(browser: Browser, content: Any) -> None:
    browser.server.receive(content)
    browser.say("ping")
    browser.hear("pong")
    assert browser.sent.empty()


def test_a_closed_widget_says_nothing_more(fake: FakeServer, browser: Browser) -> None:
    browser.close()
    browser.say("request", id=1, method="GET", path="runs")
    BRIDGE.stop()
    assert browser.sent.empty()
    assert fake.requests == []


def test_a_flood_of_requests_is_answered_with_busy(fake: FakeServer, browser: Browser) -> None:
    count = MOST_REQUESTS * 3
    for number in range(count):
        browser.say("request", id=number, method="GET", path="runs")
    statuses = [browser.hear("reply")["status"] for _ in range(count)]
    assert set(statuses) == {200, 429}


def test_a_run_is_watched_to_its_end(fake: FakeServer, bridge: None) -> None:
    run = fake.add(a_run())
    seen: list[str] = []

    def change(newer: Any) -> None:
        seen.append(newer.status.value)
        if len(seen) == 1:
            fake.end(run.id)

    fake.runs[run.id] = run.changed(note="x")
    watching = BRIDGE.start(watch_run(fake.connection, run, on_change=change))
    last = watching.result(DEADLINE_SECONDS)
    assert last is not None
    assert last.is_terminal
    assert seen == ["running", "succeeded"]


def test_watching_ends_when_the_run_is_gone(fake: FakeServer, bridge: None) -> None:
    watching = BRIDGE.start(watch_run(fake.connection, a_run(), on_change=lambda _: None))
    assert watching.result(DEADLINE_SECONDS) is None


def test_live_messages_of_a_real_server_reach_the_browser(server: Any, bridge: None) -> None:
    browser = Browser(given(server.url, server.token, server.root))
    (server.root / "live.py").write_text("print('one')\nprint('two')\n")
    with MelleaClient(given(server.url, server.token, server.root)) as client:
        run: RunHandle = _start(client, server)
        topic = f"run/{run.id}/logs"
        browser.say("open", socket=1)
        browser.hear("opened")
        browser.say("send", socket=1, text='{"type":"subscribe","topic":"notifications"}')
        browser.say("send", socket=1, text=json.dumps({"type": "subscribe", "topic": topic}))
        lines: list[str] = []
        while True:
            message = json.loads(browser.hear("text")["text"])
            assert message["topic"] == topic  # the other one was not passed on
            lines += [frame["message"] for frame in message.get("frames", [])]
            if message["type"] == "complete":
                break
        assert [line for line in lines if line in ("one", "two")] == ["one", "two"]
        status, body = browser.ask(f"runs/{run.id}", "DELETE")
        assert (status, body["code"]) == (409, "illegal_transition")
    browser.say("close", socket=1)
    browser.say("bye")
    browser.close()


def test_a_server_that_goes_ends_the_connection(tmp_path: Path, bridge: None) -> None:
    with JupyterServer(tmp_path) as server:
        browser = Browser(given(server.url.rstrip("/"), server.token, server.root))
        browser.say("open", socket=1)
        browser.hear("opened")
        server.kill()
        assert browser.hear("closed")["socket"] == 1
        browser.close()


def test_the_end_waits_for_connections_to_end(server: Any, bridge: None) -> None:
    browser = Browser(given(server.url, server.token, server.root))
    browser.say("open", socket=1)
    browser.hear("opened")
    os.kill(server.pid, signal.SIGSTOP)  # its farewell takes a while
    threading.Timer(0.3, os.kill, (server.pid, signal.SIGCONT)).start()
    browser.say("close", socket=1)
    browser.say("bye")
    browser.close()
    BRIDGE.stop()
    asyncio.run(_forget_ended_loops())
    gc.collect()  # a socket that was left open is an error here


async def _forget_ended_loops() -> None:
    IOLoop.current()  # tornado keeps ended ones until there is another


def _start(client: MelleaClient, server: Any) -> RunHandle:
    import mellea_jupyter

    return mellea_jupyter.run(server.root / "live.py", client=client)


def test_a_socket_that_can_not_be_opened_is_closed(bridge: None) -> None:
    browser = Browser(given("http://127.0.0.1:9/", "t"))
    browser.say("open", socket=4)
    assert browser.hear("closed")["socket"] == 4
    browser.close()
