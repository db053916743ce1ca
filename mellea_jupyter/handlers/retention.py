"""What is kept of runs, and the sweep that removes what has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado import web

from mellea_jupyter.handlers.base import ApiHandler, authorized
from mellea_jupyter.handlers.endpoint import endpoint

if TYPE_CHECKING:
    from mellea_jupyter.models.retention import RetentionReply, SweepReply, SweepRequest


class RetentionHandler(ApiHandler):
    """`/retention`."""

    @web.authenticated
    @authorized(resource="retention")
    @endpoint()
    async def get(self) -> RetentionReply:
        """Read the retention policy and the disk that is used."""
        services = await self.app.services()
        return await services.retention()


class SweepHandler(ApiHandler):
    """`/retention/sweep`."""

    @web.authenticated
    @authorized(resource="retention")
    @endpoint()
    async def post(self, body: SweepRequest) -> SweepReply:
        """Remove the logs and artifacts that have expired; for administrators."""
        services = await self.app.services()
        return await services.sweep(self.user, dry_run=body.dry_run)
