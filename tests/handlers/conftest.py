"""A real Jupyter server with authentication on, and the fake service behind our handlers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

# The plugin is confined to this folder: it runs every `async def` test it sees on its own loop.
from pytest_jupyter.jupyter_server import *  # noqa: F403
from tornado.httpclient import HTTPClientError, HTTPResponse

from mellea_jupyter.app import MelleaApp
from mellea_jupyter.auth.owner import User, account_name
from tests.handlers.fakes import FakeServices
from tests.handlers.raw_client import RawClient, connect

Ask = Callable[..., Awaitable[HTTPResponse]]
Dial = Callable[[], AbstractAsyncContextManager[RawClient]]


@pytest.fixture  # type: ignore[no-redef]  # takes the place of the plugin's
def jp_server_config() -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {
                "tests.handlers.fakes": True,
                "jupyter_server_terminals": False,
            },
            "allow_unauthenticated_access": False,
        },
    }


@pytest.fixture
def app(jp_serverapp: Any) -> MelleaApp:
    found = jp_serverapp.web_app.settings["mellea_jupyter"]
    assert isinstance(found, MelleaApp)
    return found


@pytest.fixture
def services(app: MelleaApp) -> FakeServices:
    fake = FakeServices()
    app._services = fake  # type: ignore[assignment]  # the fake has what handlers call
    return fake


@pytest.fixture
def dial(jp_serverapp: Any, http_server: Any, http_server_port: Any) -> Dial:
    """Open a connection on which the test decides when to read."""
    return lambda: connect(jp_serverapp, http_server_port[-1])


@pytest.fixture
def owner_id() -> str:
    """The one owner of a server whose provider names nobody."""
    return account_name()


@pytest.fixture
def acting_as(app: MelleaApp) -> Callable[..., None]:
    """Make all requests come from this user."""

    def become(user_id: str, *, is_admin: bool = False) -> None:
        user = User(id=user_id, owner_id=user_id, is_admin=is_admin)
        app.owner_resolver = lambda handler: user  # noqa: ARG005

    return become


@pytest.fixture
def ask(jp_fetch: Any, services: FakeServices) -> Ask:
    """Send a request; errors are replies, and `json=` is the body."""

    async def send(method: str, path: str, **options: Any) -> HTTPResponse:
        headers = dict(options.pop("headers", {}))
        if "json" in options:
            options["body"] = json.dumps(options.pop("json"))
            headers.setdefault("Content-Type", "application/json")
        if method in {"POST", "PATCH", "PUT"}:
            options.setdefault("body", "")
        path, _, query = path.partition("?")
        parts = path.strip("/").split("/")
        try:
            reply = await jp_fetch(
                *parts, method=method, headers=headers, params=_pairs(query), **options
            )
        except HTTPClientError as error:
            assert error.response is not None  # noqa: PT017 - a refusal is a reply
            return error.response
        assert isinstance(reply, HTTPResponse)
        return reply

    return send


def _pairs(query: str) -> list[tuple[str, str]]:
    return [tuple(each.split("=", 1)) for each in query.split("&")] if query else []  # type: ignore[misc]


def body(reply: HTTPResponse) -> Any:
    """The JSON of a reply."""
    return json.loads(reply.body)
