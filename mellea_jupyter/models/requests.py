"""Bodies of requests and replies of the REST API."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints, field_validator

from mellea_jupyter.models.base import Model
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
