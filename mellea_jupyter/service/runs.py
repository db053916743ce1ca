"""`RunService`: the verbs of runs.

Each verb checks access, decides, and leaves the waiting to the dispatcher and the followers. What
a caller gets back is the record after the verb; how it goes on comes as events.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from mellea_jupyter import clock
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import (
    Conflict,
    IdempotencyConflict,
    IllegalTransition,
    InvalidInput,
    MelleaJupyterError,
)
from mellea_jupyter.lifecycle.statuses import RETRYABLE
from mellea_jupyter.lifecycle.transitions import Enqueued, StopRequested, apply
from mellea_jupyter.models.assets import Asset
from mellea_jupyter.models.budget import BudgetDecision
from mellea_jupyter.models.config import MASK, RunConfig, merge_overrides
from mellea_jupyter.models.environments import BUILT_IN_EXECUTORS, Environment
from mellea_jupyter.models.events import RunChanged, RunDeleted
from mellea_jupyter.models.pages import RunFilters, RunPage, RunQuery, SummaryReply
from mellea_jupyter.models.requests import (
    MAX_GROUP,
    RetryRequest,
    RunCreate,
    RunGroupCreate,
    RunPatch,
)
from mellea_jupyter.models.run import Run, StatusReason
from mellea_jupyter.service import secrets
from mellea_jupyter.service.access import require_access, visible_to
from mellea_jupyter.service.assets import AssetService
from mellea_jupyter.service.broker import Broker
from mellea_jupyter.service.budgets import budget_answer
from mellea_jupyter.service.datasets import DatasetService
from mellea_jupyter.service.dispatcher import Dispatcher
from mellea_jupyter.service.environments import EnvironmentService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.placing import Placer
from mellea_jupyter.service.records import RunRecords
from mellea_jupyter.service.run_folder import RunFolders
from mellea_jupyter.stores.artifacts.base import ArtifactStore
from mellea_jupyter.stores.runs.base import Created, CreatedRuns, NewRun, Placement, RunStore

log = logging.getLogger(__name__)

GroupBy = Literal["day", "owner", "asset", "model", "status"]


@dataclass(frozen=True, slots=True)
class RunDefaults:
    """What the operator sets for new runs."""

    model: str | None
    max_timeout_seconds: float
    grace_seconds: float
    max_group_runs: int = 100
    server: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A run to be recorded: its config (secrets still in it), its source, its links."""

    request: RunCreate
    asset: Asset
    environment: Environment
    placement: Placement
    retry_of: Run | None = None


@dataclass(frozen=True, slots=True)
class _Draft:
    """A run that is only to be written, and its secrets."""

    run: Run
    placement: Placement
    secret_values: dict[str, str]


class RunService:
    """Create, look at, change, stop, repeat and delete runs."""

    def __init__(
        self,
        *,
        store: RunStore,
        artifacts: ArtifactStore,
        assets: AssetService,
        environments: EnvironmentService,
        datasets: DatasetService,
        folders: RunFolders,
        records: RunRecords,
        broker: Broker,
        dispatcher: Dispatcher,
        placer: Placer,
        offload: Offload,
        defaults: RunDefaults,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._assets = assets
        self._environments = environments
        self._datasets = datasets
        self._folders = folders
        self._records = records
        self._broker = broker
        self._dispatcher = dispatcher
        self._placer = placer
        self._offload = offload
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
            replayed = await self._find_replayed(user, idempotency_key, request_hash)
            if replayed is not None:
                return replayed
        plan = await self._plan(request, user)
        return await self._record(plan, user, idempotency_key, request_hash)

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
            replayed = await self._find_replayed(user, idempotency_key, request_hash)
            if replayed is not None:
                of_group = RunQuery(
                    group_id=(replayed.run.group_id or "",), sort="created_at", limit=MAX_GROUP
                )
                page = await self.list(of_group, user)
                return CreatedRuns(runs=page.runs, replayed=True)
        plans = [
            await self._plan_variant(request, number, user)
            for number in range(len(request.variants))
        ]
        # They are created at one moment, so their ids are what keeps them in this order.
        ids = sorted(clock.new_run_id() for _ in range(count))
        group_id, at = clock.new_id("grp"), clock.now()
        drafts = [
            _draft(plan, user, run_id=run_id, at=at, group_id=group_id)
            for plan, run_id in zip(plans * request.repeat, ids, strict=True)
        ]
        return await self._write(drafts, idempotency_key, request_hash)

    async def _plan_variant(self, request: RunGroupCreate, number: int, user: User) -> _Plan:
        """Raises as `create_group`; what is wrong with a variant names it."""
        variant, field = request.variants[number], f"variants.{number}"
        try:
            config = _overridden(request.config, variant, field=field) if variant else None
            create = RunCreate(
                asset_id=request.asset_id,
                config=config or request.config,
                name=request.name,
                note=request.note,
                tags=request.tags,
            )
            return await self._plan(create, user)
        except InvalidInput as error:
            inner = error.field.removeprefix("config.")
            if not variant or inner.split(".")[0] not in variant:
                raise
            message = error.message.removeprefix(f"{error.field}: ")
            raise InvalidInput(f"{field}.{inner}", message, hint=error.hint) from error

    async def _plan(self, request: RunCreate, user: User) -> _Plan:
        asset = await self._assets.get(request.asset_id, user)
        config = await self.checked(request.config, asset, user)
        environment = await self._environments.resolve(
            config.environment_id or asset.default_environment_id, user
        )
        check_keeps_kernel(config, environment)
        if config.environment_id is not None:  # it may have been named
            config = config.model_copy(update={"environment_id": environment.id})
        self.require_can_ask(config, environment)
        placement = Placement(
            run_id="",
            environment_id=environment.id,
            executor=environment.executor,
            content_hash=asset.content_hash,
            entry_point=asset.entry_point,
            program_dir=asset.program_dir,
            kind=asset.kind,
            server=self._defaults.server,
        )
        request = request.model_copy(update={"config": config})
        return _Plan(request, asset, environment, placement)

    async def _find_replayed(self, user: User, key: str, request_hash: str) -> Created | None:
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
        return Created(run=await self._records.get(run_id), replayed=True)

    async def checked(self, config: RunConfig, asset: Asset, user: User) -> RunConfig:
        """The config as a run of the asset may have it, with the operator's defaults.

        Raises:
            DatasetNotFound: it names an unknown one.
            InvalidInput: a field is over what the operator allows, or not for such an asset.
        """
        if config.timeout_seconds > self._defaults.max_timeout_seconds:
            raise InvalidInput(
                "config.timeout_seconds",
                f"at most {self._defaults.max_timeout_seconds:g} seconds are allowed here",
                hint="Ask for less time, or have the operator raise MelleaApp.max_timeout_seconds.",
            )
        if config.parameters and asset.kind not in ("callable", "notebook"):
            raise InvalidInput(
                "config.parameters",
                f"parameters are for module:callable and notebooks, this is a {asset.kind}",
                hint="Pass command-line arguments in config.args.",
            )
        if config.on_budget == "ask" and not config.has_budget:
            raise InvalidInput(
                "config.on_budget",
                "there is no budget to ask about",
                hint="Set config.max_cost_usd or config.max_llm_calls.",
            )
        if config.datasets:
            bound = await self._datasets.bind(config.datasets, user)
            config = config.model_copy(update={"datasets": bound})
        if config.model is None and self._defaults.model is not None:
            return config.model_copy(update={"model": self._defaults.model})
        return config

    def require_can_ask(self, config: RunConfig, environment: Environment) -> None:
        """Raises InvalidInput: the run is to ask, and nobody could answer it there."""
        if config.on_budget == "ask" and not self._placer.can_answer(environment.executor):
            raise InvalidInput(
                "config.on_budget",
                f"runs of the executor {environment.executor!r} can not ask",
                hint="Choose stop, or another environment.",
            )

    async def _record(
        self, plan: _Plan, user: User, idempotency_key: str | None, request_hash: str | None
    ) -> Created:
        draft = _draft(plan, user, run_id=clock.new_run_id(), at=clock.now())
        created = await self._write([draft], idempotency_key, request_hash)
        return Created(run=created.runs[0], replayed=created.replayed)

    async def _write(
        self, drafts: Sequence[_Draft], idempotency_key: str | None, request_hash: str | None
    ) -> CreatedRuns:
        """Write the runs' folders, then their records; neither stays without the other."""

        def prepare(draft: _Draft) -> None:
            run_dir = self._folders.create(draft.run.id, draft.secret_values)
            self._assets.materialize(draft.placement.content_hash, run_dir / "source")

        new = [
            NewRun(
                run=draft.run,
                placement=draft.placement,
                idempotency_key=None if number else idempotency_key,
                request_hash=request_hash,
            )
            for number, draft in enumerate(drafts)
        ]
        try:
            for draft in drafts:
                await self._offload.place(prepare, draft)
            created = await self._offload.write(self._store.create_runs, new)
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

    async def _remove_folders(self, drafts: Sequence[_Draft]) -> None:
        for draft in drafts:
            await self._offload.place(self._folders.delete, draft.run.id)

    async def retry(
        self,
        run_id: str,
        request: RetryRequest,
        user: User,
        *,
        idempotency_key: str | None = None,
    ) -> Created:
        """Run the same source again, with changed configuration where asked; the new run.

        The same run again for a key used with the same request.

        Raises:
            RunNotFound: no such run for this user.
            IllegalTransition: it has not failed and was not cancelled.
            InvalidInput: an override is not a valid field or value.
        """
        original = await self.get(run_id, user)
        request_hash = _hash(request, run_id)
        if idempotency_key is not None:
            replayed = await self._find_replayed(user, idempotency_key, request_hash)
            if replayed is not None:
                return replayed
        if original.status not in RETRYABLE:
            raise IllegalTransition(
                "Retry",
                original.status,
                tuple(sorted(s.value for s in RETRYABLE)),
                hint="Cancel it first, or create a new run with its configuration.",
            )
        kept = await self._offload.io(secrets.read, self._folders.path(run_id))
        config = _overridden(original.config, request.config_overrides)
        asset = await self._assets.get(original.asset_id, user)
        asset = asset.model_copy(
            update={"version": original.asset_version, "name": original.asset_name}
        )
        config = await self.checked(secrets.restore(config, kept), asset, user)
        placement = await self._offload.io(self._store.get_placement, run_id)
        environment = await self._environments.resolve(
            config.environment_id or placement.environment_id, user
        )
        self.require_can_ask(config, environment)
        check_keeps_kernel(config, environment)
        placement = Placement(
            run_id="",
            environment_id=environment.id,
            executor=environment.executor,
            content_hash=placement.content_hash,
            entry_point=placement.entry_point,
            program_dir=placement.program_dir,
            kind=placement.kind,
            # What somebody else repeats stays where it was: with its owner's keys, not with theirs.
            server=self._defaults.server
            if user.owner_id == original.owner_id
            else placement.server,
        )
        create = RunCreate(
            asset_id=original.asset_id,
            config=config,
            name=original.name,
            note=original.note,
            tags=original.tags,
        )
        plan = _Plan(create, asset, environment, placement, retry_of=original)
        owner = replace(user, owner_id=original.owner_id)
        created = await self._record(plan, owner, idempotency_key, request_hash)
        await self._audit(user, "retry", created.run.id, retry_of=run_id)
        return created

    # -- looking ------------------------------------------------------------------------------

    async def get(self, run_id: str, user: User) -> Run:
        """A run as the user may see it.

        Raises:
            RunNotFound: no such run for this user.
        """
        run = require_access(await self._records.get(run_id), user)
        return self._dispatcher.with_place(run)

    async def list(self, query: RunQuery, user: User) -> RunPage:
        """A page of the runs the user may see.

        Raises:
            InvalidCursor, InvalidInput: the cursor or the order is not one of this listing.
        """
        page = await self._offload.io(self._store.list_runs, query, visible_to=visible_to(user))
        placed = tuple(self._dispatcher.with_place(run) for run in page.runs)
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
            visible_to=visible_to(user),
            group_by=group_by,
            utc_offset_minutes=utc_offset_minutes,
        )

    # -- changing -----------------------------------------------------------------------------

    async def cancel(self, run_id: str, user: User) -> Run:
        """Ask for a stop; a queued run is cancelled at once. Asking twice changes nothing.

        Raises:
            RunNotFound: no such run for this user.
            IllegalTransition: it has ended; `details["run"]` is the run as it is.
        """
        run = await self.get(run_id, user)
        reason = StatusReason.USER if run.owner_id == user.owner_id else StatusReason.ADMIN
        at = clock.now()
        stop = StopRequested(
            at=at,
            by=user.id,
            kill_at=at + timedelta(seconds=self._defaults.grace_seconds),
            reason=reason,
        )
        try:
            stopped = await self._records.update(run_id, lambda current: apply(current, stop))
        except IllegalTransition as error:
            ended = await self.get(run_id, user)
            error.details["run"] = ended.to_json()
            error.hint = f"It has already ended: {ended.status}."
            raise
        if stopped.is_terminal:
            self._dispatcher.kick()
        else:
            await self._placer.stop_asked(stopped)
        await self._audit(user, "cancel", run_id)
        return stopped

    async def answer_budget(self, run_id: str, decision: BudgetDecision, user: User) -> Run:
        """Answer a run that waits at its budget. The run as it is; it goes on a moment later.

        Raises:
            RunNotFound: no such run for this user.
            Conflict: it does not wait.
            InvalidInput: the new limit is not above the one that would be passed.
        """
        run = await self.get(run_id, user)
        if run.waiting is None:
            raise Conflict(
                "The run does not wait for an answer about its budget",
                hint="It may have been answered, or waited for too long.",
                run=run.to_json(),
            )
        answer = budget_answer(run.waiting, decision, by=user.id)
        await self._placer.answer(run, answer)
        details = {name: answer[name] for name in ("decision", "max_cost_usd", "max_llm_calls")}
        await self._audit(user, "budget", run_id, **details)
        return run

    async def bulk_cancel(self, run_ids: Sequence[str], user: User) -> dict[str, str]:
        """Cancel each; the outcome by run: `cancelled`, or `error: …`."""
        return await _each(
            run_ids,
            lambda run_id: self.cancel(run_id, user),
            "cancelled",
            lambda error: error.hint or error.message,
        )

    async def update(self, run_id: str, patch: RunPatch, user: User) -> Run:
        """Change a run's name, note, tags or pin; fields that are not given stay.

        Raises:
            RunNotFound: no such run for this user.
        """
        await self.get(run_id, user)
        given = {name: getattr(patch, name) for name in patch.model_fields_set}
        if given.get("tags", ()) is None:
            given["tags"] = ()
        if given.get("pinned", False) is None:
            given["pinned"] = False
        return self._dispatcher.with_place(
            await self._records.update(run_id, lambda run: run.changed(**given))
        )

    async def delete(self, run_id: str, user: User) -> None:
        """Remove an ended run with everything it kept.

        Raises:
            RunNotFound: no such run for this user.
            Conflict: it has not ended.
        """
        run = await self.get(run_id, user)
        if not run.is_terminal:
            raise Conflict(
                f"The run is {run.status}; only ended runs can be deleted",
                hint="Cancel it first.",
                run=run.to_json(),
            )
        await self._offload.io(self._folders.delete_secrets, run_id)
        await self._offload.write(self._store.delete_run, run_id, expected_version=run.version)
        await self._offload.collect(self._artifacts.delete_run, run_id)
        await self._offload.collect(self._folders.delete, run_id)
        self._broker.publish(RunDeleted(run_id=run_id, owner_id=run.owner_id))
        await self._audit(user, "delete", run_id)

    async def bulk_delete(self, run_ids: Sequence[str], user: User) -> dict[str, str]:
        """Delete each; the outcome by run: `deleted`, or `error: …`."""
        return await _each(run_ids, lambda run_id: self.delete(run_id, user), "deleted")

    async def _audit(self, user: User, action: str, run_id: str, **details: Any) -> None:
        await self._offload.write(
            self._store.audit,
            at=clock.now(),
            user=user.id,
            action=action,
            run_id=run_id,
            details=details,
        )


def check_keeps_kernel(config: RunConfig, environment: Environment) -> None:
    """That `keep_kernel` is asked for only where there is a kernel.

    Raises:
        InvalidInput
    """
    if config.keep_kernel and environment.executor in BUILT_IN_EXECUTORS[:2]:
        raise InvalidInput(
            "config.keep_kernel",
            f"the environment {environment.name!r} has no kernel: its executor is "
            f"{environment.executor}",
            hint="Leave it out, or choose an environment with the kernel executor.",
        )


def _draft(
    plan: _Plan, user: User, *, run_id: str, at: datetime, group_id: str | None = None
) -> _Draft:
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
    return _Draft(apply(run, Enqueued()), placement, secret_values)


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


def _overridden(
    config: RunConfig, overrides: dict[str, Any], *, field: str = "config_overrides"
) -> RunConfig:
    """Raises InvalidInput, naming the first wrong field."""
    merged = merge_overrides(config.to_json(), overrides)
    try:
        return RunConfig.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        wrong = ".".join(str(part) for part in (field, *first["loc"]))
        raise InvalidInput(wrong, first["msg"]) from error
