"""From an operator's settings to channels."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.notifications.setup import ChannelSettings, make_channels

MAIL: dict[str, Any] = {"smtp_host": "mail.example.org", "mail_from": "runs@example.org"}


def test_nothing_is_set_up_by_default() -> None:
    channels = make_channels(ChannelSettings(), None)
    assert (channels.all, channels.mail) == ((), None)
    assert "has not set up mail" in str(channels.no_mail_reason)


def test_mail_and_webhook_are_made_of_their_settings(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\nsecond line\n")
    secret.chmod(0o600)
    settings = ChannelSettings(
        **MAIL, smtp_password_file=str(secret), mail_address_template="{username}@example.org",
        webhook_url="https://hooks.example.org/x", webhook_secret_file=str(secret),
    )  # fmt: skip
    channels = make_channels(settings, None)
    assert [channel.name for channel in channels.all] == ["email", "webhook"]
    assert channels.no_mail_reason is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mail_from": ""}, "MelleaApp.mail_from"),
        ({"mail_from": "Runs <runs@example.org>"}, "MelleaApp.mail_from"),
        ({"mail_address_template": "{username}"}, "MelleaApp.mail_address_template"),
        ({"smtp_password_file": "/does/not/exist"}, "/does/not/exist"),
    ],
)
def test_wrong_mail_settings_are_logged_and_turn_mail_off(
    change: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    channels = make_channels(ChannelSettings(**{**MAIL, **change}), None)
    assert channels.mail is None
    assert "its log says more" in str(channels.no_mail_reason)
    assert said in caplog.text


def test_a_webhook_needs_a_web_address(caplog: pytest.LogCaptureFixture) -> None:
    assert make_channels(ChannelSettings(webhook_url="file:///etc/passwd"), None).all == ()
    assert "MelleaApp.webhook_url" in caplog.text


def test_a_password_that_others_can_read_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        make_channels(ChannelSettings(**MAIL, smtp_password_file=str(secret)), None)
    assert "chmod 600" in caplog.text
    assert "s3cret" not in caplog.text
