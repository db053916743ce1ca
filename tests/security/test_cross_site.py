"""What a page of another site can make a browser do that is logged in: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tornado.httpclient import HTTPClientError

from mellea_jupyter.testing.server import JupyterServer
from mellea_jupyter.testing.websockets import open_websocket
from tests.security.api import CHANGING, routes_of

FOREIGN = (
    "https://evil.example",
    "null",
    "http://127.0.0.1:1",  # another port of this machine
    "http://{host}.evil.example",
    "http://evil.example#{host}",
    "http://user@evil.example/{host}",
)


@pytest.fixture
def browser(server: JupyterServer) -> Iterator[httpx.Client]:
    """Logged in by the page, as people do; it has cookies and no token."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        client.get("login")
        form = {"password": server.token, "_xsrf": client.cookies["_xsrf"]}
        assert client.post("login", data=form).status_code == httpx.codes.FOUND
        yield client


def own(server: JupyterServer) -> str:
    return server.url.rstrip("/")


def foreign(server: JupyterServer) -> list[str]:
    return [each.format(host=f"127.0.0.1:{server.port}") for each in FOREIGN]


def test_no_route_changes_anything_for_a_cookie_without_the_xsrf_token(
    server: JupyterServer, http: httpx.Client, browser: httpx.Client
) -> None:
    path = server.write("fine.py", "print('fine')\n")
    asset_id = http.post("api/assets", json={"path": path}).json()["id"]
    bodies: dict[str, Any] = {"post /runs": {"asset_id": asset_id}, "post /assets": {"path": path}}
    changing = [route for route in routes_of(http) if route.verb in CHANGING]
    assert len(changing) > 15
    for route in changing:
        given = bodies.get(str(route), {})
        for headers in ({}, {"X-XSRFToken": "guessed"}, {"Content-Type": "text/plain"}):
            reply = browser.request(
                route.verb, route.address(), json=given, headers={"Origin": own(server), **headers}
            )
            assert reply.status_code == httpx.codes.FORBIDDEN, (str(route), headers, reply.text)
            assert "xsrf" in reply.json()["message"].lower(), str(route)
        form = {"_xsrf": "guessed"}
        assert browser.request(route.verb, route.address(), data=form).status_code == 403
    assert http.get("api/runs").json()["runs"] == []


def test_with_the_xsrf_token_or_the_servers_token_the_same_requests_are_let_in(
    http: httpx.Client, browser: httpx.Client
) -> None:
    xsrf = {"X-XSRFToken": browser.cookies["_xsrf"]}
    for route in routes_of(http):
        if route.verb in CHANGING:
            for client, headers in ((browser, xsrf), (http, {})):
                reply = client.request(route.verb, route.address(), json={}, headers=headers)
                assert reply.status_code != httpx.codes.FORBIDDEN, (str(route), reply.text)


def test_no_route_answers_a_page_of_another_origin(
    server: JupyterServer, http: httpx.Client, browser: httpx.Client
) -> None:
    run = server.create(http, server.write("fine.py", "print('fine')\n"))
    server.wait_for(http, run["id"])
    xsrf = {"X-XSRFToken": browser.cookies["_xsrf"]}
    reading = [r for r in routes_of(http) if r.verb == "get" and not r.is_websocket]
    for route in reading:
        address = route.address({"run_id": run["id"]})
        for origin in foreign(server):
            reply = browser.get(address, headers={"Origin": origin, **xsrf})
            assert reply.status_code == httpx.codes.NOT_FOUND, (str(route), origin)
            assert reply.json()["code"] == "not_found", (str(route), origin)
            assert "Access-Control-Allow-Origin" not in reply.headers
    for route in routes_of(http):
        if route.verb in CHANGING:
            headers = {"Origin": "https://evil.example", **xsrf}
            reply = browser.request(route.verb, route.address(), json={}, headers=headers)
            assert reply.status_code in (403, 404), str(route)
            assert reply.json()["code"] in ("forbidden", "not_found"), str(route)


def test_a_live_log_is_not_for_other_origins(
    server: JupyterServer, http: httpx.Client, browser: httpx.Client
) -> None:
    run = server.create(http, server.write("fine.py", "print('fine')\n"))
    address = f"api/runs/{run['id']}/logs/stream"
    for origin in foreign(server):
        reply = browser.get(address, headers={"Origin": origin})
        assert reply.status_code == httpx.codes.NOT_FOUND
        assert "event:" not in reply.text
    for headers in ({"Origin": own(server)}, {}):
        assert "event: complete" in browser.get(address, headers=headers).text
    assert "event: complete" in http.get(address, headers={"Origin": "https://a.example"}).text


def dial(server: JupyterServer, **headers: str) -> int:
    """The status that a websocket's handshake is answered with."""

    async def handshake() -> int:
        try:
            async with open_websocket(f"{server.url}api/runs/ws", headers):
                return 101
        except HTTPClientError as error:
            return error.code

    return asyncio.run(handshake())


def test_a_websocket_is_not_for_other_origins(server: JupyterServer, browser: httpx.Client) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    for origin in foreign(server):
        assert dial(server, Cookie=cookie, Origin=origin) == httpx.codes.FORBIDDEN, origin
    assert dial(server, Cookie=cookie, Origin=own(server)) == 101
    assert dial(server, Authorization=f"token {server.token}", Origin="https://a.example") == 101
    assert dial(server, Origin=own(server)) == httpx.codes.FORBIDDEN
    assert dial(server, Authorization="token wrong") == httpx.codes.FORBIDDEN


def test_a_name_that_was_rebound_to_this_machine_is_refused(
    server: JupyterServer, http: httpx.Client, browser: httpx.Client
) -> None:
    rebound = {"Host": f"evil.example:{server.port}"}
    for route in routes_of(http):
        if not route.is_websocket:
            address = f"{server.url}{route.address()}"
            reply = browser.request(route.verb, address, headers=rebound)
            assert reply.status_code == httpx.codes.FORBIDDEN, str(route)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    assert dial(server, Cookie=cookie, **rebound) == httpx.codes.FORBIDDEN
