"""A webhook: each run that ends is one signed POST to an address of the operator's."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from typing import ClassVar, Final

import httpx
from pydantic_core import to_json

from mellea_jupyter.certificates import trust_for
from mellea_jupyter.models.notifications import NoticeRun, NotificationPreferences
from mellea_jupyter.notifications.base import Channel, DeliveryFailed, Message

TIMEOUT_SECONDS: Final = 15.0
_MAY_PASS: Final = frozenset({408, 425, 429})


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """What `X-Mellea-Signature` has to be: HMAC-SHA256 over `<timestamp>.<body>`, hexadecimal."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


class WebhookChannel(Channel):
    """Posts `{"type", "user_id", "run", "url"}`; the headers name and sign the delivery."""

    name: ClassVar[str] = "webhook"
    groups: ClassVar[bool] = False

    def __init__(self, *, url: str, secret: str | None = None, public_url: str = "") -> None:
        self._url = url
        self._secret = secret
        self._public_url = public_url.rstrip("/") + "/" if public_url else ""

    def wants(self, run: NoticeRun, preferences: NotificationPreferences, user_id: str) -> bool:
        """Every run once, with its owner as the one who is told."""
        return run.owner_id == user_id

    async def deliver(self, message: Message) -> None:
        """Post the run.

        Raises:
            DeliveryFailed: final where the receiver refuses it; 408, 425, 429, 5xx and no answer
                at all may pass.
        """
        run = message.run
        if run is None:
            raise DeliveryFailed("there is no run to post", is_final=True)
        body = to_json(
            {
                "type": "run_complete",
                "user_id": message.user_id,
                "run": run.to_json(),
                "url": self._public_url + run.link if self._public_url and run.link else None,
            }
        )
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "mellea-jupyter",
            "X-Mellea-Delivery": message.key,
            "X-Mellea-Timestamp": timestamp,
        }
        if self._secret:
            headers["X-Mellea-Signature"] = sign(self._secret, timestamp, body)
        trust = await asyncio.to_thread(trust_for, self._url)
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, verify=trust) as client:
                reply = await client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            # Its text may name the address, which may hold a token.
            raise DeliveryFailed(f"the webhook does not answer ({type(error).__name__})") from error
        if not reply.is_success:
            status = reply.status_code
            raise DeliveryFailed(
                f"the webhook answered {status}",
                is_final=status < 500 and status not in _MAY_PASS,
            )
