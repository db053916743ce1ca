"""`ErrorClassification`: why a run failed, in words for people and names for programs.

**Source:** spec.md §5.8; the identifiers of categories and types are fixed there and in the design.
"""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import Final

from pydantic import Field, JsonValue

from mellea_jupyter.models.base import Model, Timestamp


class FailureCategory(StrEnum):
    """Whose matter a failure is."""

    USER_CODE = "user_code"  # the program has to change
    PROGRAM_OUTCOME = "program_outcome"  # it ran as written, and its limits or demands ended it
    EXTERNAL_SERVICE = "external_service"  # a model's provider or another host it called
    INFRASTRUCTURE = "infrastructure"  # what runs it: memory, disk, images, engines, servers
    UNKNOWN = "unknown"


class FailureType(StrEnum):
    """What went wrong."""

    SYNTAX_ERROR = "syntax_error"
    RUNTIME_ERROR = "runtime_error"  # one of Python's own exceptions, or a crash
    PYTHON_ERROR = "python_error"  # any other exception
    VALIDATION_ERROR = "validation_error"
    GENERATIVE_ERROR = "generative_error"  # a reply that could not be made what was asked for
    MISSING_DEPENDENCY = "missing_dependency"

    REQUIREMENTS_UNMET = "requirements_unmet"
    BUDGET_EXCEEDED = "budget_exceeded"
    PRECONDITION_FAILED = "precondition_failed"
    TIMEOUT = "timeout"  # the run's own limit

    AUTHENTICATION_ERROR = "authentication_error"
    RATE_LIMITED = "rate_limited"
    PROVIDER_QUOTA_EXCEEDED = "provider_quota_exceeded"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    MODEL_NOT_FOUND = "model_not_found"
    PROVIDER_ERROR = "provider_error"
    PROVIDER_TIMEOUT = "provider_timeout"
    CONNECTION_ERROR = "connection_error"  # a model's endpoint or any remote host

    OUT_OF_MEMORY = "out_of_memory"
    IMAGE_PULL_FAILED = "image_pull_failed"
    NETWORK_ERROR = "network_error"  # between us and the engine, the registry or a store
    PERMISSION_ERROR = "permission_error"
    STORAGE_ERROR = "storage_error"
    ENVIRONMENT_UNAVAILABLE = "environment_unavailable"
    ENGINE_ERROR = "engine_error"
    KERNEL_DIED = "kernel_died"
    LOST = "lost"
    SERVER_STOPPED = "server_stopped"

    UNCLASSIFIED = "unclassified"

    @property
    def category(self) -> FailureCategory:
        """The category it belongs to."""
        return _CATEGORY_OF[self]


_TYPES_OF: Final[dict[FailureCategory, tuple[FailureType, ...]]] = {
    FailureCategory.USER_CODE: (
        FailureType.SYNTAX_ERROR, FailureType.RUNTIME_ERROR, FailureType.PYTHON_ERROR,
        FailureType.VALIDATION_ERROR, FailureType.GENERATIVE_ERROR, FailureType.MISSING_DEPENDENCY,
    ),
    FailureCategory.PROGRAM_OUTCOME: (
        FailureType.REQUIREMENTS_UNMET, FailureType.BUDGET_EXCEEDED,
        FailureType.PRECONDITION_FAILED, FailureType.TIMEOUT,
    ),
    FailureCategory.EXTERNAL_SERVICE: (
        FailureType.AUTHENTICATION_ERROR, FailureType.RATE_LIMITED,
        FailureType.PROVIDER_QUOTA_EXCEEDED, FailureType.CONTEXT_LENGTH_EXCEEDED,
        FailureType.MODEL_NOT_FOUND, FailureType.PROVIDER_ERROR, FailureType.PROVIDER_TIMEOUT,
        FailureType.CONNECTION_ERROR,
    ),
    FailureCategory.INFRASTRUCTURE: (
        FailureType.OUT_OF_MEMORY, FailureType.IMAGE_PULL_FAILED, FailureType.NETWORK_ERROR,
        FailureType.PERMISSION_ERROR, FailureType.STORAGE_ERROR,
        FailureType.ENVIRONMENT_UNAVAILABLE, FailureType.ENGINE_ERROR, FailureType.KERNEL_DIED,
        FailureType.LOST, FailureType.SERVER_STOPPED,
    ),
    FailureCategory.UNKNOWN: (FailureType.UNCLASSIFIED,),
}  # fmt: skip
_CATEGORY_OF: Final = {kind: category for category, kinds in _TYPES_OF.items() for kind in kinds}


class NextAction(StrEnum):
    """What people can do about a failure with one click or command."""

    RETRY = "retry"
    RETRY_WITH_MORE_MEMORY = "retry_with_more_memory"
    RETRY_WITH_MORE_TIME = "retry_with_more_time"
    RETRY_WITH_MORE_BUDGET = "retry_with_more_budget"
    SET_KEY = "set_key"
    PULL_MODEL = "pull_model"
    INSTALL_PACKAGE = "install_package"
    OPEN_SOURCE = "open_source"


class NextStep(Model):
    """The next step, for a button or a terminal."""

    action: NextAction = Field(description="What it is.")
    label: str = Field(description="What the button says.")
    command: str | None = Field(None, description="The same in a terminal, where there is one.")
    value: str | None = Field(
        None, description="A variable's, model's or package's name, or memory in MiB."
    )
    overrides: dict[str, JsonValue] | None = Field(
        None, description="What a retry changes, as its `config_overrides` take it."
    )

    def command_for(self, run_id: str, environment_id: str | None = None) -> str | None:
        """The step in a terminal, for a run and its environment; None where it has none."""
        retry = f"jupyter mellea retry {run_id[:8]}"
        if self.command is not None:
            return self.command
        if self.action == NextAction.RETRY:
            return retry
        if self.overrides:
            return retry + "".join(
                " --set " + shlex.quote(f"{field}={value}")
                for field, value in self.overrides.items()
            )
        if self.action == NextAction.SET_KEY and self.value is not None:
            return f"{retry} -e {self.value}"
        if self.action == NextAction.RETRY_WITH_MORE_MEMORY and environment_id is not None:
            environment = shlex.quote(environment_id)
            return f"jupyter mellea env set {environment} memory_mb={self.value} && {retry}"
        return None


class SourceLocation(Model):
    """The innermost line of the user's own code on the way to the error."""

    file: str = Field(description="Relative to the program's folder.")
    line: int = Field(description="From 1.")
    function: str = Field(description="Where the line is; `<module>` outside functions.")
    text: str = Field("", description="The line.")


class ErrorClassification(Model):
    """Why a run failed."""

    category: FailureCategory = Field(description="Whose matter it is.")
    type: FailureType = Field(description="What went wrong.")
    confidence: float = Field(ge=0, le=1, description="How sure that is: 1 is a fact, not a guess.")
    evidence: tuple[str, ...] = Field((), description="What it rests on, the strongest first.")
    retryable: bool = Field(description="The same run may well succeed when it is tried again.")
    summary: str = Field(description="The failure's name in a few words, for lists.")
    explanation: str = Field(
        "",
        description="What happened, one sentence without the program's words; empty in records "
        "of earlier versions.",
    )
    suggestion: str = Field(description="What to do, one sentence.")
    next_step: NextStep | None = Field(None, description="The same as a button or a command.")
    stack_trace: str | None = Field(None, description="Of the exception it rests on.")
    location: SourceLocation | None = Field(
        None, description="The user's line, where one is known."
    )
    fingerprint: str = Field(description="The same for the same failure of the same program.")


class FailureSeen(Model):
    """How often runs of one owner have failed in the same way."""

    count: int = Field(ge=1, description="Failed runs with this fingerprint, this one included.")
    first_seen_at: Timestamp = Field(description="When the first of them failed.")
    last_seen_at: Timestamp = Field(description="When the last of them did.")
