"""Live logs: decoding, resuming, and how they end."""

from __future__ import annotations

import threading

import pytest

from mellea_jupyter.client import AsyncMelleaClient, MelleaClient, ServerError, UnexpectedReply
from mellea_jupyter.client import stream as stream_module
from mellea_jupyter.client.errors import ConnectionFailed
from mellea_jupyter.client.following import LogFollower
from mellea_jupyter.client.stream import EventDecoder, LogCursor, ServerSentEvent
from mellea_jupyter.models.run import RunStatus
from tests.client.fake_server import FakeServer, a_frame, a_run


@pytest.fixture(autouse=True)
def quick_reconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "FIRST_DELAY_SECONDS", 0.01)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    text = (
        ': hello\r\nretry: 5\r\n\r\nevent: log\r\nid: 1.1\r\ndata: {"a":\r\ndata: "ü"}\r\n\r\n'
        "data:x\n\n"
    )
    raw = text.encode()
    decoder = EventDecoder()
    events = [
        event for at in range(0, len(raw), size) for event in decoder.feed(raw[at : at + size])
    ]
    assert events == [
        ServerSentEvent("log", '{"a":\n"ü"}', "1.1"),
        ServerSentEvent("message", "x", None),
    ]


def test_a_log_is_given_once_over_every_disconnect(fake: FakeServer, client: MelleaClient) -> None:
    frames = [a_frame(seq, f"line {seq}") for seq in range(1, 21)]
    run = fake.add(a_run(), *frames)
    fake.end(run.id, "failed")
    fake.break_after = [3, 0, 0, 1, 5]
    cursor = LogCursor()
    seen = [frame.message for frame in client.follow_log(run.id, cursor=cursor)]
    assert seen == [frame.message for frame in frames]
    assert cursor.status is RunStatus.FAILED
    resumed = [headers.get("last-event-id") for headers, _ in fake.seen(
        "GET", f"/api/runs/{run.id}/logs/stream"
    )]  # fmt: skip
    assert resumed == [None, "3.1", "3.1", "3.1", "4.1", "9.1"]


def test_a_log_does_not_end_with_a_connection(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run(), a_frame(1, "one"))
    fake.break_after = [1]
    frames = client.follow_log(run.id)
    assert next(frames).message == "one"

    def more() -> None:
        fake.write(run.id, a_frame(2, "two"))
        fake.end(run.id)

    threading.Timer(0.05, more).start()
    assert [frame.message for frame in frames] == ["two"]


def test_a_repeated_line_is_dropped(fake: FakeServer, client: MelleaClient) -> None:
    frame = a_frame(1, "one")
    run = fake.add(a_run(), frame, frame, a_frame(2, "two"))
    fake.end(run.id)
    assert [each.line for each in client.follow_log(run.id)] == [1, 2]


async def test_the_awaiting_client_follows_and_resumes_too(fake: FakeServer) -> None:
    frames = [a_frame(seq, f"line {seq}") for seq in range(1, 6)]
    run = fake.add(a_run(), *frames)
    fake.end(run.id)
    fake.break_after = [2]
    async with AsyncMelleaClient(fake.connection) as client:
        seen = [frame.line async for frame in client.follow_log(run.id)]
    assert seen == [1, 2, 3, 4, 5]


def test_following_a_run_that_is_not_there_is_refused_at_once(client: MelleaClient) -> None:
    with pytest.raises(ServerError) as caught:
        list(client.follow_log("0" * 8))
    assert (caught.value.status, caught.value.code) == (404, "run_not_found")


def test_a_busy_server_is_asked_again(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run(), a_frame(1, "one"))
    fake.end(run.id)
    fake.answer("GET", f"/api/runs/{run.id}/logs/stream", 503, b"{}")
    fake.answer("GET", f"/api/runs/{run.id}/logs/stream", 0)
    assert [frame.message for frame in client.follow_log(run.id)] == ["one"]


def test_patience_ends(fake: FakeServer) -> None:
    cursor = LogCursor(patience_seconds=-1)
    with pytest.raises(ConnectionFailed, match="keeps closing the log stream"):
        cursor.delay_after(None)
    with pytest.raises(ConnectionFailed, match="gone"):
        cursor.delay_after(ConnectionFailed("gone"))


def test_delays_grow_and_stay_bounded() -> None:
    cursor = LogCursor()
    delays = [cursor.delay_after(None) for _ in range(30)]
    assert delays[0] < 0.5
    assert max(delays) <= stream_module.LONGEST_DELAY_SECONDS


def test_an_event_of_another_api_is_no_silent_end() -> None:
    with pytest.raises(UnexpectedReply, match="restart the server"):
        LogCursor().accept(ServerSentEvent("log", '{"nonsense": 1}', None))


def test_the_follower_gives_everything_and_then_none(fake: FakeServer) -> None:
    frames = [a_frame(seq, "x") for seq in range(1, 301)]
    run = fake.add(a_run(), *frames)
    fake.end(run.id)
    seen = 0
    with LogFollower(fake.connection, run.id) as follower:
        while (taken := follower.take(5)) is not None:
            seen += len(taken)
    assert seen == 300


def test_the_follower_pauses_for_a_slow_reader_and_loses_nothing(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mellea_jupyter.client.following.MOST_WAITING", 10)
    run = fake.add(a_run(), *[a_frame(seq, "x") for seq in range(1, 101)])
    fake.end(run.id)
    seen: list[int] = []
    with LogFollower(fake.connection, run.id) as follower:
        while (taken := follower.take(5)) is not None:
            assert len(taken) <= 10
            seen += [frame.line for frame in taken]
    assert seen == list(range(1, 101))


def test_leaving_the_follower_ends_its_thread_at_once(fake: FakeServer) -> None:
    run = fake.add(a_run(), a_frame(1, "one"))
    before = set(threading.enumerate())
    with LogFollower(fake.connection, run.id) as follower:
        assert follower.take(5) == [a_frame(1, "one")]
        assert follower.take(0.01) == []
    ours = [each for each in set(threading.enumerate()) - before if "mellea-log" in each.name]
    assert ours == []


def test_the_follower_hands_failures_to_its_caller(fake: FakeServer) -> None:
    with (
        LogFollower(fake.connection, "0" * 8) as follower,
        pytest.raises(ServerError, match="No run"),
    ):
        follower.take(30)
