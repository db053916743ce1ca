"""Mail by SMTP: one message for all runs that ended together, as text and HTML."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from mellea_jupyter import clock
from mellea_jupyter.models.notifications import Notice, NoticeRun, NotificationPreferences
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.notifications import rules
from mellea_jupyter.notifications.base import Channel, DeliveryFailed, Message

if TYPE_CHECKING:
    import jinja2

Security = Literal["starttls", "tls", "none"]

TIMEOUT_SECONDS: Final = 30.0
_ORDER: Final = (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.SUCCEEDED)


class MailChannel(Channel):
    """Sends what users asked to get by mail."""

    name: ClassVar[str] = "email"
    groups: ClassVar[bool] = True

    def __init__(
        self,
        *,
        host: str,
        port: int,
        sender: str,
        security: Security = "starttls",
        username: str | None = None,
        password: str | None = None,
        address_template: str = "",
        public_url: str = "",
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare; connects with each mail.

        `public_url` is where people reach the server, its base URL included; without one a mail
        has no links and says what to look for instead.
        """
        self._host = host
        self._port = port
        self._sender = sender
        self._security = security
        self._username = username
        self._password = password
        self._address_template = address_template
        self._public_url = public_url.rstrip("/") + "/" if public_url else ""
        self._tls_context = tls_context

    def wants(self, run: NoticeRun, preferences: NotificationPreferences, user_id: str) -> bool:
        """Failed runs and long ones, for those who asked."""
        return rules.deserves_mail(run, preferences, user_id)

    async def deliver(self, message: Message) -> None:
        """Send one mail about all runs of the message.

        Raises:
            DeliveryFailed: final where the server refuses the address or the mail for good, or
                where the user has no address or switched mail off meanwhile.
        """
        preferences = message.preferences
        if not (preferences.email_on_run_complete or preferences.email_on_shared_complete):
            raise DeliveryFailed("mail was switched off meanwhile", is_final=True)
        address = preferences.email_address or rules.address_from(
            self._address_template, message.user_id
        )
        if address is None:
            raise DeliveryFailed("the user has no mail address", is_final=True)
        await self._send(self.compose(message.notices, address, message.key))

    async def send_test(self, address: str) -> None:
        """Send a mail that says that mail works.

        Raises:
            DeliveryFailed: it could not be sent; the text says why.
        """
        subject = "Mail from mellea-jupyter works"
        texts = {"public_url": self._public_url}
        await self._send(self._mail(subject, address, clock.new_id("test"), "test_mail", texts))

    def compose(self, notices: Sequence[Notice], address: str, key: str) -> EmailMessage:
        """The mail about these notices."""
        runs = [run for notice in notices for run in notice.runs]
        count = sum(notice.run_count for notice in notices)
        by_status: dict[RunStatus, int] = {}
        for notice in notices:
            for status, number in notice.by_status.items():
                by_status[status] = by_status.get(status, 0) + number
        subject = notices[0].title
        if len(notices) > 1:
            subject = f"{count} runs ended: {rules.counted(by_status)}"
        facts = {
            "title": subject,
            "runs": sorted(runs, key=lambda run: _ORDER.index(run.status)),
            "more": count - len(runs),
            "public_url": self._public_url,
        }
        return self._mail(subject, address, key, "run_complete", facts)

    def _mail(
        self, subject: str, address: str, key: str, template: str, facts: dict[str, Any]
    ) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["Subject"] = rules.one_line(subject, 200)
        mail["From"] = formataddr(("Mellea runs", self._sender))
        mail["To"] = address
        mail["Date"] = format_datetime(clock.now())
        # The same at each attempt: who gets it twice can tell.
        mail["Message-ID"] = f"<{key}@{self._sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
        mail.set_content(_templates().get_template(f"{template}.txt").render(facts))
        html = _templates().get_template(f"{template}.html").render(facts)
        mail.add_alternative(html, subtype="html")
        return mail

    async def _send(self, mail: EmailMessage) -> None:
        import aiosmtplib

        try:
            await aiosmtplib.send(
                mail,
                hostname=self._host,
                port=self._port,
                use_tls=self._security == "tls",
                start_tls=self._security == "starttls",
                username=self._username,
                password=self._password,
                tls_context=self._tls_context,
                timeout=TIMEOUT_SECONDS,
            )
        except aiosmtplib.SMTPAuthenticationError as error:
            # The operator can mend that, so the mail waits.
            raise DeliveryFailed(f"the mail server refused the login ({error.code})") from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            said = ", ".join(f"{each.code} {each.message}" for each in error.recipients)
            is_final = all(code >= 500 for code in codes)
            raise DeliveryFailed(
                f"the mail server refused the address: {said}", is_final=is_final
            ) from error
        except aiosmtplib.SMTPResponseException as error:
            raise DeliveryFailed(
                f"the mail server refused the mail: {error.code} {error.message}",
                is_final=error.code >= 500,
            ) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise DeliveryFailed(f"the mail server does not take it: {error}") from error


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mellea_jupyter.notifications"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = rules.duration
    environment.globals["cost"] = rules.cost
    environment.globals["link_to_failures"] = rules.link_to_failures
    return environment
