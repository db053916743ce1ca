"""A service in memory behind the real extension app, and whatever the handlers may meet.

`MelleaApp` is real, and so are the broker and all models; what would need processes and files is
replaced by dictionaries and lists that tests fill.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from mellea_jupyter import clock
from mellea_jupyter.app import MelleaApp
from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import (
    ArtifactNotFound,
    AssetNotFound,
    CallNotFound,
    Conflict,
    IdempotencyConflict,
    IllegalTransition,
    InvalidCursor,
    MelleaJupyterError,
    NoticeNotFound,
    RunNotFound,
)
from mellea_jupyter.models.artifacts import (
    ArtifactPreview,
    ArtifactRef,
    PreviewKind,
    StructuredOutput,
)
from mellea_jupyter.models.assets import Asset, AssetCreate, AssetKind
from mellea_jupyter.models.calls import (
    CallContent,
    CallPage,
    CallsChanged,
    LoopPage,
    SourceReply,
    UsagePoint,
    UsageSeries,
)
from mellea_jupyter.models.environments import Environment, EnvironmentList
from mellea_jupyter.models.events import RunChanged, RunDeleted
from mellea_jupyter.models.failures import FailureSeen
from mellea_jupyter.models.frames import LogFrame, LogLevel, LogPage, LogStream
from mellea_jupyter.models.notifications import (
    Notice,
    NoticeChanged,
    NoticeEvent,
    NoticePage,
    NotificationPreferences,
    NotificationPreferencesPatch,
    NotificationSettings,
    TestMailReply,
    UnreadCount,
)
from mellea_jupyter.models.pages import (
    AssetPage,
    RunFilters,
    RunPage,
    RunQuery,
    SummaryReply,
)
from mellea_jupyter.models.requests import RetryRequest, RunCreate, RunPatch
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.service.broker import AccessChanged, Broker
from mellea_jupyter.stores.journals.base import EncodedBatch, LogQuery
from mellea_jupyter.stores.runs.base import Created


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Lets a test server load the real app under this module's name."""
    return [{"module": __name__, "app": MelleaApp}]


def make_run(owner_id: str, **fields: Any) -> Run:
    """A queued run with a new id."""
    defaults: dict[str, Any] = {
        "id": clock.new_run_id(),
        "asset_id": "prog_1",
        "asset_version": "1",
        "owner_id": owner_id,
        "config": {},
        "status": RunStatus.QUEUED,
        "created_at": clock.now(),
    }
    return Run.model_validate({**defaults, **fields})


@dataclass
class FakeRuns:
    """`RunService` over a dictionary."""

    broker: Broker
    runs: dict[str, Run] = field(default_factory=dict)
    keys: dict[str, tuple[RunCreate, str]] = field(default_factory=dict)
    queries: list[RunQuery] = field(default_factory=list)
    summaries: list[tuple[RunFilters, dict[str, Any]]] = field(default_factory=list)
    failure: Exception | None = None
    seen: FailureSeen | None = None

    def put(self, run: Run) -> Run:
        """Store a run and tell the broker."""
        self.runs[run.id] = run
        self.broker.publish(RunChanged(run=run))
        return run

    async def create(
        self, request: RunCreate, user: User, *, idempotency_key: str | None = None
    ) -> Created:
        if request.asset_id != "prog_1":
            raise AssetNotFound(request.asset_id)
        if idempotency_key in self.keys:
            earlier, run_id = self.keys[idempotency_key]
            if earlier != request:
                raise IdempotencyConflict("This key was used with another body")
            return Created(run=self.runs[run_id], replayed=True)
        run = self.put(
            make_run(user.owner_id, config=request.config, name=request.name, tags=request.tags)
        )
        if idempotency_key is not None:
            self.keys[idempotency_key] = (request, run.id)
        return Created(run=run)

    async def get(self, run_id: str, user: User) -> Run:
        if self.failure is not None:
            raise self.failure
        run = self.runs.get(run_id)
        if run is None or not (user.is_admin or run.owner_id == user.owner_id):
            raise RunNotFound(run_id)
        return run

    async def read(self, run_id: str, user: User) -> Run:
        run = await self.get(run_id, user)
        seen = None if run.error_classification is None else self.seen
        return run.model_copy(update={"seen": seen})

    async def list(self, query: RunQuery, user: User) -> RunPage:
        self.queries.append(query)
        if query.cursor is not None:
            raise InvalidCursor("cursor", "is not one of this listing")
        seen = [
            run
            for run in self.runs.values()
            if (user.is_admin or run.owner_id == user.owner_id)
            and (not query.owner_id or run.owner_id in query.owner_id)
        ]
        return RunPage(runs=tuple(seen), total=len(seen))

    async def summary(self, filters: RunFilters, user: User, **grouping: Any) -> SummaryReply:
        self.summaries.append((filters, grouping))
        return SummaryReply(total_runs=len(self.runs))

    async def cancel(self, run_id: str, user: User) -> Run:
        run = await self.get(run_id, user)
        if run.is_terminal:
            error = IllegalTransition("StopRequested", run.status, ("queued", "running"))
            error.details["run"] = run.to_json()
            raise error
        return self.put(run.changed(cancel_requested_at=clock.now(), cancel_requested_by=user.id))

    async def bulk_cancel(self, run_ids: Sequence[str], user: User) -> dict[str, str]:
        results = {}
        for run_id in run_ids:
            try:
                await self.cancel(run_id, user)
                results[run_id] = "cancelled"
            except MelleaJupyterError as error:
                results[run_id] = f"error: {error.message}"
        return results

    async def bulk_delete(self, run_ids: Sequence[str], user: User) -> dict[str, str]:
        for run_id in run_ids:
            run = self.runs.pop(run_id)
            self.broker.publish(RunDeleted(run_id=run_id, owner_id=run.owner_id))
        return dict.fromkeys(run_ids, "deleted")

    async def retry(
        self,
        run_id: str,
        request: RetryRequest,
        user: User,
        *,
        idempotency_key: str | None = None,
    ) -> Created:
        run = await self.get(run_id, user)
        if run.status not in (RunStatus.FAILED, RunStatus.CANCELLED):
            raise Conflict("Only failed or cancelled runs are retried")
        again = make_run(run.owner_id, retry_of=run.id, attempt=run.attempt + 1)
        return Created(run=self.put(again))

    async def update(self, run_id: str, patch: RunPatch, user: User) -> Run:
        run = await self.get(run_id, user)
        return self.put(run.changed(**patch.model_dump(exclude_unset=True)))


@dataclass
class FakeResults:
    """`RunResults` over what a test gives it."""

    runs: FakeRuns
    lines: list[str] = field(default_factory=list)
    log_queries: list[LogQuery] = field(default_factory=list)
    log_chunks: list[bytes] = field(default_factory=list)
    log_failure: Exception | None = None
    contents: dict[str, bytes] = field(default_factory=dict)

    async def logs(self, run_id: str, query: LogQuery, user: User) -> LogPage:
        run = await self.runs.get(run_id, user)
        self.log_queries.append(query)
        if query.after == "bad":
            raise InvalidCursor("after", "is not a cursor of this log")
        frames = tuple(log_frame(number, text) for number, text in enumerate(self.lines, 1))
        last = frames[-1].cursor if frames else None
        return LogPage(frames=frames, next=last, ended=run.is_terminal)

    async def iter_log(self, run_id: str, user: User, *, form: str) -> AsyncIterator[bytes]:
        for chunk in self.log_chunks:
            yield chunk
        if self.log_failure is not None:
            raise self.log_failure

    async def outputs(self, run_id: str, user: User) -> list[StructuredOutput]:
        await self.runs.get(run_id, user)
        return [StructuredOutput(artifact_id="art_1", schema_version="1", data={"city": "Lisbon"})]

    async def source(self, run_id: str, user: User) -> SourceReply:
        await self.runs.get(run_id, user)
        return SourceReply(entry_point="trip.py", version="1", files=())

    async def get_artifact(self, run_id: str, artifact_id: str, user: User) -> ArtifactRef:
        run = await self.runs.get(run_id, user)
        for artifact in run.artifacts:
            if artifact.id == artifact_id:
                return artifact
        raise ArtifactNotFound(artifact_id)

    async def preview(self, run_id: str, artifact_id: str, user: User) -> ArtifactPreview:
        artifact = await self.get_artifact(run_id, artifact_id, user)
        text = self.contents[artifact.id].decode()
        return ArtifactPreview(artifact_id=artifact.id, kind=PreviewKind.HTML, text=text)

    async def iter_artifact(
        self, artifact: ArtifactRef, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        part = self.contents[artifact.id][start:end]
        for offset in range(0, len(part), 4):
            yield part[offset : offset + 4]

    async def iter_artifacts_zip(self, run: Run) -> AsyncIterator[bytes]:
        for artifact in run.artifacts:
            yield self.contents[artifact.id]


@dataclass
class FakeCalls:
    """`RunCalls` of runs that made one call; what changes is put into a queue."""

    runs: FakeRuns
    changes: asyncio.Queue[CallsChanged] = field(default_factory=asyncio.Queue)

    async def list_calls(self, run_id: str, user: User, *, after: int, limit: int) -> CallPage:
        await self.runs.get(run_id, user)
        return CallPage(calls=(), next=after + limit)

    async def list_loops(self, run_id: str, user: User, *, after: int, limit: int) -> LoopPage:
        await self.runs.get(run_id, user)
        return LoopPage(loops=(), next=after + limit)

    async def get_content(self, run_id: str, call: int, user: User) -> CallContent:
        await self.runs.get(run_id, user)
        if call != 1:
            raise CallNotFound(str(call))
        return CallContent(call=call, reply="hello")

    async def get_usage(self, run_id: str, user: User) -> UsageSeries:
        await self.runs.get(run_id, user)
        return UsageSeries(points=(UsagePoint(t=1, memory_mb=2, cpu_seconds=3),))

    async def watch(self, run_id: str, user: User) -> AsyncGenerator[CallsChanged | None]:
        await self.runs.get(run_id, user)
        yield None
        while True:
            yield await self.changes.get()


@dataclass
class FakeAssets:
    """`AssetService` over a dictionary."""

    assets: dict[str, Asset] = field(default_factory=dict)

    async def register(self, request: AssetCreate, user: User) -> Asset:
        now = clock.now()
        asset = Asset(
            id=f"prog_{len(self.assets) + 1}",
            kind=AssetKind.FILE,
            name=request.name or "trip.py",
            path=request.path,
            entry_point="trip.py",
            version="1",
            content_hash="0" * 64,
            owner_id=user.owner_id,
            created_at=now,
            updated_at=now,
        )
        return self.assets.setdefault(asset.id, asset)

    async def get(self, asset_id: str, user: User) -> Asset:
        try:
            return self.assets[asset_id]
        except KeyError:
            raise AssetNotFound(asset_id) from None

    async def list(self, user: User, *, limit: int, cursor: str | None) -> AssetPage:
        return AssetPage(assets=tuple(self.assets.values())[:limit])


class FakeEnvironments:
    """`EnvironmentService` with the built-in environment alone."""

    async def list(self, user: User, *, refresh: bool = False) -> EnvironmentList:
        return EnvironmentList(environments=(Environment(id="default", name="This server"),))


def log_frame(number: int, text: str) -> LogFrame:
    """Line `number` of a log; its cursor is `<number>.1`."""
    return LogFrame(
        timestamp="2026-01-15T10:30:00.000Z",
        stream=LogStream.STDOUT,
        level=LogLevel.INFO,
        message=text,
        line=number,
        cursor=f"{number}.1",
    )


def encode_batch(first: int, lines: Iterable[str]) -> EncodedBatch:
    """Lines from number `first` on, encoded as the hub does it."""
    frames = [log_frame(number, text) for number, text in enumerate(lines, first)]
    encoded = [frame.model_dump_json().encode() for frame in frames]
    sse = b"".join(
        b"event: log\nid: %b\ndata: %b\n\n" % (frame.cursor.encode(), data)
        for frame, data in zip(frames, encoded, strict=True)
    )
    ndjson = b"".join(data + b"\n" for data in encoded)
    return EncodedBatch(
        sse=sse,
        ndjson=ndjson,
        lines=len(frames),
        first=frames[0].cursor,
        last=frames[-1].cursor,
    )


class FakeLogs:
    """`LogHub` of one log that a test writes to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.status: RunStatus | None = None
        self.failure: Exception | None = None
        self.given = 0
        self.open: set[FakeLogSubscription] = set()
        self.batch_lines = 1000
        self._changed = asyncio.Event()

    def write(self, *lines: str) -> None:
        """Append lines and wake whoever waits."""
        self.lines += lines
        self._wake()

    def end(self, status: RunStatus) -> None:
        """The run has ended; nothing follows."""
        self.status = status
        self._wake()

    def fail(self, error: Exception) -> None:
        """The journal can not be read any more."""
        self.failure = error
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self) -> None:
        """Until something changes."""
        await self._changed.wait()

    def subscribe(self, run_id: str, after: str | None) -> FakeLogSubscription:
        return FakeLogSubscription(self, after)


class FakeLogSubscription:
    """A reader at a line number."""

    def __init__(self, logs: FakeLogs, after: str | None) -> None:
        self._logs = logs
        self._after = after
        self._line = 0
        self.ended: RunStatus | None = None

    async def __aenter__(self) -> Self:
        if self._after is not None:
            seq, dot, k = self._after.partition(".")
            if not (seq.isdigit() and dot and k.isdigit()):
                raise InvalidCursor("after", f"{self._after!r} is not a cursor of this log")
            self._line = int(seq)
        self._logs.open.add(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._logs.open.discard(self)

    async def next(self, timeout_seconds: float) -> EncodedBatch | None:
        logs = self._logs
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while True:
            new = logs.lines[self._line : self._line + logs.batch_lines]
            if new:
                batch = encode_batch(self._line + 1, new)
                self._line += len(new)
                logs.given += len(new)
                return batch
            if logs.failure is not None:
                raise logs.failure
            if logs.status is not None:
                self.ended = logs.status
                return None
            try:
                async with asyncio.timeout_at(deadline):
                    await logs.wait()
            except TimeoutError:
                return None


@dataclass
class FakeNotices:
    """`NoticeService` over a dictionary, with one queue of events a watcher."""

    notices: dict[str, Notice] = field(default_factory=dict)
    queries: list[tuple[bool, int, str | None]] = field(default_factory=list)
    preferences: NotificationPreferences = field(default_factory=NotificationPreferences)
    watchers: list[tuple[str, asyncio.Queue[NoticeEvent]]] = field(default_factory=list)
    failure: MelleaJupyterError | None = None

    def put(self, notice: Notice) -> Notice:
        """Store a notice and tell its user's watchers."""
        self.notices[notice.id] = notice
        for user_id, queue in self.watchers:
            if user_id == notice.user_id:
                unread = self._unread(user_id)
                queue.put_nowait(NoticeChanged(notice=notice, unread=unread))
        return notice

    def _of(self, user_id: str) -> list[Notice]:
        return [notice for notice in self.notices.values() if notice.user_id == user_id]

    def _unread(self, user_id: str) -> int:
        return sum(notice.read_at is None for notice in self._of(user_id))

    async def list(
        self, user: User, *, unread_only: bool, limit: int, cursor: str | None
    ) -> NoticePage:
        self.queries.append((unread_only, limit, cursor))
        if cursor is not None:
            raise InvalidCursor("cursor", "is not one of this listing")
        found = tuple(self._of(user.owner_id)[:limit])
        return NoticePage(notifications=found, next=None, unread=self._unread(user.owner_id))

    async def mark(self, notice_id: str, user: User, *, read: bool) -> Notice:
        notice = self.notices.get(notice_id)
        if notice is None or notice.user_id != user.owner_id:
            raise NoticeNotFound(notice_id)
        read_at = clock.now() if read else None
        return self.put(notice.model_copy(update={"read_at": read_at}))

    async def mark_all_read(self, user: User, *, until: datetime | None) -> UnreadCount:
        for notice in self._of(user.owner_id):
            if until is None or notice.updated_at <= until:
                self.put(notice.model_copy(update={"read_at": clock.now()}))
        return UnreadCount(unread=self._unread(user.owner_id))

    async def settings(self, user: User) -> NotificationSettings:
        return NotificationSettings(
            **dict(self.preferences),
            email_available=False,
            email_unavailable_reason="no mail here",
            default_email_address=None,
        )

    async def change_preferences(
        self, patch: NotificationPreferencesPatch, user: User
    ) -> NotificationSettings:
        given = patch.model_dump(exclude_unset=True)
        self.preferences = self.preferences.model_copy(update=given)
        return await self.settings(user)

    async def send_test_mail(self, user: User, address: str | None) -> TestMailReply:
        if self.failure is not None:
            raise self.failure
        return TestMailReply(address=address or "ada@example.org")

    async def watch(self, user: User) -> AsyncGenerator[NoticeEvent | None]:
        entry = (user.owner_id, asyncio.Queue[NoticeEvent]())
        self.watchers.append(entry)
        try:
            yield None
            while True:
                yield await entry[1].get()
        finally:
            self.watchers.remove(entry)


class FakeSharing:
    """`Sharing` of runs that nobody shares."""

    def __init__(self) -> None:
        self.users: list[User] = []
        self.lost = asyncio.Event()

    def met(self, user: User) -> None:
        self.users.append(user)

    async def seen_by(self, run: Run, user: User) -> Run | None:
        return run if user.is_admin or run.owner_id == user.owner_id else None

    def concerns(self, change: AccessChanged, user: User) -> bool:
        return False

    async def until_lost(self, run: Run, user: User) -> None:
        await self.lost.wait()


class FakeServices:
    """What `MelleaApp.services()` gives in these tests."""

    def __init__(self) -> None:
        self.broker = Broker()
        self.runs = FakeRuns(self.broker)
        self.results = FakeResults(self.runs)
        self.calls = FakeCalls(self.runs)
        self.assets = FakeAssets()
        self.environments = FakeEnvironments()
        self.logs = FakeLogs()
        self.notices = FakeNotices()
        self.sharing = FakeSharing()
        self.active_runs = 0

    async def stop(self) -> None:
        self.broker.close()
