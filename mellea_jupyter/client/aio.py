"""`AsyncMelleaClient`: the REST API as coroutines. `sync.py` is its blocking twin."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
import anyio.to_thread
import httpx

from mellea_jupyter.client import requests
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.datasets import AsyncDatasets
from mellea_jupyter.client.environments import AsyncEnvironments
from mellea_jupyter.client.errors import ConnectionFailed, UnexpectedReply
from mellea_jupyter.client.requests import Call
from mellea_jupyter.client.sharing import AsyncSharing
from mellea_jupyter.client.stream import LogCursor, follow_log_async
from mellea_jupyter.client.transport import (
    REPLY_TIMEOUT,
    STREAM_TIMEOUT,
    Patience,
    arguments,
    httpx_errors,
    options,
)
from mellea_jupyter.models.artifacts import ArtifactList, StructuredOutput
from mellea_jupyter.models.assets import Asset, AssetCreate
from mellea_jupyter.models.budget import BudgetDecision, Forecast
from mellea_jupyter.models.calls import CallContent, CallPage, LoopPage, UsageSeries
from mellea_jupyter.models.comparisons import RunComparison
from mellea_jupyter.models.environments import Environment
from mellea_jupyter.models.frames import LogFrame, LogPage
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.pages import (
    AssetPage,
    RunFilters,
    RunGroup,
    RunPage,
    RunQuery,
    SummaryReply,
)
from mellea_jupyter.models.prices import PriceListReply, RepriceReply, RepriceRequest
from mellea_jupyter.models.requests import CheckReply, RunCheck, RunCreate, RunGroupCreate, RunPatch
from mellea_jupyter.models.retention import RetentionReply, SweepReply
from mellea_jupyter.models.run import Run

if TYPE_CHECKING:
    from mellea_jupyter.client.handle_async import AsyncRunHandle

Reply = TypeVar("Reply")


class AsyncMelleaClient:
    """The REST API of one server, for one event loop; close it, or use `async with`.

    Every method raises `ConnectionFailed`, `ServerError` (the server refused) and
    `UnexpectedReply`. What can be repeated without harm is sent a second time when the
    connection breaks, and what the server answers with "too many requests" when it says so, for
    two minutes at most.
    """

    def __init__(self, connection: Connection, *, timeout: httpx.Timeout = REPLY_TIMEOUT) -> None:
        self.connection = connection
        self.environments = AsyncEnvironments(self._send)
        self.datasets = AsyncDatasets(connection, self._send)
        self.sharing = AsyncSharing(self._send)
        self._http = httpx.AsyncClient(**options(connection), timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. May be called more than once."""
        await self._http.aclose()

    async def handle(self, run_id: str) -> AsyncRunHandle:
        """The handle of an existing run."""
        from mellea_jupyter.client.handle_async import AsyncRunHandle

        return AsyncRunHandle(self.connection, await self.get_run(run_id))

    async def create_asset(self, request: AssetCreate) -> Asset:
        """Register a program; the same program gets the same id."""
        return await self._send(requests.create_asset(request))

    async def get_asset(self, asset_id: str) -> Asset:
        """A registered program."""
        return await self._send(requests.get_asset(asset_id))

    async def list_assets(self, *, limit: int = 50, cursor: str | None = None) -> AssetPage:
        """Registered programs, newest first."""
        return await self._send(requests.list_assets(limit=limit, cursor=cursor))

    async def list_environments(self) -> tuple[Environment, ...]:
        """Environments to choose from, ordered by name."""
        return await self._send(requests.list_environments())

    async def create_run(self, request: RunCreate, *, idempotency_key: str | None = None) -> Run:
        """Create and queue a run. Without a key of its own, each call makes exactly one run."""
        key = idempotency_key or uuid.uuid4().hex
        return await self._send(requests.create_run(request, idempotency_key=key))

    async def create_group(
        self, request: RunGroupCreate, *, idempotency_key: str | None = None
    ) -> RunGroup:
        """Create and queue several runs, all or none. The key as of `create_run`."""
        key = idempotency_key or uuid.uuid4().hex
        return await self._send(requests.create_group(request, idempotency_key=key))

    async def compare_runs(
        self, run_ids: Sequence[str] = (), *, group_id: str | None = None
    ) -> RunComparison:
        """Two to ten runs side by side, or the runs of a group."""
        return await self._send(requests.compare_runs(run_ids, group_id=group_id))

    async def get_run(self, run_id: str) -> Run:
        """The record of a run as it is now."""
        return await self._send(requests.get_run(run_id))

    async def list_runs(self, query: RunQuery | None = None) -> RunPage:
        """A page of the runs this user may see."""
        return await self._send(requests.list_runs(query or RunQuery()))

    async def list_own_runs(self, query: RunQuery | None = None) -> RunPage:
        """A page of this user's own runs."""
        return await self._send(requests.list_own_runs(query or RunQuery()))

    async def list_asset_runs(self, asset_id: str, query: RunQuery | None = None) -> RunPage:
        """A page of one program's runs."""
        return await self._send(requests.list_asset_runs(asset_id, query or RunQuery()))

    async def iter_runs(self, query: RunQuery | None = None) -> AsyncIterator[Run]:
        """Yields all runs of a query, page by page, in its order; ends after the last."""
        query = query or RunQuery()
        while True:
            page = await self.list_runs(query)
            for run in page.runs:
                yield run
            if page.next is None:
                return
            query = query.model_copy(update={"cursor": page.next})

    async def summarize_runs(
        self,
        filters: RunFilters | None = None,
        *,
        group_by: str | None = None,
        utc_offset_minutes: int | None = None,
    ) -> SummaryReply:
        """Totals over the runs a filter selects, and with `group_by` of each group.

        Args:
            filters: which runs.
            group_by: `day`, `owner`, `asset`, `model` or `status`.
            utc_offset_minutes: where a day begins, minutes east of UTC.
        """
        call = requests.summarize_runs(
            filters or RunFilters(), group_by=group_by, utc_offset_minutes=utc_offset_minutes
        )
        return await self._send(call)

    async def cancel_run(self, run_id: str) -> Run:
        """Ask for a stop; does not wait for it. A run that has ended raises `ServerError` (409)."""
        return await self._send(requests.cancel_run(run_id))

    async def cancel_runs(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Ask several to stop: `{run_id: "cancelled" | "error: …"}`."""
        return await self._send(requests.cancel_runs(run_ids))

    async def delete_runs(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Remove the records, logs and artifacts of ended runs: `{run_id: outcome}`."""
        return await self._send(requests.delete_runs(run_ids))

    async def retry_run(self, run_id: str, config_overrides: dict[str, Any] | None = None) -> Run:
        """A new run of the same source and config, with fields of `RunConfig` replaced."""
        return await self._send(requests.retry_run(run_id, config_overrides or {}))

    async def answer_budget(self, run_id: str, decision: BudgetDecision) -> Run:
        """Answer a run that waits at its budget; one that does not raises `ServerError` (409)."""
        return await self._send(requests.answer_budget(run_id, decision))

    async def check_run(self, request: RunCheck) -> CheckReply:
        """What would be wrong with a run, and what it usually takes; creates nothing."""
        return await self._send(requests.check_run(request))

    async def get_forecast(self, asset_id: str, *, model: str | None = None) -> Forecast:
        """What runs of an asset usually take, with this default model if one is named."""
        return await self._send(requests.get_forecast(asset_id, model))

    async def get_prices(self) -> PriceListReply:
        """Which price list is in use, and what is wrong in the operator's own."""
        return await self._send(requests.get_prices())

    async def reprice(self, request: RepriceRequest | None = None) -> RepriceReply:
        """Price the calls of ended runs anew: of yours, for administrators of all."""
        return await self._send(requests.reprice(request or RepriceRequest()))

    async def update_run(self, run_id: str, patch: RunPatch) -> Run:
        """Change name, note, tags or pin; fields that were not set in `patch` stay."""
        return await self._send(requests.update_run(run_id, patch))

    async def get_metrics(self, run_id: str) -> RunMetrics:
        """What a run used so far."""
        return await self._send(requests.get_metrics(run_id))

    async def read_log(self, run_id: str, **where: Any) -> LogPage:
        """A stretch of the log; arguments as of `requests.read_log`."""
        return await self._send(requests.read_log(run_id, **where))

    async def iter_log(
        self, run_id: str, *, after: str | None = None, **which: Any
    ) -> AsyncIterator[LogFrame]:
        """Yields the lines written so far, in order; ends at the present end of the log."""
        while True:
            page = await self.read_log(run_id, after=after, limit=1000, **which)
            for frame in page.frames:
                yield frame
            if page.ended or page.next in (None, after):
                return
            after = page.next

    def follow_log(
        self, run_id: str, *, after: str | None = None, cursor: LogCursor | None = None
    ) -> AsyncGenerator[LogFrame, None]:
        """Yields each line once as it is written, over disconnects; ends with the run's log.

        Args:
            run_id: the run.
            after: begin after this cursor.
            cursor: used instead, so that the caller can read the final status from it.
        """
        return follow_log_async(
            lambda position: self._open_stream(requests.stream_log(run_id, after=position)),
            cursor or LogCursor(after),
        )

    async def list_artifacts(self, run_id: str) -> ArtifactList:
        """Files a run kept, and those it did not."""
        return await self._send(requests.list_artifacts(run_id))

    async def read_artifact(self, run_id: str, artifact_id: str) -> bytes:
        """The bytes of an artifact."""
        return await self._send(requests.download_artifact(run_id, artifact_id))

    async def save_artifact(self, run_id: str, artifact_id: str, target: Path) -> None:
        """Write an artifact to a file, piece by piece. A broken download leaves no file."""
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
        file = await anyio.open_file(partial, "xb")
        try:
            async with (
                file,
                self._open_stream(requests.download_artifact(run_id, artifact_id)) as chunks,
            ):
                async for chunk in chunks:
                    await file.write(chunk)
            await anyio.to_thread.run_sync(partial.replace, target)
        finally:
            partial.unlink(missing_ok=True)

    async def list_calls(self, run_id: str, *, after: int = 0, limit: int = 1000) -> CallPage:
        """A page of a run's LLM calls, those after number `after`."""
        return await self._send(requests.list_calls(run_id, after=after, limit=limit))

    async def list_loops(self, run_id: str, *, after: int = 0, limit: int = 1000) -> LoopPage:
        """A page of a run's sampling loops, those after number `after`."""
        return await self._send(requests.list_loops(run_id, after=after, limit=limit))

    async def get_call_content(self, run_id: str, call: int) -> CallContent:
        """What an LLM call was asked and what it answered, where the run kept it."""
        return await self._send(requests.get_call_content(run_id, call))

    async def get_usage(self, run_id: str) -> UsageSeries:
        """Memory, CPU time and cost over the run's time."""
        return await self._send(requests.get_usage(run_id))

    async def list_outputs(self, run_id: str) -> list[StructuredOutput]:
        """Results the program declared, in order."""
        return await self._send(requests.list_outputs(run_id))

    async def forward(
        self,
        method: str,
        path: str,
        *,
        params: requests.Params = (),
        content: bytes | None = None,
        most_bytes: int,
    ) -> tuple[int, bytes]:
        """Send what somebody else asks for; gives the status and the body, whatever they are.

        Args:
            method: the HTTP method.
            path: relative to the API's prefix, without a query.
            params: the query.
            content: a JSON body.
            most_bytes: size of the longest body to accept.

        Raises:
            UnexpectedReply: the body is longer.
        """
        call = Call(method, f"api/{path}", bytes, params, content)
        with httpx_errors(self.connection):
            request = self._http.build_request(**arguments(call))
            response = await self._http.send(request, stream=True)
            try:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > most_bytes:
                        raise UnexpectedReply(
                            f"The reply is longer than {most_bytes // 2**20} MiB",
                            hint="Read it in Python: run.logs(), run.artifact(…).save(…).",
                        )
            finally:
                await response.aclose()
        return response.status_code, bytes(body)

    async def get_retention(self) -> RetentionReply:
        """How long logs and artifacts are kept, and the disk that is used."""
        return await self._send(requests.get_retention())

    async def sweep(self, *, dry_run: bool = False) -> SweepReply:
        """Remove the logs and artifacts that have expired; for administrators."""
        return await self._send(requests.sweep(dry_run=dry_run))

    async def _send(self, call: Call[Reply]) -> Reply:
        try:
            return await self._send_once(call)
        except ConnectionFailed:
            if not call.is_repeatable:
                raise
        return await self._send_once(call)

    async def _send_once(self, call: Call[Reply]) -> Reply:
        patience = Patience()
        while True:
            with httpx_errors(self.connection):
                response = await self._http.request(**arguments(call))
            if (seconds := patience.delay(response)) is None:
                return call.read(response.status_code, response.content)
            await anyio.sleep(seconds)

    @asynccontextmanager
    async def _open_stream(self, call: Call[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
        with httpx_errors(self.connection):
            request = self._http.build_request(**arguments(call), timeout=STREAM_TIMEOUT)
            response = await self._http.send(request, stream=True)
            try:
                if not response.is_success:
                    requests.check_status(response.status_code, await response.aread())
                yield response.aiter_bytes()
            finally:
                await response.aclose()
