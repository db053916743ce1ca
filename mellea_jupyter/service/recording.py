"""`RunRecorder`: new runs get their folders and their records, all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import IdempotencyConflict, InvalidInput
from mellea_jupyter.lifecycle.transitions import Enqueued, apply
from mellea_jupyter.models.config import MASK
from mellea_jupyter.models.events import RunChanged
from mellea_jupyter.models.run import Run
from mellea_jupyter.service import secrets
from mellea_jupyter.service.assets import AssetService
from mellea_jupyter.service.broker import Broker
from mellea_jupyter.service.dispatcher import Dispatcher
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.planning import RunPlan
from mellea_jupyter.service.run_folder import RunFolders
from mellea_jupyter.stores.runs.base import CreatedRuns, NewAudit, NewRun, Placement, RunStore


@dataclass(frozen=True, slots=True)
class RunDraft:
    """A run that is only to be written, and its secrets."""

    run: Run
    placement: Placement
    secret_values: dict[str, str]
    shares_of: str | None = None


class RunRecorder:
    """Writes drafts, and finds what an idempotency key has made before."""

    def __init__(
        self,
        *,
        store: RunStore,
        assets: AssetService,
        folders: RunFolders,
        broker: Broker,
        dispatcher: Dispatcher,
        offload: Offload,
    ) -> None:
        self._store = store
        self._assets = assets
        self._folders = folders
        self._broker = broker
        self._dispatcher = dispatcher
        self._offload = offload

    async def write(
        self, drafts: Sequence[RunDraft], idempotency_key: str | None, request_hash: str | None,
        entries: Sequence[NewAudit],
    ) -> CreatedRuns:  # fmt: skip
        """Write the runs' folders, then their records; neither stays without the other.

        Where the idempotency key has made runs before, those, and nothing is written.

        Args:
            drafts: all of them are recorded and queued, or none.
            idempotency_key: what finds the first of them again.
            request_hash: what the key was used with.
            entries: for the audit trail.
        """

        def prepare(draft: RunDraft) -> None:
            run_dir = self._folders.create(draft.run.id, draft.secret_values)
            self._assets.materialize(draft.placement.content_hash, run_dir / "source")

        new = [
            NewRun(
                run=draft.run,
                placement=draft.placement,
                idempotency_key=None if number else idempotency_key,
                request_hash=request_hash,
                shares_of=draft.shares_of,
            )
            for number, draft in enumerate(drafts)
        ]
        try:
            for draft in drafts:
                await self._offload.place(prepare, draft)
            created = await self._offload.write(self._store.create_runs, new, audit=entries)
        except Exception:
            # A cancelled request may have been recorded all the same; the folders then stay.
            await self._remove_folders(drafts)
            raise
        if created.replayed:
            await self._remove_folders(drafts)
            return created
        for run in created.runs:
            self._broker.publish(RunChanged(run=run))
            self._dispatcher.queued(run)
        return created

    async def _remove_folders(self, drafts: Sequence[RunDraft]) -> None:
        for draft in drafts:
            await self._offload.place(self._folders.delete, draft.run.id)

    async def find_replayed(self, user: User, key: str, request_hash: str) -> Run | None:
        """The run, or the first of the runs, that a request with this key has made.

        Raises:
            IdempotencyConflict: it was another request.
        """
        found = await self._offload.io(self._store.find_idempotent, user.owner_id, key)
        if found is None:
            return None
        run_id, earlier_hash = found
        if earlier_hash != request_hash:
            raise IdempotencyConflict(
                "This Idempotency-Key was used before with another request",
                hint="Use a new key for a new run.",
                run_id=run_id,
            )
        return await self._offload.io(self._store.get_run, run_id)


def draft_of(
    plan: RunPlan, user: User, *, run_id: str, at: datetime, group_id: str | None = None
) -> RunDraft:
    """The run of a plan.

    Raises:
        InvalidInput: a variable holds the mask of a secret.
    """
    config, secret_values = secrets.split(plan.request.config)
    for name, value in secret_values.items():
        if value == MASK:
            raise InvalidInput(
                f"config.env_vars.{name}",
                f"holds the mask {MASK} instead of a value",
                hint="Send the value itself, or retry the run, which keeps its secrets.",
            )
    run = Run(
        id=run_id,
        asset_id=plan.asset.id,
        asset_version=plan.asset.version,
        asset_name=plan.asset.name,
        owner_id=user.owner_id,
        config=config,
        environment_id=plan.environment.id,
        environment_name=plan.environment.name,
        created_at=at,
        name=plan.request.name,
        note=plan.request.note,
        tags=plan.request.tags,
        retry_of=plan.retry_of.id if plan.retry_of else None,
        attempt=plan.retry_of.attempt + 1 if plan.retry_of else 1,
        group_id=group_id,
    )
    placement = plan.placement.model_copy(update={"run_id": run_id})
    return RunDraft(apply(run, Enqueued()), placement, secret_values, plan.shares_of)
