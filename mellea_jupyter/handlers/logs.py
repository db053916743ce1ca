"""Logs: a page, the whole as a file, and the live stream as server-sent events.

Source: server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Literal

from tornado import web
from tornado.iostream import StreamClosedError

from mellea_jupyter.handlers.artifacts import DownloadHandler
from mellea_jupyter.handlers.base import ApiHandler, authorized
from mellea_jupyter.handlers.endpoint import JSON, endpoint
from mellea_jupyter.handlers.rates import Rate

if TYPE_CHECKING:
    from mellea_jupyter.handlers.parameters import LogPageQuery, LogStreamQuery
    from mellea_jupyter.models.frames import LogPage
    from mellea_jupyter.service.log_hub import LogSubscription

_RETRY_MS = 2000  # how long a browser waits before it connects again

_FILES = {
    "text": ("log", "text/plain; charset=utf-8"),
    "ndjson": ("ndjson", "application/x-ndjson"),
}


class LogsHandler(DownloadHandler):
    """`/runs/{run_id}/logs`."""

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(media=(JSON, "text/plain", "application/x-ndjson"), errors=(429,))
    async def get(self, run_id: str, query: LogPageQuery) -> LogPage | None:
        """Read a stretch of a run's log, or all of it as a file (`download`)."""
        from mellea_jupyter.stores.journals.base import LogQuery

        if query.download is not None or query.search is not None:
            self.spend(Rate.HEAVY)
        services = await self.app.services()
        if query.download is not None:
            await self._download(run_id, query.download)
            return None
        asked = LogQuery(
            after=query.after,
            before=query.before,
            tail=query.tail,
            line=query.line,
            limit=query.limit,
            streams=frozenset(query.stream),
            levels=frozenset(query.level),
            search=query.search,
        )
        return await services.results.logs(run_id, asked, self.user)

    async def _download(self, run_id: str, form: Literal["text", "ndjson"]) -> None:
        services = await self.app.services()
        await services.runs.get(run_id, self.user)  # refuse before the reply has begun
        suffix, content_type = _FILES[form]
        self.set_file_headers(f"{run_id}.{suffix}", content_type)
        await self.send(services.results.iter_log(run_id, self.user, form=form))


class LogStreamHandler(ApiHandler):
    """`/runs/{run_id}/logs/stream`."""

    _pump: asyncio.Task[None] | None = None

    @web.authenticated
    @authorized(resource="runs")
    @endpoint(
        media=("text/event-stream",),
        headers={"Last-Event-ID": "Cursor of the last event that was received, to resume after."},
    )
    async def get(self, run_id: str, query: LogStreamQuery) -> None:
        """Follow a run's log as server-sent events.

        Replays the lines after the cursor, then gives new ones as they come: `event: log`, with
        the line's cursor as `id` and a `LogFrame` as data. Ends with `event: complete` and
        `{"status": …}`, the final status. A comment keeps the connection alive in between. It ends
        without that event when a share is revoked; asking again is answered with 404 then.
        """
        services = await self.app.services()
        user = self.user
        run = await services.runs.get(run_id, user)
        after = self.request.headers.get("Last-Event-ID") or query.after
        async with services.logs.subscribe(run_id, after) as subscription:
            self._pump = self.app.streams.start(self._send(subscription, after))
            losing = asyncio.ensure_future(services.sharing.until_lost(run, user))
            await asyncio.wait({self._pump, losing}, return_when=asyncio.FIRST_COMPLETED)
            for task in (losing, self._pump):
                task.cancel()
            await asyncio.wait({self._pump, losing})
            if not losing.cancelled():
                losing.result()
        if not self._pump.cancelled():  # access was revoked, the client left, the server stops
            self._pump.result()

    async def _send(self, subscription: LogSubscription, cursor: str | None) -> None:
        """Write events until the log ends; each flush waits until the client has room."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache, no-transform")
        self.set_header("X-Accel-Buffering", "no")  # nginx would hold events back
        self.request.connection.stream.set_nodelay(True)  # type: ignore[union-attr]
        try:
            self.write(f"retry: {_RETRY_MS}\n\n")
            await self.flush()
            while subscription.ended is None:
                batch = await subscription.next(self.app.heartbeat_seconds)
                if batch is not None:
                    cursor = batch.last
                    self.write(batch.sse)
                elif subscription.ended is None:
                    self.write(": keep-alive\n\n")
                await self.flush()
            self.write(complete_event(str(subscription.ended), cursor))
            await self.flush()
        except StreamClosedError:
            return

    def on_connection_close(self) -> None:
        """End at once when the client goes away, not at the next line."""
        super().on_connection_close()
        if self._pump is not None:
            self._pump.cancel()


def complete_event(status: str, cursor: str | None) -> str:
    """The last event of a stream. With its id, a client that connects again gets no line twice."""
    position = f"id: {cursor}\n" if cursor else ""
    return f"event: complete\n{position}data: {json.dumps({'status': status})}\n\n"
