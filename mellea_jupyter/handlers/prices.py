"""Where prices come from, and pricing history anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tornado import web

from mellea_jupyter.handlers.base import ApiHandler, authorized
from mellea_jupyter.handlers.endpoint import endpoint
from mellea_jupyter.handlers.rates import Rate

if TYPE_CHECKING:
    from mellea_jupyter.models.prices import PriceListReply, RepriceReply, RepriceRequest


class PricesHandler(ApiHandler):
    """`/prices`."""

    @web.authenticated
    @authorized(resource="prices")
    @endpoint()
    async def get(self) -> PriceListReply:
        """Read which price list is in use, and what is wrong in the operator's own."""
        services = await self.app.services()
        return await services.price_list()


class RepriceHandler(ApiHandler):
    """`/prices/reprice`."""

    @web.authenticated
    @authorized(resource="prices")
    @endpoint(errors=(429,))
    async def post(self, body: RepriceRequest) -> RepriceReply:
        """Price the calls of ended runs anew: of your runs, for administrators of all.

        The operator's file is read again before. Each call gets the price of the time when it was
        made, from its stored tokens.
        """
        self.spend(Rate.HEAVY)
        services = await self.app.services()
        return await services.repricing.reprice(body, self.user)
