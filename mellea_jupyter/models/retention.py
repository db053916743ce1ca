"""What the retention policy keeps, what is due, and what a sweep removed."""

from __future__ import annotations

from pydantic import Field

from mellea_jupyter.models.base import Model, Timestamp


class RetentionReply(Model):
    """The policy, and the disk that runs take."""

    days: float = Field(
        description="Days that logs and artifacts are kept after a run ended; 0: for good."
    )
    used_bytes: int = Field(description="Taken by all runs, artifacts and records of this store.")
    free_bytes: int = Field(description="Left on the disk that holds them.")


class SweepRequest(Model):
    """A sweep to do now."""

    dry_run: bool = Field(False, description="Only say what would be removed.")


class SweptRun(Model):
    """A run whose log and artifacts expired."""

    run_id: str = Field(description="The run.")
    asset_name: str = Field(description="Its program.")
    owner_id: str = Field(description="Whose it is.")
    expired_at: Timestamp = Field(description="When they expired.")
    size_bytes: int = Field(
        description="Of its folder and artifacts. Content that another run keeps too is counted, "
        "though it stays."
    )


class SweepReply(Model):
    """What a sweep removed, or would remove."""

    dry_run: bool = Field(description="As asked for: nothing was removed.")
    runs: tuple[SweptRun, ...] = Field(description="Those that expired first come first.")
    size_bytes: int = Field(description="Of all of them.")
    failed: int = Field(0, description="Runs that could not be swept; the server's log says why.")
    more: bool = Field(False, description="There are more than one sweep removes; ask again.")
