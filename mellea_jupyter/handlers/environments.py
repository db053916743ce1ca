"""Environments: what runs execute in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado import web

from mellea_jupyter.handlers.base import ApiHandler, authorized
from mellea_jupyter.handlers.endpoint import endpoint
from mellea_jupyter.handlers.rates import Rate

if TYPE_CHECKING:
    from mellea_jupyter.handlers.parameters import EnvironmentQuery
    from mellea_jupyter.models.environments import (
        Environment,
        EnvironmentCreate,
        EnvironmentList,
        EnvironmentPatch,
    )


class EnvironmentsHandler(ApiHandler):
    """`/environments`."""

    @web.authenticated
    @authorized(resource="environments")
    @endpoint(errors=(429,))
    async def get(self, query: EnvironmentQuery) -> EnvironmentList:
        """List the environments that you may use, with the reason where one does not work."""
        if query.refresh:
            self.spend(Rate.HEAVY)
        services = await self.app.services()
        return await services.environments.list(self.user, refresh=query.refresh)

    @web.authenticated
    @authorized(resource="environments")
    @endpoint(status=201, also=(200,), errors=(403, 409))
    async def post(self, body: EnvironmentCreate) -> Environment:
        """Make an environment, or get the one that is described the same.

        One of that name that is described otherwise is answered with 409 and its id in
        `details.id`. One that does not work yet is kept, with its reason.
        """
        services = await self.app.services()
        environment, is_new = await services.environments.get_or_create(body, self.user)
        if not is_new:
            self.set_status(200)
        return environment


class EnvironmentHandler(ApiHandler):
    """`/environments/{environment_id}`."""

    @web.authenticated
    @authorized(resource="environments")
    @endpoint(errors=(429,))
    async def get(self, environment_id: str, query: EnvironmentQuery) -> Environment:
        """Read an environment, and whether runs can start in it."""
        if query.refresh:
            self.spend(Rate.HEAVY)
        services = await self.app.services()
        return await services.environments.get(environment_id, self.user, refresh=query.refresh)

    @web.authenticated
    @authorized(resource="environments")
    @endpoint(errors=(409,))
    async def patch(self, environment_id: str, body: EnvironmentPatch) -> Environment:
        """Change what is given; null resets a field. Runs under way go on as they began."""
        services = await self.app.services()
        return await services.environments.update(environment_id, body, self.user)

    @web.authenticated
    @authorized(resource="environments")
    @endpoint()
    async def delete(self, environment_id: str) -> Environment:
        """Delete an environment; the reply is what it was.

        Its runs keep their records. Those that still wait will fail and say why.
        """
        services = await self.app.services()
        return await services.environments.delete(environment_id, self.user)
