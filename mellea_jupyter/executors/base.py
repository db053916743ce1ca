"""The contract between the service and what executes runs.

An executor places a run and answers for it. It never writes a status: the follower reads the
journal, asks the executor, and applies lifecycle events. All methods are called from worker
threads (they may block for a moment), from several at once, and must be safe for that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import Field, JsonValue

from mellea_jupyter.models.base import Model
from mellea_jupyter.models.environments import Environment, EnvironmentProbe
from mellea_jupyter.models.ids import RunId
from mellea_jupyter.models.run import RunImage


class RunHandle(Model):
    """The JSON that finds a placed run again, stored with the run before anything waits on it."""

    executor: str = Field(description="Name of the executor that made it.")
    run_id: str = Field(description="The run.")
    host: str = Field(description="Machine it was placed on.")
    boot_id: str = Field(description="Boot of that machine; process ids mean nothing in another.")
    data: dict[str, JsonValue] = Field(
        default_factory=dict, description="The executor's own, e.g. the supervisor's identity."
    )


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """All an executor needs to place a run.

    `spec` is the content of `spec.json` (docs/contributing/journal.md) and `secrets` that of
    `secrets`; the executor writes both into `run_dir`, which exists with `source/` filled, mode
    0700, and beside them `prices.json`, where there are `prices`. `image_id` is what
    `PullsImages.pull` gave for this run.
    """

    run_id: RunId
    run_dir: Path
    environment: Environment
    spec: Mapping[str, Any]
    secrets: Mapping[str, str]
    image_id: str | None = None
    prices: bytes | None = None


class ExecutorUnreachable(OSError):
    """What holds the runs does not answer. They are neither dead nor alive by that; ask again."""


class Liveness(Model):
    """What an executor knows of a placed run, by evidence and never by pid alone.

    `alive`: the supervisor (or engine) holds the run, more frames may come.
    Not `alive`: no frame will be added any more. Then `exit_code` and `reason` are the engine's
    word on the end where it has one; both None means that the journal's end frame decides, and
    without such a frame the run is lost. `otherwise` is the reason for a run whose journal does
    not say that the program ended by itself.
    """

    alive: bool
    exit_code: int | None = None
    reason: str | None = None
    otherwise: str | None = None
    message: str | None = None


class Executor(ABC):
    """Places runs and finds them again.

    Attributes:
        name: what environments say in `executor`.
        trusts_journal: whether the journal's end frame proves the end. Where the program could
            have written it, the run goes on until `poll` says otherwise, and the frame's exit code
            counts as far as that of `Liveness` agrees with it (128 + N for signal N).
        patience_seconds: how long `poll` may be unreachable before a run is given up as lost.
    """

    name: str
    trusts_journal: ClassVar[bool] = True
    patience_seconds: float = 600.0

    @abstractmethod
    def launch(self, spec: LaunchSpec) -> RunHandle:
        """Place the run; return as soon as it can be found again.

        Called once a run, by the dispatcher that claimed it. A run that was launched before a
        crash of the server and whose handle was not stored is found through `find`.

        Raises:
            LaunchFailed: nothing was placed and nothing is left behind.
        """

    @abstractmethod
    def find(self, run_id: RunId, run_dir: Path) -> RunHandle | None:
        """The handle of a run that may have been launched before its handle could be stored.

        None: it was never launched and, for this run id, never will be by an earlier call.
        Called by the reconciler for `pulling_image` and `starting` runs without a handle.
        """

    @abstractmethod
    def poll(self, handle: RunHandle, run_dir: Path) -> Liveness:
        """Whether the run is still held. Called about once a second a run, and at its end.

        Raises:
            ExecutorUnreachable: ask again; the run is given up after `patience_seconds`.
            OSError: it can not be told now. The run is neither dead nor alive by that; ask again.
        """

    @abstractmethod
    def cancel(self, handle: RunHandle, run_dir: Path, *, reason: str, by: str,
               grace_seconds: float) -> None:  # fmt: skip
        """Ask for the stop: the whole tree gets SIGTERM now and SIGKILL after the grace period.

        Returns at once. Idempotent; a run that has ended is left alone.
        """

    @abstractmethod
    def kill(self, handle: RunHandle, run_dir: Path, *, reason: str = "terminated",
             by: str = "") -> bool:  # fmt: skip
        """Kill whatever is left of the run, supervisor included; True when it is verified gone.

        `reason` and `by` are why, as for `cancel`, in case that never reached the run.

        Called when `kill_at` is past and the supervisor has not reported the end, and for a run
        whose supervisor is dead. Only processes whose identity is verified are signalled.
        """

    @abstractmethod
    def cleanup(self, handle: RunHandle, run_dir: Path) -> None:
        """Release what the executor holds for an ended run (sockets, containers). Idempotent."""

    def probe(self, environment: Environment) -> EnvironmentProbe:
        """Whether a run could start in this environment now, without starting one.

        Called on a thread of its own kind, so it may take seconds; the answer is remembered for a
        while. Bound your waiting: an engine that hangs must become an answer with a reason. An
        executor that does not override this says that all its environments work.
        """
        return EnvironmentProbe(available=True)

    def prepare(self, environment: Environment) -> None:
        """Get warm for runs of this environment; called in the background, may do nothing."""

    def close(self) -> None:
        """The server stops. Placed runs go on."""


class Pull(Protocol):
    """An image on its way to where it is needed."""

    def run(self, report: Callable[[RunImage], None]) -> RunImage:
        """Wait until the image is there; `report` is told how far it is, often.

        Raises:
            LaunchFailed: it can not be had, or `cancel` was called.
        """

    def cancel(self) -> None:
        """Break off, from any thread; nothing is left behind. Idempotent."""


@runtime_checkable
class PullsImages(Protocol):
    """An executor whose runs need an image: they are `pulling_image` until they have it."""

    def pull(self, environment: Environment, before: RunImage | None) -> Pull:
        """Get the environment's image; not begun yet. `before` is the one a retried run had."""


@runtime_checkable
class AnswersRuns(Protocol):
    """An executor whose runs can ask: their runtime finds the answer beside its `spec.json`."""

    def answer(self, handle: RunHandle, run_dir: Path, answer: Mapping[str, Any]) -> None:
        """Write `budget.json` (docs/contributing/journal.md) in one step; the last one counts.

        Raises:
            OSError: it could not be written.
        """


@runtime_checkable
class LeavesOrphans(Protocol):
    """An executor whose runs may leave something behind that only a later search finds."""

    def sweep(self, is_active: Callable[[RunId], bool]) -> int:
        """Remove what belongs to runs that are not active; how many there were."""
