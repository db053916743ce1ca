"""Datasets: what runs read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado import web

from mellea_jupyter.handlers.base import ApiHandler, authorized
from mellea_jupyter.handlers.endpoint import endpoint
from mellea_jupyter.handlers.rates import Rate

if TYPE_CHECKING:
    from mellea_jupyter.handlers.parameters import DatasetQuery
    from mellea_jupyter.models.datasets import (
        Dataset,
        DatasetCreate,
        DatasetPage,
        DatasetVersionList,
    )


class DatasetsHandler(ApiHandler):
    """`/datasets`."""

    @web.authenticated
    @authorized(resource="datasets")
    @endpoint()
    async def get(self, query: DatasetQuery) -> DatasetPage:
        """List the datasets that you may bind, most recently registered first."""
        services = await self.app.services()
        return await services.datasets.list(self.user, limit=query.limit, cursor=query.cursor)

    @web.authenticated
    @authorized(resource="datasets")
    @endpoint(status=201, errors=(429,))
    async def post(self, body: DatasetCreate) -> Dataset:
        """Register a file, a folder or objects, as they are now.

        The same path or URL gets the same id, and a version that follows from the content. The
        reply comes when all bytes are read.
        """
        self.spend(Rate.HEAVY)
        services = await self.app.services()
        return await services.datasets.register(body, self.user)


class DatasetHandler(ApiHandler):
    """`/datasets/{dataset_id}`."""

    @web.authenticated
    @authorized(resource="datasets")
    @endpoint()
    async def get(self, dataset_id: str) -> Dataset:
        """Read a dataset and its latest version."""
        services = await self.app.services()
        return await services.datasets.get(dataset_id, self.user)

    @web.authenticated
    @authorized(resource="datasets")
    @endpoint()
    async def delete(self, dataset_id: str) -> Dataset:
        """Delete a dataset with all its versions; the reply is what it was.

        Runs that have started keep their inputs; those that still wait fail and say why.
        """
        services = await self.app.services()
        return await services.datasets.delete(dataset_id, self.user)


class DatasetVersionsHandler(ApiHandler):
    """`/datasets/{dataset_id}/versions`."""

    @web.authenticated
    @authorized(resource="datasets")
    @endpoint()
    async def get(self, dataset_id: str) -> DatasetVersionList:
        """All versions of a dataset, most recently registered first."""
        services = await self.app.services()
        return await services.datasets.versions(dataset_id, self.user)
