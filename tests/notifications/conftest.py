"""Real servers that take mail and webhooks."""

from __future__ import annotations

import asyncio
import email
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from mellea_jupyter.notifications.mail import MailChannel
from mellea_jupyter.runtime.ports import free_port

USERNAME, PASSWORD = "runs", "5b8e0d44"


async def connections_closed() -> None:
    """Until the running loop has closed its connections: TLS takes some turns after the work."""
    loop: Any = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        while any(each._sock is not None for each in loop._transports.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # the loop has no event for it


@dataclass
class Mailbox:
    """What the mail server took, and what it is to answer."""

    port: int
    ca: trustme.CA
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """Replies to the next mails instead of taking them, e.g. `421 busy`."""

    refused: dict[str, str] = field(default_factory=dict)
    """Replies by recipient."""

    taken: threading.Event = field(default_factory=threading.Event)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.append(list(envelope.rcpt_tos))
        self.taken.set()
        return "250 OK"

    def channel(self, **options: Any) -> MailChannel:
        """A channel that trusts this server and knows the login."""
        defaults: dict[str, Any] = {
            "host": "localhost",
            "port": self.port,
            "sender": "runs@example.org",
            "username": USERNAME,
            "password": PASSWORD,
            "public_url": "https://lab.example.org/user/ada",
            "tls_context": self.context(),
        }
        return MailChannel(**{**defaults, **options})

    def context(self) -> ssl.SSLContext:
        """Trusts the server's certificate."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    assert isinstance(data, LoginPassword)
    good = (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server on this machine that wants STARTTLS and a login."""
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(context)
    box = Mailbox(free_port(), ca)
    controller = Controller(
        box, hostname="localhost", port=box.port, tls_context=context, require_starttls=True,
        auth_required=True, authenticator=_authenticate,
    )  # fmt: skip
    controller.start()
    yield box
    controller.stop()


@dataclass
class Hook:
    """What the endpoint was sent, and what it is to answer."""

    url: str = ""
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    location: str = ""
    """Where its answers redirect to."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    """An HTTP endpoint on this machine; answers 204 unless told otherwise."""
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.posts.append((dict(self.headers), body))
            self.send_response(found.answers.pop(0) if found.answers else 204)
            self.send_header("Content-Length", "0")
            if found.location:
                self.send_header("Location", found.location)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/hook?key=in-the-address"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()
