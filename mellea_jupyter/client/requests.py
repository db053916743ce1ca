"""The REST API as values: a function an endpoint builds a `Call`, both clients send it.

Nothing here does I/O. Endpoints and their fields: `GET /api/openapi.json` of a running server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import quote

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from mellea_jupyter.client.errors import ServerError, UnexpectedReply
from mellea_jupyter.models.artifacts import ArtifactList, StructuredOutput
from mellea_jupyter.models.assets import Asset, AssetCreate
from mellea_jupyter.models.audit import AuditPage, AuditQuery
from mellea_jupyter.models.base import Model
from mellea_jupyter.models.budget import BudgetDecision, Forecast
from mellea_jupyter.models.calls import CallContent, CallPage, LoopPage, UsageSeries
from mellea_jupyter.models.comparisons import RunComparison
from mellea_jupyter.models.datasets import (
    Dataset,
    DatasetCreate,
    DatasetPage,
    DatasetVersion,
    DatasetVersionList,
)
from mellea_jupyter.models.environments import (
    Environment,
    EnvironmentCreate,
    EnvironmentList,
    EnvironmentPatch,
)
from mellea_jupyter.models.frames import LogPage
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
from mellea_jupyter.models.requests import (
    BulkRequest,
    CheckReply,
    ErrorBody,
    RetryRequest,
    RunCheck,
    RunCreate,
    RunGroupCreate,
    RunPatch,
)
from mellea_jupyter.models.retention import RetentionReply, SweepReply, SweepRequest
from mellea_jupyter.models.run import Run
from mellea_jupyter.models.sharing import AssetShareList, Principal, ShareList, ShareRequest

Reply = TypeVar("Reply")
Params = tuple[tuple[str, str], ...]

_BULK: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
_OUTPUTS: TypeAdapter[list[StructuredOutput]] = TypeAdapter(list[StructuredOutput])


READING_SECONDS: Final = 3600.0
"""Longest silence while the server reads many gigabytes of a dataset, or prices a long history."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Reply]):
    """One request and how its reply is read. `path` is relative to `Connection.api_url`."""

    method: str
    path: str
    parse: Callable[[bytes], Reply]
    params: Params = ()
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    is_repeatable: bool = True  # sending it twice does no more than sending it once
    reply_seconds: float | None = None  # longest silence, where the usual one is too short

    def read(self, status: int, body: bytes) -> Reply:
        """The reply as a value.

        Raises:
            ServerError: the server refused.
            UnexpectedReply: a redirect, or a body of another shape.
        """
        check_status(status, body)
        try:
            return self.parse(body)
        except (ValidationError, orjson.JSONDecodeError) as exc:
            raise unexpected(f"{self.method} {self.path}: {exc}") from exc


class Send(Protocol):
    """Sends a call and gives its reply; what `MelleaClient` has."""

    def __call__(self, call: Call[Reply], /) -> Reply:
        """Raises `ConnectionFailed`, `ServerError` and `UnexpectedReply`."""


class AsyncSend(Protocol):
    """`Send` for `await`; what `AsyncMelleaClient` has."""

    def __call__(self, call: Call[Reply], /) -> Awaitable[Reply]:
        """Raises `ConnectionFailed`, `ServerError` and `UnexpectedReply`."""


def unexpected(what: str) -> UnexpectedReply:
    """An `UnexpectedReply` with the step that usually helps."""
    return UnexpectedReply(
        f"The server's reply is not what this version expects ({what})",
        hint="Client and server may have different versions of mellea-jupyter: restart the server.",
    )


def check_status(status: int, body: bytes) -> None:
    """Pass a success on, raise anything else as what it is.

    Raises:
        ServerError: the server refused; also for a body that is not ours (a proxy's).
        UnexpectedReply: a redirect. They are never followed: the token is for one host only.
    """
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise UnexpectedReply(
            f"The server answered with a redirect ({status})",
            hint="Check the URL and the token: a login page is the usual reason.",
        )
    try:
        error = ErrorBody.model_validate_json(body)
    except ValidationError:
        raise _foreign_error(status, body) from None
    raise ServerError(
        error.message,
        code=error.code,
        status=status,
        hint=error.hint,
        details=dict(error.details),
        request_id=error.request_id,
    )


def _foreign_error(status: int, body: bytes) -> ServerError:
    """An error that Jupyter itself or a proxy produced, in words."""
    known = {
        401: ("not_authenticated", "The server did not accept the token", "Pass its token."),
        403: ("forbidden", "The server did not accept the token", "Pass its token."),
        404: (
            "no_such_endpoint",
            "The server has no mellea-jupyter API",
            "Install mellea-jupyter where Jupyter is installed, and restart the server.",
        ),
    }
    default = ("server_failure", f"The server failed with HTTP {status}", "See the server's log.")
    code, message, hint = known.get(status, default)
    try:
        said = orjson.loads(body).get("message")
    except (orjson.JSONDecodeError, AttributeError):
        said = None
    details = {"said": said} if isinstance(said, str) and said else {}
    return ServerError(message, code=code, status=status, hint=hint, details=details)


def create_asset(request: AssetCreate) -> Call[Asset]:
    """`POST /api/assets`: register a program; the same program gets the same id."""
    # What is left out stays as it was, so only what was given is sent.
    body = orjson.dumps(request.model_dump(mode="json", exclude_unset=True))
    return Call("POST", "api/assets", Asset.model_validate_json, content=body)


def get_asset(asset_id: str) -> Call[Asset]:
    """`GET /api/assets/{id}`."""
    return Call("GET", f"api/assets/{quote(asset_id, safe='')}", Asset.model_validate_json)


def list_assets(*, limit: int = 50, cursor: str | None = None) -> Call[AssetPage]:
    """`GET /api/assets`, newest first."""
    params = _params({"limit": limit, "cursor": cursor})
    return Call("GET", "api/assets", AssetPage.model_validate_json, params)


def list_environments(*, refresh: bool = False) -> Call[tuple[Environment, ...]]:
    """`GET /api/environments`, ordered by name; with `refresh` all are checked now."""
    return Call(
        "GET",
        "api/environments",
        lambda body: EnvironmentList.model_validate_json(body).environments,
        _refresh(refresh),
    )


def get_environment(environment_id: str, *, refresh: bool = False) -> Call[Environment]:
    """`GET /api/environments/{id}`."""
    path = _environment(environment_id)
    return Call("GET", path, Environment.model_validate_json, _refresh(refresh))


def create_environment(request: EnvironmentCreate) -> Call[Environment]:
    """`POST /api/environments`; the same description gives the same environment."""
    body = orjson.dumps(request.model_dump(mode="json", exclude_unset=True))
    return Call("POST", "api/environments", Environment.model_validate_json, content=body)


def update_environment(environment_id: str, patch: EnvironmentPatch) -> Call[Environment]:
    """`PATCH /api/environments/{id}`: only fields that were set in `patch`."""
    body = orjson.dumps(patch.model_dump(mode="json", exclude_unset=True))
    path = _environment(environment_id)
    return Call("PATCH", path, Environment.model_validate_json, content=body)


def delete_environment(environment_id: str) -> Call[Environment]:
    """`DELETE /api/environments/{id}`: what it was."""
    path = _environment(environment_id)
    return Call("DELETE", path, Environment.model_validate_json, is_repeatable=False)


def create_dataset(request: DatasetCreate) -> Call[Dataset]:
    """`POST /api/datasets`; the reply comes when all bytes are read."""
    return Call(
        "POST", "api/datasets", Dataset.model_validate_json, content=_body(request),
        reply_seconds=READING_SECONDS,
    )  # fmt: skip


def get_dataset(dataset_id: str) -> Call[Dataset]:
    """`GET /api/datasets/{id}`."""
    return Call("GET", _dataset(dataset_id), Dataset.model_validate_json)


def list_datasets(*, limit: int = 50, cursor: str | None = None) -> Call[DatasetPage]:
    """`GET /api/datasets`, most recently registered first."""
    params = _params({"limit": limit, "cursor": cursor})
    return Call("GET", "api/datasets", DatasetPage.model_validate_json, params)


def list_dataset_versions(dataset_id: str) -> Call[tuple[DatasetVersion, ...]]:
    """`GET /api/datasets/{id}/versions`, most recently registered first."""
    return Call(
        "GET",
        f"{_dataset(dataset_id)}/versions",
        lambda body: DatasetVersionList.model_validate_json(body).versions,
    )


def delete_dataset(dataset_id: str) -> Call[Dataset]:
    """`DELETE /api/datasets/{id}`: what it was."""
    path = _dataset(dataset_id)
    return Call("DELETE", path, Dataset.model_validate_json, is_repeatable=False)


def create_run(request: RunCreate, *, idempotency_key: str) -> Call[Run]:
    """`POST /api/runs`. With the key, sending it again gives the run that the first one made."""
    headers = {"Idempotency-Key": idempotency_key}
    return Call(
        "POST", "api/runs", Run.model_validate_json, content=_body(request), headers=headers
    )


def create_group(request: RunGroupCreate, *, idempotency_key: str) -> Call[RunGroup]:
    """`POST /api/runs/bulk/create`; the key as of `create_run`."""
    body = orjson.dumps(request.model_dump(mode="json", exclude_unset=True))
    headers = {"Idempotency-Key": idempotency_key}
    return Call(
        "POST", "api/runs/bulk/create", RunGroup.model_validate_json, content=body, headers=headers
    )


def compare_runs(
    run_ids: Sequence[str] = (), *, group_id: str | None = None
) -> Call[RunComparison]:
    """`GET /api/runs/compare`: runs, or a group."""
    params = tuple(("run_id", run_id) for run_id in run_ids) + _params({"group_id": group_id})
    return Call("GET", "api/runs/compare", RunComparison.model_validate_json, params)


def get_run(run_id: str) -> Call[Run]:
    """`GET /api/runs/{id}`."""
    return Call("GET", _run(run_id), Run.model_validate_json)


def list_runs(query: RunQuery) -> Call[RunPage]:
    """`GET /api/runs`."""
    return Call("GET", "api/runs", RunPage.model_validate_json, _filter_params(query))


def list_own_runs(query: RunQuery) -> Call[RunPage]:
    """`GET /api/users/me/runs`."""
    return Call("GET", "api/users/me/runs", RunPage.model_validate_json, _filter_params(query))


def list_asset_runs(asset_id: str, query: RunQuery) -> Call[RunPage]:
    """`GET /api/assets/{id}/runs`."""
    path = f"api/assets/{quote(asset_id, safe='')}/runs"
    return Call("GET", path, RunPage.model_validate_json, _filter_params(query))


def summarize_runs(
    filters: RunFilters, *, group_by: str | None = None, utc_offset_minutes: int | None = None
) -> Call[SummaryReply]:
    """`GET /api/runs/summary`."""
    grouping = _params({"group_by": group_by, "utc_offset_minutes": utc_offset_minutes})
    params = _filter_params(filters) + grouping
    return Call("GET", "api/runs/summary", SummaryReply.model_validate_json, params)


def cancel_run(run_id: str) -> Call[Run]:
    """`DELETE /api/runs/{id}`: ask for a stop; the reply does not wait for it."""
    return Call("DELETE", _run(run_id), Run.model_validate_json)


def cancel_runs(run_ids: Sequence[str]) -> Call[dict[str, str]]:
    """`POST /api/runs/bulk/cancel`: `{run_id: "cancelled" | "error: …"}`."""
    body = _body(BulkRequest(run_ids=tuple(run_ids)))
    return Call("POST", "api/runs/bulk/cancel", _BULK.validate_json, content=body)


def delete_runs(run_ids: Sequence[str]) -> Call[dict[str, str]]:
    """`POST /api/runs/bulk/delete`: `{run_id: "deleted" | "error: …"}`."""
    body = _body(BulkRequest(run_ids=tuple(run_ids)))
    return Call("POST", "api/runs/bulk/delete", _BULK.validate_json, content=body)


def list_shares(run_id: str) -> Call[ShareList]:
    """`GET /api/runs/{id}/shares`."""
    return Call("GET", _run(run_id, "shares"), ShareList.model_validate_json)


def share_run(run_id: str, request: ShareRequest) -> Call[ShareList]:
    """`POST /api/runs/{id}/share`."""
    path = _run(run_id, "share")
    return Call("POST", path, ShareList.model_validate_json, content=_body(request))


def unshare_run(run_id: str, principal: Principal) -> Call[ShareList]:
    """`DELETE /api/runs/{id}/share`."""
    path = _run(run_id, "share")
    params = _filter_params(principal)
    return Call("DELETE", path, ShareList.model_validate_json, params, is_repeatable=False)


def list_asset_shares(asset_id: str) -> Call[AssetShareList]:
    """`GET /api/assets/{id}/shares`."""
    return Call("GET", _asset(asset_id, "shares"), AssetShareList.model_validate_json)


def share_asset(asset_id: str, principal: Principal) -> Call[AssetShareList]:
    """`POST /api/assets/{id}/share`."""
    path = _asset(asset_id, "share")
    return Call("POST", path, AssetShareList.model_validate_json, content=_body(principal))


def unshare_asset(asset_id: str, principal: Principal) -> Call[AssetShareList]:
    """`DELETE /api/assets/{id}/share`."""
    path = _asset(asset_id, "share")
    params = _filter_params(principal)
    return Call("DELETE", path, AssetShareList.model_validate_json, params, is_repeatable=False)


def list_audit(run_id: str | None, query: AuditQuery) -> Call[AuditPage]:
    """`GET /api/runs/{id}/audit`, which takes no filters, or `GET /api/audit`."""
    if run_id is None:
        return Call("GET", "api/audit", AuditPage.model_validate_json, _filter_params(query))
    params = _params({"limit": query.limit, "cursor": query.cursor})
    return Call("GET", _run(run_id, "audit"), AuditPage.model_validate_json, params)


def retry_run(run_id: str, config_overrides: dict[str, Any]) -> Call[Run]:
    """`POST /api/runs/{id}/retry`. Not repeatable: each one makes a run."""
    body = _body(RetryRequest(config_overrides=config_overrides))
    return Call(
        "POST", _run(run_id, "retry"), Run.model_validate_json, content=body, is_repeatable=False
    )


def answer_budget(run_id: str, decision: BudgetDecision) -> Call[Run]:
    """`POST /api/runs/{id}/budget`: answer a run that waits."""
    path = _run(run_id, "budget")
    body = _body(decision)
    return Call("POST", path, Run.model_validate_json, content=body, is_repeatable=False)


def check_run(request: RunCheck) -> Call[CheckReply]:
    """`POST /api/runs/check`: what would be wrong with a run, and what it usually takes."""
    return Call("POST", "api/runs/check", CheckReply.model_validate_json, content=_body(request))


def get_forecast(asset_id: str, model: str | None) -> Call[Forecast]:
    """`GET /api/assets/{id}/forecast`."""
    path = f"api/assets/{quote(asset_id, safe='')}/forecast"
    return Call("GET", path, Forecast.model_validate_json, _params({"model": model}))


def get_prices() -> Call[PriceListReply]:
    """`GET /api/prices`: the price list in use."""
    return Call("GET", "api/prices", PriceListReply.model_validate_json)


def reprice(request: RepriceRequest) -> Call[RepriceReply]:
    """`POST /api/prices/reprice`: the reply comes when all runs are done."""
    return Call(
        "POST", "api/prices/reprice", RepriceReply.model_validate_json, content=_body(request),
        reply_seconds=READING_SECONDS,
    )  # fmt: skip


def update_run(run_id: str, patch: RunPatch) -> Call[Run]:
    """`PATCH /api/runs/{id}`: only fields that were set in `patch`."""
    body = orjson.dumps(patch.model_dump(mode="json", exclude_unset=True))
    return Call("PATCH", _run(run_id), Run.model_validate_json, content=body)


def get_metrics(run_id: str) -> Call[RunMetrics]:
    """`GET /api/runs/{id}/metrics`."""
    return Call("GET", _run(run_id, "metrics"), RunMetrics.model_validate_json)


def list_calls(run_id: str, *, after: int, limit: int) -> Call[CallPage]:
    """`GET /api/runs/{id}/calls`: LLM calls with a number above `after`."""
    params = _params({"after": after, "limit": limit})
    return Call("GET", _run(run_id, "calls"), CallPage.model_validate_json, params)


def list_loops(run_id: str, *, after: int, limit: int) -> Call[LoopPage]:
    """`GET /api/runs/{id}/loops`: sampling loops with a number above `after`."""
    params = _params({"after": after, "limit": limit})
    return Call("GET", _run(run_id, "loops"), LoopPage.model_validate_json, params)


def get_call_content(run_id: str, call: int) -> Call[CallContent]:
    """`GET /api/runs/{id}/calls/{call}/content`."""
    path = _run(run_id, "calls", str(call), "content")
    return Call("GET", path, CallContent.model_validate_json)


def get_usage(run_id: str) -> Call[UsageSeries]:
    """`GET /api/runs/{id}/usage`: memory, CPU time and cost over time."""
    return Call("GET", _run(run_id, "usage"), UsageSeries.model_validate_json)


def read_log(
    run_id: str,
    *,
    after: str | None = None,
    before: str | None = None,
    tail: int | None = None,
    line: int | None = None,
    limit: int | None = None,
    stream: str | None = None,
    level: str | None = None,
    search: str | None = None,
) -> Call[LogPage]:
    """`GET /api/runs/{id}/logs`: a stretch of the log."""
    params = _params(
        {
            "after": after,
            "before": before,
            "tail": tail,
            "line": line,
            "limit": limit,
            "stream": stream,
            "level": level,
            "search": search,
        }
    )
    return Call("GET", _run(run_id, "logs"), LogPage.model_validate_json, params)


def stream_log(run_id: str, *, after: str | None = None) -> Call[bytes]:
    """`GET /api/runs/{id}/logs/stream`: server-sent events after a cursor."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if after is not None:
        headers["Last-Event-ID"] = after
    return Call("GET", _run(run_id, "logs", "stream"), bytes, headers=headers)


def list_artifacts(run_id: str) -> Call[ArtifactList]:
    """`GET /api/runs/{id}/artifacts`."""
    return Call("GET", _run(run_id, "artifacts"), ArtifactList.model_validate_json)


def download_artifact(run_id: str, artifact_id: str) -> Call[bytes]:
    """`GET /api/runs/{id}/artifacts/{artifact_id}`: its bytes."""
    return Call("GET", _run(run_id, "artifacts", artifact_id), bytes)


def list_outputs(run_id: str) -> Call[list[StructuredOutput]]:
    """`GET /api/runs/{id}/outputs`: what the program declared with `current_run().output(…)`."""
    return Call("GET", _run(run_id, "outputs"), _parse_outputs)


def get_retention() -> Call[RetentionReply]:
    """`GET /api/retention`: the policy and the disk that is used."""
    return Call("GET", "api/retention", RetentionReply.model_validate_json)


def sweep(*, dry_run: bool) -> Call[SweepReply]:
    """`POST /api/retention/sweep`: remove what has expired; for administrators."""
    body = _body(SweepRequest(dry_run=dry_run))
    return Call("POST", "api/retention/sweep", SweepReply.model_validate_json, content=body)


def _parse_outputs(body: bytes) -> list[StructuredOutput]:
    return _OUTPUTS.validate_json(body)


def _run(run_id: str, *rest: str) -> str:
    return "/".join(("api/runs", quote(run_id, safe=""), *(quote(part, safe="") for part in rest)))


def _environment(environment_id: str) -> str:
    return f"api/environments/{quote(environment_id, safe='')}"


def _dataset(dataset_id: str) -> str:
    return f"api/datasets/{quote(dataset_id, safe='')}"


def _refresh(refresh: bool) -> Params:  # noqa: FBT001 - passed on by its name
    return (("refresh", "true"),) if refresh else ()


def _body(value: BaseModel) -> bytes:
    return orjson.dumps(value.model_dump(mode="json"))


def _asset(asset_id: str, *parts: str) -> str:
    return "/".join(("api/assets", quote(asset_id, safe=""), *parts))


def _params(values: dict[str, Any]) -> Params:
    return tuple((name, str(value)) for name, value in values.items() if value is not None)


def _filter_params(filters: Model) -> Params:
    """Query parameters of a filter: sequences repeat their name, absent fields are left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in filters.model_dump(mode="json", exclude_defaults=True).items():
        values = value if isinstance(value, list) else [value]
        pairs += [(name, str(each)) for each in values]
    return tuple(pairs)
