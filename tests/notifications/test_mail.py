"""Mail, taken by a real mail server with STARTTLS and a login."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from mellea_jupyter.models.failures import (
    ErrorClassification,
    FailureCategory,
    FailureSeen,
    FailureType,
    NextAction,
    NextStep,
)
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.notifications import Notice, NotificationPreferences
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.notifications.base import DeliveryFailed, Message
from mellea_jupyter.runtime.ports import free_port
from tests.notifications.conftest import Mailbox, connections_closed
from tests.notifications.test_rules import NOON, at, join

WANTS = NotificationPreferences(email_on_run_complete=True, email_address="ada@example.net")


def message(*notices: Notice, **fields: Any) -> Message:
    defaults: dict[str, Any] = {"key": "email-ntc_1-1", "user_id": "ada", "preferences": WANTS}
    return Message(**{**defaults, "notices": notices, **fields})


def failed(**fields: Any) -> Notice:
    return join(None, NOON, **{"status": RunStatus.FAILED, "status_reason": "timeout", **fields})


def parts(mail: EmailMessage) -> tuple[str, str]:
    """Text and HTML."""
    found = []
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        found.append(part.get_content())
    return found[0], found[1]


def deliver(box: Mailbox, told: Message, **options: Any) -> None:
    asyncio.run(_to_the_end(box.channel(**options).deliver(told)))


async def _to_the_end(work: Awaitable[None]) -> None:
    try:
        await work
    finally:
        await connections_closed()


def test_a_mail_arrives_over_starttls_with_a_login(mailbox: Mailbox) -> None:
    metrics = RunMetrics(total_duration_ms=252_000, llm_calls=7)
    deliver(mailbox, message(failed(metrics=metrics)))
    (mail,) = mailbox.mails
    assert mailbox.recipients == [["ada@example.net"]]
    assert mail["Subject"] == "Run failed: trip.py"
    assert mail["To"] == "ada@example.net"
    assert mail["From"] == "Mellea runs <runs@example.org>"
    assert mail["Message-ID"] == "<email-ntc_1-1@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = parts(mail)
    link = "https://lab.example.org/user/ada/lab?mellea-run=00000000-0000-4000-8000-000000000001"
    assert link in text
    assert f'href="{link}"' in html
    for part in (text, html):
        assert "timed out" in part
        assert "4 m 12 s" in part
        assert "7 LLM calls" in part


def rate_limited(count: int) -> Notice:
    why = ErrorClassification(
        category=FailureCategory.EXTERNAL_SERVICE, type=FailureType.RATE_LIMITED, confidence=1,
        retryable=True, summary="rate limit", explanation="It called <too> often.",
        suggestion="Wait, then try again.", fingerprint="f1",
        next_step=NextStep(action=NextAction.RETRY, label="Retry"),
    )  # fmt: skip
    seen = FailureSeen(count=count, first_seen_at=NOON, last_seen_at=NOON)
    return failed(error_classification=why, seen=seen)


def test_a_failure_is_explained_with_the_next_step_and_where_it_was_seen(mailbox: Mailbox) -> None:
    deliver(mailbox, message(rate_limited(4)))
    text, html = parts(mailbox.mails[0])
    others = "https://lab.example.org/user/ada/lab?mellea-dashboard&mellea-failure=f1"
    assert re.search(
        r"FAILED  trip.py \(rate limit\)\r?\n  0 ms\r?\n  It called <too> often\.\r?\n"
        r"  Wait, then try again\.\r?\n    jupyter mellea retry 00000000\r?\n"
        r"  Seen 4 times since 2026-03-01: " + re.escape(others) + r"\r?\n",
        text,
    )
    assert "It called &lt;too&gt; often." in html
    assert "<code>jupyter mellea retry 00000000</code>" in html
    assert f'href="{others.replace("&", "&amp;")}">Seen 4 times since 2026-03-01</a>' in html


def test_a_failure_that_is_new_was_not_seen(mailbox: Mailbox) -> None:
    deliver(mailbox, message(rate_limited(1)), public_url="")
    for part in parts(mailbox.mails[0]):
        assert "Wait, then try again." in part
        assert "Seen" not in part


def test_runs_that_ended_together_are_one_mail_with_failures_first(mailbox: Mailbox) -> None:
    notice = join(None, NOON, name="fine")
    for number in range(1, 49):
        notice = join(notice, at(number * 0.1), name=f"fine {number}")
    later = failed(name="broken").model_copy(update={"created_at": NOON + timedelta(hours=1)})
    deliver(mailbox, message(notice, later))
    (mail,) = mailbox.mails
    assert mail["Subject"] == "50 runs ended: 1 failed, 49 succeeded"
    text, html = parts(mail)
    assert re.findall(r"^(FAILED|SUCCEEDED)", text, re.MULTILINE)[:2] == ["FAILED", "SUCCEEDED"]
    assert "… and 29 more." in text
    assert "… and 29 more." in html


def test_names_can_not_forge_headers_or_markup(mailbox: Mailbox) -> None:
    name = 'a\r\nBcc: eve@example.org\r\n\r\n<script>alert("x")</script>\u2028 ☃'
    deliver(mailbox, message(failed(name=name)))
    (mail,) = mailbox.mails
    assert mail["Bcc"] is None
    assert mailbox.recipients == [["ada@example.net"]]
    assert mail["Subject"].startswith("Run failed: a Bcc: eve@example.org <script>")
    text, html = parts(mail)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert not text.startswith("\r\n")


def test_without_a_public_url_a_mail_names_the_run(mailbox: Mailbox) -> None:
    deliver(mailbox, message(failed()), public_url="")
    text, html = parts(mailbox.mails[0])
    for part in (text, html):
        assert "00000000-0000-4000-8000-000000000001" in part
        assert "lab?" not in part


def test_mail_goes_where_the_template_says_without_an_own_address(mailbox: Mailbox) -> None:
    nowhere = WANTS.model_copy(update={"email_address": None})
    deliver(
        mailbox,
        message(failed(), preferences=nowhere),
        address_template="{username}@example.com",
    )
    assert mailbox.recipients == [["ada@example.com"]]


@pytest.mark.parametrize(
    "preferences",
    [
        NotificationPreferences(email_on_run_complete=True),
        NotificationPreferences(email_address="ada@example.net"),
    ],
    ids=["no address", "switched off"],
)
def test_what_nobody_wants_any_more_is_given_up(
    mailbox: Mailbox, preferences: NotificationPreferences
) -> None:
    with pytest.raises(DeliveryFailed) as caught:
        deliver(mailbox, message(failed(), preferences=preferences))
    assert caught.value.is_final
    assert mailbox.mails == []


@pytest.mark.parametrize(
    ("answer", "is_final"), [("451 try later", False), ("554 no spam please", True)]
)
def test_the_servers_answer_says_whether_to_try_again(
    mailbox: Mailbox, answer: str, *, is_final: bool
) -> None:
    mailbox.answers.append(answer)
    with pytest.raises(DeliveryFailed, match=answer) as caught:
        deliver(mailbox, message(failed()))
    assert caught.value.is_final is is_final


@pytest.mark.parametrize(
    ("answer", "is_final"), [("550 no such user", True), ("450 greylisted", False)]
)
def test_a_refused_address_is_final_when_the_server_says_so(
    mailbox: Mailbox, answer: str, *, is_final: bool
) -> None:
    mailbox.refused["ada@example.net"] = answer
    with pytest.raises(DeliveryFailed, match=answer) as caught:
        deliver(mailbox, message(failed()))
    assert caught.value.is_final is is_final


def test_a_refused_login_waits_for_the_operator(mailbox: Mailbox) -> None:
    with pytest.raises(DeliveryFailed, match="refused the login") as caught:
        deliver(mailbox, message(failed()), password="wrong-one")
    assert not caught.value.is_final
    assert "wrong-one" not in str(caught.value)


def test_an_unknown_certificate_is_not_trusted(mailbox: Mailbox) -> None:
    with pytest.raises(DeliveryFailed, match="does not take it") as caught:
        deliver(mailbox, message(failed()), tls_context=None)
    assert not caught.value.is_final
    assert mailbox.mails == []


def test_a_server_that_is_not_there_is_tried_again(mailbox: Mailbox) -> None:
    with pytest.raises(DeliveryFailed) as caught:
        deliver(mailbox, message(failed()), port=free_port())
    assert not caught.value.is_final


def test_a_test_mail_says_where_links_lead(mailbox: Mailbox) -> None:
    asyncio.run(_to_the_end(mailbox.channel().send_test("ada@example.net")))
    text, _ = parts(mailbox.mails[0])
    assert "https://lab.example.org/user/ada/" in text
