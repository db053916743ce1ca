"""Changing a run's record: read, apply, compare-and-set, tell.

The one path by which a run changes after its creation. Losing a race means reading the run again
and asking the lifecycle again, so the change function may be called more than once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mellea_jupyter import clock
from mellea_jupyter.exceptions import VersionConflict
from mellea_jupyter.models.events import RunChanged
from mellea_jupyter.models.failures import FailureSeen
from mellea_jupyter.models.run import Run
from mellea_jupyter.retention.policy import RetentionPolicy
from mellea_jupyter.service.broker import Broker
from mellea_jupyter.service.failures import explained
from mellea_jupyter.service.notices import NoticeService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.notices.base import Tell
from mellea_jupyter.stores.runs.base import NewAudit, RunStore, Viewer


class RunRecords:
    """Compare-and-set updates of runs, published to the broker; a run's end is told with it."""

    def __init__(
        self, *, store: RunStore, broker: Broker, offload: Offload, retention: RetentionPolicy,
        notices: NoticeService,
    ) -> None:  # fmt: skip
        self._store = store
        self._notices = notices
        self._broker = broker
        self._offload = offload
        self._retention = retention

    async def get(self, run_id: str) -> Run:
        """The stored run.

        Raises:
            RunNotFound: there is none.
        """
        return await self._offload.io(self._store.get_run, run_id)

    async def update(
        self, run_id: str, change: Callable[[Run], Run], *, folded_seq: int | None = None,
        audit: Sequence[NewAudit] = (),
    ) -> Run:  # fmt: skip
        """Apply `change` to the stored run until no other writer interferes; the new run.

        `audit` is written with it, or not at all.

        Raises:
            RunNotFound: there is none.
            IllegalTransition: from `change`, for the run as it is by then.
        """
        run = await self._offload.write(self._update, run_id, change, folded_seq, audit)
        self._broker.publish(RunChanged(run=run))
        if run.is_terminal:
            self._notices.look()
        return run

    def _update(
        self, run_id: str, change: Callable[[Run], Run], folded_seq: int | None,
        audit: Sequence[NewAudit],
    ) -> Run:  # fmt: skip
        while True:
            run = self._store.get_run(run_id)
            changed = self._retention.stamped(explained(run, change(run)), clock.now())
            ends = changed.is_terminal and not run.is_terminal
            try:
                self._store.save_run(
                    changed,
                    expected_version=run.version,
                    folded_seq=folded_seq,
                    tell=self._tell(changed) if ends else (),
                    audit=audit,
                )
            except VersionConflict:
                continue
            return changed

    def _tell(self, run: Run) -> tuple[Tell, ...]:
        """What its end tells its owner and those it is shared with."""
        return self._notices.tell(self._with_seen(run), self._store.list_readers(run.id))

    def _with_seen(self, run: Run) -> Run:
        """The ended run, with how often its owner's runs have failed so, this one included."""
        why, at = run.error_classification, run.finished_at
        if why is None or at is None:
            return run
        owner = run.owner_id
        before = self._store.find_seen(why.fingerprint, owner_id=owner, visible_to=Viewer(owner))
        seen = FailureSeen(
            count=1 if before is None else before.count + 1,
            first_seen_at=at if before is None else before.first_seen_at,
            last_seen_at=at,
        )
        return run.model_copy(update={"seen": seen})
