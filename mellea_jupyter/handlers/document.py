"""The endpoint that describes all endpoints."""

from __future__ import annotations

from typing import Any

from tornado import web
from tornado.ioloop import IOLoop

from mellea_jupyter.handlers.base import ApiHandler, RequestError, authorized
from mellea_jupyter.handlers.endpoint import endpoint


class OpenApiHandler(ApiHandler):
    """`/openapi.json`."""

    def initialize(self, **kwargs: Any) -> None:
        """Remember under which prefix this was asked for; the document speaks of that one."""
        self._prefix = str(kwargs.pop("prefix"))
        super().initialize(**kwargs)

    @web.authenticated
    @authorized(resource="runs")
    @endpoint()
    async def get(self) -> dict[str, Any]:
        """This document: OpenAPI 3.1, made from the code that serves it."""
        from mellea_jupyter.handlers.openapi import build_document

        server = self.base_url.rstrip("/") + self._prefix
        return await IOLoop.current().run_in_executor(None, build_document, server)


class UnknownPathHandler(ApiHandler):
    """Paths beside ours, so that a mistyped one gets the same error shape as everything else."""

    @web.authenticated
    @authorized(resource="runs")
    async def get(self, path: str) -> None:
        """There is nothing here."""
        raise _nothing(path)

    @web.authenticated
    @authorized(resource="runs")
    async def post(self, path: str) -> None:
        """There is nothing here."""
        raise _nothing(path)

    @web.authenticated
    @authorized(resource="runs")
    async def put(self, path: str) -> None:
        """There is nothing here."""
        raise _nothing(path)

    @web.authenticated
    @authorized(resource="runs")
    async def patch(self, path: str) -> None:
        """There is nothing here."""
        raise _nothing(path)

    @web.authenticated
    @authorized(resource="runs")
    async def delete(self, path: str) -> None:
        """There is nothing here."""
        raise _nothing(path)


def _nothing(path: str) -> RequestError:
    return RequestError(
        404,
        f"There is nothing at {path}",
        hint="Ids of runs are UUIDs in lower case; GET openapi.json lists all paths.",
    )
