"""`SqlRunStore`: the runs store in SQL, one transaction a method.

Runs and their queue are here; what else the store holds is in the `sql_*` modules beside this one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from mellea_jupyter.clock import from_unix
from mellea_jupyter.exceptions import (
    Conflict,
    IdempotencyConflict,
    RunNotFound,
    VersionConflict,
)
from mellea_jupyter.lifecycle.statuses import PLACED, WAITING
from mellea_jupyter.models.failures import FailureSeen
from mellea_jupyter.models.pages import RunFilters, RunPage, RunQuery, SummaryReply
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.stores.notices.base import Tell
from mellea_jupyter.stores.notices.sql import record as record_notice
from mellea_jupyter.stores.notices.sql import unlink as unlink_notices
from mellea_jupyter.stores.runs import queries, repricing, rollup, schema, sql_audit, sql_shares
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.base import (
    CallPrice,
    CallRow,
    CreatedRuns,
    NewAudit,
    NewRun,
    Placement,
    RepriceBatch,
    RunFigures,
    Viewer,
)
from mellea_jupyter.stores.runs.parts import parts_of
from mellea_jupyter.stores.runs.rows import load_run, run_columns, search_text, to_ms, to_time
from mellea_jupyter.stores.runs.sql_assets import SqlAssets
from mellea_jupyter.stores.runs.sql_audit import SqlAudit
from mellea_jupyter.stores.runs.sql_calls import SqlReports
from mellea_jupyter.stores.runs.sql_datasets import SqlDatasets
from mellea_jupyter.stores.runs.sql_environments import SqlEnvironments
from mellea_jupyter.stores.runs.sql_shares import SqlShares
from mellea_jupyter.stores.runs.tables import (
    RUN_SUMS,
    idempotency_keys,
    placements,
    run_tags,
    runs,
    shares,
)
from mellea_jupyter.stores.runs.transactions import Transactions, store_errors

_CONTRIBUTION = [
    runs.c[name]
    for name in ("owner_id", "asset_id", "model", "status", "created_ms", "duration_ms", *RUN_SUMS)
]

_QUEUE_ORDER = (runs.c.created_ms, runs.c.id)


class SqlRunStore(SqlReports, SqlAssets, SqlEnvironments, SqlDatasets, SqlShares, SqlAudit):
    """Runs in a SQLite file. Safe to use from several threads and processes."""

    def __init__(self, engine: Engine, path: Path, *, busy_timeout_seconds: float) -> None:
        super().__init__(Transactions(engine, busy_timeout_seconds=busy_timeout_seconds))
        self._engine = engine
        self._data_version = dialect.DataVersion(path)
        self._data_version_lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, busy_timeout_seconds: float = 10.0) -> SqlRunStore:
        """Open the store of this file, making or migrating it as needed.

        Raises:
            SchemaTooNew: a newer version of this package wrote it.
            StoreBusy: another process held its lock for longer than the timeout.
            StoreError: the file can not be used.
        """
        engine = dialect.make_engine(path, busy_timeout_seconds)
        try:
            dialect.enable_wal(path, busy_timeout_seconds)
            with store_errors():
                schema.prepare(engine, path)
            return cls(engine, path, busy_timeout_seconds=busy_timeout_seconds)
        except BaseException:
            engine.dispose()
            raise

    def close(self) -> None:
        self._engine.dispose()
        with self._data_version_lock:
            self._data_version.close()

    # Runs

    def create_runs(self, new: Sequence[NewRun], *, audit: Sequence[NewAudit] = ()) -> CreatedRuns:
        with self._writing() as connection:
            earlier = _replayed(connection, new[0])
            if earlier is None:
                created = _insert_runs(connection, new)
                for item in new:
                    if item.shares_of is not None:
                        sql_shares.take_over(connection, item.run.id, item.shares_of)
                sql_audit.record(connection, audit)
                return CreatedRuns(runs=tuple(created))
            run = load_run(_run_row(connection, earlier).doc)
            if run.group_id is None:
                return CreatedRuns(runs=(run,), replayed=True)
            of_group = select(runs.c.doc).where(runs.c.group_id == run.group_id)
            docs = connection.scalars(of_group.order_by(*_QUEUE_ORDER))
            return CreatedRuns(runs=tuple(map(load_run, docs)), replayed=True)

    def add_runs(self, new: Sequence[NewRun]) -> None:
        """Record many runs in one transaction, in any status: to import or seed a store."""
        with self._writing() as connection:
            _insert_runs(connection, new)

    def find_idempotent(self, owner_id: str, key: str) -> tuple[str, str] | None:
        with self._reading() as connection:
            return _find_idempotent(connection, owner_id, key)

    def get_run(self, run_id: str) -> Run:
        with self._reading() as connection:
            return load_run(_run_row(connection, run_id).doc)

    def get_placement(self, run_id: str) -> Placement:
        with self._reading() as connection:
            query = select(placements).where(placements.c.run_id == run_id)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise RunNotFound(run_id)
        return _placement(row)

    def save_run(
        self, run: Run, *, expected_version: int, folded_seq: int | None = None,
        tell: Sequence[Tell] = (), audit: Sequence[NewAudit] = (),
    ) -> None:  # fmt: skip
        with self._writing(durable=run.is_terminal) as connection:
            _replace_run(connection, run, expected_version)
            sql_audit.record(connection, audit)
            for each in tell:
                record_notice(connection, each)
            if folded_seq is not None:
                forward = (placements.c.run_id == run.id, placements.c.folded_seq < folded_seq)
                connection.execute(update(placements).where(*forward).values(folded_seq=folded_seq))

    def save_handle(self, run_id: str, handle: Mapping[str, Any]) -> None:
        with self._writing(durable=True) as connection:
            of_run = update(placements).where(placements.c.run_id == run_id)
            if not connection.execute(of_run.values(handle=json.dumps(handle))).rowcount:
                raise RunNotFound(run_id)

    def delete_run(
        self, run_id: str, *, expected_version: int, audit: Sequence[NewAudit] = ()
    ) -> None:
        with self._writing() as connection:
            row = _run_row(connection, run_id)
            _expect(row, run_id, expected_version)
            deltas = rollup.Deltas()
            deltas.add(row._asdict(), -1)
            deltas.write(connection)
            dialect.delete_text(connection, row.n)
            shared = select(shares.c.shared_ms).where(shares.c.run_id == run_id)
            told_ms = set(connection.scalars(shared))
            connection.execute(delete(runs).where(runs.c.n == row.n))
            sql_audit.record(connection, audit)
            for shared_ms in told_ms:
                unlink_notices(connection, run_id, from_unix(shared_ms / 1000))
            finished_at = load_run(row.doc).finished_at
            if finished_at is not None:
                unlink_notices(connection, run_id, finished_at)

    # The queue

    def claim(
        self, *, lease: str, server: str, limit: int, owner_limit: int,
        change: Callable[[Run, str], Run],
    ) -> Run | None:  # fmt: skip
        with self._writing() as connection:
            placed = (
                _of_server(select(runs.c.owner_id, func.count()), server)
                .where(runs.c.status.in_([s.value for s in PLACED]))
                .group_by(runs.c.owner_id)
            )
            placed_by_owner = dict(map(tuple, connection.execute(placed)))
            if sum(placed_by_owner.values()) >= limit or owner_limit <= 0:
                return None
            full = [owner for owner, count in placed_by_owner.items() if count >= owner_limit]
            queued_here = _of_server(select(runs.c.doc), server)
            waiting = queued_here.where(runs.c.status == RunStatus.QUEUED.value)
            if full:
                waiting = waiting.where(runs.c.owner_id.not_in(full))
            doc = connection.scalar(waiting.order_by(*_QUEUE_ORDER).limit(1))
            if doc is None:
                return None
            queued = load_run(doc)
            of_run = placements.c.run_id == queued.id
            executor = connection.scalar(select(placements.c.executor).where(of_run))
            claimed = change(queued, str(executor))
            _replace_run(connection, claimed, queued.version)
            connection.execute(update(placements).where(of_run).values(lease=lease))
        return claimed

    def take_lease(self, run_id: str, *, lease: str, from_lease: str | None) -> bool:
        placed = (
            select(runs.c.id)
            .where(runs.c.id == run_id, runs.c.status.in_([s.value for s in PLACED]))
            .scalar_subquery()
        )
        statement = update(placements).where(
            placements.c.run_id == placed, placements.c.lease.is_not_distinct_from(from_lease)
        )
        with self._writing() as connection:
            return connection.execute(statement.values(lease=lease)).rowcount == 1

    def release_lease(self, run_id: str, *, lease: str) -> None:
        held = update(placements).where(placements.c.run_id == run_id, placements.c.lease == lease)
        with self._writing() as connection:
            connection.execute(held.values(lease=None))

    def list_placed(self, server: str) -> list[tuple[Run, Placement]]:
        query = (
            _of_server(select(runs.c.doc, placements), server)
            .where(runs.c.status.in_([s.value for s in PLACED]))
            .order_by(*_QUEUE_ORDER)
        )
        with self._reading() as connection:
            return [(load_run(row.doc), _placement(row)) for row in connection.execute(query)]

    def has_queued(self, server: str) -> bool:
        queued = _of_server(select(runs.c.id), server)
        queued = queued.where(runs.c.status == RunStatus.QUEUED.value).limit(1)
        with self._reading() as connection:
            return connection.scalar(queued) is not None

    def list_created(self, server: str) -> list[Run]:
        query = _of_server(select(runs.c.doc), server)
        query = query.where(runs.c.status == RunStatus.CREATED.value)
        with self._reading() as connection:
            return [load_run(doc) for doc in connection.scalars(query.order_by(*_QUEUE_ORDER))]

    def list_expired(self, now: datetime, *, limit: int) -> list[Run]:
        query = select(runs.c.doc).where(runs.c.expires_ms <= to_ms(now))
        with self._reading() as connection:
            docs = connection.scalars(query.order_by(runs.c.expires_ms, runs.c.id).limit(limit))
            return [load_run(doc) for doc in docs]

    def list_waiting(self, server: str) -> list[Run]:
        waiting = runs.c.status.in_([s.value for s in WAITING])
        query = _of_server(select(runs.c.doc), server).where(waiting).order_by(*_QUEUE_ORDER)
        with self._reading() as connection:
            return [load_run(doc) for doc in connection.scalars(query)]

    # Prices and forecasts

    def reprice(
        self, price: Callable[[CallRow], CallPrice | None], *, after: str, limit: int,
        since: datetime | None, model: str | None, visible_to: str | None, dry_run: bool,
    ) -> RepriceBatch:  # fmt: skip
        transaction = self._reading if dry_run else self._writing
        with transaction() as connection:
            return repricing.reprice(
                connection, price, _replace_run,
                after=after, limit=limit, since=since, model=model,
                visible_to=visible_to, dry_run=dry_run,
            )  # fmt: skip

    def list_figures(
        self, asset_id: str, *, model: str | None, visible_to: str | None, limit: int
    ) -> list[RunFigures]:
        where = [runs.c.asset_id == asset_id, runs.c.status == RunStatus.SUCCEEDED.value]
        if model is not None:
            where.append(runs.c.model == model)
        if visible_to is not None:
            where.append(runs.c.owner_id == visible_to)
        query = select(runs.c.doc).where(*where)
        newest = query.order_by(runs.c.created_ms.desc(), runs.c.id.desc()).limit(limit)
        with self._reading() as connection:
            used = [load_run(doc).metrics for doc in connection.scalars(newest)]
        return [
            RunFigures(
                each.startup_duration_ms + each.execution_duration_ms,
                each.estimated_cost_usd,
                each.llm_calls,
                each.unpriced_calls,
            )
            for each in used
        ]

    # Listings

    def find_seen(
        self, fingerprint: str, *, owner_id: str, visible_to: Viewer | None
    ) -> FailureSeen | None:
        alike = RunFilters(fingerprint=(fingerprint,), owner_id=(owner_id,))
        ended = runs.c.finished_ms
        query = select(func.count(ended), func.min(ended), func.max(ended))
        with self._reading() as connection:
            found = [
                connection.execute(query.where(*queries.conditions(alike, part))).one()
                for part in parts_of(connection, alike, visible_to)
            ]
        found = [row for row in found if row[0]]
        if not found:
            return None
        return FailureSeen(
            count=sum(row[0] for row in found),
            first_seen_at=to_time(min(row[1] for row in found)),
            last_seen_at=to_time(max(row[2] for row in found)),
        )

    def list_runs(self, query: RunQuery, *, visible_to: Viewer | None) -> RunPage:
        order = queries.Order.of(query)
        with self._reading() as connection:
            found = [
                queries.rows(
                    connection,
                    queries.conditions(
                        query, part, walk=queries.prefers_walk(connection, query, order, part)
                    ),
                    order,
                    query.limit + 1,
                )
                for part in parts_of(connection, query, visible_to)
            ]
        docs, following = queries.page(found, order, query.limit)
        return RunPage(runs=tuple(map(load_run, docs)), next=following)

    def summarize(
        self, filters: RunFilters, *, visible_to: Viewer | None,
        group_by: rollup.GroupBy | None = None, utc_offset_minutes: int = 0,
    ) -> SummaryReply:  # fmt: skip
        with self._reading() as connection:
            return rollup.summarize(
                connection,
                filters,
                [
                    (part, queries.conditions(filters, part))
                    for part in parts_of(connection, filters, visible_to)
                ],
                group_by=group_by,
                utc_offset_minutes=utc_offset_minutes,
            )

    # The rest

    def changes(self) -> int:
        with self._data_version_lock:
            return self._data_version.read()

    def newest_versions(self, limit: int) -> dict[str, int]:
        newest = select(runs.c.id, runs.c.version)
        newest = newest.order_by(runs.c.created_ms.desc(), runs.c.id.desc()).limit(limit)
        with self._reading() as connection:
            return {row.id: row.version for row in connection.execute(newest)}


def _of_server(query: Select[Any], server: str) -> Select[Any]:
    """The query, joined with the placements of the runs that this server may execute."""
    mine = placements.c.server.in_(("", server))
    return query.join(placements, placements.c.run_id == runs.c.id).where(mine)


def _run_row(connection: Connection, run_id: str) -> Row[Any]:
    query = select(runs.c.n, runs.c.version, runs.c.doc, *_CONTRIBUTION).where(runs.c.id == run_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise RunNotFound(run_id)
    return row


def _expect(row: Row[Any], run_id: str, expected_version: int) -> None:
    if row.version != expected_version:
        raise VersionConflict(
            f"Run {run_id} has version {row.version}, expected {expected_version}",
            hint="Read the run again.",
            stored=row.version,
            expected=expected_version,
        )


def _find_idempotent(connection: Connection, owner_id: str, key: str) -> tuple[str, str] | None:
    query = select(idempotency_keys.c.run_id, idempotency_keys.c.request_hash)
    same = (idempotency_keys.c.owner_id == owner_id, idempotency_keys.c.key == key)
    row = connection.execute(query.where(*same)).one_or_none()
    return None if row is None else (row.run_id, row.request_hash)


def _replayed(connection: Connection, new: NewRun) -> str | None:
    """The run that the idempotency key made before, if there is one."""
    if new.idempotency_key is None:
        return None
    earlier = _find_idempotent(connection, new.run.owner_id, new.idempotency_key)
    if earlier is None:
        return None
    run_id, request_hash = earlier
    if request_hash != (new.request_hash or ""):
        raise IdempotencyConflict(
            "The idempotency key was used for another request",
            hint="Use a new key for a new request.",
            run_id=run_id,
        )
    return run_id


def _insert_runs(connection: Connection, new: Sequence[NewRun]) -> list[Run]:
    """Insert runs with all that belongs to them; the runs as stored."""
    stored: list[Run] = []
    rows: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    tags: list[dict[str, str]] = []
    keys: list[dict[str, str]] = []
    deltas = rollup.Deltas()
    n = (connection.scalar(select(func.max(runs.c.n))) or 0) + 1
    for item in new:
        run, root = _numbered_retry(connection, item.run)
        columns = {"n": n, "retry_root": root, **run_columns(run)}
        deltas.add(columns, 1)
        stored.append(run)
        rows.append(columns)
        texts.append({"n": n, "text": search_text(run)})
        tags.extend({"run_id": run.id, "tag": tag} for tag in dict.fromkeys(run.tags))
        if item.idempotency_key is not None:
            keys.append({"owner_id": run.owner_id, "key": item.idempotency_key,
                         "run_id": run.id, "request_hash": item.request_hash or ""})  # fmt: skip
        n += 1
    if rows:
        with _not_taken():
            connection.execute(insert(runs), rows)
        connection.execute(insert(placements), [_placement_columns(i.placement) for i in new])
        dialect.insert_texts(connection, texts)
    if tags:
        connection.execute(insert(run_tags), tags)
    if keys:
        connection.execute(insert(idempotency_keys), keys)
    deltas.write(connection)
    return stored


@contextmanager
def _not_taken() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if dialect.is_duplicate(error):
            raise Conflict("A run with this id exists", hint="Ids are never used again.") from error
        raise


def _numbered_retry(connection: Connection, run: Run) -> tuple[Run, str | None]:
    """The run with its number in the chain of retries, and the first run of the chain.

    Raises:
        RunNotFound: the run to repeat was deleted meanwhile.
    """
    if run.retry_of is None:
        return run, None
    query = select(runs.c.retry_root).where(runs.c.id == run.retry_of)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise RunNotFound(run.retry_of)
    root = row.retry_root or run.retry_of
    chain = (runs.c.retry_root == root) | (runs.c.id == root)
    last = connection.scalar(select(func.max(runs.c.attempt)).where(chain)) or 1
    return run.model_copy(update={"attempt": last + 1}), root


def _replace_run(connection: Connection, run: Run, expected_version: int) -> None:
    if run.version <= expected_version:
        msg = f"version {run.version} of run {run.id} is not above {expected_version}"
        raise ValueError(msg)
    row = _run_row(connection, run.id)
    _expect(row, run.id, expected_version)
    columns = run_columns(run)
    connection.execute(update(runs).where(runs.c.n == row.n).values(**columns))
    deltas = rollup.Deltas()
    deltas.add(row._asdict(), -1)
    deltas.add(columns, 1)
    deltas.write(connection)
    dialect.update_text(connection, row.n, search_text(run))
    _replace_tags(connection, run)


def _replace_tags(connection: Connection, run: Run) -> None:
    of_run = run_tags.c.run_id == run.id
    stored = set(connection.scalars(select(run_tags.c.tag).where(of_run)))
    wanted = set(run.tags)
    if stored - wanted:
        connection.execute(delete(run_tags).where(of_run, run_tags.c.tag.in_(stored - wanted)))
    if wanted - stored:
        rows = [{"run_id": run.id, "tag": tag} for tag in sorted(wanted - stored)]
        connection.execute(insert(run_tags), rows)


def _placement_columns(placement: Placement) -> dict[str, Any]:
    handle = placement.handle
    return {**dict(placement), "handle": None if handle is None else json.dumps(handle)}


def _placement(row: Row[Any]) -> Placement:
    columns = row._asdict()
    columns.pop("doc", None)
    handle = columns["handle"]
    columns["handle"] = None if handle is None else json.loads(handle)
    return Placement.model_validate(columns)
