"""`Preflight`: what would keep a run from working, told before anything is created.

An error is what creating the run would refuse, or a run that could not even start; a warning is
what may make it fail.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import ValidationError

from mellea_jupyter import clock
from mellea_jupyter.assets.pinning import find_kind
from mellea_jupyter.auth.owner import User
from mellea_jupyter.environments.variables import LOCAL_EXECUTORS, inherited_variables
from mellea_jupyter.exceptions import DatasetNotFound, InvalidInput, MelleaJupyterError
from mellea_jupyter.models.assets import Asset
from mellea_jupyter.models.budget import Forecast
from mellea_jupyter.models.config import MASK, RunConfig, merge_overrides
from mellea_jupyter.models.environments import Environment
from mellea_jupyter.models.pages import RunQuery
from mellea_jupyter.models.requests import CheckReply, ModelList, ModelOffer, Problem, RunCheck
from mellea_jupyter.models.variables import is_secret_name
from mellea_jupyter.service.access import Action
from mellea_jupyter.service.assets import AssetService
from mellea_jupyter.service.environments import EnvironmentService
from mellea_jupyter.service.forecasts import Forecasts
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.planning import RunPlanner
from mellea_jupyter.service.prices import Prices
from mellea_jupyter.service.providers import (
    find_missing_variables,
    find_ollama_problem,
    provider_of,
)
from mellea_jupyter.service.runs import RunService

DEMO_MODEL: Final = "demo/scripted"
_RECENT_RUNS: Final = 200


@dataclass(frozen=True, slots=True)
class PreflightOptions:
    """What an operator decides."""

    root: Path
    sources_dir: Path
    models: Sequence[str]
    default_model: str | None


class Preflight:
    """Looks at a request for a run the way creating and starting it would."""

    def __init__(
        self,
        *,
        runs: RunService,
        planner: RunPlanner,
        assets: AssetService,
        environments: EnvironmentService,
        prices: Prices,
        forecasts: Forecasts,
        offload: Offload,
        options: PreflightOptions,
    ) -> None:
        self._runs = runs
        self._planner = planner
        self._assets = assets
        self._environments = environments
        self._prices = prices
        self._forecasts = forecasts
        self._offload = offload
        self._options = options

    async def check(self, request: RunCheck, user: User) -> CheckReply:
        """All that is known to be wrong; nothing is created, whatever is found.

        Raises:
            RunNotFound: `retry_of` is no run of this user.
            PermissionDenied: `retry_of` is shared with them, and not for this.
        """
        problems: list[Problem] = []
        asset = None
        owner = user
        fields = request.config
        if request.retry_of is not None:
            action = Action.RECONFIGURE if fields else Action.RETRY
            original = await self._runs.get(request.retry_of, user, action)
            owner = replace(user, owner_id=original.owner_id)  # what it is made of is the owner's
            fields = merge_overrides(original.config.to_json(), fields)
            request = request.model_copy(update={"asset_id": original.asset_id})
        try:
            asset = await self._find_asset(request, owner)
        except MelleaJupyterError as error:
            problems.append(_refusal(error, "path" if request.asset_id is None else "asset_id"))
        config, invalid = _read_config(fields)
        problems += invalid
        if request.retry_of is None:
            problems += _find_masks(config)
        if asset is not None:
            try:
                config = await self._planner.checked(config, asset, owner)
            except DatasetNotFound as error:
                problems += _find_unknown_dataset(config, error)
            except MelleaJupyterError as error:
                problems.append(_refusal(error, "config"))
        environment = await self._find_environment(config, asset, owner, problems)
        if environment is not None:
            misfits = self._planner.misfits(config, environment)
            problems += [_refusal(misfit, misfit.field) for misfit in misfits]
            if config.model is not None:
                problems += await self._find_model_problems(config, environment)
            problems += self._find_price_problems(config)
        forecast = None if asset is None else await self._forecast(asset, config, user)
        return CheckReply(problems=tuple(problems), forecast=forecast)

    def _find_price_problems(self, config: RunConfig) -> list[Problem]:
        model = config.model
        if config.max_cost_usd is None or not model or self._prices.list.is_known(None, model):
            return []
        return [
            Problem(
                field="config.max_cost_usd",
                message=f"The price of {model} is not known, so its calls do not count.",
                hint="Limit the calls as well, or have the operator price it "
                "(MelleaApp.pricing_file).",
                severity="warning",
            )
        ]

    async def _forecast(self, asset: Asset, config: RunConfig, user: User) -> Forecast:
        """What the program took so far; of a path, if it has been registered."""
        asset_id = asset.id or await self._assets.find_id(asset, user)
        if asset_id is None:
            return Forecast(runs=0, model=config.model)
        found = await self._forecasts.of_asset(asset_id, config.model, user)
        if found.runs or config.model is None:
            return found
        return await self._forecasts.of_asset(asset_id, None, user)

    async def list_models(self, user: User) -> ModelList:
        """Models to offer: the user's recent ones, those configured, the demo; each once."""
        query = RunQuery(owner_id=(user.owner_id,), limit=_RECENT_RUNS)
        recent = (await self._runs.list(query, user)).runs
        default = self._options.default_model
        offers = [
            *(ModelOffer(model=run.config.model, source="recent")
              for run in recent if run.config.model is not None),
            *(ModelOffer(model=model, source="configured")
              for model in (*([default] if default else []), *self._options.models)),
            ModelOffer(model=DEMO_MODEL, source="demo"),
        ]  # fmt: skip
        first: dict[str, ModelOffer] = {}
        for offer in offers:
            first.setdefault(offer.model, offer)
        return ModelList(models=tuple(first.values()))

    async def _find_asset(self, request: RunCheck, user: User) -> Asset:
        """Raises MelleaJupyterError: the program is none, or not to be found."""
        if request.asset_id is not None:
            return await self._assets.get(request.asset_id, user)
        path = request.path or ""
        kind = await self._offload.io(
            find_kind, path, root=self._options.root, store_dir=self._options.sources_dir
        )
        now = clock.now()
        return Asset(  # what registering it would give, as far as a config can depend on it
            id="",
            kind=kind,
            name=path,
            entry_point=path,
            version="",
            content_hash="",
            owner_id=user.owner_id,
            created_at=now,
            updated_at=now,
        )

    async def _find_environment(
        self, config: RunConfig, asset: Asset | None, user: User, problems: list[Problem]
    ) -> Environment | None:
        wanted = config.environment_id or (asset.default_environment_id if asset else None)
        try:
            resolved = await self._environments.resolve(wanted, user)
            environment = await self._environments.get(resolved.id, user)
        except MelleaJupyterError as error:
            problems.append(_refusal(error, "config.environment_id"))
            return None
        if not environment.available and environment.checked_at is not None:
            problems.append(
                Problem(
                    field="config.environment_id",
                    message=environment.reason or "It does not work at present.",
                    hint="Choose another environment.",
                    severity="error",
                )
            )
        return environment

    async def _find_model_problems(
        self, config: RunConfig, environment: Environment
    ) -> list[Problem]:
        model = config.model or ""
        provider = provider_of(model)
        variables = {**inherited_variables(environment, os.environ), **config.env_vars}
        problems = find_missing_variables(model, variables)
        # In a container localhost is another one; an address out of a request is not ours to ask.
        is_here = environment.executor in LOCAL_EXECUTORS
        if provider == "ollama" and is_here and "OLLAMA_HOST" not in config.env_vars:
            found = await find_ollama_problem(model, variables)
            problems += [] if found is None else [found]
        return problems


def _read_config(fields: Mapping[str, Any]) -> tuple[RunConfig, list[Problem]]:
    """The config without what is wrong in it, and what that is."""
    try:
        return RunConfig.model_validate_json(orjson.dumps(fields), strict=True), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = [
        Problem(
            field=".".join(str(part) for part in ("config", *each["loc"]) if part != "[key]"),
            message=each["msg"].removeprefix("Value error, "),
            severity="error",
        )
        for each in found
    ]
    wrong = {str(each["loc"][0]) for each in found if each["loc"]}
    good = {name: value for name, value in fields.items() if name not in wrong}
    return RunConfig.model_validate_json(orjson.dumps(good), strict=True), problems


def _find_masks(config: RunConfig) -> list[Problem]:
    return [
        Problem(
            field=f"config.env_vars.{name}",
            message=f"{name} holds the mask {MASK} instead of a value.",
            hint="Type the value again.",
            severity="error",
        )
        for name, value in config.env_vars.items()
        if value == MASK and is_secret_name(name)
    ]


def _find_unknown_dataset(config: RunConfig, error: DatasetNotFound) -> list[Problem]:
    return [
        Problem(
            field=f"config.datasets.{index}.dataset_id",
            message=error.message,
            hint="Choose another one, or register it again.",
            severity="error",
        )
        for index, binding in enumerate(config.datasets)
        if binding.dataset_id == error.details["id"]
    ]


def _refusal(error: MelleaJupyterError, field: str) -> Problem:
    """What creating the run would say, under the field it is about."""
    named = error.field if isinstance(error, InvalidInput) else field
    return Problem(
        field=named,
        message=error.message.removeprefix(f"{named}: "),
        hint=error.hint,
        severity="error",
    )
