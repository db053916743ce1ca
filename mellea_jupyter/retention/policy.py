"""What is kept of an ended run, and until when. Pure: the time is an argument.

A run's log and artifacts expire together, `days` after it ended; its record, metrics and calls
stay. The moment is written into the run (`expires_at`) when it ends or its pin changes, so that
what people read is what happens: another `days` counts for runs that end from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mellea_jupyter.models.run import Run

SECOND_THOUGHTS: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long logs and artifacts are kept after a run ended.

    Attributes:
        days: for everybody; 0 keeps them for good.
        days_by_owner: for owners with a term of their own.
    """

    days: float = 14.0
    days_by_owner: Mapping[str, float] = field(default_factory=dict)

    def expires_at(self, run: Run, now: datetime) -> datetime | None:
        """When the run's log and artifacts are due; None while it lives, is pinned or kept.

        Never within a day from `now` (or the whole term, if that is shorter): who removes the pin
        of an old run has time to think again.
        """
        days = self.days_by_owner.get(run.owner_id, self.days)
        if run.finished_at is None or run.pinned or days <= 0:
            return None
        term = timedelta(days=days)
        return max(run.finished_at + term, now + min(term, SECOND_THOUGHTS))

    def stamped(self, run: Run, now: datetime) -> Run:
        """The run with its `expires_at` as the policy says; `version` is the caller's matter.

        Runs that have a stamp keep it unless they are pinned; what has expired stays so.
        """
        if run.artifacts_purged or (run.expires_at is not None and not run.pinned):
            return run
        expires_at = self.expires_at(run, now)
        return run if expires_at == run.expires_at else run.model_copy(
            update={"expires_at": expires_at}
        )  # fmt: skip


def is_due(run: Run, now: datetime) -> bool:
    """Whether there is something of the run to remove, or left to remove, at `now`."""
    return run.expires_at is not None and run.expires_at <= now


def purged(run: Run, now: datetime) -> Run:
    """The run without its artifacts. `expires_at` stays until the bytes are gone."""
    if run.artifacts_purged:
        return run.changed()
    return run.changed(artifacts=(), artifacts_purged=True, artifacts_purged_at=now)


def settled(run: Run) -> Run:
    """The purged run once its bytes are gone: nothing is due any more."""
    return run.changed(expires_at=None)
