"""`RunPlanner`: from a request to what a run is to be made of. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import IllegalTransition, InvalidInput
from mellea_jupyter.lifecycle.statuses import RETRYABLE
from mellea_jupyter.models.assets import Asset
from mellea_jupyter.models.config import RunConfig, merge_overrides
from mellea_jupyter.models.environments import BUILT_IN_EXECUTORS, Environment
from mellea_jupyter.models.requests import RetryRequest, RunCreate, RunGroupCreate
from mellea_jupyter.models.run import Run
from mellea_jupyter.models.sharing import RunRole
from mellea_jupyter.service import secrets
from mellea_jupyter.service.assets import AssetService
from mellea_jupyter.service.datasets import DatasetService
from mellea_jupyter.service.environments import EnvironmentService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.placing import Placer
from mellea_jupyter.service.run_folder import RunFolders
from mellea_jupyter.stores.runs.base import Placement, RunStore


@dataclass(frozen=True, slots=True)
class RunDefaults:
    """What the operator sets for new runs."""

    model: str | None
    max_timeout_seconds: float
    grace_seconds: float
    max_group_runs: int = 100
    server: str = ""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run to be recorded: its config (secrets still in it), its source, its links.

    Attributes:
        shares_of: the run whose shares the new one gets.
    """

    request: RunCreate
    asset: Asset
    environment: Environment
    placement: Placement
    retry_of: Run | None = None
    shares_of: str | None = None


class RunPlanner:
    """Resolves what requests name, and says what is wrong with them."""

    def __init__(
        self,
        *,
        store: RunStore,
        assets: AssetService,
        environments: EnvironmentService,
        datasets: DatasetService,
        folders: RunFolders,
        placer: Placer,
        offload: Offload,
        defaults: RunDefaults,
    ) -> None:
        self._store = store
        self._assets = assets
        self._environments = environments
        self._datasets = datasets
        self._folders = folders
        self._placer = placer
        self._offload = offload
        self._defaults = defaults

    async def plan(self, request: RunCreate, user: User) -> RunPlan:
        """What a run of the request is to be made of.

        Raises:
            AssetNotFound, EnvironmentNotFound, DatasetNotFound: the request names an unknown one.
            InvalidInput: a field is over what the operator allows.
        """
        asset = await self._assets.get(request.asset_id, user)
        config = await self.checked(request.config, asset, user)
        environment = await self._environment_of(config, asset.default_environment_id, user)
        if config.environment_id is not None:  # it may have been named
            config = config.model_copy(update={"environment_id": environment.id})
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
        return RunPlan(request, asset, environment, placement)

    async def plan_variant(self, request: RunGroupCreate, number: int, user: User) -> RunPlan:
        """The plan of a group's variant.

        Raises:
            AssetNotFound, EnvironmentNotFound, DatasetNotFound, InvalidInput: as `plan`; what is
                wrong with the variant names it.
        """
        variant, field = request.variants[number], f"variants.{number}"
        try:
            config = overridden(request.config, variant, field=field) if variant else None
            create = RunCreate(
                asset_id=request.asset_id,
                config=config or request.config,
                name=request.name,
                note=request.note,
                tags=request.tags,
            )
            return await self.plan(create, user)
        except InvalidInput as error:
            inner = error.field.removeprefix("config.")
            if not variant or inner.split(".")[0] not in variant:
                raise
            message = error.message.removeprefix(f"{error.field}: ")
            raise InvalidInput(f"{field}.{inner}", message, hint=error.hint) from error

    async def plan_retry(self, original: Run, request: RetryRequest, user: User) -> RunPlan:
        """The same source once more, of its owner and with their secrets, whoever asks.

        Args:
            original: the run as the user sees it; that they may retry it is known.
            request: what is to change.
            user: who asks.

        Raises:
            IllegalTransition: it has not failed and was not cancelled.
            AssetNotFound, EnvironmentNotFound, DatasetNotFound: what it was made of is gone.
            InvalidInput: an override is not a valid field or value.
        """
        if original.status not in RETRYABLE:
            raise IllegalTransition(
                "Retry",
                original.status,
                tuple(sorted(s.value for s in RETRYABLE)),
                hint="Cancel it first, or create a new run with its configuration.",
            )
        owner = replace(user, owner_id=original.owner_id)  # what it is made of is the owner's
        kept = await self._offload.io(secrets.read, self._folders.path(original.id))
        config = overridden(original.config, request.config_overrides)
        asset = await self._assets.get(original.asset_id, owner)
        asset = asset.model_copy(
            update={"version": original.asset_version, "name": original.asset_name}
        )
        config = await self.checked(secrets.restore(config, kept), asset, owner)
        placement = await self._offload.io(self._store.get_placement, original.id)
        environment = await self._environment_of(config, placement.environment_id, owner)
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
        shares_of = original.id if original.role is RunRole.OPERATOR else None
        return RunPlan(create, asset, environment, placement, original, shares_of)

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

    async def _environment_of(
        self, config: RunConfig, otherwise: str | None, user: User
    ) -> Environment:
        """The environment of a run.

        Raises:
            EnvironmentNotFound: it names an unknown one.
            InvalidInput: the config asks for what is not to be had there.
        """
        environment = await self._environments.resolve(config.environment_id or otherwise, user)
        for misfit in self.misfits(config, environment):
            raise misfit
        return environment

    def misfits(self, config: RunConfig, environment: Environment) -> Iterator[InvalidInput]:
        """Yields what the config asks for and can not be had in the environment."""
        if config.keep_kernel and environment.executor in BUILT_IN_EXECUTORS[:2]:
            yield InvalidInput(
                "config.keep_kernel",
                f"the environment {environment.name!r} has no kernel: its executor is "
                f"{environment.executor}",
                hint="Leave it out, or choose an environment with the kernel executor.",
            )
        if config.on_budget == "ask" and not self._placer.can_answer(environment.executor):
            yield InvalidInput(
                "config.on_budget",
                f"runs of the executor {environment.executor!r} can not ask",
                hint="Choose stop, or another environment.",
            )


def overridden(
    config: RunConfig, overrides: dict[str, Any], *, field: str = "config_overrides"
) -> RunConfig:
    """The config with some fields changed.

    Raises:
        InvalidInput: it names the first wrong field.
    """
    merged = merge_overrides(config.to_json(), overrides)
    try:
        return RunConfig.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        wrong = ".".join(str(part) for part in (field, *first["loc"]))
        raise InvalidInput(wrong, first["msg"]) from error
