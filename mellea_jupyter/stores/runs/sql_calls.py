"""What a run reported: its LLM calls and structured outputs, in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from mellea_jupyter.exceptions import RunNotFound
from mellea_jupyter.models.artifacts import StructuredOutput
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.base import CallRow
from mellea_jupyter.stores.runs.rows import bounded
from mellea_jupyter.stores.runs.sql_part import SqlPart
from mellea_jupyter.stores.runs.tables import calls, outputs


class SqlReports(SqlPart):
    """Calls and outputs of runs."""

    def save_calls(self, run_id: str, calls: Sequence[CallRow]) -> None:
        if calls:
            rows = [_call_columns(run_id, call) for call in calls]
            with self._writing() as connection, _belonging_to(run_id):
                connection.execute(_UPSERT_CALL, rows)

    def list_calls(self, run_id: str, *, after: int, limit: int) -> list[CallRow]:
        query = select(*(c for c in calls.c if c is not calls.c.run_id))
        query = query.where(calls.c.run_id == run_id, calls.c.call > after)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(calls.c.call).limit(limit))
            return [CallRow.model_validate(row._asdict()) for row in rows]

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
    for name in ("input_tokens", "output_tokens", "cost_pico_usd", "loop", "attempt"):
        if columns[name] is not None:
            columns[name] = bounded(columns[name], (1 << 63) - 1)
    return columns
