"""What a run reported: LLM calls, sampling loops, use of resources and outputs, in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, Table, func, literal, select
from sqlalchemy.exc import DBAPIError

from mellea_jupyter.exceptions import CallNotFound, RunNotFound
from mellea_jupyter.models.artifacts import StructuredOutput
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.base import CallRow, LoopRow, Reports
from mellea_jupyter.stores.runs.rows import bounded
from mellea_jupyter.stores.runs.sql_part import SqlPart
from mellea_jupyter.stores.runs.tables import calls, loops, outputs, usage_series


class SqlReports(SqlPart):
    """What runs reported."""

    def save_reports(self, run_id: str, reports: Reports) -> None:
        if not reports:
            return
        call_rows = [_call_columns(run_id, call) for call in reports.calls]
        loop_rows = [{"run_id": run_id, **dict(loop)} for loop in reports.loops]
        with self._writing() as connection, _belonging_to(run_id):
            if call_rows:
                connection.execute(_UPSERT_CALL, call_rows)
            if loop_rows:
                connection.execute(_UPSERT_LOOP, loop_rows)
            if reports.usage is not None:
                connection.execute(_UPSERT_USAGE, {"run_id": run_id, "doc": reports.usage})

    def list_calls(self, run_id: str, *, after: int, limit: int) -> list[CallRow]:
        query = select(*_CALL).where(calls.c.run_id == run_id, calls.c.call > after)
        with self._reading() as connection:
            return _calls(connection, query.order_by(calls.c.call).limit(limit))

    def get_call(self, run_id: str, call: int) -> CallRow:
        query = select(*_CALL).where(calls.c.run_id == run_id, calls.c.call == call)
        with self._reading() as connection:
            for found in _calls(connection, query):
                return found
        raise CallNotFound(str(call))

    def list_loops(self, run_id: str, *, after: int, limit: int, limit_bytes: int) -> list[LoopRow]:
        query = select(*_LOOP).where(loops.c.run_id == run_id, loops.c.loop > after)
        page: list[LoopRow] = []
        with self._reading() as connection:
            for row in connection.execute(query.order_by(loops.c.loop).limit(limit)):
                page.append(LoopRow.model_validate(row._asdict()))
                limit_bytes -= len(row.doc)
                if limit_bytes <= 0:
                    break
        return page

    def list_changed(self, run_id: str, *, after: int, limit_bytes: int) -> Reports:
        with self._reading() as connection:
            changes = [
                *connection.execute(_changes(calls, literal(_CALL_BYTES), run_id, after)),
                *connection.execute(_changes(loops, func.length(loops.c.doc), run_id, after)),
            ]
            if not changes:
                return Reports()
            last = after
            for seq, size in sorted(map(tuple, changes)):
                if limit_bytes <= 0 and seq > last:
                    break
                last, limit_bytes = seq, limit_bytes - size
            of_calls, of_loops = (
                (table.c.run_id == run_id, table.c.seq > after, table.c.seq <= last)
                for table in (calls, loops)
            )
            changed_calls = _calls(connection, select(*_CALL).where(*of_calls))
            rows = connection.execute(select(*_LOOP).where(*of_loops))
            changed_loops = [LoopRow.model_validate(row._asdict()) for row in rows]
        return Reports(calls=tuple(changed_calls), loops=tuple(changed_loops))

    def last_change(self, run_id: str) -> int:
        with self._reading() as connection:
            return max(
                connection.scalar(select(func.max(t.c.seq)).where(t.c.run_id == run_id)) or 0
                for t in (calls, loops)
            )

    def find_usage(self, run_id: str) -> str | None:
        query = select(usage_series.c.doc).where(usage_series.c.run_id == run_id)
        with self._reading() as connection:
            return connection.scalar(query)

    def save_output(self, run_id: str, output: StructuredOutput) -> None:
        key = {"run_id": run_id, "artifact_id": output.artifact_id}
        statement = dialect.upsert(outputs, keys=list(key))
        with self._writing() as connection, _belonging_to(run_id):
            connection.execute(statement, {**key, "doc": output.model_dump_json()})

    def list_outputs(self, run_id: str) -> list[StructuredOutput]:
        query = select(outputs.c.doc).where(outputs.c.run_id == run_id).order_by(outputs.c.n)
        with self._reading() as connection:
            docs = connection.scalars(query).all()
        return [StructuredOutput.model_validate_json(doc) for doc in docs]


_UPSERT_CALL = dialect.upsert(calls)
_UPSERT_LOOP = dialect.upsert(loops)
_UPSERT_USAGE = dialect.upsert(usage_series)
_CALL = [column for column in calls.c if column is not calls.c.run_id]
_LOOP = [loops.c.loop, loops.c.seq, loops.c.doc]
_NAMES = [column.name for column in _CALL]
_COUNTS = [column.name for column in calls.c if isinstance(column.type, BigInteger)]
_CALL_BYTES = 500  # about, as JSON
_CHANGES = 1000  # of each kind, looked at in one call


def _calls(connection: Connection, query: Select[Any]) -> list[CallRow]:
    rows = connection.execute(query)
    return [CallRow.model_validate(dict(zip(_NAMES, row, strict=True))) for row in rows]


def _changes(
    table: Table, size: ColumnElement[int], run_id: str, after: int
) -> Select[tuple[int, int]]:
    """The first changes after a frame: the frame's number and the size of what it changed."""
    seq = table.c.seq
    return (
        select(seq, size).where(table.c.run_id == run_id, seq > after).order_by(seq).limit(_CHANGES)
    )


@contextmanager
def _belonging_to(run_id: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if dialect.is_missing_parent(error):
            raise RunNotFound(run_id) from error
        raise


def _call_columns(run_id: str, call: CallRow) -> dict[str, Any]:
    columns = {"run_id": run_id, **dict(call)}
    for name in _COUNTS:
        if columns[name] is not None:
            columns[name] = bounded(columns[name], (1 << 63) - 1)
    return columns
