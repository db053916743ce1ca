"""`RunConfig`: what a run is asked to do (spec.md §5.1.1 and the extensions of the design)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, JsonValue, field_validator

from mellea_jupyter.models.base import Model
from mellea_jupyter.models.variables import VariableName

DEFAULT_TIMEOUT_SECONDS = 3600
MAX_TIMEOUT_SECONDS = 7 * 24 * 3600
DEFAULT_ARTIFACT_QUOTA_MB = 200
MASK = "••••"


class DatasetBinding(Model):
    """A dataset under the name by which the program asks for it."""

    name: VariableName = Field(description="Variable name in the program.")
    dataset_id: str = Field(description="The dataset asset.")
    version: str | None = Field(None, description='A version, or "latest" (the default).')


class RunConfig(Model):
    """How a run is to be executed. Every field has a default."""

    model: str | None = Field(
        None,
        max_length=300,
        description='Default model, "provider/name", e.g. "openai/gpt-4o" or "ollama/llama3".',
    )
    environment_id: str | None = Field(
        None, description="Environment to run in; the asset's default when absent."
    )
    env_vars: dict[VariableName, str] = Field(
        default_factory=dict,
        description="Variables for the program. Values of secret-looking names are masked.",
    )
    datasets: tuple[DatasetBinding, ...] = Field((), description="Datasets bound to names.")
    timeout_seconds: float = Field(
        DEFAULT_TIMEOUT_SECONDS,
        gt=0,
        le=MAX_TIMEOUT_SECONDS,
        description="Longest wall-clock time, in seconds.",
    )
    artifact_quota_mb: float = Field(
        DEFAULT_ARTIFACT_QUOTA_MB,
        ge=0,
        le=1_000_000,
        description="Most artifact storage of the run, in MiB.",
    )
    args: tuple[str, ...] = Field((), description="Command-line arguments of the program.")
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Keyword arguments of a `module:callable`, or parameters of a notebook.",
    )
    working_directory: Literal["program", "run"] = Field(
        "program",
        description="Start in the program's own folder, or in a fresh folder of the run.",
    )
    isolation: Literal["warm", "fresh"] = Field(
        "warm", description="Fork a prepared interpreter, or start a new one."
    )
    model_steering: Literal["default", "force", "off"] = Field(
        "default",
        description="Fill in a model the program left out, override its choice, or do nothing.",
    )
    strict_requirements: bool = Field(
        False, description="Fail the run when a sampling loop ends with requirements not met."
    )
    capture_content: bool = Field(True, description="Keep prompts and replies of LLM calls.")
    keep_kernel: bool = Field(
        False,
        description="Keep the kernel of a run that fails, for a console to look into it. Kernel "
        "environments only.",
    )
    max_cost_usd: Decimal | None = Field(
        None, gt=0, description="Budget of the run, in US dollars."
    )
    max_llm_calls: int | None = Field(None, gt=0, description="Most LLM calls of the run.")
    on_budget: Literal["stop", "ask"] = Field(
        "stop", description="What happens when a call would pass the budget."
    )

    @property
    def has_budget(self) -> bool:
        """Whether money or calls are limited."""
        return self.max_cost_usd is not None or self.max_llm_calls is not None

    @field_validator("env_vars")
    @classmethod
    def _no_nul(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if "\0" in text:
                msg = f"the value of {name} holds a NUL character"
                raise ValueError(msg)
        return value

    @field_validator("datasets")
    @classmethod
    def _names_once(cls, value: tuple[DatasetBinding, ...]) -> tuple[DatasetBinding, ...]:
        names: set[str] = set()
        for binding in value:
            if binding.name.upper() in names:  # their variables would be the same
                msg = f"the name {binding.name!r} is there twice; case does not count"
                raise ValueError(msg)
            names.add(binding.name.upper())
        return value

    @field_validator("args")
    @classmethod
    def _args_no_nul(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in text for text in value):
            msg = "an argument holds a NUL character"
            raise ValueError(msg)
        return value


def merge_overrides(config: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """`config` with a retry's `config_overrides` applied, both as JSON objects.

    `env_vars` merge by key, and a `null` removes one; everything else replaces. The result still
    has to be validated as a `RunConfig`.
    """
    merged = {**config, **overrides}
    if isinstance(changes := overrides.get("env_vars"), dict):
        variables = {**config.get("env_vars", {}), **changes}
        merged["env_vars"] = {k: v for k, v in variables.items() if v is not None}
    return merged
