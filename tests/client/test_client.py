"""Both clients: what they send, what they refuse, and what errors become."""

from __future__ import annotations

import inspect
import socket
from pathlib import Path

import pytest

from mellea_jupyter.client import (
    AsyncMelleaClient,
    ClientError,
    Connection,
    ConnectionFailed,
    InvalidProgram,
    MelleaClient,
    ServerError,
    UnexpectedReply,
)
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.pages import RunQuery
from mellea_jupyter.models.requests import RunCreate, RunPatch
from mellea_jupyter.models.run import RunStatus
from tests.client.fake_server import TOKEN, FakeServer, a_frame, a_run


def test_a_refusal_carries_everything_the_server_said(client: MelleaClient) -> None:
    with pytest.raises(ServerError) as caught:
        client.get_run("nobody")
    error = caught.value
    assert (error.code, error.status, error.request_id) == ("run_not_found", 404, "r1")
    assert error.details == {"id": "x"}
    assert str(error) == "No run with id 'nobody'\nLook again."


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "not_authenticated"),
        (403, "forbidden"),
        (404, "no_such_endpoint"),
        (502, "server_failure"),
    ],
)
def test_errors_of_others_become_words_with_a_next_step(
    fake: FakeServer, client: MelleaClient, status: int, code: str
) -> None:
    fake.answer("GET", "/api/environments", status, b"<html>not ours</html>")
    with pytest.raises(ServerError) as caught:
        client.list_environments()
    assert caught.value.code == code
    assert caught.value.hint


def test_a_redirect_is_not_followed_and_the_token_stays(
    fake: FakeServer, client: MelleaClient, tmp_path: Path
) -> None:
    with FakeServer(tmp_path) as other:
        fake.answer("GET", "/api/environments", 302, Location=f"{other.url}mellea/api/environments")
        with pytest.raises(UnexpectedReply, match="redirect"):
            client.list_environments()
        assert other.requests == []


def test_a_reply_of_another_shape_names_the_usual_reason(
    fake: FakeServer, client: MelleaClient
) -> None:
    fake.answer("GET", "/api/environments", 200, b'{"environments": [{"what": 1}]}')
    with pytest.raises(UnexpectedReply, match="restart the server"):
        client.list_environments()


def test_creating_is_sent_again_with_the_same_key_when_the_connection_breaks(
    fake: FakeServer, client: MelleaClient
) -> None:
    fake.answer("POST", "/api/runs", 0)
    client.create_run(RunCreate(asset_id="prog_1"))
    keys = [headers["idempotency-key"] for headers, _ in fake.seen("POST", "/api/runs")]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_retry_is_never_sent_twice(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run(status=RunStatus.FAILED))
    fake.answer("POST", f"/api/runs/{run.id}/retry", 0)
    with pytest.raises(ConnectionFailed):
        client.retry_run(run.id)
    assert len(fake.seen("POST", f"/api/runs/{run.id}/retry")) == 1


def test_nobody_there_is_a_connection_error_with_a_next_step() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        with (
            MelleaClient(Connection(url, token=TOKEN)) as client,
            pytest.raises(ConnectionFailed) as caught,
        ):
            client.list_environments()
    assert isinstance(caught.value, ClientError | ConnectionError)
    assert "doctor" in caught.value.hint
    assert TOKEN not in str(caught.value)


def test_filters_repeat_their_names_and_leave_defaults_out(
    fake: FakeServer, client: MelleaClient
) -> None:
    client.list_runs(
        RunQuery(status=(RunStatus.FAILED, RunStatus.RUNNING), tags=("a b",), search="x&y", limit=7)
    )
    path = fake.requests[-1][1].replace("%20", "+")
    assert path == "/api/runs?status=failed&status=running&tags=a+b&search=x%26y&limit=7"


def test_a_patch_sends_only_what_was_set(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run())
    client.update_run(run.id, RunPatch(name=None))
    assert fake.seen("PATCH", f"/api/runs/{run.id}")[0][1] == {"name": None}


def test_iterating_runs_reads_every_page(fake: FakeServer, client: MelleaClient) -> None:
    for _ in range(7):
        fake.add(a_run())
    assert len({run.id for run in client.iter_runs(RunQuery(limit=3))}) == 7


def test_iterating_a_log_ends_at_its_present_end(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run(), *[a_frame(seq, "x") for seq in range(1, 2501)])
    assert [frame.line for frame in client.iter_log(run.id)] == list(range(1, 2501))


def test_a_broken_download_leaves_no_file(
    fake: FakeServer, client: MelleaClient, tmp_path: Path
) -> None:
    run = fake.add(a_run())
    fake.answer("GET", f"/api/runs/{run.id}/artifacts/a", 404, b"{}")
    target = tmp_path / "saved" / "out.txt"
    target.parent.mkdir()
    with pytest.raises(ServerError):
        client.save_artifact(run.id, "a", target)
    assert list(target.parent.iterdir()) == []


def test_both_clients_have_the_same_functions() -> None:
    def functions(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    sync, awaiting = functions(MelleaClient), functions(AsyncMelleaClient)
    assert sync.pop("close") == awaiting.pop("aclose")
    del awaiting["forward"]  # for widgets, whose requests come as they are
    assert sync == awaiting


async def test_the_awaiting_client_speaks_the_same_api(fake: FakeServer, tmp_path: Path) -> None:
    run = fake.add(a_run(), a_frame(1, "one"))
    fake.artifacts["art"] = b"bytes"
    async with AsyncMelleaClient(fake.connection) as client:
        assert (await client.get_run(run.id)).id == run.id
        assert [each.id async for each in client.iter_runs()] == [run.id]
        assert [frame.line async for frame in client.iter_log(run.id)] == [1]
        assert await client.read_artifact(run.id, "art") == b"bytes"
        await client.save_artifact(run.id, "art", tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == b"bytes"
        with pytest.raises(ServerError):
            await client.get_run("nobody")
        fake.answer("GET", "/api/environments", 0)
        assert len(await client.list_environments()) == 1
        handle = await client.handle(run.id)
    assert handle.status is RunStatus.RUNNING


def test_the_token_is_in_no_text_of_a_connection(fake: FakeServer) -> None:
    connection = fake.connection
    assert TOKEN not in repr(connection)
    assert TOKEN not in str(connection.run_url("x"))


def test_paths_are_named_from_the_servers_root(fake: FakeServer, tmp_path: Path) -> None:
    connection = fake.connection
    inside = fake.root / "a" / "b.py"
    assert connection.relative_path(inside) == "a/b.py"
    with pytest.raises(InvalidProgram, match="outside the root folder"):
        connection.relative_path(tmp_path / "elsewhere.py")
    with pytest.raises(InvalidProgram, match="is not known"):
        Connection(fake.url).relative_path(inside)
    link = tmp_path / "link"
    link.symlink_to(fake.root)
    assert connection.relative_path(link / "b.py") == "b.py"


def test_masked_secrets_pass_through(fake: FakeServer, client: MelleaClient) -> None:
    run = fake.add(a_run(config=RunConfig(env_vars={"OPENAI_API_KEY": "••••"})))
    assert client.get_run(run.id).config.env_vars == {"OPENAI_API_KEY": "••••"}


async def test_a_request_is_sent_again_when_the_server_says_that_there_were_too_many(
    fake: FakeServer, client: MelleaClient
) -> None:
    for _ in range(2):
        fake.answer("GET", "/api/environments", 429, b"{}", **{"Retry-After": "0"})
        client.list_environments()
    fake.answer("GET", "/api/environments", 429, b"{}", **{"Retry-After": "0"})
    async with AsyncMelleaClient(fake.connection) as awaiting:
        await awaiting.list_environments()
    assert len(fake.seen("GET", "/api/environments")) == 6


@pytest.mark.parametrize("asked", ["121", "tomorrow", ""])
def test_nobody_waits_for_longer_than_two_minutes_or_for_nothing(
    fake: FakeServer, client: MelleaClient, asked: str
) -> None:
    fake.answer("GET", "/api/environments", 429, b"{}", **{"Retry-After": asked})
    with pytest.raises(ServerError) as caught:
        client.list_environments()
    assert caught.value.status == 429
    assert len(fake.seen("GET", "/api/environments")) == 1
