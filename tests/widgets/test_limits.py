"""What a browser may ask of the kernel."""

from __future__ import annotations

from typing import Any

import pytest

from mellea_jupyter.handlers.routes import ROUTES as SERVED
from mellea_jupyter.widgets.limits import (
    DOWNLOADS,
    ROUTES,
    Refused,
    check_download,
    check_request,
    check_subscription,
)

RUN = "11111111-1111-4111-8111-111111111111"


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", "runs?status=failed&status=running&limit=100", None),
        ("GET", "runs/summary?group_by=day", None),
        ("GET", f"runs/{RUN}", None),
        ("GET", f"runs/{RUN}/logs?tail=500", None),
        ("DELETE", f"runs/{RUN}", None),
        ("POST", f"runs/{RUN}/retry", '{"config_overrides": {}}'),
        ("POST", "runs/bulk/cancel", '{"run_ids": []}'),
        ("GET", "assets/prog_1", None),
    ],
)
def test_what_the_views_ask_for_is_served(method: str, target: str, body: str | None) -> None:
    request = check_request(method, target, body)
    assert (request.method, request.path) == (method, target.partition("?")[0])


def test_the_query_is_taken_apart() -> None:
    request = check_request("GET", "runs?search=a%26b%20c&status=failed", None)
    assert request.params == (("search", "a&b c"), ("status", "failed"))


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("POST", "runs", "{}"),
        ("POST", "runs/bulk/delete", '{"run_ids": []}'),
        ("PATCH", f"runs/{RUN}", "{}"),
        ("DELETE", "runs", None),
        ("GET", f"runs/{RUN}/source", None),
        ("GET", f"runs/{RUN}/logs/stream", None),
        ("GET", "../contents", None),
        ("GET", "runs/../../api/contents", None),
        ("GET", f"runs/{RUN}/../../../api/sessions", None),
        ("GET", "assets/..", None),
        ("GET", "runs/not-an-id", None),
        ("GET", f"runs/{RUN}\n", None),
        ("GET", "http://elsewhere.example/runs", None),
        ("GET", "//elsewhere.example/runs", None),
        ("GET", "runs#x", None),
        ("get", "runs", None),
        ("GET", None, None),
        (None, "runs", None),
        ("POST", f"runs/{RUN}/retry", None),
        ("POST", f"runs/{RUN}/retry", "[]"),
        ("POST", f"runs/{RUN}/retry", "{"),
        ("POST", f"runs/{RUN}/retry", '{"a": "' + "x" * 300_000 + '"}'),
    ],
)
def test_everything_else_is_refused(method: Any, target: Any, body: Any) -> None:
    with pytest.raises(Refused):
        check_request(method, target, body)


def test_only_artifacts_are_downloaded() -> None:
    assert check_download(f"runs/{RUN}/artifacts/art_1").method == "GET"
    for target in (f"runs/{RUN}", f"runs/{RUN}/artifacts/../logs", f"runs/{RUN}/artifacts/.."):
        with pytest.raises(Refused):
            check_download(target)


def test_only_runs_and_their_logs_are_followed() -> None:
    text = check_subscription(f'{{"type":"subscribe","topic":"run/{RUN}/logs","after":"3.1"}}')
    assert text == f'{{"type":"subscribe","topic":"run/{RUN}/logs","after":"3.1"}}'
    assert check_subscription('{"type":"unsubscribe","topic":"runs"}')
    for wrong in (
        '{"type":"subscribe","topic":"notifications"}',
        '{"type":"subscribe","topic":"run/x"}',
        '{"type":"event","topic":"runs"}',
        "subscribe",
        None,
    ):
        with pytest.raises(Refused):
            check_subscription(wrong)


def test_every_route_is_one_of_the_server() -> None:
    served = {path.replace("_id}", "}") for path, _ in SERVED}
    assert {f"/{route}" for _, route in ROUTES} | {f"/{each}" for each in DOWNLOADS} <= served
