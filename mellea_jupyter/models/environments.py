"""Environments: the interpreter and packages, kernel or image that runs execute in."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from mellea_jupyter.models.base import Model, Timestamp
from mellea_jupyter.models.variables import SERVER_PREFIXES, VariableName

DEFAULT_PRELOAD: Final = ("mellea", "mellea.backends.openai", "mellea.backends.ollama")

ExecutorName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]
EnvironmentName = Annotated[
    str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)
]
EnvironmentId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Network = Literal["none", "bridge", "internal"]

BUILT_IN_EXECUTORS: Final = ("process", "docker", "kernel")

_HEEDED_BY: Final = {
    "python": "process",
    "kernel_name": "kernel",
    "image": "docker",
    "cpus": "docker",
    "pids_limit": "docker",
    "network": "docker",
}


def executor_heeds(executor: str, field: str) -> bool:
    """Whether a field means anything to an executor; what would be ignored is refused instead.

    An executor that another package offers gets all fields.
    """
    return executor not in BUILT_IN_EXECUTORS or _HEEDED_BY.get(field, executor) == executor


class EnvironmentFields(Model):
    """What describes an environment, apart from whose it is and whether it works."""

    name: EnvironmentName = Field(description="Shown name; an owner has each name once.")
    executor: ExecutorName = Field(
        "process", description="What places its runs: `process`, `docker`, `kernel`, or one that "
        "another package registered."
    )  # fmt: skip
    python: str | None = Field(
        None, min_length=1, max_length=4096,
        description="Interpreter of the process executor, a path or a command; the server's own "
        "when absent.",
    )  # fmt: skip
    kernel_name: str | None = Field(
        None, min_length=1, max_length=200,
        description="Kernelspec of the kernel executor, as `jupyter kernelspec list` names it.",
    )  # fmt: skip
    image: str | None = Field(
        None, min_length=1, max_length=500, pattern=r"^\S+$",
        description="Image of the docker executor, e.g. `python:3.12-slim` or one with a digest.",
    )  # fmt: skip
    cpus: float | None = Field(
        None, gt=0, le=1024, description="Processors a run may use at once. Docker only."
    )
    memory_mb: int | None = Field(
        None, gt=0, le=1 << 24, description="Most memory of a run and all its processes, in MiB."
    )
    pids_limit: int | None = Field(
        None, gt=0, le=1 << 22, description="Most processes and threads of a run. Docker only."
    )
    network: Network | None = Field(
        None,
        description="Docker only. `none`: no network. `bridge`: as the engine gives it, and the "
        "default. `internal`: a network without a way out of the machine.",
    )
    env_passthrough: tuple[VariableName, ...] | None = Field(
        None,
        max_length=200,
        description="Variables of the server that its programs get, by name; read when a run "
        "starts, never stored, and masked in logs by value. Absent: all for process and kernel, "
        "those that configure model providers for docker.",
    )
    preload: tuple[str, ...] = Field(
        DEFAULT_PRELOAD,
        max_length=50,
        description="Modules that a prepared interpreter has imported.",
    )
    prewarm: int = Field(
        0,
        ge=0,
        le=32,
        description="Prepared interpreters or containers that are kept ready for it.",
    )

    @field_validator("env_passthrough")
    @classmethod
    def _not_the_servers_own(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            if name.startswith(SERVER_PREFIXES):
                msg = f"{name} belongs to the Jupyter server and is not given to programs"
                raise ValueError(msg)
        return None if value is None else tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _fits_its_executor(self) -> EnvironmentFields:
        for field, executor in _HEEDED_BY.items():
            if getattr(self, field) is not None and not executor_heeds(self.executor, field):
                msg = f"{field} is for the {executor} executor, this one is {self.executor}"
                raise ValueError(msg)
        needed = {"docker": "image", "kernel": "kernel_name"}.get(self.executor)
        if needed is not None and getattr(self, needed) is None:
            msg = f"the {self.executor} executor needs {needed}"
            raise ValueError(msg)
        return self


class EnvironmentCreate(EnvironmentFields):
    """`POST /api/environments`."""

    shared: bool = Field(
        False, description="For everybody to use; only administrators may make or change such."
    )


class EnvironmentPatch(Model):
    """`PATCH /api/environments/{id}`; absent fields stay, null resets one to its default."""

    name: EnvironmentName | None = Field(None, description="Shown name.")
    executor: ExecutorName | None = Field(None, description="What places its runs.")
    python: str | None = Field(None, description="Interpreter of the process executor.")
    kernel_name: str | None = Field(None, description="Kernelspec of the kernel executor.")
    image: str | None = Field(None, description="Image of the docker executor.")
    cpus: float | None = Field(None, description="Processors a run may use at once.")
    memory_mb: int | None = Field(None, description="Most memory of a run, in MiB.")
    pids_limit: int | None = Field(None, description="Most processes and threads of a run.")
    network: Network | None = Field(None, description="Which network a container has.")
    env_passthrough: tuple[VariableName, ...] | None = Field(
        None, description="Variables of the server that its programs get."
    )
    preload: tuple[str, ...] | None = Field(None, description="Modules imported beforehand.")
    prewarm: int | None = Field(None, description="Prepared interpreters or containers.")


class EnvironmentProbe(Model):
    """An executor's answer to whether runs can start in an environment now."""

    available: bool = Field(description="Whether a run can start.")
    reason: str | None = Field(None, description="Why not, and the next step.")
    facts: dict[str, str] = Field(
        default_factory=dict,
        description="What was found, by name: `python` and `mellea` are versions, `interpreter` "
        "is a path; further ones are the executor's.",
    )


class Environment(EnvironmentFields):
    """Where runs of it are placed, and whether that works at present."""

    id: EnvironmentId = Field(description="Environment id.")
    owner_id: str | None = Field(
        None, description="Whose it is; null is for everybody: the server's or an administrator's."
    )
    is_configured: bool = Field(
        False, description="Comes from the server's settings and can not be changed here."
    )
    created_at: Timestamp | None = Field(None, description="When it was made.")
    updated_at: Timestamp | None = Field(None, description="When it was changed last.")
    available: bool = Field(True, description="Whether a run can start in it now.")
    reason: str | None = Field(None, description="Why not, and the next step.")
    checked_at: Timestamp | None = Field(
        None, description="When that was found out; null while the first check goes on."
    )
    facts: dict[str, str] = Field(
        default_factory=dict, description="What the check found; see `EnvironmentProbe`."
    )

    def definition(self) -> dict[str, Any]:
        """Its `EnvironmentFields` by name: what decides how runs are placed."""
        return {name: getattr(self, name) for name in EnvironmentFields.model_fields}


class EnvironmentList(Model):
    """All environments a user may choose from."""

    environments: tuple[Environment, ...] = Field(description="Ordered by name.")
    default_id: str = Field("default", description="Environment of runs that name none.")
