"""`RunHandle`: one run in the hand of a script or notebook. `.aio` is its awaiting twin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mellea_jupyter.client import phrases
from mellea_jupyter.client.budget import STOP, more
from mellea_jupyter.client.errors import ClientError, RunFailed, WaitTimeout
from mellea_jupyter.models.artifacts import ArtifactRef, StructuredOutput
from mellea_jupyter.models.calls import CallContent, LlmCall, SamplingLoop, UsagePoint
from mellea_jupyter.models.frames import LogFrame
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.models.sharing import ShareList

if TYPE_CHECKING:
    from mellea_jupyter.client.connection import Connection
    from mellea_jupyter.client.handle_async import AsyncRunHandle
    from mellea_jupyter.client.sync import MelleaClient
    from mellea_jupyter.widgets.views import RunCard

FIRST_POLL_SECONDS: Final = 0.02
LONGEST_POLL_SECONDS: Final = 1.0


class RunHandle:
    """A run: its record as last read, and what can be done with it.

    Properties show the record as it was last read; `refresh`, `wait` and `cancel` read it again.
    All methods raise `ClientError`.
    """

    def __init__(self, client: MelleaClient, run: Run) -> None:
        self._client = client
        self._run = run

    @property
    def id(self) -> str:
        """The run's id."""
        return self._run.id

    @property
    def run(self) -> Run:
        """The whole record, as last read."""
        return self._run

    @property
    def status(self) -> RunStatus:
        """Where the run is; read again unless it has ended."""
        if not self._run.is_terminal:
            self.refresh()
        return self._run.status

    @property
    def metrics(self) -> RunMetrics:
        """What it used; read again unless it has ended."""
        if not self._run.is_terminal:
            self.refresh()
        return self._run.metrics

    @property
    def exit_code(self) -> int | None:
        """The program's exit code, `-N` for signal N, None while it is not known."""
        return self._run.exit_code

    @property
    def url(self) -> str | None:
        """The link that opens the run in JupyterLab; None where there is no lab."""
        return self._client.connection.run_url(self.id)

    @property
    def connection(self) -> Connection:
        """The server it is on."""
        return self._client.connection

    @property
    def client(self) -> MelleaClient:
        """The client it speaks through."""
        return self._client

    @property
    def aio(self) -> AsyncRunHandle:
        """The same run for `await`: `await run.aio.wait()`, `async for … in run.aio.follow()`."""
        from mellea_jupyter.client.handle_async import AsyncRunHandle

        return AsyncRunHandle(self._client.connection, self._run)

    def refresh(self) -> RunHandle:
        """Read the record again; gives the handle itself."""
        self._run = self._client.get_run(self.id)
        return self

    def wait(self, timeout: float | None = None) -> RunHandle:
        """Wait until the run has ended, whatever its end; gives the handle itself.

        Ctrl-C only ends the waiting: the run goes on, and a message says how to come back.

        Args:
            timeout: seconds to wait at most.

        Raises:
            WaitTimeout: it is still active then.
        """
        polls = Polls(self.id, timeout)
        try:
            while not self.refresh().run.is_terminal:
                time.sleep(polls.next_delay())
        except KeyboardInterrupt as exc:
            raise KeyboardInterrupt(come_back(self.id)) from exc
        return self

    def result(self, timeout: float | None = None) -> Any:
        """Wait, and give what the program declared with `current_run().output(…)`, or None.

        Raises:
            RunFailed: it ended as failed or cancelled.
            WaitTimeout: it is still active after `timeout` seconds.
        """
        raise_unless_succeeded(self.wait(timeout).run)
        return self.output

    def logs(self, *, tail: int | None = None) -> list[LogFrame]:
        """The log lines written so far, in order; with `tail` only the last ones."""
        if tail is not None:
            return list(self._client.read_log(self.id, tail=tail).frames)
        return list(self._client.iter_log(self.id))

    def follow(self, *, after: str | None = None) -> Iterator[LogFrame]:
        """Yields every line, then each new one as it is written; ends when the log is complete.

        Args:
            after: begin after this line's `cursor`.
        """
        return self._client.follow_log(self.id, after=after)

    def cancel(self) -> RunHandle:
        """Ask the run to stop; does not wait for it. Harmless when it has ended."""
        try:
            self._run = self._client.cancel_run(self.id)
        except ClientError as exc:
            if exc.code != "illegal_transition" or not self.refresh().run.is_terminal:
                raise
        return self

    def allow(
        self, usd: Decimal | float | str | None = None, *, calls: int | None = None
    ) -> RunHandle:
        """Let a run that waits at its budget go on with so much more; does not wait for it.

        Args:
            usd: US dollars more than the limit is now.
            calls: LLM calls more.

        Raises:
            ClientError: it does not wait, or has no such limit.
        """
        self._run = self._client.answer_budget(
            self.id, more(self.refresh().run, usd=usd, calls=calls)
        )
        return self

    def stop_at_budget(self) -> RunHandle:
        """Refuse a run that waits at its budget any further call: it gets `BudgetExceeded`."""
        self._run = self._client.answer_budget(self.id, STOP)
        return self

    def share(self, with_: str, role: str = "viewer") -> ShareList:
        """Let others see the run; with whom it is shared then.

        Args:
            with_: `user:ada`, `group:lab` or `everyone`.
            role: `viewer` reads it, `operator` cancels and retries it as well.
        """
        return self._client.sharing.share(self.id, with_, role)

    def unshare(self, with_: str) -> ShareList:
        """Revoke a share; those that are left."""
        return self._client.sharing.unshare(self.id, with_)

    def retry(self, **overrides: Any) -> RunHandle:
        """A new run of the same source with the same config and secrets.

        Args:
            overrides: fields of `RunConfig` to replace, e.g. `model=…, timeout_seconds=60`.
                `env_vars` merge by name, and None removes one.
        """
        return RunHandle(self._client, self._client.retry_run(self.id, overrides))

    def artifacts(self) -> list[Artifact]:
        """The files the run kept, ordered by path."""
        kept = self._client.list_artifacts(self.id).artifacts
        return [Artifact(self._client, ref) for ref in kept]

    def artifact(self, name: str) -> Artifact:
        """The kept file of this path, or of this file name where only one has it.

        Raises:
            ClientError: none has, or several have; the text lists what there is.
        """
        kept = self._client.list_artifacts(self.id).artifacts
        return Artifact(self._client, choose_artifact(kept, name))

    def calls(self) -> list[LlmCall]:
        """Its LLM calls so far, by number."""
        found: list[LlmCall] = []
        following: int | None = 0
        while following is not None:
            page = self._client.list_calls(self.id, after=following)
            found += page.calls
            following = page.next
        return found

    def loops(self) -> list[SamplingLoop]:
        """Its sampling loops so far, by number: attempts, verdicts and what they cost."""
        found: list[SamplingLoop] = []
        following: int | None = 0
        while following is not None:
            page = self._client.list_loops(self.id, after=following)
            found += page.loops
            following = page.next
        return found

    def call_content(self, call: int) -> CallContent:
        """What the call of this number was asked and what it answered; None where not kept."""
        return self._client.get_call_content(self.id, call)

    def usage(self) -> list[UsagePoint]:
        """Memory, CPU time and cost so far, in at most 300 points."""
        return list(self._client.get_usage(self.id).points)

    @property
    def outputs(self) -> list[StructuredOutput]:
        """Everything the program declared with `current_run().output(…)`, in order."""
        return self._client.list_outputs(self.id)

    @property
    def output(self) -> Any:
        """The value it declared last, or None."""
        outputs = self.outputs
        return outputs[-1].data if outputs else None

    def __repr__(self) -> str:
        return f"<RunHandle {phrases.short_id(self.id)} {self._run.status.value}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return card_of(self)._repr_mimebundle_(include, exclude)

    def _ipython_display_(self) -> None:
        card_of(self)._ipython_display_()


def card_of(handle: RunHandle | AsyncRunHandle) -> RunCard:
    """How a handle is displayed.

    Widgets are built on the client, not the other way round, so the package's root is asked.
    """
    import mellea_jupyter

    return mellea_jupyter.RunCard(handle)


class Artifact:
    """A file that a run kept."""

    def __init__(self, client: MelleaClient, ref: ArtifactRef) -> None:
        self._client = client
        self.ref = ref

    @property
    def path(self) -> str:
        """Path relative to the run's output folder."""
        return self.ref.path

    def read(self) -> bytes:
        """Its bytes."""
        return self._client.read_artifact(self.ref.run_id, self.ref.id)

    def save(self, path: str | Path) -> Path:
        """Write it to a file, or under its own name into a folder; gives the file's path."""
        target = save_target(self.ref, path)
        self._client.save_artifact(self.ref.run_id, self.ref.id, target)
        return target

    def __repr__(self) -> str:
        return f"<Artifact {self.ref.path} {self.ref.size_bytes:,} bytes>"


class Polls:
    """The delays of a waiting loop: short at first, at most a second, never past the deadline."""

    def __init__(self, run_id: str, timeout_seconds: float | None) -> None:
        self._run_id = run_id
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        self._delay = FIRST_POLL_SECONDS

    def next_delay(self) -> float:
        """Seconds until the next look.

        Raises:
            WaitTimeout: the deadline has passed.
        """
        delay, self._delay = self._delay, min(LONGEST_POLL_SECONDS, self._delay * 1.5)
        if self._deadline is None:
            return delay
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise WaitTimeout(
                f"run {phrases.short_id(self._run_id)} is still active", hint="It goes on."
            )
        return min(delay, left)


def come_back(run_id: str) -> str:
    """How to return to a run that goes on without us."""
    short = phrases.short_id(run_id)
    return (
        f"run {short} goes on. Follow it: jupyter mellea logs -f {short} · "
        f"stop it: jupyter mellea cancel {short}"
    )


def raise_unless_succeeded(run: Run) -> None:
    """Raises `RunFailed` for a run that ended otherwise."""
    if run.status is not RunStatus.SUCCEEDED:
        said = f": {run.error_message}" if run.error_message else ""
        short = phrases.short_id(run.id)
        raise RunFailed(
            run,
            f"run {short} {phrases.ending(run)}{said}",
            hint=f"Its log: jupyter mellea logs {short}",
        )


def choose_artifact(kept: tuple[ArtifactRef, ...], name: str) -> ArtifactRef:
    """The artifact of this path, id, or unique file name.

    Raises:
        ClientError: none, or several.
    """
    exact = [ref for ref in kept if name in (ref.path, ref.id)]
    found = exact or [ref for ref in kept if ref.name == name]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(ref.path for ref in (found or kept)) or "none"
    if found:
        raise ClientError(f"several artifacts are named {name!r}", hint=f"Give a path: {listed}")
    raise ClientError(f"the run has no artifact {name!r}", hint=f"It kept: {listed}")


def save_target(ref: ArtifactRef, path: str | Path) -> Path:
    """The file to write. A run chooses its artifacts' names, so only the last part is used."""
    target = Path(path)
    if not target.is_dir():
        return target
    name = Path(ref.name).name
    return target / (name if name not in ("", "..") else ref.id)
