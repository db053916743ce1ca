"""Runs: create, list, read, change, cancel, retry, share, delete, and what one run holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado import web

from mellea_jupyter.exceptions import InvalidInput
from mellea_jupyter.handlers.base import ApiHandler, authorized
from mellea_jupyter.handlers.endpoint import endpoint
from mellea_jupyter.handlers.rates import Rate

if TYPE_CHECKING:
    from mellea_jupyter.handlers.parameters import (
        CallQuery,
        CompareQuery,
        RunAuditQuery,
        SummaryQuery,
    )
    from mellea_jupyter.models.artifacts import StructuredOutput
    from mellea_jupyter.models.audit import AuditPage, AuditQuery
    from mellea_jupyter.models.budget import BudgetDecision
    from mellea_jupyter.models.calls import (
        CallContent,
        CallPage,
        LoopPage,
        SourceReply,
        UsageSeries,
    )
    from mellea_jupyter.models.comparisons import RunComparison
    from mellea_jupyter.models.metrics import RunMetrics
    from mellea_jupyter.models.pages import RunGroup, RunPage, RunQuery, SummaryReply
    from mellea_jupyter.models.requests import (
        BulkRequest,
        CheckReply,
        ModelList,
        RetryRequest,
        RunCheck,
        RunCreate,
        RunGroupCreate,
        RunPatch,
    )
    from mellea_jupyter.models.run import KeptKernel, Run
    from mellea_jupyter.models.sharing import Principal, ShareList, ShareRequest

_KEY_LENGTH = 200


_IDEMPOTENCY = {
    "Idempotency-Key": "Sent again with the same body within the key's life, the request "
    "gives the run of the first time, with status 200; with another body it is refused."
}


def _idempotency_key(handler: ApiHandler) -> str | None:
    """Raises InvalidInput."""
    key = handler.request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= _KEY_LENGTH:
        raise InvalidInput("Idempotency-Key", f"has to have 1 to {_KEY_LENGTH} characters")
    return key


class RunsHandler(ApiHandler):
    """`/runs`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, query: RunQuery) -> RunPage:
        """List the runs that you may see, a page at a time."""
        services = await self.app.services()
        return await services.runs.list(query, self.user)

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(status=201, headers=_IDEMPOTENCY, errors=(404, 429))
    async def post(self, body: RunCreate) -> Run:
        """Create a run of an asset and put it into the queue."""
        key = _idempotency_key(self)
        self.spend(Rate.CREATES)
        services = await self.app.services()
        created = await services.runs.create(body, self.user, idempotency_key=key)
        if created.replayed:
            self.set_status(200)
        return created.run


class BulkCreateHandler(ApiHandler):
    """`/runs/bulk/create`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(status=201, headers=_IDEMPOTENCY, errors=(404, 429))
    async def post(self, body: RunGroupCreate) -> RunGroup:
        """Create a group: runs of one asset that differ in configuration, or repeat it.

        All of them are created, or none.
        """
        from mellea_jupyter.models.pages import RunGroup

        key = _idempotency_key(self)
        self.spend(Rate.CREATES, len(body.variants) * body.repeat)
        services = await self.app.services()
        created = await services.runs.create_group(body, self.user, idempotency_key=key)
        if created.replayed:
            self.set_status(200)
        return RunGroup(group_id=created.runs[0].group_id or "", runs=created.runs)


class CompareHandler(ApiHandler):
    """`/runs/compare`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(errors=(404, 429))
    async def get(self, query: CompareQuery) -> RunComparison:
        """Put runs side by side: what was asked, what came of it, and the difference in source.

        Two to ten runs, or a group. A group of more than ten has a column a configuration, with
        means over its runs.
        """
        self.spend(Rate.HEAVY)
        services = await self.app.services()
        if query.group_id is not None and not query.run_id:
            return await services.comparing.compare_group(query.group_id, self.user)
        return await services.comparing.compare(query.run_id, self.user)


class CheckHandler(ApiHandler):
    """`/runs/check`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(errors=(404, 429))
    async def post(self, body: RunCheck) -> CheckReply:
        """Say what would be wrong with a run; nothing is created.

        An error is what `POST /runs` would refuse, or what could not start; a warning is a guess:
        the model's key is not set, or its endpoint does not answer.
        """
        self.spend(Rate.HEAVY)
        services = await self.app.services()
        return await services.preflight.check(body, self.user)


class ModelsHandler(ApiHandler):
    """`/models`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self) -> ModelList:
        """List models to offer: those of your recent runs, of the settings, the demo."""
        services = await self.app.services()
        return await services.preflight.list_models(self.user)


class KernelHandler(ApiHandler):
    """`/runs/{run_id}/kernel`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(errors=(409,))
    async def post(self, run_id: str) -> KeptKernel:
        """Open the kernel that a failed run has left; the server knows it by its id then."""
        services = await self.app.services()
        return await services.kernels.open(run_id, self.user)


class RunHandler(ApiHandler):
    """`/runs/{run_id}`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, run_id: str) -> Run:
        """Read a run as it is now; of a failed one also how often it has failed so."""
        services = await self.app.services()
        return await services.runs.read(run_id, self.user)

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def patch(self, run_id: str, body: RunPatch) -> Run:
        """Change a run's name, note, tags or pin; what is absent stays."""
        services = await self.app.services()
        return await services.runs.update(run_id, body, self.user)

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(status=202, errors=(409,))
    async def delete(self, run_id: str) -> Run:
        """Cancel a run: ask for its stop, and kill it when the grace period ends.

        The reply does not wait for the end. A run that has ended is answered with 409 and the run
        in `details.run`. Records are removed by `POST /runs/bulk/delete`.
        """
        services = await self.app.services()
        return await services.runs.cancel(run_id, self.user)


class RetryHandler(ApiHandler):
    """`/runs/{run_id}/retry`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(status=201, headers=_IDEMPOTENCY, errors=(409, 429))
    async def post(self, run_id: str, body: RetryRequest | None) -> Run:
        """Make a new run of the same source and config, with overrides.

        Only for failed or cancelled runs; others are answered with 409.
        """
        from mellea_jupyter.models.requests import RetryRequest

        key = _idempotency_key(self)
        self.spend(Rate.CREATES)
        services = await self.app.services()
        created = await services.runs.retry(
            run_id, body or RetryRequest(), self.user, idempotency_key=key
        )
        if created.replayed:
            self.set_status(200)
        return created.run


class BudgetHandler(ApiHandler):
    """`/runs/{run_id}/budget`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(status=202, errors=(409,))
    async def post(self, run_id: str, body: BudgetDecision) -> Run:
        """Answer a run that waits at its budget: go on with a higher limit, or refuse the call.

        The reply does not wait for the run to go on. A run that does not wait is answered with
        409 and the run in `details.run`.
        """
        services = await self.app.services()
        return await services.runs.answer_budget(run_id, body, self.user)


class SharesHandler(ApiHandler):
    """`/runs/{run_id}/shares`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(errors=(403,))
    async def get(self, run_id: str) -> ShareList:
        """List with whom a run is shared. For its owner and administrators."""
        services = await self.app.services()
        return await services.runs.shares(run_id, self.user)


class ShareHandler(ApiHandler):
    """`/runs/{run_id}/share`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(errors=(403, 413))
    async def post(self, run_id: str, body: ShareRequest) -> ShareList:
        """Share a run with a user, a group or everyone, as viewer or as operator.

        A viewer reads all of it; an operator cancels and retries as well. Sharing again with
        another role replaces it. The reply lists all shares.
        """
        services = await self.app.services()
        return await services.runs.share(run_id, body, self.user)

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(errors=(403,))
    async def delete(self, run_id: str, query: Principal) -> ShareList:
        """Revoke a share. What is open of the run elsewhere ends. The reply lists what is left."""
        services = await self.app.services()
        return await services.runs.unshare(run_id, query, self.user)


class RunAuditHandler(ApiHandler):
    """`/runs/{run_id}/audit`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(errors=(403,))
    async def get(self, run_id: str, query: RunAuditQuery) -> AuditPage:
        """Who did what to a run, the latest first; also after it was deleted.

        For its owner and administrators.
        """
        services = await self.app.services()
        return await services.audit.of_run(
            run_id, self.user, limit=query.limit, cursor=query.cursor
        )


class AuditHandler(ApiHandler):
    """`/audit`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(errors=(403,))
    async def get(self, query: AuditQuery) -> AuditPage:
        """Who did what, the latest first. For administrators."""
        services = await self.app.services()
        return await services.audit.list(query, self.user)


class SummaryHandler(ApiHandler):
    """`/runs/summary`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, query: SummaryQuery) -> SummaryReply:
        """Totals of the runs that a filter selects, in all and by group."""
        from mellea_jupyter.models.pages import RunFilters

        services = await self.app.services()
        return await services.runs.summary(
            RunFilters(**{name: getattr(query, name) for name in RunFilters.model_fields}),
            self.user,
            group_by=query.group_by,
            utc_offset_minutes=query.utc_offset_minutes,
        )


class BulkCancelHandler(ApiHandler):
    """`/runs/bulk/cancel`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def post(self, body: BulkRequest) -> dict[str, str]:
        """Cancel several runs. The reply says for each: `cancelled`, or `error: …`."""
        services = await self.app.services()
        return await services.runs.bulk_cancel(body.run_ids, self.user)


class BulkDeleteHandler(ApiHandler):
    """`/runs/bulk/delete`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def post(self, body: BulkRequest) -> dict[str, str]:
        """Remove the records of several ended runs. The reply says: `deleted`, or `error: …`."""
        services = await self.app.services()
        return await services.runs.bulk_delete(body.run_ids, self.user)


class OwnRunsHandler(ApiHandler):
    """`/users/me/runs`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(fixed=("owner_id", "shared"))
    async def get(self, query: RunQuery) -> RunPage:
        """List your own runs, a page at a time."""
        services = await self.app.services()
        own = query.model_copy(update={"owner_id": (self.user.owner_id,), "shared": "none"})
        return await services.runs.list(own, self.user)


class MetricsHandler(ApiHandler):
    """`/runs/{run_id}/metrics`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, run_id: str) -> RunMetrics:
        """What a run used so far: calls, tokens, cost, time and memory."""
        services = await self.app.services()
        return (await services.runs.get(run_id, self.user)).metrics


class CallsHandler(ApiHandler):
    """`/runs/{run_id}/calls`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, run_id: str, query: CallQuery) -> CallPage:
        """The LLM calls of a run, in the order they began, a page at a time."""
        services = await self.app.services()
        return await services.calls.list_calls(
            run_id, self.user, after=query.after, limit=query.limit
        )


class CallContentHandler(ApiHandler):
    """`/runs/{run_id}/calls/{call}/content`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, run_id: str, call: str) -> CallContent:
        """What one LLM call was asked and what it answered, where the run kept it."""
        services = await self.app.services()
        return await services.calls.get_content(run_id, int(call), self.user)


class LoopsHandler(ApiHandler):
    """`/runs/{run_id}/loops`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, run_id: str, query: CallQuery) -> LoopPage:
        """The sampling loops of a run with their attempts and verdicts, a page at a time."""
        services = await self.app.services()
        return await services.calls.list_loops(
            run_id, self.user, after=query.after, limit=query.limit
        )


class UsageHandler(ApiHandler):
    """`/runs/{run_id}/usage`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, run_id: str) -> UsageSeries:
        """Memory, CPU time and cost of a run over time, for a chart."""
        services = await self.app.services()
        return await services.calls.get_usage(run_id, self.user)


class OutputsHandler(ApiHandler):
    """`/runs/{run_id}/outputs`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, run_id: str) -> list[StructuredOutput]:
        """The JSON results that the program declared, in that order."""
        services = await self.app.services()
        return await services.results.outputs(run_id, self.user)


class SourceHandler(ApiHandler):
    """`/runs/{run_id}/source`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self, run_id: str) -> SourceReply:
        """The source that a run executes, as it was pinned when the run was created."""
        services = await self.app.services()
        return await services.results.source(run_id, self.user)
