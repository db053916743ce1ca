"""The webhook, against a real HTTP endpoint, and Jupyter's events, with the real logger."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any

import pytest
from jupyter_events import EventLogger

from mellea_jupyter.app import SCHEMA_PATH
from mellea_jupyter.models.notifications import NotificationPreferences
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.notifications.base import DeliveryFailed, Message
from mellea_jupyter.notifications.jupyter_events import SCHEMA_ID, JupyterEventsChannel
from mellea_jupyter.notifications.webhook import WebhookChannel
from tests.notifications.conftest import Hook
from tests.notifications.test_rules import make_notice_run

SECRET = "a key that both sides know"


def message(**fields: Any) -> Message:
    return Message(
        key="webhook-ntc_1-1",
        user_id="ada",
        preferences=NotificationPreferences(),
        run=make_notice_run(**fields),
    )


def post(hook: Hook, told: Message, **options: Any) -> None:
    asyncio.run(WebhookChannel(url=hook.url, **options).deliver(told))


def test_a_run_is_posted_and_signed(hook: Hook) -> None:
    post(hook, message(name="nightly"), secret=SECRET, public_url="https://lab.example.org/")
    ((headers, body),) = hook.posts
    told = json.loads(body)
    assert (told["type"], told["user_id"], told["run"]["name"]) == (
        "run_complete",
        "ada",
        "nightly",
    )
    assert told["url"] == f"https://lab.example.org/lab?mellea-run={told['run']['run_id']}"
    signed = headers["X-Mellea-Timestamp"].encode() + b"." + body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Mellea-Signature"] == f"sha256={expected}"
    assert headers["X-Mellea-Delivery"] == "webhook-ntc_1-1"


def test_without_a_key_nothing_is_signed(hook: Hook) -> None:
    post(hook, message())
    assert "X-Mellea-Signature" not in hook.posts[0][0]
    assert json.loads(hook.posts[0][1])["url"] is None


@pytest.mark.parametrize(
    ("answer", "is_final"),
    [(500, False), (503, False), (429, False), (408, False), (400, True), (410, True), (302, True)],
)
def test_the_answer_says_whether_to_try_again(hook: Hook, answer: int, *, is_final: bool) -> None:
    hook.answers.append(answer)
    with pytest.raises(DeliveryFailed, match=str(answer)) as caught:
        post(hook, message())
    assert caught.value.is_final is is_final
    assert "in-the-address" not in str(caught.value)


def test_a_redirect_is_not_followed(hook: Hook) -> None:
    """Else whoever runs the endpoint could send us to addresses that only we can reach."""
    hook.answers += [307]
    hook.location = hook.url.replace("/hook", "/private")
    with pytest.raises(DeliveryFailed, match="307") as caught:
        post(hook, message(), secret=SECRET)
    assert caught.value.is_final
    assert len(hook.posts) == 1


def test_an_endpoint_that_is_not_there_is_tried_again(hook: Hook) -> None:
    gone = Hook(url="http://127.0.0.1:9/hook?key=in-the-address")
    with pytest.raises(DeliveryFailed) as caught:
        post(gone, message())
    assert not caught.value.is_final
    assert "in-the-address" not in str(caught.value)


@pytest.mark.parametrize("status", [RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED])
def test_the_event_fits_its_published_schema(status: RunStatus) -> None:
    logger = EventLogger()
    logger.register_event_schema(SCHEMA_PATH)
    heard: list[tuple[str, dict[str, Any]]] = []

    async def listen(logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:
        heard.append((schema_id, data))

    logger.add_listener(schema_id=SCHEMA_ID, listener=listen)

    async def scenario() -> None:
        await JupyterEventsChannel(logger).deliver(message(status=status))
        await logger.gather_listeners()

    asyncio.run(scenario())
    ((schema_id, data),) = heard
    assert (schema_id, data["action"], data["status"]) == (SCHEMA_ID, "ended", status.value)
