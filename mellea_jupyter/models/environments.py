"""Environments: the interpreter and packages, kernel or image that runs execute in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mellea_jupyter.models.base import Model

ExecutorName = Literal["process", "docker", "kernel"]


class Environment(Model):
    """Where runs of it are placed, and whether that works at present."""

    id: str = Field(description="Environment id.")
    name: str = Field(description="Shown name.")
    executor: ExecutorName = Field("process", description="The executor that places its runs.")
    python: str | None = Field(None, description="Interpreter, for the process executor.")
    preload: tuple[str, ...] = Field(
        ("mellea", "mellea.backends.openai", "mellea.backends.ollama"),
        description="Modules that a warm interpreter has imported.",
    )
    memory_mb: int | None = Field(None, gt=0, description="Memory limit of a run, in MiB.")
    available: bool = Field(True, description="Whether a run can start in it now.")
    reason: str | None = Field(None, description="Why not.")


class EnvironmentList(Model):
    """All environments a user may choose from."""

    environments: tuple[Environment, ...] = Field(description="Ordered by name.")
