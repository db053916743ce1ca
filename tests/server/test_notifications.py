"""Notices of a real server: told once, also when it is killed between a run's end and its mail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mellea_jupyter.testing.server import JupyterServer
from mellea_jupyter.testing.websockets import open_websocket
from tests.notifications.conftest import PASSWORD, USERNAME, Hook, Mailbox, hook, mailbox

__all__ = ["hook", "mailbox"]

DEADLINE_SECONDS = 30.0
FAILS = "raise ValueError('a completion that nobody may see')\n"
PREFERENCES = "api/users/me/notification-preferences"


@pytest.fixture
def mailing(tmp_path: Path, mailbox: Mailbox, hook: Hook) -> Iterator[JupyterServer]:
    """A server that sends mail and calls a webhook."""
    ca = tmp_path / "ca.pem"
    mailbox.ca.cert_pem.write_to_path(ca)
    password = tmp_path / "password"
    password.write_text(f"{PASSWORD}\n")
    password.chmod(0o600)
    options = [
        "--MelleaApp.smtp_host=localhost", f"--MelleaApp.smtp_port={mailbox.port}",
        f"--MelleaApp.smtp_username={USERNAME}", f"--MelleaApp.smtp_password_file={password}",
        "--MelleaApp.mail_from=runs@example.org",
        "--MelleaApp.mail_address_template={username}@example.org",
        "--MelleaApp.public_url=https://lab.example.org/",
        f"--MelleaApp.webhook_url={hook.url}",
    ]  # fmt: skip
    environment = {"SSL_CERT_FILE": str(ca)}
    with JupyterServer(tmp_path / "home", options=options, environment=environment) as running:
        yield running


def test_a_killed_server_sends_its_mail_after_the_restart_and_once(
    mailing: JupyterServer, mailbox: Mailbox, hook: Hook
) -> None:
    with mailing.http() as http:
        sent = http.post(f"{PREFERENCES}/test-mail", json={"email_address": "ada@example.net"})
        assert sent.json() == {"address": "ada@example.net"}, sent.text
        assert mailbox.recipients == [["ada@example.net"]]
        mailbox.taken.clear()
        wish = {"email_on_run_complete": True, "email_address": "ada@example.net"}
        http.patch(PREFERENCES, json=wish).raise_for_status()
        run_id = mailing.create(http, mailing.write("broken.py", FAILS))["id"]
        mailing.wait_for(http, run_id)
    mailing.kill()  # within the five seconds that mail waits for further runs
    assert len(mailbox.mails) == 1
    mailing.start()
    assert mailbox.taken.wait(DEADLINE_SECONDS), mailing.log()
    with mailing.http() as http:
        (notice,) = http.get("api/notifications").json()["notifications"]
    assert [mail["Subject"] for mail in mailbox.mails][1:] == ["Run failed: broken.py"]
    assert f"https://lab.example.org/lab?mellea-run={run_id}" in mailbox.mails[1].as_string()
    told = mailbox.mails[1].as_string() + json.dumps(notice) + str(hook.posts)
    assert "a completion that nobody may see" not in told
    assert run_id in str(hook.posts)


def test_a_bulk_cancel_is_one_notice_and_no_mail(server: JupyterServer, http: httpx.Client) -> None:
    before = {notice["id"] for notice in http.get("api/notifications").json()["notifications"]}
    path = server.write("sleeps.py", "import time\ntime.sleep(600)\n")
    ids = [server.create(http, path)["id"] for _ in range(8)]
    http.post("api/runs/bulk/cancel", json={"run_ids": ids}).raise_for_status()
    for run_id in ids:
        server.wait_for(http, run_id)
    after = http.get("api/notifications").json()["notifications"]
    (notice,) = [notice for notice in after if notice["id"] not in before]
    assert (notice["run_count"], notice["by_status"]) == (8, {"cancelled": 8})


def test_the_websocket_tells_of_the_end_of_a_run(server: JupyterServer, http: httpx.Client) -> None:
    path = server.write("quick.py", "print(1)\n")

    async def scenario() -> dict[str, Any]:
        headers = {"Authorization": f"token {server.token}"}
        async with (
            asyncio.timeout(DEADLINE_SECONDS),
            open_websocket(f"{server.url}api/runs/ws", headers) as socket,
        ):
            await socket.write_message('{"type": "subscribe", "topic": "notifications"}')
            assert json.loads(await socket.read_message() or "")["type"] == "subscribed"
            run_id = await asyncio.to_thread(lambda: server.create(http, path)["id"])
            while True:
                heard = json.loads(await socket.read_message() or "")["event"]
                if run_id in json.dumps(heard):
                    return dict(heard)

    heard = asyncio.run(scenario())
    assert heard["type"] == "notice_changed"
    assert heard["unread"] >= 1
