"""Bodies of requests and replies of the REST API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints, field_validator, model_validator

from mellea_jupyter.models.base import Model
from mellea_jupyter.models.budget import Forecast
from mellea_jupyter.models.config import RunConfig

Tag = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]


def _distinct(tags: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if tags is None else tuple(dict.fromkeys(tags))


class RunCreate(Model):
    """`POST /api/runs`."""

    asset_id: str = Field(description="The asset to execute.")
    config: RunConfig = Field(default_factory=RunConfig, description="How.")
    name: str | None = Field(None, max_length=200, description="A name for people.")
    note: str | None = Field(None, max_length=10_000, description="A note for people.")
    tags: tuple[Tag, ...] = Field((), max_length=50, description="Labels.")

    _tags = field_validator("tags")(_distinct)


class RunCheck(Model):
    """`POST /api/runs/check`. Exactly one of `asset_id`, `path` and `retry_of`."""

    asset_id: str | None = Field(None, description="The asset that would be executed.")
    path: str | None = Field(
        None, description="Or a program that would be registered, as in `POST /api/assets`."
    )
    retry_of: str | None = Field(None, description="Or the run that would be retried.")
    config: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Fields of RunConfig, which may be wrong; overrides with `retry_of`.",
    )

    @model_validator(mode="after")
    def _one_program(self) -> RunCheck:
        if sum(each is not None for each in (self.asset_id, self.path, self.retry_of)) != 1:
            msg = "give one of asset_id, path and retry_of"
            raise ValueError(msg)
        return self


class Problem(Model):
    """One thing that is wrong with a request for a run, or that may go wrong."""

    field: str = Field(description="What it is about, e.g. `path` or `config.model`.")
    message: str = Field(description="What is wrong, one sentence.")
    hint: str = Field("", description="The next step.")
    severity: Literal["error", "warning"] = Field(
        description="`error`: it can not be created or started. `warning`: it may fail."
    )


class CheckReply(Model):
    """What is known to be wrong; nothing is no promise."""

    problems: tuple[Problem, ...] = Field(description="Errors and warnings, the program's first.")
    forecast: Forecast | None = Field(
        None,
        description="What the program usually takes: with this model, or else with any; null "
        "where there is no program.",
    )


class ModelOffer(Model):
    """A model to choose."""

    model: str = Field(description='"provider/name".')
    source: Literal["recent", "configured", "demo"] = Field(description="Why it is offered.")


class ModelList(Model):
    """Models to offer where one is asked for."""

    models: tuple[ModelOffer, ...] = Field(
        description="Recent ones first, then those of the server's settings, then the demo."
    )


class RetryRequest(Model):
    """`POST /api/runs/{id}/retry`."""

    config_overrides: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Fields of RunConfig to replace; `env_vars` merge by key, null removes.",
    )


class RunPatch(Model):
    """`PATCH /api/runs/{id}`; absent fields stay."""

    name: str | None = Field(None, max_length=200, description="A name; null removes it.")
    note: str | None = Field(None, max_length=10_000, description="A note; null removes it.")
    tags: tuple[Tag, ...] | None = Field(None, max_length=50, description="Replaces all labels.")
    pinned: bool | None = Field(None, description="Keep it from the retention policy.")

    _tags = field_validator("tags")(_distinct)


class BulkRequest(Model):
    """Runs to cancel or delete together."""

    run_ids: tuple[str, ...] = Field(min_length=1, max_length=1000, description="The runs.")


class ErrorBody(Model):
    """Every error of the API."""

    code: str = Field(description="Stable identifier, snake case.")
    message: str = Field(description="What is wrong, one sentence.")
    hint: str = Field("", description="The next step.")
    details: dict[str, JsonValue] = Field(default_factory=dict, description="More, for programs.")
    request_id: str = Field("", description="To find it in the server's log.")
