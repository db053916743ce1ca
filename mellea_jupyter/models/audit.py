"""The audit trail: who did what to which run, and when."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, JsonValue

from mellea_jupyter.models.base import Model, Timestamp

MAX_AUDIT_PAGE = 1000
DEFAULT_AUDIT_PAGE = 100


class AuditAction(StrEnum):
    """What was done."""

    CREATE = "create"
    CANCEL = "cancel"
    RETRY = "retry"  # of the new run; `details.retry_of` is the one before
    PATCH = "patch"  # name, note, tags
    PIN = "pin"
    UNPIN = "unpin"
    DELETE = "delete"
    SHARE = "share"
    UNSHARE = "unshare"
    BUDGET = "budget"  # an answer to a run that waits
    KERNEL = "kernel"  # opened what a failed run has left
    SHARE_ASSET = "share_asset"
    UNSHARE_ASSET = "unshare_asset"
    REPRICE = "reprice"
    SWEEP = "sweep"


class AuditEntry(Model):
    """One entry. None is ever changed or removed, also not when its run is deleted."""

    id: int = Field(description="Its number; later ones are higher.")
    at: Timestamp = Field(description="When.")
    user: str = Field(description="Who.")
    action: str = Field(description="What they did.")
    run_id: str | None = Field(description="To which run; null for what is about many or none.")
    owner_id: str | None = Field(description="Whose run it was; null in early entries.")
    admin_override: bool = Field(description="An administrator acted on what is somebody else's.")
    details: dict[str, JsonValue] = Field(description="More, depending on the action.")


class AuditPage(Model):
    """A page of the audit trail, the latest first."""

    entries: tuple[AuditEntry, ...] = Field(description="The entries.")
    next: str | None = Field(None, description="Cursor of the next page; null on the last.")


class AuditFilters(Model):
    """Which entries. Values of one field are alternatives, fields combine."""

    user: tuple[str, ...] = Field((), description="Done by any of these.")
    action: tuple[AuditAction, ...] = Field((), description="Any of these.")
    run_id: tuple[str, ...] = Field((), description="About any of these runs.")
    owner_id: tuple[str, ...] = Field((), description="About runs of any of these owners.")
    since: Timestamp | None = Field(None, description="At or after.")
    until: Timestamp | None = Field(None, description="Before.")


class AuditQuery(AuditFilters):
    """Filters and a page."""

    limit: int = Field(
        DEFAULT_AUDIT_PAGE, ge=1, le=MAX_AUDIT_PAGE, description="Entries on a page."
    )
    cursor: str | None = Field(None, description="Opaque, from the page before.")
