"""The whole table of endpoints, as data."""

from __future__ import annotations

import re
from typing import Any

from tornado.web import RequestHandler

from mellea_jupyter.handlers.artifacts import (
    ArtifactHandler,
    ArtifactLinkHandler,
    ArtifactPreviewHandler,
    ArtifactsHandler,
    ArtifactsZipHandler,
    SignedArtifactHandler,
)
from mellea_jupyter.handlers.assets import (
    AssetHandler,
    AssetRunsHandler,
    AssetsHandler,
    AssetShareHandler,
    AssetSharesHandler,
    ForecastHandler,
)
from mellea_jupyter.handlers.channel import RunsChannel
from mellea_jupyter.handlers.datasets import (
    DatasetHandler,
    DatasetsHandler,
    DatasetVersionsHandler,
)
from mellea_jupyter.handlers.document import OpenApiHandler, UnknownPathHandler
from mellea_jupyter.handlers.environments import EnvironmentHandler, EnvironmentsHandler
from mellea_jupyter.handlers.logs import LogsHandler, LogStreamHandler
from mellea_jupyter.handlers.notifications import (
    NoticeHandler,
    NoticesHandler,
    PreferencesHandler,
    ReadAllHandler,
    TestMailHandler,
)
from mellea_jupyter.handlers.prices import PricesHandler, RepriceHandler
from mellea_jupyter.handlers.retention import RetentionHandler, SweepHandler
from mellea_jupyter.handlers.runs import (
    AuditHandler,
    BudgetHandler,
    BulkCancelHandler,
    BulkCreateHandler,
    BulkDeleteHandler,
    CallContentHandler,
    CallsHandler,
    CheckHandler,
    CompareHandler,
    KernelHandler,
    LoopsHandler,
    MetricsHandler,
    ModelsHandler,
    OutputsHandler,
    OwnRunsHandler,
    RetryHandler,
    RunAuditHandler,
    RunHandler,
    RunsHandler,
    ShareHandler,
    SharesHandler,
    SourceHandler,
    SummaryHandler,
    UsageHandler,
)

DEFAULT_PREFIX = "/api"
ALIAS_PREFIX = "/mellea/api"  # always there, so that a clash of names can not lock anyone out

# What a path parameter may be. A run id is a UUID, so `/runs/summary` or `/runs/ws` is never one.
PARAMETERS = {
    "run_id": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "call": r"[1-9][0-9]{0,8}",
    "asset_id": r"[A-Za-z0-9_.-]{1,200}",
    "artifact_id": r"[A-Za-z0-9_.-]{1,200}",
    "dataset_id": r"[A-Za-z0-9_.-]{1,200}",
    "notice_id": r"ntc_[0-9a-f]{32}",
    "environment_id": r"[A-Za-z0-9_.-]{1,100}",
}

Row = tuple[str, type[RequestHandler], dict[str, Any]]
"""Pattern, handler and its arguments, as tornado takes them."""

ROUTES: tuple[tuple[str, type[RequestHandler]], ...] = (
    ("/runs", RunsHandler),
    ("/runs/summary", SummaryHandler),
    ("/runs/check", CheckHandler),
    ("/runs/compare", CompareHandler),
    ("/runs/ws", RunsChannel),
    ("/runs/bulk/create", BulkCreateHandler),
    ("/runs/bulk/cancel", BulkCancelHandler),
    ("/runs/bulk/delete", BulkDeleteHandler),
    ("/runs/{run_id}", RunHandler),
    ("/runs/{run_id}/retry", RetryHandler),
    ("/runs/{run_id}/budget", BudgetHandler),
    ("/runs/{run_id}/logs", LogsHandler),
    ("/runs/{run_id}/logs/stream", LogStreamHandler),
    ("/runs/{run_id}/artifacts", ArtifactsHandler),
    ("/runs/{run_id}/artifacts.zip", ArtifactsZipHandler),
    ("/runs/{run_id}/artifacts/{artifact_id}", ArtifactHandler),
    ("/runs/{run_id}/artifacts/{artifact_id}/preview", ArtifactPreviewHandler),
    ("/runs/{run_id}/artifacts/{artifact_id}/url", ArtifactLinkHandler),
    ("/runs/{run_id}/artifacts/{artifact_id}/signed", SignedArtifactHandler),
    ("/runs/{run_id}/kernel", KernelHandler),
    ("/runs/{run_id}/share", ShareHandler),
    ("/runs/{run_id}/shares", SharesHandler),
    ("/runs/{run_id}/audit", RunAuditHandler),
    ("/runs/{run_id}/metrics", MetricsHandler),
    ("/runs/{run_id}/calls", CallsHandler),
    ("/runs/{run_id}/calls/{call}/content", CallContentHandler),
    ("/runs/{run_id}/loops", LoopsHandler),
    ("/runs/{run_id}/usage", UsageHandler),
    ("/runs/{run_id}/outputs", OutputsHandler),
    ("/runs/{run_id}/source", SourceHandler),
    ("/assets", AssetsHandler),
    ("/assets/{asset_id}", AssetHandler),
    ("/assets/{asset_id}/runs", AssetRunsHandler),
    ("/assets/{asset_id}/share", AssetShareHandler),
    ("/assets/{asset_id}/shares", AssetSharesHandler),
    ("/assets/{asset_id}/forecast", ForecastHandler),
    ("/datasets", DatasetsHandler),
    ("/datasets/{dataset_id}", DatasetHandler),
    ("/datasets/{dataset_id}/versions", DatasetVersionsHandler),
    ("/environments", EnvironmentsHandler),
    ("/environments/{environment_id}", EnvironmentHandler),
    ("/models", ModelsHandler),
    ("/users/me/runs", OwnRunsHandler),
    ("/users/me/notification-preferences", PreferencesHandler),
    ("/users/me/notification-preferences/test-mail", TestMailHandler),
    ("/notifications", NoticesHandler),
    ("/notifications/read", ReadAllHandler),
    ("/notifications/{notice_id}", NoticeHandler),
    ("/prices", PricesHandler),
    ("/prices/reprice", RepriceHandler),
    ("/audit", AuditHandler),
    ("/retention", RetentionHandler),
    ("/retention/sweep", SweepHandler),
    ("/openapi.json", OpenApiHandler),
)

# Below our own words only: core's and other extensions' paths under the prefix are not ours.
# A trailing slash is left to Jupyter, which redirects.
_WORDS = "runs|assets|datasets|environments|notifications|prices|retention|audit"
_UNKNOWN = rf"(?P<path>/(?:{_WORDS})/.*[^/])"


def routes(prefix: str = DEFAULT_PREFIX) -> list[Row]:
    """The table under `prefix` and the alias; Jupyter puts its base URL in front."""
    rows: list[Row] = []
    for each in dict.fromkeys((_clean(prefix), ALIAS_PREFIX)):
        front = re.escape(each)
        for path, handler in ROUTES:
            kwargs = {"prefix": each} if handler is OpenApiHandler else {}
            rows.append((f"{front}{path_pattern(path)}", handler, kwargs))
        rows.append((f"{front}{_UNKNOWN}", UnknownPathHandler, {}))
    return rows


def path_pattern(path: str) -> str:
    """`/runs/{run_id}` as a regular expression with a named group for each parameter."""
    parts = re.split(r"\{(\w+)\}", path)
    return "".join(
        f"(?P<{part}>{PARAMETERS[part]})" if index % 2 else re.escape(part)
        for index, part in enumerate(parts)
    )


def _clean(prefix: str) -> str:
    """A prefix as an operator may write it: `api`, `/api`, `/api/`, `/`."""
    inner = prefix.strip("/")
    return f"/{inner}" if inner else ""
