from __future__ import annotations

import asyncio
import json

import pytest

from mellea_jupyter.app import MelleaApp
from mellea_jupyter.exceptions import StoreError
from mellea_jupyter.models.frames import LogLevel, LogStream
from mellea_jupyter.models.run import RunStatus
from tests.handlers.conftest import Ask, Dial, body
from tests.handlers.fakes import FakeServices, make_run
from tests.handlers.raw_client import RawClient, until


@pytest.fixture
def run_id(services: FakeServices, owner_id: str) -> str:
    return services.runs.put(make_run(owner_id, status="running")).id


async def test_a_page_has_frames_next_and_ended(
    ask: Ask, services: FakeServices, run_id: str
) -> None:
    services.results.lines = ["one", "two"]
    page = body(await ask("GET", f"api/runs/{run_id}/logs"))
    assert [frame["message"] for frame in page["frames"]] == ["one", "two"]
    assert (page["next"], page["ended"]) == ("2.1", False)


async def test_all_parameters_of_a_page_reach_the_journal(
    ask: Ask, services: FakeServices, run_id: str
) -> None:
    query = "after=1.2&limit=7&stream=stderr&stream=system&level=error&search=Lisbon"
    assert (await ask("GET", f"api/runs/{run_id}/logs?{query}")).code == 200
    asked = services.results.log_queries[-1]
    assert (asked.after, asked.limit, asked.search) == ("1.2", 7, "Lisbon")
    assert asked.streams == {LogStream.STDERR, LogStream.SYSTEM}
    assert asked.levels == {LogLevel.ERROR}
    for one in ("before=1.2", "tail=5", "line=700000"):
        assert (await ask("GET", f"api/runs/{run_id}/logs?{one}")).code == 200
    last = services.results.log_queries[-1]
    assert (last.line, last.tail, last.before, last.after) == (700000, None, None, None)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=1001", "limit"),
        ("tail=0", "tail"),
        ("line=0", "line"),
        ("after=1.1&tail=5", "query"),
        ("after=bad", "after"),
        ("stream=stdin", "stream.0"),
        ("level=warning", "level.0"),
        ("search=", "search"),
        ("download=pdf", "download"),
        ("download=text&tail=5", "query"),
        ("follow=1", "follow"),
    ],
)
async def test_a_wrong_query_is_422(ask: Ask, run_id: str, query: str, field: str) -> None:
    reply = await ask("GET", f"api/runs/{run_id}/logs?{query}")
    assert (reply.code, body(reply)["details"]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("form", "suffix", "content_type"),
    [
        ("text", "log", "text/plain; charset=utf-8"),
        ("ndjson", "ndjson", "application/x-ndjson"),
    ],
)
async def test_a_download_is_a_file_of_the_whole_log(  # noqa: PLR0917 - parameters
    ask: Ask, services: FakeServices, run_id: str, form: str, suffix: str, content_type: str
) -> None:
    services.results.log_chunks = [b"one\n", b"two\xff\n"]
    reply = await ask("GET", f"api/runs/{run_id}/logs?download={form}")
    assert (reply.code, reply.body) == (200, b"one\ntwo\xff\n")
    assert reply.headers["Content-Type"] == content_type
    assert reply.headers["Content-Disposition"].startswith("attachment;")
    assert f"{run_id}.{suffix}" in reply.headers["Content-Disposition"]
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_an_empty_log_downloads_as_an_empty_file(ask: Ask, run_id: str) -> None:
    reply = await ask("GET", f"api/runs/{run_id}/logs?download=text")
    assert (reply.code, reply.body) == (200, b"")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_a_download_that_breaks_looks_broken(
    dial: Dial, services: FakeServices, run_id: str
) -> None:
    services.results.log_chunks = [b"one\n"]
    services.results.log_failure = OSError("the disk is gone")
    async with dial() as client:
        await client.get(f"api/runs/{run_id}/logs?download=text")
        received = await client.read_to_end()
    assert received.startswith(b"HTTP/1.1 200")
    assert b"one\n" in received
    assert not received.endswith(b"0\r\n\r\n")  # the end of a chunked body


async def test_a_failure_before_the_first_byte_is_an_error(
    ask: Ask, services: FakeServices, run_id: str
) -> None:
    services.results.log_failure = OSError("the disk is gone")
    reply = await ask("GET", f"api/runs/{run_id}/logs?download=text")
    assert (reply.code, body(reply)["code"]) == (500, "internal_error")
    assert "attachment" not in reply.headers.get("Content-Disposition", "")


# -- the live stream ---------------------------------------------------------------------------


async def open_stream(client: RawClient, run_id: str, **headers: str) -> bytes:
    """Ask for the stream; gives what came up to the `retry:` field."""
    await client.get(f"api/runs/{run_id}/logs/stream", **headers)
    return await client.read_until(b"retry: 2000\n\n")


async def test_a_stream_replays_follows_and_ends_with_the_final_status(
    dial: Dial, services: FakeServices, run_id: str
) -> None:
    services.logs.write("one", "two")
    async with dial() as client:
        head = await open_stream(client, run_id)
        assert b"Content-Type: text/event-stream; charset=utf-8" in head
        assert b"Cache-Control: no-cache, no-transform" in head
        assert b"X-Accel-Buffering: no" in head
        replayed = await client.read_until(b'"cursor":"2.1"')
        assert b"event: log\nid: 1.1\ndata: {" in replayed
        services.logs.write("three")
        assert b"id: 3.1" in await client.read_until(b'"cursor":"3.1"')
        services.logs.end(RunStatus.FAILED)
        rest = await client.read_to_end()
    event = b'event: complete\nid: 3.1\ndata: {"status": "failed"}\n\n'
    assert event in rest
    assert rest.endswith(b"0\r\n\r\n")
    await until(lambda: not services.logs.open)


async def test_a_stream_of_an_ended_run_completes_at_once(
    ask: Ask, services: FakeServices, run_id: str
) -> None:
    services.logs.end(RunStatus.SUCCEEDED)
    reply = await ask("GET", f"api/runs/{run_id}/logs/stream")
    assert reply.body == b'retry: 2000\n\nevent: complete\ndata: {"status": "succeeded"}\n\n'


@pytest.mark.parametrize(
    ("path", "header"),
    [("", "2.1"), ("?after=2.1", ""), ("?after=1.1", "2.1")],
)
async def test_a_stream_resumes_after_the_last_event(
    ask: Ask, services: FakeServices, run_id: str, path: str, header: str
) -> None:
    services.logs.write("one", "two", "three")
    services.logs.end(RunStatus.SUCCEEDED)
    headers = {"Last-Event-ID": header} if header else {}
    reply = await ask("GET", f"api/runs/{run_id}/logs/stream{path}", headers=headers)
    messages = [
        json.loads(line.removeprefix("data: "))["message"]
        for line in reply.body.decode().splitlines()
        if line.startswith("data: ") and "message" in line
    ]
    assert messages == ["three"]


async def test_a_reconnect_after_the_end_gets_the_end_again_and_no_line(
    ask: Ask, services: FakeServices, run_id: str
) -> None:
    services.logs.write("one")
    services.logs.end(RunStatus.SUCCEEDED)
    again = await ask("GET", f"api/runs/{run_id}/logs/stream", headers={"Last-Event-ID": "1.1"})
    assert b"event: log" not in again.body
    assert b"event: complete\nid: 1.1\n" in again.body


async def test_a_wrong_last_event_id_is_422_before_the_stream_starts(ask: Ask, run_id: str) -> None:
    reply = await ask("GET", f"api/runs/{run_id}/logs/stream", headers={"Last-Event-ID": "zzz"})
    assert (reply.code, body(reply)["code"]) == (422, "invalid_cursor")
    assert reply.headers["Content-Type"] == "application/json"


async def test_a_quiet_stream_is_kept_alive(
    dial: Dial, app: MelleaApp, services: FakeServices, run_id: str
) -> None:
    app.heartbeat_seconds = 0.05
    async with dial() as client:
        await open_stream(client, run_id)
        await client.read_until(b": keep-alive\n\n")
        await client.read_until(b": keep-alive\n\n")


async def test_a_closed_peer_ends_the_stream_without_waiting_for_a_line(
    dial: Dial, app: MelleaApp, services: FakeServices, run_id: str
) -> None:
    async with dial() as client:
        await open_stream(client, run_id)
        await until(lambda: len(services.logs.open) == 1)
    await until(lambda: not services.logs.open)
    assert len(app.streams) == 0


async def test_a_stream_ends_when_the_server_stops(
    dial: Dial, app: MelleaApp, services: FakeServices, run_id: str
) -> None:
    async with dial() as client:
        await open_stream(client, run_id)
        await app.streams.close()
        rest = await client.read_to_end()
        assert b"complete" not in rest  # the client is to come back
    await until(lambda: not services.logs.open)


async def test_a_stream_that_can_not_be_read_any_more_looks_broken(
    dial: Dial, services: FakeServices, run_id: str
) -> None:
    async with dial() as client:
        await open_stream(client, run_id)
        services.logs.fail(StoreError("the journal is gone"))
        rest = await client.read_to_end()
    assert b"complete" not in rest
    assert not rest.endswith(b"0\r\n\r\n")


async def test_a_slow_reader_does_not_grow_the_server(
    dial: Dial, services: FakeServices, run_id: str
) -> None:
    services.logs.batch_lines = 64
    services.logs.write(*["x" * 1024] * 100_000)  # far more than the kernel's buffers hold
    async with dial() as client:
        await open_stream(client, run_id)
        given = -1
        while given != services.logs.given:  # until the pump stands still
            given = services.logs.given
            await asyncio.sleep(0.3)
        assert given < 100_000
        services.logs.end(RunStatus.SUCCEEDED)
        received = await client.read_to_end()
    assert received.count(b"event: log\n") + 1 >= 100_000 - 64
    assert b"event: complete\nid: 100000.1" in received
