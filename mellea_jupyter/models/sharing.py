"""Who may see a run besides its owner, and as what."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from mellea_jupyter.models.base import Model, Timestamp

MAX_SHARES = 200
"""Most users and groups that one run is shared with."""

EVERYONE = "everyone"
"""The principal that is everybody whom the server lets in."""


class ShareRole(StrEnum):
    """What a share allows."""

    VIEWER = "viewer"  # to read: record, log, calls, artifacts, source
    OPERATOR = "operator"  # to cancel and to retry as well


class RunRole(StrEnum):
    """What somebody is to a run."""

    VIEWER = "viewer"  # reads it
    OPERATOR = "operator"  # cancels and retries it as well
    OWNER = "owner"  # whose it is: everything
    ADMIN = "admin"  # administrates the server: everything


ShareKind = Literal["user", "group", "everyone"]

# A name may be anything that a hub allows; control characters have no business in one.
PrincipalName = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]


class Principal(Model):
    """Somebody to share with: a user, a group, or everyone whom the server lets in."""

    kind: ShareKind = Field(description="What `name` names.")
    name: PrincipalName = Field("", description="The user or group; empty for everyone.")

    @model_validator(mode="after")
    def _named(self) -> Principal:
        if (self.kind == EVERYONE) != (not self.name):
            msg = (
                "everyone has no name; leave it out"
                if self.kind == EVERYONE
                else f"give the name of the {self.kind}"
            )
            raise ValueError(msg)
        return self

    @property
    def key(self) -> str:
        """As one text: `user:ada`, `group:lab`, `everyone`."""
        return self.kind if self.kind == EVERYONE else f"{self.kind}:{self.name}"


class ShareRequest(Principal):
    """`POST /api/runs/{id}/share`: sharing again replaces the role."""

    role: ShareRole = Field(ShareRole.VIEWER, description="What it allows.")


class Share(Principal):
    """One share of a run."""

    role: ShareRole = Field(description="What it allows.")
    shared_by: str = Field(description="Who shared it.")
    shared_at: Timestamp = Field(description="When they did, or last changed the role.")


class ShareList(Model):
    """With whom a run is shared."""

    owner_id: str = Field(description="Whose it is.")
    shares: tuple[Share, ...] = Field(description="Everyone first, then groups and users by name.")


class AssetShare(Principal):
    """One share of an asset: who may execute it."""

    shared_by: str = Field(description="Who shared it.")
    shared_at: Timestamp = Field(description="When they did.")


class AssetShareList(Model):
    """Who may execute an asset besides its owner."""

    owner_id: str = Field(description="Whose it is.")
    shares: tuple[AssetShare, ...] = Field(
        description="Everyone first, then groups and users by name."
    )
