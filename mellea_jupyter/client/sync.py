"""`MelleaClient`: the REST API as blocking functions. `aio.py` is its awaiting twin."""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from mellea_jupyter.client import requests
from mellea_jupyter.client.connection import Connection
from mellea_jupyter.client.datasets import Datasets
from mellea_jupyter.client.environments import Environments
from mellea_jupyter.client.errors import ConnectionFailed
from mellea_jupyter.client.requests import Call
from mellea_jupyter.client.sharing import Sharing
from mellea_jupyter.client.stream import LogCursor, follow_log
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
from mellea_jupyter.models.calls import (
    CallContent,
    CallPage,
    LoopPage,
    UsageSeries,
)
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
    from mellea_jupyter.client.handle import RunHandle

Reply = TypeVar("Reply")


class MelleaClient:
    """The REST API of one server. Safe to use from several threads; close it, or use `with`.

    Every method raises `ConnectionFailed`, `ServerError` (the server refused) and
    `UnexpectedReply`. What can be repeated without harm is sent a second time when the
    connection breaks, and what the server answers with "too many requests" when it says so, for
    two minutes at most.
    """

    def __init__(self, connection: Connection, *, timeout: httpx.Timeout = REPLY_TIMEOUT) -> None:
        self.connection = connection
        self.environments = Environments(self._send)
        self.datasets = Datasets(connection, self._send)
        self.sharing = Sharing(self._send)
        self._http = httpx.Client(**options(connection), timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. May be called more than once."""
        self._http.close()

    def handle(self, run_id: str) -> RunHandle:
        """The handle of an existing run."""
        from mellea_jupyter.client.handle import RunHandle

        return RunHandle(self, self.get_run(run_id))

    def create_asset(self, request: AssetCreate) -> Asset:
        """Register a program; the same program gets the same id."""
        return self._send(requests.create_asset(request))

    def get_asset(self, asset_id: str) -> Asset:
        """A registered program."""
        return self._send(requests.get_asset(asset_id))

    def list_assets(self, *, limit: int = 50, cursor: str | None = None) -> AssetPage:
        """Registered programs, newest first."""
        return self._send(requests.list_assets(limit=limit, cursor=cursor))

    def list_environments(self) -> tuple[Environment, ...]:
        """Environments to choose from, ordered by name."""
        return self._send(requests.list_environments())

    def create_run(self, request: RunCreate, *, idempotency_key: str | None = None) -> Run:
        """Create and queue a run. Without a key of its own, each call makes exactly one run."""
        key = idempotency_key or uuid.uuid4().hex
        return self._send(requests.create_run(request, idempotency_key=key))

    def create_group(
        self, request: RunGroupCreate, *, idempotency_key: str | None = None
    ) -> RunGroup:
        """Create and queue several runs, all or none. The key as of `create_run`."""
        key = idempotency_key or uuid.uuid4().hex
        return self._send(requests.create_group(request, idempotency_key=key))

    def compare_runs(
        self, run_ids: Sequence[str] = (), *, group_id: str | None = None
    ) -> RunComparison:
        """Two to ten runs side by side, or the runs of a group."""
        return self._send(requests.compare_runs(run_ids, group_id=group_id))

    def get_run(self, run_id: str) -> Run:
        """The record of a run as it is now."""
        return self._send(requests.get_run(run_id))

    def list_runs(self, query: RunQuery | None = None) -> RunPage:
        """A page of the runs this user may see."""
        return self._send(requests.list_runs(query or RunQuery()))

    def list_own_runs(self, query: RunQuery | None = None) -> RunPage:
        """A page of this user's own runs."""
        return self._send(requests.list_own_runs(query or RunQuery()))

    def list_asset_runs(self, asset_id: str, query: RunQuery | None = None) -> RunPage:
        """A page of one program's runs."""
        return self._send(requests.list_asset_runs(asset_id, query or RunQuery()))

    def iter_runs(self, query: RunQuery | None = None) -> Iterator[Run]:
        """Yields all runs of a query, page by page, in its order; ends after the last."""
        query = query or RunQuery()
        while True:
            page = self.list_runs(query)
            yield from page.runs
            if page.next is None:
                return
            query = query.model_copy(update={"cursor": page.next})

    def summarize_runs(
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
        return self._send(call)

    def cancel_run(self, run_id: str) -> Run:
        """Ask for a stop; does not wait for it. A run that has ended raises `ServerError` (409)."""
        return self._send(requests.cancel_run(run_id))

    def cancel_runs(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Ask several to stop: `{run_id: "cancelled" | "error: …"}`."""
        return self._send(requests.cancel_runs(run_ids))

    def delete_runs(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Remove the records, logs and artifacts of ended runs: `{run_id: outcome}`."""
        return self._send(requests.delete_runs(run_ids))

    def retry_run(self, run_id: str, config_overrides: dict[str, Any] | None = None) -> Run:
        """A new run of the same source and config, with fields of `RunConfig` replaced."""
        return self._send(requests.retry_run(run_id, config_overrides or {}))

    def answer_budget(self, run_id: str, decision: BudgetDecision) -> Run:
        """Answer a run that waits at its budget; one that does not raises `ServerError` (409)."""
        return self._send(requests.answer_budget(run_id, decision))

    def check_run(self, request: RunCheck) -> CheckReply:
        """What would be wrong with a run, and what it usually takes; creates nothing."""
        return self._send(requests.check_run(request))

    def get_forecast(self, asset_id: str, *, model: str | None = None) -> Forecast:
        """What runs of an asset usually take, with this default model if one is named."""
        return self._send(requests.get_forecast(asset_id, model))

    def get_prices(self) -> PriceListReply:
        """Which price list is in use, and what is wrong in the operator's own."""
        return self._send(requests.get_prices())

    def reprice(self, request: RepriceRequest | None = None) -> RepriceReply:
        """Price the calls of ended runs anew: of yours, for administrators of all."""
        return self._send(requests.reprice(request or RepriceRequest()))

    def update_run(self, run_id: str, patch: RunPatch) -> Run:
        """Change name, note, tags or pin; fields that were not set in `patch` stay."""
        return self._send(requests.update_run(run_id, patch))

    def get_metrics(self, run_id: str) -> RunMetrics:
        """What a run used so far."""
        return self._send(requests.get_metrics(run_id))

    def read_log(self, run_id: str, **where: Any) -> LogPage:
        """A stretch of the log; arguments as of `requests.read_log`."""
        return self._send(requests.read_log(run_id, **where))

    def iter_log(
        self, run_id: str, *, after: str | None = None, **which: Any
    ) -> Iterator[LogFrame]:
        """Yields the lines written so far, in order; ends at the present end of the log."""
        while True:
            page = self.read_log(run_id, after=after, limit=1000, **which)
            yield from page.frames
            if page.ended or page.next in (None, after):
                return
            after = page.next

    def follow_log(
        self, run_id: str, *, after: str | None = None, cursor: LogCursor | None = None
    ) -> Generator[LogFrame, None, None]:
        """Yields each line once as it is written, over disconnects; ends with the run's log.

        Args:
            run_id: the run.
            after: begin after this cursor.
            cursor: used instead, so that the caller can read the final status from it.
        """
        return follow_log(
            lambda position: self._open_stream(requests.stream_log(run_id, after=position)),
            cursor or LogCursor(after),
        )

    def list_artifacts(self, run_id: str) -> ArtifactList:
        """Files a run kept, and those it did not."""
        return self._send(requests.list_artifacts(run_id))

    def read_artifact(self, run_id: str, artifact_id: str) -> bytes:
        """The bytes of an artifact."""
        return self._send(requests.download_artifact(run_id, artifact_id))

    def save_artifact(self, run_id: str, artifact_id: str, target: Path) -> None:
        """Write an artifact to a file, piece by piece. A broken download leaves no file."""
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
        try:
            with (
                partial.open("xb") as file,
                self._open_stream(requests.download_artifact(run_id, artifact_id)) as chunks,
            ):
                for chunk in chunks:
                    file.write(chunk)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def list_calls(self, run_id: str, *, after: int = 0, limit: int = 1000) -> CallPage:
        """A page of a run's LLM calls, those after number `after`."""
        return self._send(requests.list_calls(run_id, after=after, limit=limit))

    def list_loops(self, run_id: str, *, after: int = 0, limit: int = 1000) -> LoopPage:
        """A page of a run's sampling loops, those after number `after`."""
        return self._send(requests.list_loops(run_id, after=after, limit=limit))

    def get_call_content(self, run_id: str, call: int) -> CallContent:
        """What an LLM call was asked and what it answered, where the run kept it."""
        return self._send(requests.get_call_content(run_id, call))

    def get_usage(self, run_id: str) -> UsageSeries:
        """Memory, CPU time and cost over the run's time."""
        return self._send(requests.get_usage(run_id))

    def list_outputs(self, run_id: str) -> list[StructuredOutput]:
        """Results the program declared, in order."""
        return self._send(requests.list_outputs(run_id))

    def get_retention(self) -> RetentionReply:
        """How long logs and artifacts are kept, and the disk that is used."""
        return self._send(requests.get_retention())

    def sweep(self, *, dry_run: bool = False) -> SweepReply:
        """Remove the logs and artifacts that have expired; for administrators."""
        return self._send(requests.sweep(dry_run=dry_run))

    def _send(self, call: Call[Reply]) -> Reply:
        try:
            return self._send_once(call)
        except ConnectionFailed:
            if not call.is_repeatable:
                raise
        return self._send_once(call)

    def _send_once(self, call: Call[Reply]) -> Reply:
        patience = Patience()
        while True:
            with httpx_errors(self.connection):
                response = self._http.request(**arguments(call))
            if (seconds := patience.delay(response)) is None:
                return call.read(response.status_code, response.content)
            time.sleep(seconds)

    @contextmanager
    def _open_stream(self, call: Call[bytes]) -> Iterator[Iterator[bytes]]:
        with httpx_errors(self.connection):
            request = self._http.build_request(**arguments(call), timeout=STREAM_TIMEOUT)
            response = self._http.send(request, stream=True)
            try:
                if not response.is_success:
                    requests.check_status(response.status_code, response.read())
                yield response.iter_bytes()
            finally:
                response.close()
