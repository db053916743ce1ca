"""The websocket: one connection a tab, any number of topics (`models/websocket.py`).

Nothing here grows with a slow client. One message is on its way at a time; log lines are pulled
from the hub only when the ones before have left, and the broker merges run events meanwhile. A
log topic whose lines took longer than `lag_seconds` to leave ends with `lagged`.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from mellea_jupyter.exceptions import MelleaJupyterError, RunNotFound
from mellea_jupyter.handlers.base import ErrorShape, RequestError, describe, encode, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mellea_jupyter.auth.owner import User
    from mellea_jupyter.models.base import Model
    from mellea_jupyter.models.calls import CallsChanged
    from mellea_jupyter.models.events import RunEvent
    from mellea_jupyter.models.notifications import NoticeEvent
    from mellea_jupyter.service.broker import AccessChanged
    from mellea_jupyter.service.services import Services
    from mellea_jupyter.stores.journals.base import EncodedBatch

RESOURCE = "runs"

_MAX_MESSAGE_BYTES = 16 * 1024
_SERVER_STOPS = 1001  # "going away", RFC 6455, 7.4.1


class RunsChannel(WebSocketMixin, WebSocketHandler, ErrorShape):
    """`/runs/ws`."""

    auth_resource = RESOURCE
    lag_seconds = 10.0
    max_topics = 64

    _services: Services
    _user: User
    _stay: asyncio.Task[None] | None = None

    def initialize(self) -> None:
        """Set up what one connection holds."""
        self._sending = asyncio.Lock()
        self._leaving: asyncio.Future[None] | None = None
        self._topics: dict[str, asyncio.Task[None]] = {}

    @property
    def max_message_size(self) -> int:
        """Longest message of a client, in bytes; a longer one ends the connection."""
        return _MAX_MESSAGE_BYTES

    @ws_authenticated
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Follow runs and logs over a websocket, many topics on one connection.

        The client sends `ClientMessage`s and gets `ServerMessage`s, one JSON object a message.
        """
        if not await ensure_async(
            self.authorizer.is_authorized(self, self.current_user, "execute", RESOURCE)
        ):
            raise web.HTTPError(403)
        if self.request.headers.get("Upgrade", "").lower() != "websocket":
            raise RequestError(400, "This is a websocket", hint="Connect with the ws:// scheme.")
        if not self.check_origin():
            raise RequestError(403, "A page of another origin may not connect")
        self._services = await self.app.services()
        self._user = self.user
        await super().get(*args, **kwargs)

    def open(self, *args: str, **kwargs: str) -> None:
        """Begin pings, and close when the server stops."""
        super().open(*args, **kwargs)
        self.set_nodelay(True)
        self._stay = self.app.streams.start(self._stay_open())

    async def _stay_open(self) -> None:
        """Lasts as long as the connection; cancelled by whoever ends it."""
        try:
            await asyncio.Event().wait()
        finally:
            self.close(_SERVER_STOPS, "the server stops")  # nothing to close if the client left

    def on_close(self) -> None:
        """End everything the connection follows."""
        super().on_close()
        for task in (self._stay, *self._topics.values()):
            if task is not None:
                task.cancel()

    async def on_message(self, message: str | bytes) -> None:
        """Serve one message. The next one is read when this returns."""
        from pydantic import ValidationError

        from mellea_jupyter.models.websocket import Subscribe, Unsubscribed, parse_client_message

        try:
            asked = parse_client_message(message)
            if isinstance(asked, Subscribe):
                await self._subscribe(asked.topic, asked.after)
            else:
                await self._end(asked.topic)
                await self._send(Unsubscribed(topic=asked.topic))
        except ValidationError as error:
            await self._refuse("invalid_message", _explain(error))
        except WebSocketClosedError:
            return

    async def _subscribe(self, topic: str, after: str | None) -> None:
        await self._end(topic)
        limit = self.max_topics
        if len(self._topics) >= limit:
            said = f"A connection has at most {limit} topics"
            await self._refuse("too_many_topics", said, topic=topic)
            return
        self._topics[topic] = self.app.streams.start(self._follow(topic, after))

    async def _end(self, topic: str) -> None:
        """Stop following a topic; nothing of it is sent after this returns."""
        task = self._topics.pop(topic, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _follow(self, topic: str, after: str | None) -> None:
        """Serve one topic until it ends by itself or is cancelled."""
        try:
            await self._serve(topic, after)
        except WebSocketClosedError:
            return
        finally:
            if self._topics.get(topic) is asyncio.current_task():
                del self._topics[topic]

    async def _serve(self, topic: str, after: str | None) -> None:
        kind, _, run_id = topic.removesuffix("/logs").removesuffix("/calls").partition("/")
        try:
            if topic.endswith("/logs"):
                await self._while_seen(run_id, lambda: self._follow_logs(topic, run_id, after))
            elif topic.endswith("/calls"):
                await self._while_seen(run_id, lambda: self._follow_calls(topic, run_id))
            elif kind == "run":
                await self._while_seen(run_id, lambda: self._follow_run(topic, run_id))
            elif kind == "runs":
                await self._follow_runs(topic)
            else:
                await self._follow_notices(topic)
        except WebSocketClosedError:
            raise
        except Exception as error:  # the boundary of one topic: the others go on
            if not isinstance(error, MelleaJupyterError):
                self.log.exception("Topic %s failed (request %s)", topic, self.request_id)
            body = describe(error, status_of(error), self.request_id)
            await self._refuse(body["code"], body["message"], hint=body["hint"], topic=topic)

    async def _while_seen(
        self, run_id: str, follow: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Follow something of a run for as long as the user may see it.

        Raises:
            RunNotFound: they may not, or not any more.
        """
        run = await self._services.runs.get(run_id, self._user)
        losing = asyncio.ensure_future(self._services.sharing.until_lost(run, self._user))
        following = asyncio.ensure_future(follow())
        try:
            await asyncio.wait({following, losing}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            else:
                losing.result()
                raise RunNotFound(run_id)
        finally:
            await _end(losing)
            await _end(following)

    async def _follow_runs(self, topic: str) -> None:
        """Changes of runs that the user may see; one they may see no more is deleted for them."""
        from mellea_jupyter.models.events import RunChanged, RunDeleted

        sharing, user = self._services.sharing, self._user
        async with self._services.broker.subscribe() as events:
            await self._confirm(topic)
            async for event in events:
                if isinstance(event, RunChanged):
                    shown = await sharing.seen_by(event.run, user)
                    if shown is not None:
                        await self._send_event(topic, RunChanged(run=shown))
                elif isinstance(event, RunDeleted):
                    if user.is_admin or event.owner_id == user.owner_id:
                        await self._send_event(topic, event)
                elif sharing.concerns(event, user):
                    await self._send_event(topic, await self._as_seen(event))

    async def _as_seen(self, change: AccessChanged) -> RunEvent:
        """A change of access, as what becomes of the run for this user."""
        from mellea_jupyter.models.events import RunChanged, RunDeleted

        try:
            run = await self._services.runs.get(change.run_id, self._user)
        except RunNotFound:
            return RunDeleted(run_id=change.run_id, owner_id=change.owner_id)
        return RunChanged(run=run)

    async def _follow_run(self, topic: str, run_id: str) -> None:
        """Begins with the run as it is, so that nothing is lost between reading and asking."""
        from mellea_jupyter.models.events import RunChanged, RunDeleted

        sharing, user = self._services.sharing, self._user
        async with self._services.broker.subscribe() as events:
            run = await self._services.runs.get(run_id, user)
            await self._confirm(topic)
            await self._send_event(topic, RunChanged(run=run))
            async for event in events:
                if isinstance(event, RunChanged):
                    if event.run.id != run_id or event.run.version <= run.version:
                        continue
                    run = await sharing.seen_by(event.run, user) or run
                    if run.version == event.run.version:
                        await self._send_event(topic, RunChanged(run=run))
                elif event.run_id != run_id:
                    continue
                elif isinstance(event, RunDeleted):
                    await self._send_event(topic, event)
                elif sharing.concerns(event, user):
                    run = await self._services.runs.get(run_id, user)
                    await self._send_event(topic, RunChanged(run=run))

    async def _follow_notices(self, topic: str) -> None:
        async with aclosing(self._services.notices.watch(self._user)) as events:
            async for event in events:
                if event is None:
                    await self._confirm(topic)
                else:
                    await self._send_event(topic, event)

    async def _follow_calls(self, topic: str, run_id: str) -> None:
        """Begins with nothing: the client reads the pages when the topic is confirmed."""
        async with aclosing(self._services.calls.watch(run_id, self._user)) as changes:
            async for change in changes:
                if change is None:
                    await self._confirm(topic)
                else:
                    await self._send_event(topic, change)

    async def _follow_logs(self, topic: str, run_id: str, after: str | None) -> None:
        from mellea_jupyter.models.websocket import Complete, Lagged

        async with self._services.logs.subscribe(run_id, after) as subscription:
            await self._confirm(topic)
            while subscription.ended is None:
                batch = await subscription.next(self.app.heartbeat_seconds)
                if batch is None:
                    continue
                seconds = await self._write(logs_message(topic, batch))
                if seconds > self.lag_seconds:
                    await self._send(Lagged(topic=topic, resume=batch.last))
                    return
            await self._send(Complete(topic=topic, status=subscription.ended))

    async def _confirm(self, topic: str) -> None:
        from mellea_jupyter.models.websocket import Subscribed

        await self._send(Subscribed(topic=topic))

    async def _send_event(self, topic: str, event: RunEvent | NoticeEvent | CallsChanged) -> None:
        from mellea_jupyter.models.websocket import Event

        await self._send(Event(topic=topic, event=event))

    async def _refuse(
        self, code: str, message: str, *, hint: str = "", topic: str | None = None
    ) -> None:
        from mellea_jupyter.models.websocket import Error

        await self._send(Error(code=code, message=message, hint=hint, topic=topic))

    async def _send(self, message: Model) -> None:
        await self._write(encode(message))

    async def _write(self, message: bytes) -> float:
        """Send one message when the ones before have left. Returns the seconds that it took.

        Raises:
            WebSocketClosedError: the client is gone.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with self._sending:
            await self._drain()  # whoever began it may have been cancelled since
            self._leaving = asyncio.ensure_future(self.write_message(message))
            self._leaving.add_done_callback(_forget)
            await self._drain()
            self._leaving.result()
        return loop.time() - began

    async def _drain(self) -> None:
        if self._leaving is not None:
            await asyncio.wait({self._leaving})  # unlike awaiting it, does not cancel the write


def _forget(write: asyncio.Future[None]) -> None:
    """Mark the outcome as seen: if nobody waits any more, nobody needs it."""
    if not write.cancelled():
        write.exception()


def logs_message(topic: str, batch: EncodedBatch) -> bytes:
    """A `Logs` message around lines that are JSON already; NDJSON has a newline only between."""
    lines = batch.ndjson.strip().replace(b"\n", b",")
    return b'{"type":"logs","topic":%b,"frames":[%b],"cursor":%b}' % (
        encode(topic),
        lines,
        encode(batch.last),
    )


async def _end(task: asyncio.Future[None]) -> None:
    """Cancel what still runs, and wait until it has ended."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _explain(error: Any) -> str:
    """What is wrong with a client's message: the field and the reason."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return f"{where}: {first['msg']}"[:300] if where else first["msg"][:300]
