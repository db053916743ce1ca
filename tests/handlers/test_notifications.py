"""Notices over REST and the websocket."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from mellea_jupyter import clock
from mellea_jupyter.exceptions import MailNotSent
from mellea_jupyter.models.notifications import Notice, NoticeType
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.notifications import rules
from tests.handlers.conftest import Ask, body
from tests.handlers.fakes import FakeServices, make_run
from tests.handlers.raw_client import DEADLINE_SECONDS

LIST = "/api/notifications"
PREFERENCES = "/api/users/me/notification-preferences"


def make_notice(user_id: str, **fields: Any) -> Notice:
    run = make_run(user_id, status=RunStatus.FAILED, asset_name="trip.py")
    notice = rules.joined(
        None,
        rules.facts(run, clock.now()),
        notice_id=clock.new_id("ntc"),
        user_id=user_id,
        type_=NoticeType.RUN_COMPLETE,
        at=clock.now(),
    )
    return notice.model_copy(update=fields)


async def test_the_list_is_ones_own(ask: Ask, services: FakeServices, owner_id: str) -> None:
    own = services.notices.put(make_notice(owner_id))
    services.notices.put(make_notice("somebody else"))
    page = body(await ask("GET", f"{LIST}?unread=true&limit=7"))
    assert [notice["id"] for notice in page["notifications"]] == [own.id]
    assert (page["unread"], page["next"]) == (1, None)
    assert page["notifications"][0]["link"] == f"lab?mellea-run={own.runs[0].run_id}"
    assert services.notices.queries == [(True, 7, None)]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=x", "sort=id"])
async def test_a_wrong_page_is_refused(ask: Ask, query: str) -> None:
    reply = await ask("GET", f"{LIST}?{query}")
    assert (reply.code, body(reply)["details"]["field"]) == (422, query.partition("=")[0])


async def test_a_notice_is_marked_as_read_and_unread(
    ask: Ask, services: FakeServices, owner_id: str
) -> None:
    notice = services.notices.put(make_notice(owner_id))
    read = body(await ask("PATCH", f"{LIST}/{notice.id}", json={"read": True}))
    assert read["read_at"] is not None
    unread = body(await ask("PATCH", f"{LIST}/{notice.id}", json={"read": False}))
    assert unread["read_at"] is None


async def test_anothers_notice_is_not_found(ask: Ask, services: FakeServices) -> None:
    notice = services.notices.put(make_notice("somebody else"))
    reply = await ask("PATCH", f"{LIST}/{notice.id}", json={"read": True})
    assert (reply.code, body(reply)["code"]) == (404, "notice_not_found")
    assert services.notices.notices[notice.id].read_at is None


async def test_all_are_marked_up_to_a_time(ask: Ask, services: FakeServices, owner_id: str) -> None:
    now = clock.now()
    services.notices.put(make_notice(owner_id, updated_at=now - timedelta(hours=1)))
    services.notices.put(make_notice(owner_id, updated_at=now + timedelta(hours=1)))
    until = {"until": now.isoformat()}
    assert body(await ask("POST", f"{LIST}/read", json=until)) == {"unread": 1}
    assert body(await ask("POST", f"{LIST}/read")) == {"unread": 0}


async def test_preferences_change_field_by_field(ask: Ask) -> None:
    before = body(await ask("GET", PREFERENCES))
    assert (before["toast_enabled"], before["email_on_run_complete"]) == (True, False)
    quiet = {"start": "22:00", "end": "07:00"}
    changed = body(await ask("PATCH", PREFERENCES, json={"quiet_hours": quiet}))
    assert changed == {**before, "quiet_hours": quiet}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email_address": "ada@example.org\r\nBcc: eve@example.org"}, "email_address"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"quiet_hours": {"start": "22:00", "end": "22:00"}}, "quiet_hours"),
        ({"quiet_hours": {"start": "25:00", "end": "07:00"}}, "quiet_hours.start"),
        ({"toast_enabled": "yes"}, "toast_enabled"),
        ({"sound": True}, "sound"),
    ],
)
async def test_a_wrong_preference_is_refused_by_name(
    ask: Ask, change: dict[str, Any], field: str
) -> None:
    reply = await ask("PATCH", PREFERENCES, json=change)
    assert (reply.code, body(reply)["details"]["field"]) == (422, field)


async def test_a_test_mail_says_where_it_went_or_why_not(ask: Ask, services: FakeServices) -> None:
    path = f"{PREFERENCES}/test-mail"
    assert body(await ask("POST", path)) == {"address": "ada@example.org"}
    to_bob = await ask("POST", path, json={"email_address": "bob@example.org"})
    assert body(to_bob) == {"address": "bob@example.org"}
    services.notices.failure = MailNotSent("The mail was not sent: 554 no", hint="Tell them.")
    reply = await ask("POST", path)
    assert (reply.code, body(reply)["code"]) == (409, "mail_not_sent")


async def test_the_websocket_tells_of_own_notices(
    jp_ws_fetch: Any, services: FakeServices, owner_id: str
) -> None:
    socket = await jp_ws_fetch("api", "runs", "ws")

    async def hear() -> Any:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return json.loads(await socket.read_message())

    await socket.write_message(json.dumps({"type": "subscribe", "topic": "notifications"}))
    assert await hear() == {"type": "subscribed", "topic": "notifications"}
    services.notices.put(make_notice("somebody else"))
    own = services.notices.put(make_notice(owner_id))
    heard = await hear()
    assert (heard["topic"], heard["event"]["type"]) == ("notifications", "notice_changed")
    assert (heard["event"]["notice"]["id"], heard["event"]["unread"]) == (own.id, 1)
    await socket.write_message(json.dumps({"type": "unsubscribe", "topic": "notifications"}))
    assert (await hear())["type"] == "unsubscribed"
    assert services.notices.watchers == []
    socket.close()
