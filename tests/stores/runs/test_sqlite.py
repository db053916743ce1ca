"""What holds for the SQLite store: its schema, its locks, its file."""

from __future__ import annotations

import json
import multiprocessing
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import func, select, text

from mellea_jupyter.exceptions import SchemaTooNew, StoreBusy, StoreError
from mellea_jupyter.models.pages import RunFilters, RunQuery
from mellea_jupyter.stores.runs import queries, schema
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.base import Viewer
from mellea_jupyter.stores.runs.parts import Part
from mellea_jupyter.stores.runs.sql import SqlRunStore
from mellea_jupyter.stores.runs.tables import runs
from tests.stores.runs.conftest import failed, make_run, new


def _dump(path: Path) -> list[tuple[str, str, list[str]]]:
    """Everything in the schema; the order of constraints within a table does not matter."""
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql NOT NULL")
        return sorted((kind, name, sorted(re.split(r"[\s(),]+", sql))) for kind, name, sql in rows)
    finally:
        connection.close()


def test_migrations_give_the_schema_of_the_tables(tmp_path: Path) -> None:
    fresh, migrated = tmp_path / "fresh.db", tmp_path / "migrated.db"
    SqlRunStore.open(fresh).close()
    engine = dialect.make_engine(migrated, 5)
    with engine.connect() as connection, connection.begin():
        schema._upgrade(connection, schema.MIGRATIONS)
    engine.dispose()
    assert _dump(migrated) == _dump(fresh)
    SqlRunStore.open(migrated).close()


def test_the_known_revisions_are_those_of_the_folder() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    assert tuple(reversed([script.revision for script in scripts])) == schema.REVISIONS


def test_an_older_schema_is_migrated_after_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = SqlRunStore.open(path)
    run = store.create_run(new(make_run())).run
    store.close()
    scripts = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, scripts)
    newest = schema.REVISIONS[-1]
    (scripts / "versions" / "9999_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = '9999', '{newest}', None, None\n"
        "def upgrade():\n    op.add_column('assets', sa.Column('more', sa.String()))\n"
    )
    engine = dialect.make_engine(path, 5)
    for _ in range(2):
        schema.prepare(engine, path, revisions=(*schema.REVISIONS, "9999"), migrations=scripts)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(more) FROM assets")) == 0
        assert connection.scalar(text("SELECT id FROM runs")) == run.id
    engine.dispose()
    (backup,) = tmp_path.glob(f"runs.db.{newest}.*.bak")
    assert "more" not in str(_dump(backup))

    with pytest.raises(SchemaTooNew, match="9999") as caught:
        SqlRunStore.open(path)
    assert "Upgrade" in caught.value.hint


def test_what_was_recorded_before_loops_stays_and_counts_in_no_share(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    engine = dialect.make_engine(path, 5)
    with engine.connect() as connection, connection.begin():
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        run = make_run()
        doc = run.model_dump(mode="json")
        for name in ("useful_cost_usd", "accepted_outputs", "cost_per_accepted_output_usd"):
            del doc["metrics"][name]
        connection.execute(
            text(
                "INSERT INTO runs (n, id, version, owner_id, asset_id, asset_name, status, attempt,"
                " created_ms, llm_calls, input_tokens, output_tokens, tokens, cost_pico_usd,"
                " unpriced_calls, calls_without_usage, doc) VALUES (1, :id, 0, 'ada', 'prog_1',"
                " 'trip.py', 'queued', 1, 0, 1, 1, 1, 2, 5000000000, 0, 0, :doc)"
            ),
            {"id": run.id, "doc": json.dumps(doc)},
        )
        connection.execute(
            text(
                "INSERT INTO calls (run_id, call, seq, started_at, purpose, status)"
                " VALUES (:id, 1, 3, 1.5, 'answer', 'finished')"
            ),
            {"id": run.id},
        )
    engine.dispose()
    store = SqlRunStore.open(path)
    (call,) = store.list_calls(run.id, after=0, limit=10)
    assert (call.seq, call.has_content, call.requests) == (3, None, None)
    assert store.get_run(run.id).metrics.useful_cost_usd is None
    total = store.summarize(RunQuery(search=""), visible_to=None)
    assert total.useful_cost_usd == total.accepted_outputs == 0
    store.close()


def test_runs_that_failed_before_are_found_by_their_failure(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    engine = dialect.make_engine(path, 5)
    fine, unexplained = make_run(), failed(1)
    docs = [fine.to_json(), {**unexplained.to_json(), "error_classification": None}]
    docs += [failed(minute).to_json() for minute in range(2, 1204)]
    with engine.connect() as connection, connection.begin():
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")
        connection.execute(
            text(
                "INSERT INTO runs (n, id, version, owner_id, asset_id, asset_name, status, attempt,"
                " created_ms, finished_ms, llm_calls, input_tokens, output_tokens, tokens,"
                " unpriced_calls, calls_without_usage, doc) VALUES (:n, :id, 0, 'ada', 'prog_1',"
                " 'trip.py', :status, 1, :n, :n, 0, 0, 0, 0, 0, 0, :doc)"
            ),
            [
                {"n": n, "id": doc["id"], "status": doc["status"], "doc": json.dumps(doc)}
                for n, doc in enumerate(docs, 1)
            ],
        )
    engine.dispose()
    store = SqlRunStore.open(path)
    seen = store.find_seen("f1", owner_id="ada", visible_to=Viewer("ada"))
    assert seen is not None
    assert seen.count == 1202
    assert len(store.list_runs(RunQuery(fingerprint=("f1",)), visible_to=Viewer("ada")).runs) == 50
    store.close()


def test_a_failure_is_counted_from_an_index_alone(tmp_path: Path) -> None:
    store = SqlRunStore.open(tmp_path / "runs.db")
    where = queries.conditions(RunFilters(fingerprint=("f1",), owner_id=("ada",)), Part("ada"))
    counting = select(func.count(runs.c.finished_ms), func.min(runs.c.finished_ms)).where(*where)
    sql = counting.compile(store._engine, compile_kwargs={"literal_binds": True})
    with store._engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()
    assert [row[3] for row in plan] == [
        "SEARCH runs USING COVERING INDEX runs_of_fingerprint (fingerprint=? AND owner_id=?)"
    ]
    store.close()


def test_alembic_is_not_imported_for_a_known_schema(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from mellea_jupyter.stores.runs.sql import SqlRunStore\n"
        "for _ in range(2): SqlRunStore.open(Path(sys.argv[1])).close()\n"
        "assert 'alembic' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "runs.db")]
    subprocess.run(command, check=True, timeout=60)


def _open_and_write(path: str, count: int) -> None:
    store = SqlRunStore.open(Path(path), busy_timeout_seconds=60)
    for _ in range(count):
        store.create_run(new(make_run()))
    store.close()


def test_processes_make_one_store_and_write_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open_and_write, args=(str(path), 10)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    store = SqlRunStore.open(path)
    assert store.summarize(RunFilters(), visible_to=None).total_runs == 30
    store.close()


def test_threads_write_at_the_same_time(tmp_path: Path) -> None:
    store = SqlRunStore.open(tmp_path / "runs.db")
    threads = [
        threading.Thread(target=lambda: [store.create_run(new(make_run())) for _ in range(10)])
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.summarize(RunFilters(), visible_to=None).total_runs == 50
    store.close()


def test_a_lock_held_too_long_is_busy(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = SqlRunStore.open(path, busy_timeout_seconds=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy):
        store.create_run(new(make_run()))
    other.execute("ROLLBACK")
    other.close()
    store.create_run(new(make_run()))
    store.close()


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(b"not a database, but long enough to look like a file with content" * 20)
    with pytest.raises(StoreError):
        SqlRunStore.open(path)


def test_a_closed_store_can_be_closed_again(tmp_path: Path) -> None:
    store = SqlRunStore.open(tmp_path / "runs.db")
    store.close()
    store.close()
