"""Bodies and rates: what is too much is refused early, with the next step, and costs no memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import httpx
import psutil
import pytest

from mellea_jupyter.client import AsyncMelleaClient, Connection, MelleaClient
from mellea_jupyter.handlers.rates import Rate, RateLimits
from mellea_jupyter.models.assets import AssetCreate
from mellea_jupyter.models.requests import RunCreate
from mellea_jupyter.testing.server import JupyterServer
from tests.security.api import CHANGING, routes_of

LIMIT = 64 << 10
CREATES = 120
MAILS = 3
TOO_MANY = 429
PIECE = b"x" * (1 << 20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    options = [
        f"--MelleaApp.max_body_bytes={LIMIT}",
        f"--MelleaApp.max_creates_per_minute={CREATES}",
        f"--MelleaApp.max_test_mails_per_minute={MAILS}",
        "--MelleaApp.max_heavy_requests_per_minute=0",
        "--MelleaApp.max_runs=1",
    ]
    with JupyterServer(tmp_path_factory.mktemp("server"), options=options) as running:
        yield running


class Sender:
    """One connection that sends a request's head, and then pieces of its body."""

    def __init__(self, server: JupyterServer, path: str, *headers: str, token: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        head = [
            f"POST /{path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}",
            f"Authorization: token {token or server.token}", "Content-Type: application/json",
            *headers,
        ]  # fmt: skip
        self._socket.sendall(("\r\n".join(head) + "\r\n\r\n").encode())

    def send(self, data: bytes) -> bool:
        """Whether the server still takes it."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def answer(self, *, closes: bool = True) -> str:
        """All that the server says until it closes the connection, or its first words."""
        received = b""
        try:
            while piece := self._socket.recv(1 << 16):
                received += piece
                if not closes:
                    break
        except ConnectionResetError:
            assert received
        finally:
            self._socket.close()
        return received.decode()


def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_sent(
    server: JupyterServer, http: httpx.Client
) -> None:
    for route in routes_of(http):
        if route.verb == "post":
            sender = Sender(server, route.address(), f"Content-Length: {400 << 20}")
            answer = sender.answer()  # nothing of the body was sent
            assert answer.startswith("HTTP/1.1 413 "), (str(route), answer)
            assert f"at most {LIMIT} bytes are accepted" in answer, str(route)
            assert "Put large inputs into files" in answer


def test_a_client_that_asks_first_is_told_not_to_send(server: JupyterServer) -> None:
    sender = Sender(server, "api/runs", "Content-Length: 100000000", "Expect: 100-continue")
    assert sender.answer().startswith("HTTP/1.1 413 ")
    accepted = Sender(
        server, "api/runs", "Content-Length: 2", "Expect: 100-continue", "Connection: close"
    )
    accepted.send(b"{}")
    assert accepted.answer().startswith("HTTP/1.1 100 ")


def test_a_body_without_a_length_is_refused_where_it_passes_the_limit(
    server: JupyterServer,
) -> None:
    memory = psutil.Process(server.pid).memory_info
    before = memory().rss
    sender = Sender(server, "api/runs", "Transfer-Encoding: chunked")
    sent = 0
    while sent < 300 and sender.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE)):
        sent += 1
    assert sent < 100, "the server read on"
    answer = sender.answer()
    assert answer.startswith("HTTP/1.1 413 "), answer
    assert memory().rss - before < 32 << 20


def test_nothing_is_kept_of_a_body_whose_sender_is_not_let_in(server: JupyterServer) -> None:
    memory = psutil.Process(server.pid).memory_info
    before = memory().rss
    length = 48 << 20
    told = Sender(server, "api/runs", f"Content-Length: {length}", token="wrong")
    while length and told.send(PIECE):
        length -= len(PIECE)
    assert told.answer(closes=False).startswith("HTTP/1.1 403 ")
    assert memory().rss - before < 32 << 20
    untold = Sender(server, "api/runs", "Transfer-Encoding: chunked", token="wrong")
    while untold.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE)):
        pass
    assert untold.answer().startswith("HTTP/1.1 403 ")
    assert memory().rss - before < 32 << 20


def test_a_body_within_the_limit_comes_in_pieces(server: JupyterServer, http: httpx.Client) -> None:
    path = server.write("fine.py", "print('fine')\n")
    asset_id = http.post("api/assets", json={"path": path}).json()["id"]

    def pieces() -> Iterator[bytes]:
        yield b'{"asset_id": "%b",' % asset_id.encode()
        yield b'"note": "%b"}' % (b"n" * 9_000)

    made = http.post("api/runs", content=pieces(), headers={"Content-Type": "application/json"})
    assert made.status_code == httpx.codes.CREATED, made.text
    assert len(made.json()["note"]) == 9_000


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_json_that_is_too_deep_is_refused(http: httpx.Client, opening: bytes) -> None:
    for depth in (150, 900, 1030, 20_000):
        closing = b"]" if opening == b"[" else b"}"
        value = opening * depth + b"1" + closing * depth
        body = b'{"asset_id": "prog_1", "config": {"parameters": {"deep": %b}}}' % value
        reply = http.post("api/runs", content=body[:LIMIT])
        assert reply.status_code in (400, 404, 413, 422), (depth, reply.text)
        checked = body.replace(b'"asset_id"', b'"path"')[:LIMIT]
        reply = http.post("api/runs/check", content=checked)
        assert reply.status_code in (200, 400, 413, 422), (depth, reply.text)


# -- rates ------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_limit_is_a_minutes_worth_and_comes_back_steadily() -> None:
    clock = Clock()
    limits = RateLimits({Rate.CREATES: 60}, now=clock)
    assert [limits.take(Rate.CREATES, "ada") for _ in range(60)] == [0.0] * 60
    assert limits.take(Rate.CREATES, "ada") == pytest.approx(1.0)
    assert limits.take(Rate.CREATES, "bob") == 0.0
    clock.now += 1
    assert limits.take(Rate.CREATES, "ada") == 0.0
    assert limits.take(Rate.CREATES, "ada") == pytest.approx(1.0)
    clock.now += 3600
    assert [limits.take(Rate.CREATES, "ada") for _ in range(61)].count(0.0) == 60


def test_what_weighs_more_than_the_limit_is_let_in_and_counted() -> None:
    clock = Clock()
    limits = RateLimits({Rate.CREATES: 60}, now=clock)
    assert limits.take(Rate.CREATES, "ada", 600) == 0.0
    wait = limits.take(Rate.CREATES, "ada")
    assert wait == pytest.approx(541.0)
    clock.now += wait
    assert limits.take(Rate.CREATES, "ada") == 0.0


def test_no_limit_is_none_and_owners_are_forgotten() -> None:
    clock = Clock()
    limits = RateLimits({Rate.CREATES: 0, Rate.HEAVY: 60}, now=clock)
    assert {limits.take(Rate.CREATES, "ada") for _ in range(1000)} == {0.0}
    for number in range(5000):
        clock.now += 1
        assert limits.take(Rate.HEAVY, f"owner {number}") == 0.0
    assert len(limits._whole_at) <= 1001


def test_test_mails_are_few(http: httpx.Client) -> None:
    address = "api/users/me/notification-preferences/test-mail"
    statuses = [http.post(address, json={}).status_code for _ in range(MAILS + 1)]
    assert statuses == [*[httpx.codes.CONFLICT] * MAILS, TOO_MANY]  # 409: no mail server here


def test_too_many_new_runs_are_429_and_clients_wait(server: JupyterServer) -> None:
    path = server.write("fine.py", "print('fine')\n")
    connection = Connection(server.url, token=server.token, root_dir=server.root)
    with server.http() as http, MelleaClient(connection) as client:
        asset = client.create_asset(AssetCreate(path=path))
        group = {"asset_id": asset.id, "repeat": 100}
        assert http.post("api/runs/bulk/create", json=group).status_code == httpx.codes.CREATED
        refused = create_until_refused(http, asset.id)
        assert int(refused.headers["Retry-After"]) == 1
        body = refused.json()
        assert body["code"] == "too_many_requests"
        assert body["message"] == f"Too many runs created: a user has {CREATES} a minute"
        assert body["hint"] == "Ask again in 1 s."
        assert client.create_run(RunCreate(asset_id=asset.id)).asset_id == asset.id  # it waits

        async def create() -> str:
            async with AsyncMelleaClient(connection) as awaiting:
                create_until_refused(http, asset.id)
                return (await awaiting.create_run(RunCreate(asset_id=asset.id))).asset_id

        assert asyncio.run(create()) == asset.id
        # Looking and stopping are not limited by that.
        ids = [each["id"] for each in http.get("api/runs?limit=1000").json()["runs"]]
        stopped = http.post("api/runs/bulk/cancel", json={"run_ids": ids})
        assert stopped.is_success


def create_until_refused(http: httpx.Client, asset_id: str) -> httpx.Response:
    for _ in range(CREATES):
        reply = http.post("api/runs", json={"asset_id": asset_id})
        if reply.status_code == TOO_MANY:
            return reply
        assert reply.status_code == httpx.codes.CREATED, reply.text
    msg = "there is no limit"
    raise AssertionError(msg)


def test_every_route_that_can_say_too_many_says_so_in_the_document(http: httpx.Client) -> None:
    told = {str(r): r for r in routes_of(http) if "429" in r.described["responses"]}
    assert {"post /runs", "post /runs/bulk/create", "post /runs/{run_id}/retry"} <= told.keys()
    for route in told.values():
        assert "Retry-After" in route.described["responses"]["429"]["headers"]
    assert "delete /runs/{run_id}" not in told  # who wants to stop something is never told to wait
    assert "post /runs/bulk/cancel" not in told
    assert {r.verb for r in told.values()} & CHANGING
