"""The exceptions of the domain, as one tree.

::

    MelleaJupyterError
    ├── NotFound (LookupError)
    │   ├── RunNotFound · AssetNotFound · EnvironmentNotFound · DatasetNotFound · ArtifactNotFound
    │   ├── CallNotFound · GroupNotFound · NoticeNotFound · ShareNotFound
    ├── InvalidInput (ValueError)          a request that can not be accepted; names the field
    │   ├── InvalidCursor
    │   └── InvalidProgram                 a path or source that can not become an asset
    ├── Conflict
    │   ├── IllegalTransition              the run's status does not allow the move
    │   ├── VersionConflict                somebody else changed the run first
    │   ├── IdempotencyConflict            same key, another body
    │   ├── MailNotSent                    the mail server did not take a mail
    │   └── NameTaken                      its owner has another one of this name
    ├── Expired                            the retention policy has removed it
    ├── PermissionDenied (PermissionError)
    ├── QuotaExceeded
    ├── LaunchFailed                       an executor could not place the run
    ├── InvalidSettings                    the operator's settings are wrong: nothing works
    └── StoreError
        ├── SchemaTooNew                   the store was written by a newer version
        └── StoreBusy (TimeoutError)

`handlers/base.py` is the one place that turns them into HTTP.
"""

from __future__ import annotations

from typing import Any


class MelleaJupyterError(Exception):
    """Root of the tree.

    Attributes:
        code: stable identifier for programs, snake case.
        hint: the next step, one sentence, for people.
        details: JSON values that a caller may need.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class NotFound(MelleaJupyterError, LookupError):
    """Something named in the request does not exist, or not for this user."""

    code = "not_found"
    noun = "object"

    def __init__(self, key: str, *, hint: str = "") -> None:
        super().__init__(f"No {self.noun} with id {key!r}", hint=hint, id=key)


class RunNotFound(NotFound):
    """No such run, or it belongs to somebody else."""

    code = "run_not_found"
    noun = "run"


class GroupNotFound(NotFound):
    """No such group, or its runs are somebody else's or were deleted."""

    code = "group_not_found"
    noun = "group"


class AssetNotFound(NotFound):
    """No such asset."""

    code = "asset_not_found"
    noun = "asset"


class EnvironmentNotFound(NotFound):
    """No such environment."""

    code = "environment_not_found"
    noun = "environment"


class DatasetNotFound(NotFound):
    """No such dataset."""

    code = "dataset_not_found"
    noun = "dataset"


class ArtifactNotFound(NotFound):
    """No such artifact in this run."""

    code = "artifact_not_found"
    noun = "artifact"


class CallNotFound(NotFound):
    """The run has not made such an LLM call."""

    code = "call_not_found"
    noun = "LLM call"


class NoticeNotFound(NotFound):
    """No such notice for this user."""

    code = "notice_not_found"
    noun = "notice"


class ShareNotFound(NotFound):
    """It is not shared with them."""

    code = "share_not_found"
    noun = "share"


class InvalidInput(MelleaJupyterError, ValueError):
    """A request that can not be accepted; `field` says which part of it."""

    code = "invalid_input"

    def __init__(self, field: str, message: str, *, hint: str = "", **details: Any) -> None:
        super().__init__(f"{field}: {message}", hint=hint, field=field, **details)
        self.field = field


class InvalidCursor(InvalidInput):
    """A cursor that this listing did not give out."""

    code = "invalid_cursor"


class InvalidProgram(InvalidInput):
    """A path or source that can not become an asset."""

    code = "invalid_program"


class Conflict(MelleaJupyterError):
    """The request is well formed but does not fit the present state."""

    code = "conflict"


class IllegalTransition(Conflict):
    """A run's status does not allow the move; `expected` are the statuses that would."""

    code = "illegal_transition"

    def __init__(
        self, event: str, status: str, expected: tuple[str, ...], *, hint: str = ""
    ) -> None:
        super().__init__(
            f"{event} expects a run that is {' or '.join(expected) or 'nowhere'}, got {status}",
            hint=hint,
            event=event,
            status=status,
            expected=list(expected),
        )
        self.event = event
        self.status = status
        self.expected = expected


class VersionConflict(Conflict):
    """Somebody else changed the run between reading and writing; read it again."""

    code = "version_conflict"


class IdempotencyConflict(Conflict):
    """An `Idempotency-Key` was used before with another body."""

    code = "idempotency_conflict"


class MailNotSent(Conflict):
    """A mail that somebody waits for could not be sent; the text says why."""

    code = "mail_not_sent"


class Expired(MelleaJupyterError):
    """What was asked for existed, and the retention policy has removed it."""

    code = "expired"


class NameTaken(Conflict):
    """An owner has another thing of this name; `details["id"]` is that one."""

    code = "name_taken"

    def __init__(self, noun: str, name: str, other_id: str) -> None:
        super().__init__(
            f"There is another {noun} named {name!r}",
            hint=f"Change that one ({other_id}), or choose another name.",
            id=other_id,
        )


class PermissionDenied(MelleaJupyterError, PermissionError):
    """The user may see the thing, but not do this to it."""

    code = "permission_denied"


class QuotaExceeded(MelleaJupyterError):
    """An artifact or store quota does not allow more."""

    code = "quota_exceeded"


class LaunchFailed(MelleaJupyterError):
    """An executor could not place the run; `reason` becomes its `status_reason`."""

    code = "launch_failed"

    def __init__(
        self, message: str, *, reason: str = "launch_failed", hint: str = "", **details: Any
    ) -> None:
        super().__init__(message, hint=hint, **details)
        self.reason = reason


class InvalidSettings(MelleaJupyterError):
    """The operator's settings are wrong; the message names the one, as `MelleaApp.<name>`."""

    code = "invalid_settings"


class StoreError(MelleaJupyterError):
    """The store can not be used."""

    code = "store_error"


class SchemaTooNew(StoreError):
    """The store was written by a newer version of this package."""

    code = "schema_too_new"


class StoreBusy(StoreError, TimeoutError):
    """The store did not become free within its deadline."""

    code = "store_busy"
