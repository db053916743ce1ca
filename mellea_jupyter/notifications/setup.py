"""An operator's settings become channels; what keeps one from working is a sentence for people."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from mellea_jupyter.models.notifications import is_address
from mellea_jupyter.notifications.base import Channel
from mellea_jupyter.notifications.jupyter_events import EventLogger, JupyterEventsChannel
from mellea_jupyter.notifications.mail import MailChannel, Security
from mellea_jupyter.notifications.webhook import WebhookChannel

log = logging.getLogger(__name__)

HUB_URL_VARIABLE = "JUPYTERHUB_PUBLIC_URL"
"""Where JupyterHub 5 says how people reach a user's server, if its operator told the hub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """The traits of `MelleaApp` that are about notices, as they are there."""

    public_url: str = ""
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_security: Security = "starttls"
    smtp_username: str = ""
    smtp_password_file: str = ""
    mail_from: str = ""
    mail_address_template: str = ""
    webhook_url: str = ""
    webhook_secret_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The channels of a server.

    Attributes:
        all: what the outbox delivers to.
        mail: the one of them that sends mail; None where none can be sent.
        no_mail_reason: why not; None where it can.
    """

    all: tuple[Channel, ...]
    mail: MailChannel | None
    no_mail_reason: str | None


def make_channels(settings: ChannelSettings, events: EventLogger | None) -> Channels:
    """The channels that the settings ask for. Reads files.

    A wrong setting is logged and leaves its channel out, because runs do not depend on it.
    """
    public_url = settings.public_url or os.environ.get(HUB_URL_VARIABLE, "")
    mail: MailChannel | None = None
    reason: str | None = "The operator of this server has not set up mail."
    if settings.smtp_host:
        try:
            mail, reason = _mail(settings, public_url), None
        except (ValueError, OSError) as error:
            log.warning("Mail is off: %s", error)
            reason = "Mail is not set up correctly on this server; its log says more."
    found: list[Channel] = [] if mail is None else [mail]
    if settings.webhook_url:
        try:
            found.append(
                WebhookChannel(
                    url=_web_address(settings.webhook_url),
                    secret=_secret(settings.webhook_secret_file),
                    public_url=public_url,
                )
            )
        except (ValueError, OSError) as error:
            log.warning("The webhook is off: %s", error)
    if events is not None:
        found.append(JupyterEventsChannel(events))
    return Channels(all=tuple(found), mail=mail, no_mail_reason=reason)


def _mail(settings: ChannelSettings, public_url: str) -> MailChannel:
    """Raises ValueError or OSError, naming the setting."""
    if not is_address(settings.mail_from):
        raise ValueError("MelleaApp.mail_from is not a mail address, such as runs@example.org")
    template = settings.mail_address_template
    if template and not is_address(template.replace("{username}", "ada")):
        raise ValueError(
            "MelleaApp.mail_address_template gives no mail address; "
            "write it like {username}@example.org"
        )
    return MailChannel(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.mail_from,
        security=settings.smtp_security,
        username=settings.smtp_username or None,
        password=_secret(settings.smtp_password_file),
        address_template=template,
        public_url=public_url,
    )


def _web_address(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError("MelleaApp.webhook_url does not begin with https:// or http://")
    return url


def _secret(path: str) -> str | None:
    """The first line of a file that only its owner should be able to read."""
    if not path:
        return None
    file = Path(path).expanduser()
    if file.stat().st_mode & 0o077:
        log.warning("%s can be read by others than its owner; chmod 600 mends that", file)
    return file.read_text("utf-8").partition("\n")[0].strip()
