"""The `Run` resource and its status (spec.md §5.1.1 and §5.2, with the extras of the design)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field, JsonValue

from mellea_jupyter.models.artifacts import ArtifactRef, SkippedArtifact
from mellea_jupyter.models.base import Model, Timestamp
from mellea_jupyter.models.budget import RunBudget, RunWaiting
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.failures import ErrorClassification, FailureSeen
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.sharing import RunRole


class RunStatus(StrEnum):
    """Where a run is. The last three are final."""

    CREATED = "created"  # recorded, not yet in the queue
    QUEUED = "queued"  # waits for a slot of its executor
    PULLING_IMAGE = "pulling_image"  # the container image is on its way
    STARTING = "starting"  # claimed by a dispatcher, the program does not run yet
    RUNNING = "running"  # the program executes
    SUCCEEDED = "succeeded"  # the program ended with exit code 0
    FAILED = "failed"  # it ended otherwise, or could not run
    CANCELLED = "cancelled"  # somebody stopped it


class StatusReason(StrEnum):
    """Why a run has the status it has, for programs."""

    EXIT_CODE = "exit_code"  # the program ended with a code other than 0
    SIGNAL = "signal"  # a signal that is not ours ended it
    TIMEOUT = "timeout"  # over config.timeout_seconds
    OUT_OF_MEMORY = "out_of_memory"
    LOST = "lost"  # nobody can say how the program ended
    LAUNCH_FAILED = "launch_failed"  # the executor could not start it
    IMAGE_PULL_FAILED = "image_pull_failed"
    ENVIRONMENT_UNAVAILABLE = "environment_unavailable"
    QUOTA_EXCEEDED = "quota_exceeded"
    BUDGET_EXCEEDED = "budget_exceeded"
    REQUIREMENTS_UNMET = "requirements_unmet"  # under config.strict_requirements
    SERVER_STOPPED = "server_stopped"
    TERMINATED = "terminated"  # its supervisor was told to end, and not by us
    ENGINE_RESTARTED = "engine_restarted"
    USER = "user"  # cancelled by its owner
    OPERATOR = "operator"  # cancelled by somebody whom it is shared with
    ADMIN = "admin"  # cancelled by an administrator


class RunImage(Model):
    """The container image of a run, and how far its download is.

    Layers become known one by one, so the totals grow. Unpacking comes after downloading and
    usually takes longer.
    """

    reference: str = Field(description="What the environment names.")
    digest: str | None = Field(
        None, description="`name@sha256:…` that a registry has it under; null if built here."
    )
    id: str | None = Field(None, description="`sha256:…` of exactly the image the run has.")
    layers_done: int = Field(0, ge=0, description="Layers that are unpacked.")
    layers_total: int = Field(0, ge=0, description="Layers known so far.")
    bytes_done: int = Field(0, ge=0, description="Downloaded bytes, compressed.")
    bytes_extracted: int = Field(0, ge=0, description="Bytes of them that are unpacked.")
    bytes_total: int = Field(0, ge=0, description="Bytes to download, as known so far.")


class KeptKernel(Model):
    """The kernel of a failed run, which lives on for a console."""

    id: str = Field(description="Its id in the server, once it is opened there.")
    name: str = Field(description="Its kernelspec.")
    until: Timestamp = Field(description="When it is stopped.")


class ErrorDetails(Model):
    """The exception that ended the program, as the runtime recorded it."""

    type: str = Field(description="Module-qualified exception type.")
    message: str = Field(description="Its message, cut to a sensible length.")
    stack_trace: str | None = Field(None, description="The frames, innermost last.")


class Run(Model):
    """One execution of one asset under one `RunConfig`."""

    id: str = Field(description="UUID v4.")
    asset_id: str = Field(description="The asset that is executed.")
    asset_version: str = Field(description="Its version when the run was created.")
    asset_name: str = Field("", description="Its shown name when the run was created.")
    owner_id: str = Field(description="Who started the run.")

    config: RunConfig = Field(description="How it is executed; secret values are masked.")
    environment_id: str | None = Field(None, description="The environment it executes in.")
    environment_name: str | None = Field(
        None, description="Its name when the run was created; the environment may be gone since."
    )

    status: RunStatus = Field(RunStatus.CREATED, description="Where the run is.")
    status_reason: str | None = Field(None, description="Why, for programs (`StatusReason`).")
    created_at: Timestamp = Field(description="When it was created.")
    started_at: Timestamp | None = Field(None, description="When the program started.")
    finished_at: Timestamp | None = Field(None, description="When a final status was reached.")

    exit_code: int | None = Field(None, description="The program's code, or `-N` for signal N.")
    error_message: str | None = Field(None, description="One sentence on what went wrong.")
    error: ErrorDetails | None = Field(None, description="The exception behind it.")
    error_classification: ErrorClassification | None = Field(
        None, description="Why it failed, in words for people and names for programs."
    )
    seen: FailureSeen | None = Field(
        None,
        description="How often its owner's runs have failed so, as far as you may see them; only "
        "where one run is read.",
    )
    artifacts: tuple[ArtifactRef, ...] = Field((), description="Kept files, ordered by path.")
    artifacts_skipped: tuple[SkippedArtifact, ...] = Field((), description="Files not kept.")
    metrics: RunMetrics = Field(default_factory=RunMetrics, description="What it used so far.")

    cancelled_by: str | None = Field(None, description="Who cancelled it.")
    retry_of: str | None = Field(None, description="The run it repeats.")
    attempt: int = Field(1, ge=1, description="1 for a first run, one more for each retry.")
    group_id: str | None = Field(
        None, description="The group it was started in, by `POST /runs/bulk/create`."
    )

    name: str | None = Field(None, max_length=200, description="A name people gave it.")
    note: str | None = Field(None, max_length=10_000, description="A note people wrote.")
    tags: tuple[str, ...] = Field((), description="Labels, ordered, without repeats.")
    pinned: bool = Field(False, description="Kept by the retention policy.")
    expires_at: Timestamp | None = Field(
        None,
        description="When its log and artifacts are removed; null while it is active or pinned, "
        "where they are kept for good, and afterwards.",
    )
    artifacts_purged: bool = Field(False, description="Its log and artifacts have been removed.")
    artifacts_purged_at: Timestamp | None = Field(None, description="When they were.")

    kernel: KeptKernel | None = Field(
        None, description="Its kernel, where that was kept after it failed (`keep_kernel`)."
    )

    version: int = Field(0, ge=0, description="Grows with every change of the record.")
    host: str | None = Field(None, description="The machine that executes it.")
    image: RunImage | None = Field(
        None, description="Its container image; what is known of it grows while it is pulled."
    )
    isolation: str | None = Field(None, description="`warm` or `fresh`, once it has started.")
    isolation_reason: str | None = Field(None, description="Why it is not warm.")
    queue_position: int | None = Field(None, description="1 is next; only while queued.")
    queue_reason: str | None = Field(None, description="What it waits for.")
    cancel_requested_at: Timestamp | None = Field(None, description="When a stop was asked for.")
    cancel_requested_by: str | None = Field(None, description="By whom.")
    cancel_reason: str | None = Field(
        None, description="`user`: by its owner, `operator` or `admin`."
    )
    kill_at: Timestamp | None = Field(None, description="When the grace period ends.")
    progress: dict[str, JsonValue] | None = Field(
        None,
        description="`{done, total, text}`, when the program reports it. Of a notebook also "
        "`unit: cell`, and its text is e.g. `cell 7 of 20`.",
    )
    waiting: RunWaiting | None = Field(
        None, description="What it waits for an answer to; null when it does not."
    )
    budget: RunBudget | None = Field(
        None, description="How its budget stands; null until the first word of it."
    )
    models_used: tuple[str, ...] = Field((), description="Models of its calls, `provider/name`.")
    role: RunRole | None = Field(
        None, description="What whoever reads it is to it, which says what they may do."
    )

    @property
    def is_terminal(self) -> bool:
        """Whether the status is final."""
        return self.status in _TERMINAL

    @property
    def is_stop_requested(self) -> bool:
        """Whether somebody asked for a stop."""
        return self.cancel_requested_at is not None

    def changed(self, **fields: Any) -> Run:
        """A copy with these fields replaced and `version` one higher."""
        return self.model_copy(update={**fields, "version": self.version + 1})


_TERMINAL = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})
