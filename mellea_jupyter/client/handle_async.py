"""`AsyncRunHandle`: one run, for `await`. The blocking twin is `handle.py`, which says the rest.

It keeps no connection open between calls, so it needs no closing and works in any event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

from mellea_jupyter.client import phrases
from mellea_jupyter.client.aio import AsyncMelleaClient
from mellea_jupyter.client.budget import STOP, more
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.errors import ClientError
from mellea_jupyter.client.handle import (
    Polls,
    card_of,
    choose_artifact,
    raise_unless_succeeded,
    save_target,
)
from mellea_jupyter.models.artifacts import ArtifactRef, StructuredOutput
from mellea_jupyter.models.calls import CallContent, LlmCall, SamplingLoop, UsagePoint
from mellea_jupyter.models.frames import LogFrame
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.models.sharing import ShareList


class AsyncRunHandle:
    """A run: its record as last read, and what can be done with it. Methods as of `RunHandle`."""

    def __init__(self, connection: Connection, run: Run) -> None:
        self._connection = connection
        self._run = run

    @property
    def id(self) -> str:
        """The run's id."""
        return self._run.id

    @property
    def connection(self) -> Connection:
        """The server it is on."""
        return self._connection

    @property
    def run(self) -> Run:
        """The whole record, as last read."""
        return self._run

    @property
    def status(self) -> RunStatus:
        """Where the run was when it was last read."""
        return self._run.status

    @property
    def metrics(self) -> RunMetrics:
        """What it had used when it was last read."""
        return self._run.metrics

    @property
    def exit_code(self) -> int | None:
        """The program's exit code, `-N` for signal N, None while it is not known."""
        return self._run.exit_code

    @property
    def url(self) -> str | None:
        """The link that opens the run in JupyterLab; None where there is no lab."""
        return self._connection.run_url(self.id)

    async def refresh(self) -> AsyncRunHandle:
        """Read the record again; gives the handle itself."""
        async with self._client() as client:
            self._run = await client.get_run(self.id)
        return self

    async def wait(self, timeout: float | None = None) -> AsyncRunHandle:  # noqa: ASYNC109 - as the twin
        """Wait until the run has ended; gives the handle itself. Raises `WaitTimeout`."""
        polls = Polls(self.id, timeout)
        async with self._client() as client:
            while True:
                self._run = await client.get_run(self.id)
                if self._run.is_terminal:
                    return self
                await asyncio.sleep(polls.next_delay())

    async def result(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as the twin
        """Wait, and give what the program declared last, or None. Raises `RunFailed`."""
        await self.wait(timeout)
        raise_unless_succeeded(self._run)
        return await self.output()

    async def logs(self, *, tail: int | None = None) -> list[LogFrame]:
        """The log lines written so far, in order; with `tail` only the last ones."""
        async with self._client() as client:
            if tail is not None:
                return list((await client.read_log(self.id, tail=tail)).frames)
            return [frame async for frame in client.iter_log(self.id)]

    async def follow(self, *, after: str | None = None) -> AsyncIterator[LogFrame]:
        """Yields every line, then each new one as it is written; ends when the log is complete."""
        async with (
            self._client() as client,
            aclosing(client.follow_log(self.id, after=after)) as frames,
        ):
            async for frame in frames:
                yield frame

    async def cancel(self) -> AsyncRunHandle:
        """Ask the run to stop; does not wait for it. Harmless when it has ended."""
        async with self._client() as client:
            try:
                self._run = await client.cancel_run(self.id)
            except ClientError as exc:
                self._run = await client.get_run(self.id)
                if exc.code != "illegal_transition" or not self._run.is_terminal:
                    raise
        return self

    async def allow(
        self, usd: Decimal | float | str | None = None, *, calls: int | None = None
    ) -> AsyncRunHandle:
        """Let a run that waits at its budget go on with so much more. Raises `ClientError`."""
        async with self._client() as client:
            decision = more(await client.get_run(self.id), usd=usd, calls=calls)
            self._run = await client.answer_budget(self.id, decision)
        return self

    async def stop_at_budget(self) -> AsyncRunHandle:
        """Refuse a run that waits at its budget any further call. Raises `ClientError`."""
        async with self._client() as client:
            self._run = await client.answer_budget(self.id, STOP)
        return self

    async def share(self, with_: str, role: str = "viewer") -> ShareList:
        """Let others see the run; with whom it is shared then. Arguments as of the twin."""
        async with self._client() as client:
            return await client.sharing.share(self.id, with_, role)

    async def unshare(self, with_: str) -> ShareList:
        """Revoke a share; those that are left."""
        async with self._client() as client:
            return await client.sharing.unshare(self.id, with_)

    async def retry(self, **overrides: Any) -> AsyncRunHandle:
        """A new run of the same source and config, with fields of `RunConfig` replaced."""
        async with self._client() as client:
            return AsyncRunHandle(self._connection, await client.retry_run(self.id, overrides))

    async def artifacts(self) -> list[AsyncArtifact]:
        """The files the run kept, ordered by path."""
        async with self._client() as client:
            kept = (await client.list_artifacts(self.id)).artifacts
        return [AsyncArtifact(self._connection, ref) for ref in kept]

    async def artifact(self, name: str) -> AsyncArtifact:
        """The kept file of this path or unique file name. Raises `ClientError`."""
        async with self._client() as client:
            kept = (await client.list_artifacts(self.id)).artifacts
        return AsyncArtifact(self._connection, choose_artifact(kept, name))

    async def calls(self) -> list[LlmCall]:
        """Its LLM calls so far, by number."""
        found: list[LlmCall] = []
        following: int | None = 0
        async with self._client() as client:
            while following is not None:
                page = await client.list_calls(self.id, after=following)
                found += page.calls
                following = page.next
        return found

    async def loops(self) -> list[SamplingLoop]:
        """Its sampling loops so far, by number: attempts, verdicts and what they cost."""
        found: list[SamplingLoop] = []
        following: int | None = 0
        async with self._client() as client:
            while following is not None:
                page = await client.list_loops(self.id, after=following)
                found += page.loops
                following = page.next
        return found

    async def call_content(self, call: int) -> CallContent:
        """What the call of this number was asked and what it answered; None where not kept."""
        async with self._client() as client:
            return await client.get_call_content(self.id, call)

    async def usage(self) -> list[UsagePoint]:
        """Memory, CPU time and cost so far, in at most 300 points."""
        async with self._client() as client:
            return list((await client.get_usage(self.id)).points)

    async def outputs(self) -> list[StructuredOutput]:
        """Everything the program declared with `current_run().output(…)`, in order."""
        async with self._client() as client:
            return await client.list_outputs(self.id)

    async def output(self) -> Any:
        """The value it declared last, or None."""
        outputs = await self.outputs()
        return outputs[-1].data if outputs else None

    def _client(self) -> AsyncMelleaClient:
        return AsyncMelleaClient(self._connection)

    def __repr__(self) -> str:
        return f"<AsyncRunHandle {phrases.short_id(self.id)} {self._run.status.value}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return card_of(self)._repr_mimebundle_(include, exclude)

    def _ipython_display_(self) -> None:
        card_of(self)._ipython_display_()


class AsyncArtifact:
    """A file that a run kept."""

    def __init__(self, connection: Connection, ref: ArtifactRef) -> None:
        self._connection = connection
        self.ref = ref

    @property
    def path(self) -> str:
        """Path relative to the run's output folder."""
        return self.ref.path

    async def read(self) -> bytes:
        """Its bytes."""
        async with AsyncMelleaClient(self._connection) as client:
            return await client.read_artifact(self.ref.run_id, self.ref.id)

    async def save(self, path: str | Path) -> Path:
        """Write it to a file, or under its own name into a folder; gives the file's path."""
        target = save_target(self.ref, path)
        async with AsyncMelleaClient(self._connection) as client:
            await client.save_artifact(self.ref.run_id, self.ref.id, target)
        return target

    def __repr__(self) -> str:
        return f"<AsyncArtifact {self.ref.path} {self.ref.size_bytes:,} bytes>"
