from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pydantic import TypeAdapter
from tornado.httpclient import HTTPClientError

from mellea_jupyter.app import MelleaApp
from mellea_jupyter.exceptions import StoreError
from mellea_jupyter.handlers.channel import RunsChannel, logs_message
from mellea_jupyter.models.calls import CallsChanged, LlmCall
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.models.websocket import Logs, ServerMessage
from tests.handlers.conftest import Dial
from tests.handlers.fakes import FakeServices, encode_batch, make_run
from tests.handlers.raw_client import DEADLINE_SECONDS, RawClient, until

SERVER_MESSAGE: TypeAdapter[Any] = TypeAdapter(ServerMessage)
MISSING = "00000000-0000-4000-8000-000000000000"


class Channel:
    """A client of the websocket; every message it gets is checked against the models."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def say(self, message: Any) -> None:
        raw = message if isinstance(message, str | bytes) else json.dumps(message)
        await self.connection.write_message(raw)

    async def hear(self) -> Any:
        async with asyncio.timeout(DEADLINE_SECONDS):
            raw = await self.connection.read_message()
        assert raw is not None, "the server closed the connection"
        return SERVER_MESSAGE.validate_json(raw)

    async def subscribe(self, topic: str, **fields: Any) -> None:
        await self.say({"type": "subscribe", "topic": topic, **fields})
        heard = await self.hear()
        assert (heard.type, heard.topic) == ("subscribed", topic)


@pytest.fixture
def open_channel(
    jp_ws_fetch: Any, services: FakeServices, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[Callable[..., Any]]:
    opened = []

    async def connect(**options: Any) -> Channel:
        connection = await jp_ws_fetch("api", "runs", "ws", **options)
        opened.append(connection)
        return Channel(connection)

    async def close_all() -> None:
        for connection in opened:
            connection.close()
            async with asyncio.timeout(DEADLINE_SECONDS):
                while connection.close_code is None and connection.protocol is not None:
                    if await connection.read_message() is None:
                        break

    yield connect
    jp_asyncio_loop.run_until_complete(close_all())


@pytest.fixture
def run(services: FakeServices, owner_id: str) -> Run:
    return services.runs.put(make_run(owner_id, status="running"))


async def test_the_topic_runs_carries_what_is_new(
    open_channel: Any, services: FakeServices, owner_id: str, run: Run
) -> None:
    channel = await open_channel()
    await channel.subscribe("runs")
    services.runs.put(run.changed(name="new"))
    heard = await channel.hear()
    assert (heard.type, heard.topic, heard.event.type) == ("event", "runs", "run_changed")
    assert heard.event.run.name == "new"
    await services.runs.bulk_delete([run.id], None)  # type: ignore[arg-type]
    deleted = await channel.hear()
    assert (deleted.event.type, deleted.event.run_id) == ("run_deleted", run.id)


async def test_runs_of_others_are_never_sent(
    open_channel: Any, services: FakeServices, acting_as: Any
) -> None:
    hidden = services.runs.put(make_run("ann"))
    acting_as("bob")
    channel = await open_channel()
    await channel.subscribe("runs")
    services.runs.put(hidden.changed(name="secret"))
    await services.runs.bulk_delete([hidden.id], None)  # type: ignore[arg-type]
    own = services.runs.put(make_run("bob"))
    heard = await channel.hear()
    assert heard.event.run.id == own.id
    services.runs.put(hidden)
    parts = ("", "/logs", "/calls")
    for topic in (*(f"run/{hidden.id}{part}" for part in parts), f"run/{MISSING}/calls"):
        await channel.say({"type": "subscribe", "topic": topic})
        refused = await channel.hear()
        assert (refused.type, refused.code, refused.topic) == ("error", "run_not_found", topic)


async def test_calls_begin_with_nothing_and_come_as_they_change(
    open_channel: Any, services: FakeServices, run: Run
) -> None:
    channel = await open_channel()
    topic = f"run/{run.id}/calls"
    await channel.subscribe(topic)
    call = LlmCall(call=1, started_at=1.0, purpose="answer", status="active")
    services.calls.changes.put_nowait(CallsChanged(run_id=run.id, calls=(call,)))
    heard = await channel.hear()
    assert (heard.topic, heard.event.type, heard.event.calls) == (topic, "calls_changed", (call,))
    await channel.say({"type": "unsubscribe", "topic": topic})
    assert (await channel.hear()).type == "unsubscribed"


async def test_an_administrator_hears_of_all_runs(
    open_channel: Any, services: FakeServices, acting_as: Any
) -> None:
    acting_as("root", is_admin=True)
    channel = await open_channel()
    await channel.subscribe("runs")
    run = services.runs.put(make_run("ann"))
    assert (await channel.hear()).event.run.id == run.id


async def test_one_run_begins_with_what_it_is_and_goes_on_with_its_changes(
    open_channel: Any, services: FakeServices, owner_id: str, run: Run
) -> None:
    channel = await open_channel()
    await channel.subscribe(f"run/{run.id}")
    assert (await channel.hear()).event.run == run
    services.runs.put(make_run(owner_id))  # another one
    services.runs.put(run)  # nothing new
    services.runs.put(run.changed(name="new"))
    assert (await channel.hear()).event.run.name == "new"


async def test_logs_are_followed_to_their_end(
    open_channel: Any, services: FakeServices, run: Run
) -> None:
    services.logs.write("one", "two")
    channel = await open_channel()
    topic = f"run/{run.id}/logs"
    await channel.subscribe(topic, after="1.1")
    heard = await channel.hear()
    assert (heard.type, heard.topic, heard.cursor) == ("logs", topic, "2.1")
    assert [frame.message for frame in heard.frames] == ["two"]
    services.logs.write("three")
    assert (await channel.hear()).cursor == "3.1"
    services.logs.end(RunStatus.CANCELLED)
    complete = await channel.hear()
    assert (complete.type, complete.status) == ("complete", RunStatus.CANCELLED)
    await until(lambda: not services.logs.open)


async def test_a_topic_that_is_ended_is_not_heard_of_again(
    open_channel: Any, services: FakeServices, run: Run
) -> None:
    channel = await open_channel()
    topic = f"run/{run.id}/logs"
    await channel.subscribe(topic)
    await channel.say({"type": "unsubscribe", "topic": topic})
    assert (await channel.hear()).type == "unsubscribed"
    assert not services.logs.open
    services.logs.write("one")
    await channel.subscribe("notifications")  # the next message, so no line came before it


async def test_subscribing_again_starts_anew(
    open_channel: Any, services: FakeServices, run: Run
) -> None:
    services.logs.write("one")
    channel = await open_channel()
    topic = f"run/{run.id}/logs"
    for _ in range(2):
        await channel.subscribe(topic)
        assert (await channel.hear()).cursor == "1.1"
    assert len(services.logs.open) == 1


@pytest.mark.parametrize(
    "message",
    [
        "{", "", "[]", "null", b"\xff", '{"type": "shout"}', '{"topic": "runs"}',
        '{"type": "subscribe"}', '{"type": "subscribe", "topic": "run/1"}',
        '{"type": "subscribe", "topic": "run/../logs"}', '{"type": "subscribe", "topic": 5}',
        f'{{"type": "subscribe", "topic": "run/{MISSING}\\n"}}',
        '{"type": "subscribe", "topic": "runs", "colour": "red"}',
    ],
)  # fmt: skip
async def test_a_bad_message_is_an_error_and_the_connection_stays(
    open_channel: Any, message: str | bytes
) -> None:
    channel = await open_channel()
    if isinstance(message, bytes):
        await channel.connection.write_message(message, binary=True)
    else:
        await channel.say(message)
    heard = await channel.hear()
    assert (heard.type, heard.code) == ("error", "invalid_message")
    await channel.subscribe("runs")


async def test_a_wrong_cursor_is_an_error_of_its_topic(open_channel: Any, run: Run) -> None:
    channel = await open_channel()
    topic = f"run/{run.id}/logs"
    await channel.say({"type": "subscribe", "topic": topic, "after": "zzz"})
    heard = await channel.hear()
    assert (heard.type, heard.code, heard.topic) == ("error", "invalid_cursor", topic)


async def test_a_log_that_fails_ends_its_topic_only(
    open_channel: Any, services: FakeServices, run: Run
) -> None:
    channel = await open_channel()
    topic = f"run/{run.id}/logs"
    await channel.subscribe(topic)
    services.logs.fail(StoreError("the journal is gone"))
    heard = await channel.hear()
    assert (heard.type, heard.code, heard.topic) == ("error", "store_error", topic)
    await channel.subscribe("runs")


async def test_topics_are_limited(
    open_channel: Any, services: FakeServices, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(RunsChannel, "max_topics", 1)
    channel = await open_channel()
    await channel.subscribe("runs")
    await channel.say({"type": "subscribe", "topic": f"run/{run.id}"})
    heard = await channel.hear()
    assert (heard.code, heard.topic) == ("too_many_topics", f"run/{run.id}")
    await channel.subscribe("runs")  # again is not more


async def test_a_message_over_the_limit_ends_the_connection(open_channel: Any) -> None:
    channel = await open_channel()
    with suppress(Exception):
        await channel.say("x" * 20_000)
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await channel.connection.read_message() is None


async def test_a_closed_client_leaves_nothing_behind(
    open_channel: Any, app: MelleaApp, services: FakeServices, run: Run
) -> None:
    channel = await open_channel()
    for topic in ("runs", f"run/{run.id}", f"run/{run.id}/logs"):
        await channel.say({"type": "subscribe", "topic": topic})
    await until(lambda: len(services.logs.open) == 1 and len(services.broker._subscriptions) == 2)
    channel.connection.close()
    await until(lambda: len(app.streams) == 0)
    assert not services.logs.open
    assert not services.broker._subscriptions


async def test_the_connection_closes_when_the_server_stops(
    open_channel: Any, app: MelleaApp
) -> None:
    channel = await open_channel()
    await channel.subscribe("runs")
    await app.streams.close()
    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await channel.connection.read_message() is None
    assert channel.connection.close_code == 1001


@pytest.mark.parametrize("headers", [{"Authorization": "token nope"}, {"Authorization": "token "}])
async def test_a_wrong_token_is_refused(open_channel: Any, headers: dict[str, str]) -> None:
    with pytest.raises(HTTPClientError) as refused:
        await open_channel(headers=headers)
    assert refused.value.code == 403


async def test_a_plain_request_gets_the_error_shape(ask: Any) -> None:
    reply = await ask("GET", "api/runs/ws")
    assert (reply.code, json.loads(reply.body)["code"]) == (400, "bad_request")


async def test_a_user_without_execute_is_refused(
    open_channel: Any, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def is_authorized(handler: Any, user: Any, action: str, resource: str) -> bool:
        asked.append((action, resource))
        return False

    monkeypatch.setattr(jp_serverapp.authorizer, "is_authorized", is_authorized)
    with pytest.raises(HTTPClientError) as refused:
        await open_channel()
    assert refused.value.code == 403
    assert asked == [("execute", "runs")]


def test_the_logs_message_is_what_its_model_says() -> None:
    raw = logs_message(f"run/{MISSING}/logs", encode_batch(7, ["a\nb", 'quote " and \u2028']))
    message = SERVER_MESSAGE.validate_json(raw)
    assert isinstance(message, Logs)
    assert [frame.message for frame in message.frames] == ["a\nb", 'quote " and \u2028']
    assert message.cursor == "8.1"


async def shake_hands(client: RawClient) -> None:
    """Become a websocket whose messages the test reads by hand."""
    await client.get(
        "api/runs/ws",
        Upgrade="websocket",
        Connection="Upgrade",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key=base64.b64encode(os.urandom(16)).decode(),
    )
    assert (await client.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")


async def send_text(client: RawClient, text: str) -> None:
    """A masked text frame of less than 64 KiB, with a mask of zeros."""
    data = text.encode()
    await client.send(b"\x81\xfe" + len(data).to_bytes(2, "big") + b"\0\0\0\0" + data)


async def read_text(client: RawClient) -> str:
    """The next text frame; pings are passed over."""
    while True:
        kind, size = await client.read_exactly(2)
        if size >= 126:
            size = int.from_bytes(await client.read_exactly(2 if size == 126 else 8), "big")
        data = await client.read_exactly(size)
        if kind == 0x81:
            return data.decode()


async def test_a_slow_client_is_told_that_it_lags_and_does_not_grow_the_server(
    dial: Dial, services: FakeServices, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(RunsChannel, "lag_seconds", 0.2)
    services.logs.batch_lines = 64
    services.logs.write(*["x" * 1024] * 100_000)
    topic = f"run/{run.id}/logs"
    async with dial() as client:
        await shake_hands(client)
        await send_text(client, json.dumps({"type": "subscribe", "topic": topic}))
        given = -1
        while given != services.logs.given:
            given = services.logs.given
            await asyncio.sleep(0.3)
        assert 0 < given < 100_000
        lines = 0
        while (message := json.loads(await read_text(client)))["type"] != "lagged":
            lines += len(message.get("frames", ()))
    assert message == {"type": "lagged", "topic": topic, "resume": f"{lines}.1"}
    assert lines == given


async def test_a_client_that_asks_and_never_reads_does_not_grow_the_server(
    dial: Dial, services: FakeServices, run: Run
) -> None:
    services.logs.batch_lines = 64
    services.logs.write(*["x" * 1024] * 100_000)
    topic = f"run/{run.id}/logs"
    async with dial() as client:
        await shake_hands(client)
        for _ in range(500):
            for kind in ("subscribe", "unsubscribe"):
                await send_text(client, json.dumps({"type": kind, "topic": topic}))
        given = -1
        while given != services.logs.given:
            given = services.logs.given
            await asyncio.sleep(0.3)
        assert given < 100_000
    await until(lambda: not services.logs.open)
