"""Assets: what runs execute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado import web

from mellea_jupyter.handlers.base import ApiHandler, authorized
from mellea_jupyter.handlers.endpoint import endpoint
from mellea_jupyter.handlers.rates import Rate

if TYPE_CHECKING:
    from mellea_jupyter.handlers.parameters import AssetQuery, ForecastQuery
    from mellea_jupyter.models.assets import Asset, AssetCreate
    from mellea_jupyter.models.budget import Forecast
    from mellea_jupyter.models.pages import AssetPage, RunPage, RunQuery
    from mellea_jupyter.models.sharing import AssetShareList, Principal


class AssetsHandler(ApiHandler):
    """`/assets`."""

    @web.authenticated
    @authorized(resource="assets")
    @endpoint()
    async def get(self, query: AssetQuery) -> AssetPage:
        """List the assets that you may execute, most recently registered first."""
        services = await self.app.services()
        return await services.assets.list(self.user, limit=query.limit, cursor=query.cursor)

    @web.authenticated
    @authorized(resource="assets")
    @endpoint(status=201, errors=(429,))
    async def post(self, body: AssetCreate) -> Asset:
        """Register a program. The same program gets the same id, with its present version."""
        self.spend(Rate.HEAVY)
        services = await self.app.services()
        return await services.assets.register(body, self.user)


class AssetHandler(ApiHandler):
    """`/assets/{asset_id}`."""

    @web.authenticated
    @authorized(resource="assets")
    @endpoint()
    async def get(self, asset_id: str) -> Asset:
        """Read an asset."""
        services = await self.app.services()
        return await services.assets.get(asset_id, self.user)


class AssetRunsHandler(ApiHandler):
    """`/assets/{asset_id}/runs`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(fixed=("asset_id",))
    async def get(self, asset_id: str, query: RunQuery) -> RunPage:
        """List the runs of an asset that you may see, a page at a time."""
        services = await self.app.services()
        asset = await services.assets.get(asset_id, self.user)
        of_asset = query.model_copy(update={"asset_id": (asset.id,)})
        return await services.runs.list(of_asset, self.user)


class AssetSharesHandler(ApiHandler):
    """`/assets/{asset_id}/shares`."""

    @web.authenticated
    @authorized(resource="assets")
    @endpoint(errors=(403,))
    async def get(self, asset_id: str) -> AssetShareList:
        """List who may execute an asset besides its owner. For its owner and administrators."""
        services = await self.app.services()
        return await services.assets.shares(asset_id, self.user)


class AssetShareHandler(ApiHandler):
    """`/assets/{asset_id}/share`."""

    @web.authenticated
    @authorized(resource="assets")
    @endpoint(errors=(403, 413))
    async def post(self, asset_id: str, body: Principal) -> AssetShareList:
        """Let a user, a group or everyone execute an asset. The reply lists all who may.

        Their runs are their own. Of the runs of others they see no more than before.
        """
        services = await self.app.services()
        return await services.assets.share(asset_id, body, self.user)

    @web.authenticated
    @authorized(resource="assets")
    @endpoint(errors=(403,))
    async def delete(self, asset_id: str, query: Principal) -> AssetShareList:
        """Revoke it; runs that were started go on. The reply lists who is left."""
        services = await self.app.services()
        return await services.assets.unshare(asset_id, query, self.user)


class ForecastHandler(ApiHandler):
    """`/assets/{asset_id}/forecast`."""

    @web.authenticated
    @authorized(resource="assets")
    @endpoint()
    async def get(self, asset_id: str, query: ForecastQuery) -> Forecast:
        """Say what runs of an asset usually take, from those of yours that succeeded."""
        services = await self.app.services()
        asset = await services.assets.get(asset_id, self.user)
        return await services.forecasts.of_asset(asset.id, query.model, self.user)
