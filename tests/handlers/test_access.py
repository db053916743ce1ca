"""Who is let in: tokens, cookies, origins, and a walk over every verb of the route table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.httpclient import HTTPClientError, HTTPResponse

from mellea_jupyter.app import MelleaApp
from mellea_jupyter.handlers.base import authorized as our_authorized
from mellea_jupyter.handlers.channel import RunsChannel
from mellea_jupyter.handlers.routes import ROUTES, path_pattern, routes
from tests.handlers.conftest import Ask, body
from tests.handlers.fakes import FakeServices, make_run

RUN = "00000000-0000-4000-8000-000000000000"
EXAMPLES = {
    "call": "1",
    "run_id": RUN,
    "asset_id": "prog_1",
    "artifact_id": "art_1",
    "environment_id": "box-1",
    "dataset_id": "ds_1",
    "notice_id": "ntc_" + "0" * 32,
}
VERBS = ("get", "head", "post", "put", "patch", "delete")
OPEN = {"SignedArtifactHandler.get"}  # let in by the signature of the link; tested with artifacts

# -- the table ---------------------------------------------------------------------------------


def wrappers(verb: Any) -> Iterator[Any]:
    """A function and all that it wraps, from the outside in."""
    while verb is not None:
        yield verb
        verb = getattr(verb, "__wrapped__", None)


def is_made_by(function: Any, decorator: Any) -> bool:
    """Whether this function is the inner function of that decorator."""
    return bool(
        function.__code__.co_filename == inspect.getsourcefile(decorator)
        and function.__code__.co_qualname.startswith(f"{decorator.__qualname__}.<locals>.")
    )


def faults(handler: type[web.RequestHandler]) -> list[str]:
    """What is missing on the verbs of a handler."""
    found = []
    for verb in VERBS:
        method = getattr(handler, verb)
        if method is getattr(web.RequestHandler, verb):
            continue  # answered with 405
        name = f"{handler.__name__}.{verb}"
        if name in OPEN:
            continue
        if verb not in vars(handler):
            found.append(f"{name} is inherited")
        layers = list(wrappers(method))
        if issubclass(handler, RunsChannel):
            if not any(is_made_by(layer, ws_authenticated) for layer in layers):
                found.append(f"{name} is not @ws_authenticated")
            continue
        if not is_made_by(layers[0], web.authenticated):
            found.append(f"{name} is not @web.authenticated")
        inner = [layer for layer in layers if is_made_by(layer, authorized)]
        if not inner:
            found.append(f"{name} is not @authorized")
        elif not inspect.getclosurevars(inner[0]).nonlocals["resource"]:
            found.append(f"{name} does not name its resource")
    return found


def test_every_verb_is_authenticated_and_authorized_with_its_resource() -> None:
    assert [fault for _, handler, _ in routes() for fault in faults(handler)] == []


class Bare(APIHandler):
    @web.authenticated
    @authorized
    async def get(self) -> None: ...


class Open(APIHandler):
    async def get(self) -> None: ...

    @our_authorized(resource="runs")
    async def post(self) -> None: ...


class Inherited(Bare): ...


def test_the_walk_can_fail() -> None:
    assert faults(Bare) == ["Bare.get does not name its resource"]
    assert faults(Open) == [
        "Open.get is not @web.authenticated",
        "Open.get is not @authorized",
        "Open.post is not @web.authenticated",
    ]
    assert faults(Inherited)[0] == "Inherited.get is inherited"


def matching(path: str) -> list[str]:
    """Names of the handlers whose pattern fits, in the order of the table."""
    return [handler.__name__ for pattern, handler, _ in routes() if re.fullmatch(pattern, path)]


def test_each_path_has_one_handler_of_its_own() -> None:
    examples = EXAMPLES
    for path, handler in ROUTES:
        for prefix in ("/api", "/mellea/api"):
            found = matching(prefix + path.format(**examples))
            assert found[0] == handler.__name__
            assert found[1:] in ([], ["UnknownPathHandler"])


def test_paths_of_jupyter_and_of_other_extensions_are_not_ours() -> None:
    for path in (
        "me",
        "contents/runs",
        "kernels",
        "users",
        "users/me",
        "assetsx",
        "status",
        "runsx",
    ):
        assert matching(f"/api/{path}") == []
    assert matching("/api/runs/") == []  # Jupyter redirects it


def test_the_prefix_is_configurable_and_the_alias_stays() -> None:
    for prefix in ("/lab/mellea", "lab/mellea/", "/lab/mellea/"):
        patterns = {pattern for pattern, _, _ in routes(prefix)}
        assert {"/lab/mellea/runs", "/mellea/api/runs"} <= patterns
        assert "/api/runs" not in patterns
    assert len(routes("/mellea/api")) == len(routes()) // 2


def test_a_parameter_matches_one_segment_only() -> None:
    pattern = path_pattern("/runs/{run_id}/artifacts/{artifact_id}")
    assert re.fullmatch(pattern, f"/runs/{RUN}/artifacts/art_1")
    for path in (f"/runs/{RUN}/artifacts/a/b", f"/runs/{RUN}/artifacts/", "/runs/x/artifacts/a"):
        assert re.fullmatch(pattern, path) is None


# -- a real server -----------------------------------------------------------------------------


async def test_every_verb_refuses_a_wrong_token_in_the_error_shape(ask: Ask) -> None:
    examples = EXAMPLES
    for path, handler in ROUTES:
        if handler is RunsChannel:
            continue
        for verb in ("GET", "POST", "PATCH", "PUT", "DELETE"):
            if f"{handler.__name__}.{verb.lower()}" in OPEN:
                continue
            reply = await ask(
                verb, "api" + path.format(**examples), headers={"Authorization": "token nope"}
            )
            assert reply.code == 403, (verb, path)
            assert body(reply)["code"] == "forbidden"


async def test_a_token_in_the_query_works(
    ask: Ask, jp_serverapp: Any, services: FakeServices
) -> None:
    token = jp_serverapp.identity_provider.token
    reply = await ask("GET", f"api/runs?token={token}", headers={"Authorization": "none"})
    assert reply.code == 200


@pytest.mark.parametrize(
    ("verb", "action"), [("GET", "read"), ("PATCH", "write"), ("DELETE", "write")]
)
async def test_the_authorizer_is_asked_for_action_and_resource(
    ask: Ask, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch, verb: str, action: str
) -> None:
    asked = []

    def is_authorized(handler: Any, user: Any, action: str, resource: str) -> bool:
        asked.append((action, resource))
        return False

    monkeypatch.setattr(jp_serverapp.authorizer, "is_authorized", is_authorized)
    reply = await ask(verb, f"api/runs/{RUN}")
    assert (reply.code, body(reply)["code"]) == (403, "forbidden")
    assert asked == [(action, "runs")]


@pytest.mark.parametrize(
    "path",
    [
        "api/runs/1",
        "api/runs/summary/x",
        f"api/runs/{RUN.replace('0', 'A')}",
        "api/assets/a/b",
        f"mellea/api/runs/{RUN}/nothing",
        "api/environments/default/x",
    ],
)
async def test_an_unknown_path_gets_the_error_shape(ask: Ask, path: str) -> None:
    for verb in ("GET", "POST", "DELETE"):
        reply = await ask(verb, path)
        assert (reply.code, body(reply)["code"]) == (404, "not_found")
        assert body(reply)["hint"]


async def test_a_verb_that_is_not_there_is_405_with_those_that_are(ask: Ask) -> None:
    reply = await ask("PUT", f"api/runs/{RUN}")
    assert (reply.code, body(reply)["code"]) == (405, "method_not_allowed")
    assert {"GET", "PATCH", "DELETE"} <= set(reply.headers["Allow"].split(", "))
    assert "PUT" not in reply.headers["Allow"]


async def test_two_requests_with_the_shared_token_are_one_owner(ask: Ask) -> None:
    for _ in range(2):  # Jupyter gives each a new random user name
        await ask("POST", "api/runs", json={"asset_id": "prog_1"})
    assert len(body(await ask("GET", "api/users/me/runs"))["runs"]) == 2


class Browser:
    """A client that logged in with a cookie."""

    def __init__(self, client: Any, base: str, cookies: dict[str, str]) -> None:
        self._client = client
        self._base = base
        self.cookies = cookies

    async def ask(self, method: str, path: str, **headers: str) -> HTTPResponse:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        payload = '{"asset_id": "prog_1"}' if method == "POST" else None
        if payload:
            names.setdefault("Content-Type", "application/json")
        try:
            reply = await self._client.fetch(
                self._base + path, method=method, headers={"Cookie": cookie, **names}, body=payload
            )
        except HTTPClientError as error:
            assert error.response is not None  # noqa: PT017 - a refusal is a reply
            return error.response
        assert isinstance(reply, HTTPResponse)
        return reply


@pytest.fixture
def browser(  # noqa: PLR0917 - fixtures
    http_server_client: Any,
    jp_serverapp: Any,
    services: FakeServices,
    jp_auth_header: dict[str, str],
    jp_asyncio_loop: Any,
    jp_base_url: str,
) -> Browser:
    cookies = {}
    page = http_server_client.fetch(jp_base_url + "login")  # gives the XSRF cookie
    login = http_server_client.fetch(jp_base_url + "api/me", headers=jp_auth_header)
    for asked in (page, login):
        reply = jp_asyncio_loop.run_until_complete(asked)
        for line in reply.headers.get_list("Set-Cookie"):
            name, _, rest = line.partition("=")
            cookies[name] = rest.partition(";")[0]
    return Browser(http_server_client, jp_base_url, cookies)


async def test_a_cookie_needs_the_xsrf_header_to_write(browser: Browser) -> None:
    refused = await browser.ask("POST", "api/runs")
    assert (refused.code, body(refused)["code"]) == (403, "forbidden")
    assert "_xsrf" in body(refused)["message"]
    accepted = await browser.ask("POST", "api/runs", X_XSRFToken=browser.cookies["_xsrf"])
    assert accepted.code == 201


async def test_a_page_of_another_origin_is_refused(browser: Browser) -> None:
    foreign = {"Origin": "https://evil.example", "X_XSRFToken": browser.cookies["_xsrf"]}
    for method, path in (
        ("GET", "api/runs"),
        ("POST", "api/runs"),
        ("GET", f"api/runs/{RUN}/logs/stream"),
    ):
        reply = await browser.ask(method, path, **foreign)
        assert (reply.code, body(reply)["code"]) == (404, "not_found")
    own = await browser.ask("GET", "api/runs")
    assert own.code == 200


async def test_a_websocket_of_another_origin_is_refused(browser: Browser) -> None:
    upgrade = {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }  # fmt: skip
    reply = await browser.ask("GET", "api/runs/ws", Origin="https://evil.example", **upgrade)
    assert (reply.code, body(reply)["code"]) == (403, "forbidden")


async def test_only_what_people_do_counts_as_activity(
    ask: Ask, app: MelleaApp, services: FakeServices, jp_serverapp: Any, owner_id: str
) -> None:
    run = services.runs.put(make_run(owner_id))
    settings = jp_serverapp.web_app.settings
    settings.pop("api_last_activity", None)
    await ask("GET", f"api/runs/{run.id}?no_track_activity=1")
    assert "api_last_activity" not in settings
    await ask("GET", f"api/runs/{run.id}")
    assert "api_last_activity" in settings
