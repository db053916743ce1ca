"""`RunService`: the verbs of runs.

Each verb checks access, decides, and leaves the waiting to the dispatcher and the followers. What
a caller gets back is the record after the verb; how it goes on comes as events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, Literal

import orjson

from mellea_jupyter import clock
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import (
    Conflict,
    IllegalTransition,
    InvalidInput,
    MelleaJupyterError,
)
from mellea_jupyter.lifecycle.transitions import StopRequested, apply
from mellea_jupyter.models.audit import AuditAction
from mellea_jupyter.models.budget import BudgetDecision
from mellea_jupyter.models.events import RunDeleted
from mellea_jupyter.models.pages import RunFilters, RunPage, RunQuery, SummaryReply
from mellea_jupyter.models.requests import (
    MAX_GROUP,
    RetryRequest,
    RunCreate,
    RunGroupCreate,
    RunPatch,
)
from mellea_jupyter.models.run import Run, StatusReason
from mellea_jupyter.models.sharing import Principal, RunRole, ShareList, ShareRequest
from mellea_jupyter.service.access import Action
from mellea_jupyter.service.auditing import audit_entry
from mellea_jupyter.service.broker import Broker
from mellea_jupyter.service.budgets import budget_answer
from mellea_jupyter.service.dispatcher import Dispatcher
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.placing import Placer
from mellea_jupyter.service.planning import RunDefaults, RunPlan, RunPlanner
from mellea_jupyter.service.recording import RunRecorder, draft_of
from mellea_jupyter.service.records import RunRecords
from mellea_jupyter.service.run_folder import RunFolders
from mellea_jupyter.service.sharing import Sharing, viewer_of
from mellea_jupyter.stores.artifacts.base import ArtifactStore
from mellea_jupyter.stores.runs.base import (
    Created,
    CreatedRuns,
    RunStore,
)

GroupBy = Literal["day", "owner", "asset", "model", "status"]


_CANCELLED_BY: Final = {
    RunRole.OPERATOR: StatusReason.OPERATOR,
    RunRole.ADMIN: StatusReason.ADMIN,
}


class RunService:
    """Create, look at, change, stop, repeat, share and delete runs."""

    def __init__(
        self,
        *,
        store: RunStore,
        artifacts: ArtifactStore,
        planner: RunPlanner,
        recorder: RunRecorder,
        folders: RunFolders,
        records: RunRecords,
        broker: Broker,
        dispatcher: Dispatcher,
        placer: Placer,
        offload: Offload,
        sharing: Sharing,
        defaults: RunDefaults,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._planner = planner
        self._recorder = recorder
        self._folders = folders
        self._records = records
        self._broker = broker
        self._dispatcher = dispatcher
        self._placer = placer
        self._offload = offload
        self._sharing = sharing
        self._defaults = defaults

    # -- starting -----------------------------------------------------------------------------

    async def create(
        self, request: RunCreate, user: User, *, idempotency_key: str | None = None
    ) -> Created:
        """Record a run and queue it; the same run again for a key used with the same request.

        Raises:
            AssetNotFound, EnvironmentNotFound, DatasetNotFound: the request names an unknown one.
            InvalidInput: a field is over what the operator allows.
            IdempotencyConflict: the key was used with another request.
        """
        request_hash = _hash(request)
        if idempotency_key is not None:
            replayed = await self._recorder.find_replayed(user, idempotency_key, request_hash)
            if replayed is not None:
                return Created(run=_as_owner(replayed), replayed=True)
        plan = await self._planner.plan(request, user)
        created = await self._record(plan, user, idempotency_key, request_hash)
        return created.model_copy(update={"run": _as_owner(created.run)})

    async def create_group(
        self, request: RunGroupCreate, user: User, *, idempotency_key: str | None = None
    ) -> CreatedRuns:
        """Record the runs of a group and queue them: all of them, or none.

        The same runs again for a key used with the same request.

        Raises:
            AssetNotFound, EnvironmentNotFound, DatasetNotFound: a run names an unknown one.
            InvalidInput: there are too many, or a field of one is over what the operator allows.
            IdempotencyConflict: the key was used with another request.
        """
        count, most = len(request.variants) * request.repeat, self._defaults.max_group_runs
        if count > most:
            raise InvalidInput(
                "repeat" if request.repeat > 1 else "variants",
                f"a group has at most {most} runs here, and this would be {count}",
                hint="Ask for fewer, or have the operator raise MelleaApp.max_group_runs.",
            )
        request_hash = _hash(request, "group")
        if idempotency_key is not None:
            replayed = await self._recorder.find_replayed(user, idempotency_key, request_hash)
            if replayed is not None:
                of_group = RunQuery(
                    group_id=(replayed.group_id or "",), sort="created_at", limit=MAX_GROUP
                )
                page = await self.list(of_group, user)
                return CreatedRuns(runs=page.runs, replayed=True)
        plans = [
            await self._planner.plan_variant(request, number, user)
            for number in range(len(request.variants))
        ]
        # They are created at one moment, so their ids are what keeps them in this order.
        ids = sorted(clock.new_run_id() for _ in range(count))
        group_id, at = clock.new_id("grp"), clock.now()
        drafts = [
            draft_of(plan, user, run_id=run_id, at=at, group_id=group_id)
            for plan, run_id in zip(plans * request.repeat, ids, strict=True)
        ]
        entries = [
            audit_entry(user, AuditAction.CREATE, draft.run, group_id=group_id, bulk=count)
            for draft in drafts
        ]
        created = await self._recorder.write(drafts, idempotency_key, request_hash, entries)
        return created.model_copy(update={"runs": tuple(map(_as_owner, created.runs))})

    async def _record(
        self,
        plan: RunPlan,
        user: User,
        idempotency_key: str | None,
        request_hash: str | None,
        overrides: Sequence[str] = (),
    ) -> Created:
        owner, action, retry_of = user, AuditAction.CREATE, None
        if plan.retry_of is not None:
            owner = replace(user, owner_id=plan.retry_of.owner_id)
            action, retry_of = AuditAction.RETRY, plan.retry_of.id
        draft = draft_of(plan, owner, run_id=clock.new_run_id(), at=clock.now())
        changed = sorted(overrides) or None
        entry = audit_entry(user, action, draft.run, retry_of=retry_of, overrides=changed)
        created = await self._recorder.write([draft], idempotency_key, request_hash, [entry])
        return Created(run=created.runs[0], replayed=created.replayed)

    async def retry(
        self,
        run_id: str,
        request: RetryRequest,
        user: User,
        *,
        idempotency_key: str | None = None,
    ) -> Created:
        """Run the same source again, with changed configuration where asked; the new run.

        The same run again for a key used with the same request. The new run is its owner's, with
        their secrets, whoever retries it; an operator's is shared as the run before is.

        Raises:
            RunNotFound: no such run for this user.
            PermissionDenied: it is shared with them, and not for this.
            IllegalTransition: it has not failed and was not cancelled.
            InvalidInput: an override is not a valid field or value.
        """
        action = Action.RECONFIGURE if request.config_overrides else Action.RETRY
        original = await self.get(run_id, user, action)
        request_hash = _hash(request, run_id)
        if idempotency_key is not None:
            replayed = await self._recorder.find_replayed(user, idempotency_key, request_hash)
            if replayed is not None:
                return Created(run=_as_owner(replayed), replayed=True)
        plan = await self._planner.plan_retry(original, request, user)
        created = await self._record(
            plan, user, idempotency_key, request_hash, tuple(request.config_overrides)
        )
        run = created.run.model_copy(update={"role": original.role})
        return created.model_copy(update={"run": run})

    # -- looking ------------------------------------------------------------------------------

    async def get(self, run_id: str, user: User, action: Action = Action.READ) -> Run:
        """A run as the user sees it, if they may do this to it.

        Raises:
            RunNotFound: no such run for this user.
            PermissionDenied: it is shared with them, and not for this.
        """
        run = await self._sharing.require(await self._records.get(run_id), user, action)
        return self._dispatcher.with_place(run)

    async def read(self, run_id: str, user: User) -> Run:
        """`get`, and how often a failed run's failure was seen.

        Raises:
            RunNotFound: no such run for this user.
        """
        run = await self.get(run_id, user)
        why = run.error_classification
        if why is None:
            return run
        seen = await self._offload.io(
            self._store.find_seen,
            why.fingerprint,
            owner_id=run.owner_id,
            visible_to=viewer_of(user),
        )
        return run.model_copy(update={"seen": seen})

    async def list(self, query: RunQuery, user: User) -> RunPage:
        """A page of the runs the user may see.

        Raises:
            InvalidCursor, InvalidInput: the cursor or the order is not one of this listing.
        """
        page = await self._offload.io(self._store.list_runs, query, visible_to=viewer_of(user))
        shown = await self._sharing.with_roles(page.runs, user)
        placed = tuple(map(self._dispatcher.with_place, shown))
        return page.model_copy(update={"runs": placed})

    async def summary(
        self,
        filters: RunFilters,
        user: User,
        *,
        group_by: GroupBy | None = None,
        utc_offset_minutes: int = 0,
    ) -> SummaryReply:
        """Totals of the runs of a filter that the user may see."""
        return await self._offload.io(
            self._store.summarize,
            filters,
            visible_to=viewer_of(user),
            group_by=group_by,
            utc_offset_minutes=utc_offset_minutes,
        )

    # -- changing -----------------------------------------------------------------------------

    async def cancel(self, run_id: str, user: User, *, bulk: int | None = None) -> Run:
        """Ask for a stop; a queued run is cancelled at once. Asking twice changes nothing.

        `bulk` is the number of runs that were asked for together.

        Raises:
            RunNotFound: no such run for this user.
            PermissionDenied: it is shared with them, and not for this.
            IllegalTransition: it has ended; `details["run"]` is the run as it is.
        """
        run = await self.get(run_id, user, Action.CANCEL)
        reason = _CANCELLED_BY.get(run.role or RunRole.OWNER, StatusReason.USER)
        at = clock.now()
        stop = StopRequested(
            at=at,
            by=user.id,
            kill_at=at + timedelta(seconds=self._defaults.grace_seconds),
            reason=reason,
        )
        try:
            stopped = await self._records.update(
                run_id,
                lambda current: apply(current, stop),
                audit=[audit_entry(user, AuditAction.CANCEL, run, bulk=bulk)],
            )
        except IllegalTransition as error:
            ended = await self.get(run_id, user)
            error.details["run"] = ended.to_json()
            error.hint = f"It has already ended: {ended.status}."
            raise
        if stopped.is_terminal:
            self._dispatcher.kick()
        else:
            await self._placer.stop_asked(stopped)
        return stopped.model_copy(update={"role": run.role})

    async def answer_budget(self, run_id: str, decision: BudgetDecision, user: User) -> Run:
        """Answer a run that waits at its budget. The run as it is; it goes on a moment later.

        Raises:
            RunNotFound: no such run for this user.
            PermissionDenied: it is shared with them, and not for this.
            Conflict: it does not wait.
            InvalidInput: the new limit is not above the one that would be passed.
        """
        run = await self.get(run_id, user, Action.ANSWER_BUDGET)
        if run.waiting is None:
            raise Conflict(
                "The run does not wait for an answer about its budget",
                hint="It may have been answered, or waited for too long.",
                run=run.to_json(),
            )
        answer = budget_answer(run.waiting, decision, by=user.id)
        await self._placer.answer(run, answer)
        details = {name: answer[name] for name in ("decision", "max_cost_usd", "max_llm_calls")}
        entry = audit_entry(user, AuditAction.BUDGET, run, **details)
        await self._offload.write(self._store.audit, entry)
        return run

    async def bulk_cancel(self, run_ids: Sequence[str], user: User) -> dict[str, str]:
        """Cancel each; the outcome by run: `cancelled`, or `error: …`."""
        return await _each(
            run_ids,
            lambda run_id: self.cancel(run_id, user, bulk=len(run_ids)),
            "cancelled",
            _explain_cancel,
        )

    async def update(self, run_id: str, patch: RunPatch, user: User) -> Run:
        """Change a run's name, note, tags or pin; fields that are not given stay.

        Raises:
            RunNotFound: no such run for this user.
            PermissionDenied: it is shared with them, and not for this.
        """
        run = await self.get(run_id, user, Action.CHANGE)
        given = {name: getattr(patch, name) for name in patch.model_fields_set}
        if given.get("tags", ()) is None:
            given["tags"] = ()
        if given.get("pinned", False) is None:
            given["pinned"] = False
        action = AuditAction.PATCH
        if given.keys() == {"pinned"}:
            action = AuditAction.PIN if given["pinned"] else AuditAction.UNPIN
        entry = audit_entry(user, action, run, fields=sorted(given))
        changed = await self._records.update(
            run_id, lambda current: current.changed(**given), audit=[entry]
        )
        return self._dispatcher.with_place(changed.model_copy(update={"role": run.role}))

    async def delete(self, run_id: str, user: User, *, bulk: int | None = None) -> None:
        """Remove an ended run with everything it kept; the audit trail stays.

        `bulk` is the number of runs that were asked for together.

        Raises:
            RunNotFound: no such run for this user.
            PermissionDenied: it is shared with them, and not for this.
            Conflict: it has not ended.
        """
        run = await self.get(run_id, user, Action.DELETE)
        if not run.is_terminal:
            raise Conflict(
                f"The run is {run.status}; only ended runs can be deleted",
                hint="Cancel it first.",
                run=run.to_json(),
            )
        await self._offload.io(self._folders.delete_secrets, run_id)
        shares = await self._offload.io(self._store.list_shares, run_id)
        entry = audit_entry(
            user, AuditAction.DELETE, run, asset_name=run.asset_name, name=run.name, bulk=bulk
        )
        await self._offload.write(
            self._store.delete_run, run_id, expected_version=run.version, audit=[entry]
        )
        await self._offload.collect(self._artifacts.delete_run, run_id)
        await self._offload.collect(self._folders.delete, run_id)
        self._broker.publish(RunDeleted(run_id=run_id, owner_id=run.owner_id))
        self._sharing.run_deleted(run, shares)

    async def bulk_delete(self, run_ids: Sequence[str], user: User) -> dict[str, str]:
        """Delete each; the outcome by run: `deleted`, or `error: …`."""
        return await _each(
            run_ids, lambda run_id: self.delete(run_id, user, bulk=len(run_ids)), "deleted"
        )

    # -- sharing ------------------------------------------------------------------------------

    async def shares(self, run_id: str, user: User) -> ShareList:
        """With whom a run is shared.

        Raises:
            RunNotFound: no such run for this user.
            PermissionDenied: it is shared with them, and not for this.
        """
        return await self._sharing.shares(await self.get(run_id, user, Action.SHARE))

    async def share(self, run_id: str, request: ShareRequest, user: User) -> ShareList:
        """Share a run with somebody, or change what that allows.

        Raises:
            RunNotFound, PermissionDenied: as for `shares`.
            InvalidInput: with its owner.
            QuotaExceeded: it is shared with too many already.
        """
        run = await self.get(run_id, user, Action.SHARE)
        return await self._sharing.share(run, request, user)

    async def unshare(self, run_id: str, principal: Principal, user: User) -> ShareList:
        """Revoke a share.

        Raises:
            RunNotFound, PermissionDenied: as for `shares`.
            ShareNotFound: it is not shared with them.
        """
        run = await self.get(run_id, user, Action.SHARE)
        return await self._sharing.unshare(run, principal, user)


def _as_owner(run: Run) -> Run:
    """A run as whoever has just made it sees it."""
    return run.model_copy(update={"role": RunRole.OWNER})


def _explain_cancel(error: MelleaJupyterError) -> str:
    """Of a run that has ended, how it ended says more than what a cancel expects."""
    return error.hint or error.message if isinstance(error, IllegalTransition) else error.message


async def _each(
    run_ids: Sequence[str],
    verb: Callable[[str], Awaitable[object]],
    done: str,
    explain: Callable[[MelleaJupyterError], str] = str,
) -> dict[str, str]:
    """The verb for each run, in order; one that is refused does not keep it from the others."""
    results: dict[str, str] = {}
    for run_id in dict.fromkeys(run_ids):
        try:
            await verb(run_id)
            results[run_id] = done
        except MelleaJupyterError as error:
            results[run_id] = f"error: {explain(error)}"
    return results


def _hash(request: RunCreate | RunGroupCreate | RetryRequest, of: str = "") -> str:
    """What makes two requests the same; secret values count, but only their hash is kept."""
    body = orjson.dumps([of, request.to_json()], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(body).hexdigest()
