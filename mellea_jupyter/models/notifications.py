"""Notices about runs, and what their readers want to be told (spec.md §5.10)."""

from __future__ import annotations

import re
import zoneinfo
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from mellea_jupyter.models.base import Model, Timestamp
from mellea_jupyter.models.failures import FailureCategory, FailureSeen, FailureType, NextStep
from mellea_jupyter.models.metrics import Usd
from mellea_jupyter.models.run import RunStatus

LISTED_RUNS = 20
"""Most runs that one notice names; it counts all."""

MAX_NOTICE_PAGE = 200
DEFAULT_NOTICE_PAGE = 30

# One mailbox, as people write it. Everything that has a meaning in a header or an SMTP command
# (spaces, quotes, angle brackets, control characters, a second @) is left out.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_LONGEST_ADDRESS = 254


def is_address(text: str) -> bool:
    """Whether mail can be sent to this: one plain address, nothing that a header would read."""
    return len(text) <= _LONGEST_ADDRESS and _ADDRESS.fullmatch(text) is not None


class NoticeType(StrEnum):
    """What a notice is about."""

    RUN_COMPLETE = "run_complete"  # own runs ended
    SHARED_RUN_COMPLETE = "shared_run_complete"  # runs that others share ended
    RUN_SHARED = "run_shared"  # others shared runs


class NoticeFailure(Model):
    """Why a run failed: what people are told of it, nothing that the program wrote."""

    type: FailureType = Field(description="What went wrong.")
    category: FailureCategory = Field(description="Whose matter it is.")
    summary: str = Field(description="The failure's name in a few words.")
    explanation: str = Field(description="What happened, one sentence.")
    suggestion: str = Field(description="What to do, one sentence.")
    next_step: NextStep | None = Field(None, description="The same as a button or a command.")
    command: str | None = Field(None, description="The next step in a terminal.")
    fingerprint: str = Field(description="The same for the same failure of the same program.")
    seen: FailureSeen | None = Field(
        None, description="How often it has happened to its owner, this time included."
    )


class NoticeRun(Model):
    """A run in a notice: facts only, nothing that the program or a model wrote."""

    run_id: str = Field(description="The run.")
    name: str = Field(description="Its name, or that of its program; one line.")
    status: RunStatus = Field(description="How it ended; of a shared run, how it was then.")
    reason: str = Field("", description="Why, a few words; empty where the status says it all.")
    failure: NoticeFailure | None = Field(None, description="Why it failed, and what to do.")
    owner_id: str = Field(description="Whose run it is.")
    finished_at: Timestamp = Field(
        description="When it ended; of a shared run that had not, when it was shared."
    )
    total_duration_ms: int = Field(0, description="From its creation to its end.")
    llm_calls: int = Field(0, description="LLM calls it made.")
    estimated_cost_usd: Usd | None = Field(None, description="Cost of the priced calls.")
    unpriced_calls: int = Field(0, description="Calls without a price.")
    link: str | None = Field(
        description="Opens the run; relative to the server's base URL. Null when it was deleted."
    )


class Notice(Model):
    """Something to tell one user. Runs that end together share a notice."""

    id: str = Field(description="`ntc_…`.")
    user_id: str = Field(description="Who is told.")
    type: NoticeType = Field(description="What it is about.")
    title: str = Field(description="One line.")
    body: str = Field(description="More, one line; no prompts, completions or secrets.")
    link: str | None = Field(
        description="Opens the first of its runs that is there; relative to the server's base URL. "
        "Null when all that it names were deleted."
    )
    runs: tuple[NoticeRun, ...] = Field(
        description=f"The runs in the order they ended, at most {LISTED_RUNS}."
    )
    run_count: int = Field(1, ge=1, description="All runs of the notice.")
    by_status: dict[RunStatus, int] = Field(description="All its runs per status.")
    created_at: Timestamp = Field(description="When the first run ended or was shared.")
    updated_at: Timestamp = Field(description="When the last one did.")
    read_at: Timestamp | None = Field(None, description="When it was read; null: unread.")


class NoticePage(Model):
    """A page of notices: unread ones first, the latest first."""

    notifications: tuple[Notice, ...] = Field(description="The notices.")
    next: str | None = Field(None, description="Cursor of the next page; null on the last.")
    unread: int = Field(description="All unread notices of the user.")


class NoticePatch(Model):
    """`PATCH /api/notifications/{notice_id}`."""

    read: bool = Field(description="Whether it counts as read.")


class ReadAllRequest(Model):
    """`POST /api/notifications/read`."""

    until: Timestamp | None = Field(
        None, description="Only notices that were last updated at or before; else all."
    )


class UnreadCount(Model):
    """How many notices wait."""

    unread: int = Field(description="All unread notices of the user.")


class NoticeChanged(Model):
    """A notice is new, got another run, or was marked as read or unread."""

    type: Literal["notice_changed"] = "notice_changed"
    notice: Notice = Field(description="The notice as it is now.")
    unread: int = Field(description="All unread notices of the user.")


class NoticesChanged(Model):
    """Many notices changed at once: read the list anew."""

    type: Literal["notices_changed"] = "notices_changed"
    unread: int = Field(description="All unread notices of the user.")


NoticeEvent = NoticeChanged | NoticesChanged

ClockTime = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class QuietHours(Model):
    """When no mail is sent; what falls into them is sent at their end."""

    start: ClockTime = Field(description="`22:00`, in the user's time zone.")
    end: ClockTime = Field(description="`07:00`; before `start` means on the next day.")

    @model_validator(mode="after")
    def _differ(self) -> QuietHours:
        if self.start == self.end:
            raise ValueError("start and end are the same; leave quiet_hours out for none")
        return self


def _known_zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValueError("is not a known time zone, such as Europe/Lisbon or UTC")
    return name


def _one_address(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    if not is_address(text.strip()):
        raise ValueError("is not a mail address, such as ada@example.org")
    return text.strip()


class NotificationPreferences(Model):
    """What one user wants to be told, and how. The in-app list always has everything."""

    email_on_run_complete: bool = Field(
        False, description="Mail when an own run failed, or ended after more than a minute."
    )
    email_on_shared_complete: bool = Field(
        False, description="The same for runs that others share with you."
    )
    toast_enabled: bool = Field(True, description="A toast in JupyterLab when a run ends.")
    failures_only: bool = Field(False, description="Toasts and mails about failed runs only.")
    quiet_hours: QuietHours | None = Field(None, description="When mails wait; null: never.")
    time_zone: str = Field("UTC", description="IANA name of the zone of `quiet_hours`.")
    email_address: str | None = Field(
        None, description="Where mails go; null: where the operator's template says."
    )

    _zone = field_validator("time_zone")(_known_zone)
    _address = field_validator("email_address")(_one_address)


class NotificationPreferencesPatch(Model):
    """`PATCH /api/users/me/notification-preferences`; absent fields stay."""

    email_on_run_complete: bool | None = Field(None, description="Mail about own runs.")
    email_on_shared_complete: bool | None = Field(None, description="Mail about shared runs.")
    toast_enabled: bool | None = Field(None, description="Toasts in JupyterLab.")
    failures_only: bool | None = Field(None, description="Only about failed runs.")
    quiet_hours: QuietHours | None = Field(None, description="When mails wait; null removes.")
    time_zone: str | None = Field(None, description="IANA name of the zone.")
    email_address: str | None = Field(None, description="Where mails go; null or empty removes.")

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str | None) -> str | None:
        return None if name is None else _known_zone(name)

    _address = field_validator("email_address")(_one_address)


class NotificationSettings(NotificationPreferences):
    """The preferences, and what this server can do with them."""

    email_available: bool = Field(description="Whether this server can send mail.")
    email_unavailable_reason: str | None = Field(description="Why not.")
    default_email_address: str | None = Field(
        description="Where mails go without `email_address`; null: nowhere."
    )


class TestMailRequest(Model):
    """`POST /api/users/me/notification-preferences/test-mail`."""

    __test__ = False  # its name makes pytest look for tests in it

    email_address: str | None = Field(
        None, description="Where to; null: where mails go according to the preferences."
    )

    _address = field_validator("email_address")(_one_address)


class TestMailReply(Model):
    """A test mail was taken by the mail server."""

    __test__ = False  # its name makes pytest look for tests in it

    address: str = Field(description="Where it goes.")
