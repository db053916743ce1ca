"""What every runs store does."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from mellea_jupyter.clock import new_id
from mellea_jupyter.exceptions import (
    AssetNotFound,
    CallNotFound,
    Conflict,
    DatasetNotFound,
    EnvironmentNotFound,
    IdempotencyConflict,
    InvalidCursor,
    InvalidInput,
    NameTaken,
    RunNotFound,
    VersionConflict,
)
from mellea_jupyter.models.artifacts import StructuredOutput
from mellea_jupyter.models.assets import Asset, AssetKind, PinnedFile
from mellea_jupyter.models.datasets import Dataset, DatasetFile, DatasetVersion
from mellea_jupyter.models.environments import Environment
from mellea_jupyter.models.failures import FailureSeen
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.pages import RunQuery
from mellea_jupyter.models.run import ErrorDetails, Run, RunStatus
from mellea_jupyter.stores.runs.base import (
    CallRow,
    LoopRow,
    NewAudit,
    NewRun,
    Placement,
    Reports,
    RunStore,
    Viewer,
)
from tests.stores.runs.conftest import NOON, Add, failed, make_run, new


def ids(store: RunStore, visible_to: Viewer | None = None, **query: object) -> list[str]:
    found = store.list_runs(RunQuery.model_validate(query), visible_to=visible_to)
    return [run.id for run in found.runs]


class TestRecord:
    def test_a_stored_run_is_read_as_it_was(self, store: RunStore, add: Add) -> None:
        metrics = RunMetrics(estimated_cost_usd=Decimal("0.000000123456"), cpu_seconds=0.25)
        error = ErrorDetails(type="builtins.ValueError", message="naïve ☃ \x1b[31m\r")
        run = add(metrics=metrics, error=error, tags=("b", "a"), progress={"done": 10**25})
        assert store.get_run(run.id) == run

    def test_an_unknown_run_is_not_found(self, store: RunStore) -> None:
        for read in (store.get_run, store.get_placement):
            with pytest.raises(RunNotFound):
                read("nobody")
        with pytest.raises(RunNotFound):
            store.save_run(make_run(version=1), expected_version=0)
        with pytest.raises(RunNotFound):
            store.delete_run("nobody", expected_version=0)

    def test_an_id_is_used_once(self, store: RunStore, add: Add) -> None:
        run = add()
        with pytest.raises(Conflict):
            store.create_run(new(run))

    def test_save_compares_the_version(self, store: RunStore, add: Add) -> None:
        run = add()
        first = run.changed(name="first")
        store.save_run(first, expected_version=0)
        with pytest.raises(VersionConflict):
            store.save_run(run.changed(name="second"), expected_version=0)
        assert store.get_run(run.id) == first

    def test_a_save_needs_a_higher_version(self, store: RunStore, add: Add) -> None:
        run = add()
        with pytest.raises(ValueError, match="not above"):
            store.save_run(run, expected_version=0)

    def test_the_folded_seq_never_goes_back(self, store: RunStore, add: Add) -> None:
        run = add()
        for folded, stored in ((7, 7), (3, 7), (None, 7), (8, 8)):
            run = run.changed()
            store.save_run(run, expected_version=run.version - 1, folded_seq=folded)
            assert store.get_placement(run.id).folded_seq == stored

    def test_a_save_that_fails_leaves_the_folded_seq(self, store: RunStore, add: Add) -> None:
        run = add()
        with pytest.raises(VersionConflict):
            store.save_run(run.changed().changed(), expected_version=1, folded_seq=9)
        assert store.get_placement(run.id).folded_seq == 0

    def test_delete_removes_all_that_belongs_to_it(self, store: RunStore, add: Add) -> None:
        run = add(tags=("x",), name="unusual")
        call = CallRow(call=1, seq=2, started_at=0, purpose="answer", status="active")
        loop = LoopRow(loop=1, seq=3, doc="{}")
        store.save_reports(run.id, Reports(calls=(call,), loops=(loop,), usage="{}"))
        store.save_output(run.id, StructuredOutput(artifact_id="a", data=1))
        with pytest.raises(VersionConflict):
            store.delete_run(run.id, expected_version=4)
        store.delete_run(run.id, expected_version=0)
        assert ids(store, tags=("x",)) == ids(store, search="unusual") == []
        assert store.list_calls(run.id, after=0, limit=10) == []
        assert store.list_loops(run.id, after=0, limit=10, limit_bytes=9) == []
        assert store.find_usage(run.id) is None
        assert store.last_change(run.id) == 0
        assert store.list_outputs(run.id) == []

    def test_a_handle_is_kept_with_the_placement(self, store: RunStore, add: Add) -> None:
        run = add()
        store.save_handle(run.id, {"pid": 7, "nested": {"a": [1]}})
        assert store.get_placement(run.id).handle == {"pid": 7, "nested": {"a": [1]}}
        with pytest.raises(RunNotFound):
            store.save_handle("nobody", {})

    def test_nonsense_numbers_of_a_program_are_stored(self, store: RunStore, add: Add) -> None:
        metrics = RunMetrics(input_tokens=1 << 80, output_tokens=-5, llm_calls=1 << 70,
                             estimated_cost_usd=Decimal(10) ** 30)  # fmt: skip
        for _ in range(20):
            add(metrics=metrics, status=RunStatus.SUCCEEDED)
        assert store.summarize(RunQuery(), visible_to=None).total_runs == 20
        call = CallRow(call=1, seq=1, started_at=0, purpose="answer", status="finished",
                       input_tokens=1 << 80)  # fmt: skip
        run = add()
        store.save_reports(run.id, Reports(calls=(call,)))
        assert store.list_calls(run.id, after=0, limit=1)[0].input_tokens == (1 << 63) - 1


class TestCreate:
    def test_the_same_key_and_body_give_the_same_run(self, store: RunStore) -> None:
        first = new(make_run(), idempotency_key="k", request_hash="h")
        again = new(make_run(), idempotency_key="k", request_hash="h")
        assert not store.create_run(first).replayed
        replay = store.create_run(again)
        assert replay.replayed
        assert replay.run == first.run
        assert store.find_idempotent("ada", "k") == (first.run.id, "h")
        assert len(ids(store)) == 1

    def test_the_same_key_with_another_body_is_refused(self, store: RunStore) -> None:
        store.create_run(new(make_run(), idempotency_key="k", request_hash="h"))
        with pytest.raises(IdempotencyConflict):
            store.create_run(new(make_run(), idempotency_key="k", request_hash="other"))
        assert len(ids(store)) == 1

    def test_keys_are_of_an_owner(self, store: RunStore) -> None:
        store.create_run(new(make_run(), idempotency_key="k", request_hash="h"))
        other = new(make_run(owner_id="bob"), idempotency_key="k", request_hash="other")
        assert not store.create_run(other).replayed
        assert store.find_idempotent("eve", "k") is None

    def test_attempts_count_along_the_chain_of_retries(self, store: RunStore, add: Add) -> None:
        first = add(status=RunStatus.FAILED)
        second = add(retry_of=first.id)
        third = add(retry_of=second.id)
        double_click = add(retry_of=second.id)
        assert [r.attempt for r in (first, second, third, double_click)] == [1, 2, 3, 4]
        assert store.get_run(third.id).attempt == 3

    def test_a_retry_of_a_deleted_run_is_not_found(self, add: Add) -> None:
        with pytest.raises(RunNotFound):
            add(retry_of="gone")

    def test_retries_at_the_same_time_get_different_numbers(
        self, store: RunStore, add: Add
    ) -> None:
        first = add(status=RunStatus.FAILED)
        numbers = []

        def retry() -> None:
            numbers.append(store.create_run(new(make_run(retry_of=first.id))).run.attempt)

        threads = [threading.Thread(target=retry) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == [2, 3, 4, 5, 6, 7]


class TestQueue:
    @staticmethod
    def claim(
        store: RunStore, limit: int = 10, owner_limit: int = 10, server: str = ""
    ) -> Run | None:
        return store.claim(
            lease="me",
            server=server,
            limit=limit,
            owner_limit=owner_limit,
            change=lambda run, _: run.changed(status=RunStatus.STARTING),
        )

    def test_the_oldest_queued_run_is_claimed_with_its_lease(
        self, store: RunStore, add: Add
    ) -> None:
        add(0, status=RunStatus.CREATED)
        late, early = add(5), add(1)
        claimed = self.claim(store)
        assert claimed == early.changed(status=RunStatus.STARTING)
        assert store.get_run(early.id) == claimed
        assert store.get_placement(early.id).lease == "me"
        assert [run.id for run, _ in store.list_placed("")] == [early.id]
        assert [run.id for run in store.list_waiting("")][1:] == [late.id]

    def test_limits_count_the_placed_runs_of_all(self, store: RunStore, add: Add) -> None:
        add(status=RunStatus.RUNNING)
        add(1)
        bobs = add(2, owner_id="bob")
        assert self.claim(store, limit=1) is None
        assert self.claim(store, owner_limit=0) is None
        claimed = self.claim(store, owner_limit=1)
        assert claimed is not None
        assert claimed.id == bobs.id
        assert self.claim(store, owner_limit=1) is None

    def test_a_server_has_its_own_runs_and_those_of_none(self, store: RunStore) -> None:
        def add(minute: int, server: str, **fields: Any) -> str:
            run = make_run(minute, **fields)
            placement = Placement(run_id=run.id, server=server)
            return store.create_run(NewRun(run=run, placement=placement)).run.id

        add(0, "/user/bob/", status=RunStatus.CREATED)
        bobs, anyones, adas = add(1, "/user/bob/"), add(2, ""), add(3, "/user/ada/")
        add(4, "/user/bob/", status=RunStatus.RUNNING)
        assert store.list_placed("/user/ada/") == []
        assert store.list_created("/user/ada/") == []
        assert [run.id for run in store.list_waiting("/user/ada/")] == [anyones, adas]
        # What runs on other servers fills no slot of this one.
        for expected in (anyones, adas):
            claimed = self.claim(store, limit=2, owner_limit=2, server="/user/ada/")
            assert claimed is not None
            assert claimed.id == expected
        assert self.claim(store, server="/user/ada/") is None
        assert not store.has_queued("/user/ada/")
        assert store.has_queued("/user/bob/")
        assert [run.id for run in store.list_waiting("/user/bob/")][1:] == [bobs]

    def test_an_empty_queue_gives_nothing(self, store: RunStore) -> None:
        assert self.claim(store) is None

    def test_a_change_that_fails_leaves_the_run_queued(self, store: RunStore, add: Add) -> None:
        run = add()

        def refuse(_: Run, executor: str) -> Run:
            raise KeyError

        with pytest.raises(KeyError):
            store.claim(lease="me", server="", limit=1, owner_limit=1, change=refuse)
        assert store.get_run(run.id) == run
        assert self.claim(store) is not None

    def test_a_lease_is_taken_from_the_expected_holder_only(
        self, store: RunStore, add: Add
    ) -> None:
        run = add(status=RunStatus.RUNNING)
        assert store.take_lease(run.id, lease="a", from_lease=None)
        assert not store.take_lease(run.id, lease="b", from_lease=None)
        assert store.take_lease(run.id, lease="b", from_lease="a")
        store.release_lease(run.id, lease="a")
        assert store.get_placement(run.id).lease == "b"
        store.release_lease(run.id, lease="b")
        assert store.get_placement(run.id).lease is None

    def test_only_placed_runs_are_taken(self, store: RunStore, add: Add) -> None:
        run = add(status=RunStatus.SUCCEEDED)
        assert not store.take_lease(run.id, lease="a", from_lease=None)


class TestListing:
    def test_filters_combine(self, store: RunStore, add: Add) -> None:
        wanted = add(1, model="m", status=RunStatus.FAILED, tags=("x", "y"), asset_id="p")
        for other in ({"model": "n"}, {"status": RunStatus.RUNNING}, {"tags": ("x",)},
                      {"asset_id": "q"}, {"owner_id": "bob"}):  # fmt: skip
            fields = {"model": "m", "status": RunStatus.FAILED, "tags": ("x", "y"),
                      "asset_id": "p", **other}  # fmt: skip
            add(2, **fields)
        query: dict[str, Any] = {
            "model": ("m",), "status": ("failed",), "tags": ("x", "y"), "asset_id": ("p",),
            "owner_id": ("ada",),
        }  # fmt: skip
        assert ids(store, **query) == [wanted.id]

    def test_values_of_one_filter_are_alternatives(self, store: RunStore, add: Add) -> None:
        runs = [add(i, status=s) for i, s in enumerate(RunStatus)]
        found = ids(store, status=("failed", "running"), sort="created_at")
        assert found == [r.id for r in runs if r.status in {"failed", "running"}]

    def test_bounds_are_from_and_until_before(self, store: RunStore, add: Add) -> None:
        a, b, c = add(0), add(1), add(2)
        assert ids(store, started_after=b.created_at) == [c.id, b.id]
        assert ids(store, started_before=b.created_at) == [a.id]

    def test_others_runs_are_not_seen(self, store: RunStore, add: Add) -> None:
        mine, _ = add(), add(owner_id="bob")
        assert ids(store, visible_to=Viewer("ada")) == [mine.id]
        assert ids(store, visible_to=Viewer("ada"), owner_id=("bob",)) == []
        assert store.summarize(RunQuery(), visible_to=Viewer("ada")).total_runs == 1
        by_owner = store.summarize(RunQuery(), visible_to=Viewer("ada"), group_by="owner")
        assert [g.key for g in by_owner.groups] == ["ada"]

    @pytest.mark.parametrize(
        "text", ["lisbon", "LISBON trip", "tri", "gpt-4", "gpt-4o-mi", "Ünïcode", "val", "paper"]
    )
    def test_search_finds_words_and_the_beginning_of_the_last(
        self, store: RunStore, add: Add, text: str
    ) -> None:
        add(asset_name="other.py")
        run = add(name="To Lisbon", note="unicode", model="openai/gpt-4o-mini", tags=("paper",),
                  error=ErrorDetails(type="builtins.ValueError", message="x"))  # fmt: skip
        run = run.changed(name="to Lisbon!")
        store.save_run(run, expected_version=0)
        found = ids(store, search=text)
        assert run.id in found
        assert text == "tri" or found == [run.id]

    @pytest.mark.parametrize(
        "text", ['"', "a AND", "NEAR(", "name:x", "*", "^x", "x OR y", "(", "-x", "'", "\0", "…"]
    )
    def test_no_search_text_breaks_it(self, store: RunStore, add: Add, text: str) -> None:
        add(name="plain")
        assert ids(store, search=text) == []

    def test_a_changed_text_is_found_and_the_old_is_not(self, store: RunStore, add: Add) -> None:
        run = add(name="before")
        store.save_run(run.changed(name="after", tags=("new",)), expected_version=0)
        assert ids(store, search="before") == []
        assert ids(store, search="after") == ids(store, tags=("new",)) == [run.id]

    def test_an_unknown_order_is_refused(self, store: RunStore) -> None:
        with pytest.raises(InvalidInput, match="sort"):
            ids(store, sort="colour")

    def test_cursors_of_another_order_or_nobody_are_refused(
        self, store: RunStore, add: Add
    ) -> None:
        for minute in range(3):
            add(minute)
        cursor = store.list_runs(RunQuery(limit=1), visible_to=None).next
        assert cursor is not None
        assert cursor.replace("-", "").replace("_", "").isalnum()
        for query in ({"cursor": cursor, "sort": "cost"}, {"cursor": "x"}, {"cursor": ""},
                      {"cursor": "é"}, {"cursor": "[" * 5000},
                      {"cursor": "WyItY3JlYXRlZF9hdCIsIngiLCJ5Il0"}):  # fmt: skip
            with pytest.raises(InvalidCursor):
                store.list_runs(RunQuery.model_validate(query), visible_to=None)


class TestBelongings:
    def test_calls_are_replaced_by_number_and_paged(self, store: RunStore, add: Add) -> None:
        run = add()
        rows = [CallRow(call=i, seq=i, started_at=1.5, purpose="answer", status="active")
                for i in (1, 2, 3)]  # fmt: skip
        store.save_reports(run.id, Reports(calls=tuple(rows)))
        done = rows[1].model_copy(update={"status": "finished", "output_tokens": 5, "seq": 9})
        store.save_reports(run.id, Reports(calls=(done,)))
        assert store.list_calls(run.id, after=1, limit=10) == [done, rows[2]]
        assert store.list_calls(run.id, after=0, limit=1) == [rows[0]]
        assert store.get_call(run.id, 2) == done
        with pytest.raises(CallNotFound):
            store.get_call(run.id, 4)
        with pytest.raises(RunNotFound):
            store.save_reports("nobody", Reports(calls=tuple(rows)))

    def test_all_that_is_known_of_a_call_is_kept(self, store: RunStore, add: Add) -> None:
        run = add()
        row = CallRow(
            call=1, seq=5, started_at=1.5, purpose="judge", status="finished", provider="openai",
            model="gpt-4o", response_model="gpt-4o-x", action="Message", input_tokens=1,
            output_tokens=2, cached_tokens=3, cache_write_tokens=6, reasoning_tokens=4,
            latency_ms=0.5, ttft_ms=0.25, streaming=True, finish_reason="stop", requests=2,
            cost_pico_usd=7, price_source="a", price_version="b", price_dated="2026-01-01", loop=1,
            chain=2, attempt=3, requirement=4, error="x", line=9, has_content=True,
        )  # fmt: skip
        assert None not in dict(row).values()
        store.save_reports(run.id, Reports(calls=(row,)))
        assert store.list_calls(run.id, after=0, limit=10) == [row]

    def test_loops_are_replaced_by_number_and_paged_by_size(
        self, store: RunStore, add: Add
    ) -> None:
        run = add()
        rows = [LoopRow(loop=i, seq=i, doc=f'"{i:098}"') for i in (1, 2, 3)]
        store.save_reports(run.id, Reports(loops=tuple(rows)))
        done = LoopRow(loop=2, seq=9, doc='"two"')
        store.save_reports(run.id, Reports(loops=(done,)))
        every = [rows[0], done, rows[2]]
        assert store.list_loops(run.id, after=0, limit=9, limit_bytes=9999) == every
        assert store.list_loops(run.id, after=0, limit=2, limit_bytes=9999) == every[:2]
        assert store.list_loops(run.id, after=1, limit=9, limit_bytes=5) == [done]
        assert store.list_loops(run.id, after=0, limit=9, limit_bytes=1) == [rows[0]]
        with pytest.raises(RunNotFound):
            store.save_reports("nobody", Reports(loops=tuple(rows)))

    def test_changes_are_given_by_frame_and_in_parts(self, store: RunStore, add: Add) -> None:
        run = add()
        other = add()
        call_rows = [CallRow(call=i, seq=10 + i, started_at=0, purpose="answer", status="active")
                     for i in (1, 2, 3)]  # fmt: skip
        loop_rows = [LoopRow(loop=1, seq=13, doc='"' + "x" * 9998 + '"'),
                     LoopRow(loop=2, seq=13, doc='"two"')]  # fmt: skip
        reports = Reports(calls=tuple(call_rows), loops=tuple(loop_rows), usage="{}")
        store.save_reports(run.id, reports)
        store.save_reports(other.id, Reports(calls=tuple(call_rows)))
        assert store.last_change(run.id) == 13
        everything = store.list_changed(run.id, after=0, limit_bytes=1 << 20)
        assert sorted(call.call for call in everything.calls) == [1, 2, 3]
        assert sorted(loop.loop for loop in everything.loops) == [1, 2]
        first = store.list_changed(run.id, after=10, limit_bytes=1)
        assert (first.calls, first.loops) == ((call_rows[0],), ())
        # What one frame changed comes at once, however long it is.
        last = store.list_changed(run.id, after=12, limit_bytes=1)
        assert last.calls == (call_rows[2],)
        assert sorted(loop.loop for loop in last.loops) == [1, 2]
        assert not store.list_changed(run.id, after=13, limit_bytes=1)

    def test_the_use_of_resources_is_replaced(self, store: RunStore, add: Add) -> None:
        run = add()
        assert store.find_usage(run.id) is None
        store.save_reports(run.id, Reports(usage="[1]"))
        store.save_reports(run.id, Reports(usage="[2]"))
        assert store.find_usage(run.id) == "[2]"

    def test_outputs_keep_their_order_and_are_not_doubled(self, store: RunStore, add: Add) -> None:
        run = add()
        first = StructuredOutput(artifact_id="z", data={"a": [1, None]}, schema_version="2")
        second = StructuredOutput(artifact_id="a", data="text")
        for output in (first, second, first):
            store.save_output(run.id, output)
        assert store.list_outputs(run.id) == [first, second]
        with pytest.raises(RunNotFound):
            store.save_output("nobody", first)

    def test_the_same_origin_keeps_its_id(self, store: RunStore) -> None:
        files = [PinnedFile(path="b.py", checksum="2", size_bytes=2),
                 PinnedFile(path="a.py", checksum="1", size_bytes=1)]  # fmt: skip
        first = store.upsert_asset(_asset("one", 0), "origin", files)
        again = store.upsert_asset(_asset("two", 5), "origin", files)
        assert (again.id, again.created_at) == ("one", first.created_at)
        assert again.updated_at == _asset("x", 5).updated_at
        assert store.get_asset("one") == again
        assert [f.path for f in store.pinned_files("hash")] == ["a.py", "b.py"]
        with pytest.raises(AssetNotFound):
            store.get_asset("two")

    def test_assets_are_paged_newest_first(self, store: RunStore) -> None:
        for i in range(5):
            store.upsert_asset(_asset(f"p{i}", i // 2), f"origin{i}", [])
        store.upsert_asset(_asset("bobs", 9).model_copy(update={"owner_id": "bob"}), "b", [])
        seen: list[str] = []
        cursor = None
        while True:
            page = store.list_assets(visible_to=Viewer("ada"), limit=2, cursor=cursor)
            seen += [asset.id for asset in page.assets]
            cursor = page.next
            if cursor is None:
                break
        assert seen == ["p4", "p3", "p2", "p1", "p0"]
        with pytest.raises(InvalidCursor):
            store.list_assets(visible_to=None, limit=1, cursor="nonsense")

    def test_changes_tells_of_a_write(self, store: RunStore, add: Add) -> None:
        before = store.changes()
        assert store.changes() == before
        run = add()
        assert store.changes() != before
        before = store.changes()
        store.audit(NewAudit(at=NOON, user="ada", action="create", run_id=run.id))
        assert store.changes() != before

    def test_versions_are_of_the_newest_runs(self, store: RunStore, add: Add) -> None:
        runs = [add(minute) for minute in range(3)]
        later = runs[2].model_copy(update={"version": runs[2].version + 1})
        store.save_run(later, expected_version=runs[2].version)
        versions = store.newest_versions(2)
        assert versions == {later.id: later.version, runs[1].id: runs[1].version}


def _asset(asset_id: str, minute: int) -> Asset:
    moment = make_run(minute).created_at
    return Asset(
        id=asset_id,
        kind=AssetKind.FILE,
        name="trip.py",
        entry_point="trip.py",
        version="1",
        content_hash="hash",
        owner_id="ada",
        created_at=moment,
        updated_at=moment,
    )


def make_environment(name: str, owner_id: str | None = "ada", **fields: Any) -> Environment:
    """An environment with a new id."""
    defaults = {"id": new_id("env"), "name": name, "owner_id": owner_id}
    return Environment.model_validate({**defaults, **fields})


class TestEnvironments:
    def test_a_stored_environment_is_read_as_it_was_but_for_what_a_probe_found(
        self, store: RunStore
    ) -> None:
        made = make_environment("box", memory_mb=512, created_at=NOON, env_passthrough=("A", "B"))
        probed = made.model_copy(
            update={"available": False, "reason": "gone", "facts": {"a": "b"}, "checked_at": NOON}
        )
        assert store.add_environment(probed) == probed
        assert store.get_environment(made.id) == made

    def test_an_owner_has_a_name_once_and_adding_again_gives_the_first(
        self, store: RunStore
    ) -> None:
        first = store.add_environment(make_environment("box"))
        assert store.add_environment(make_environment("box", memory_mb=1)) == first
        assert store.list_environments(visible_to=None) == [first]
        for owner_id in ("bob", None):
            other = make_environment("box", owner_id)
            assert store.add_environment(other) == other
        shared = make_environment("box", None, memory_mb=2)
        assert store.add_environment(shared).memory_mb is None

    def test_an_owner_sees_their_own_and_those_that_are_shared(self, store: RunStore) -> None:
        for name, owner_id in (("b", "ada"), ("a", None), ("c", "bob")):
            store.add_environment(make_environment(name, owner_id))

        def seen(visible_to: str | None) -> str:
            return " ".join(e.name for e in store.list_environments(visible_to=visible_to))

        assert (seen("ada"), seen("bob"), seen("eve"), seen(None)) == ("a b", "a c", "a", "a b c")

    def test_a_saved_environment_replaces_the_old_one(self, store: RunStore) -> None:
        made = store.add_environment(make_environment("box"))
        changed = made.model_copy(update={"name": "crate", "memory_mb": 9})
        store.save_environment(changed)
        assert store.get_environment(made.id) == changed
        assert store.add_environment(make_environment("box")).id != made.id

    def test_a_name_that_is_taken_is_refused_and_nothing_changes(self, store: RunStore) -> None:
        one, two = (store.add_environment(make_environment(name)) for name in ("one", "two"))
        with pytest.raises(NameTaken, match="'one'") as caught:
            store.save_environment(two.model_copy(update={"name": "one"}))
        assert caught.value.details["id"] == one.id
        assert store.get_environment(two.id) == two

    def test_an_unknown_environment_is_not_found(self, store: RunStore) -> None:
        made = store.add_environment(make_environment("box"))
        store.delete_environment(made.id)
        assert store.list_environments(visible_to=None) == []
        for verb in (store.get_environment, store.delete_environment):
            with pytest.raises(EnvironmentNotFound):
                verb(made.id)
        with pytest.raises(EnvironmentNotFound):
            store.save_environment(made)


def make_dataset(content: str, minute: int = 0, **fields: Any) -> Dataset:
    """A dataset with a new id, whose latest version is this content."""
    at = NOON + timedelta(minutes=minute)
    latest = DatasetVersion(version=content * 8, file_count=1, size_bytes=1, created_at=at)
    defaults = {
        "id": new_id("ds"), "kind": "folder", "name": "data", "path": "data", "owner_id": "ada",
        "latest": latest, "created_at": at, "updated_at": at,
    }  # fmt: skip
    return Dataset.model_validate({**defaults, **fields})


def files_of(*contents: str) -> list[DatasetFile]:
    return [DatasetFile(path=f"{c}.txt", checksum=c, size_bytes=1) for c in contents]


class TestDatasets:
    def test_the_same_origin_keeps_its_id_and_gets_a_version(self, store: RunStore) -> None:
        first = store.upsert_dataset(make_dataset("a"), "ada/data", files_of("x", "y"))
        second = store.upsert_dataset(
            make_dataset("b", 1, name="new"), "ada/data", files_of("z"), keep=("name",)
        )
        assert (second.id, second.name, second.created_at) == (first.id, "data", first.created_at)
        assert store.get_dataset(first.id) == second
        versions = [each.version[0] for each in store.list_dataset_versions(first.id)]
        assert versions == ["b", "a"]
        assert store.dataset_files("a" * 8) == files_of("x", "y")
        assert store.dataset_files("b" * 8) == files_of("z")

    def test_a_version_that_was_there_before_is_the_latest_again(self, store: RunStore) -> None:
        for minute, content in enumerate("aba"):
            dataset = store.upsert_dataset(make_dataset(content, minute), "o", files_of(content))
        assert [v.version[0] for v in store.list_dataset_versions(dataset.id)] == ["a", "b"]
        assert dataset.latest.version[0] == "a"

    def test_they_are_listed_newest_first_in_pages_and_by_owner(self, store: RunStore) -> None:
        made = [
            store.upsert_dataset(make_dataset("a", n, owner_id=owner), f"o{n}", [])
            for n, owner in enumerate(("ada", "bob", "ada"))
        ]
        page = store.list_datasets(visible_to=None, limit=2, cursor=None)
        assert [each.id for each in page.datasets] == [made[2].id, made[1].id]
        rest = store.list_datasets(visible_to=None, limit=2, cursor=page.next)
        assert ([each.id for each in rest.datasets], rest.next) == ([made[0].id], None)
        own = store.list_datasets(visible_to="ada", limit=9, cursor=None)
        assert [each.id for each in own.datasets] == [made[2].id, made[0].id]
        with pytest.raises(InvalidCursor):
            store.list_assets(visible_to=None, limit=2, cursor=page.next)

    def test_a_deleted_one_takes_only_what_no_other_has(self, store: RunStore) -> None:
        one = store.upsert_dataset(make_dataset("a"), "one", files_of("x"))
        store.upsert_dataset(make_dataset("b"), "one", files_of("y"))
        two = store.upsert_dataset(make_dataset("a"), "two", files_of("x"))
        store.delete_dataset(one.id)
        assert store.list_dataset_versions(one.id) == []
        assert (store.dataset_files("a" * 8), store.dataset_files("b" * 8)) == (files_of("x"), [])
        assert store.is_dataset_checksum_known("x")
        assert not store.is_dataset_checksum_known("y")
        assert store.get_dataset(two.id) == two
        for verb in (store.get_dataset, store.delete_dataset):
            with pytest.raises(DatasetNotFound):
                verb(one.id)


def test_an_asset_keeps_the_fields_it_is_told_to(store: RunStore) -> None:
    def add(environment_id: str | None, *keep: str) -> Asset:
        asset = Asset(
            id=new_id("prog"), kind=AssetKind.FILE, name="a", entry_point="a.py", version="1",
            content_hash="0", owner_id="ada", default_environment_id=environment_id,
            created_at=NOON, updated_at=NOON,
        )  # fmt: skip
        return store.upsert_asset(asset, "origin", [], keep=keep)

    first = add("box")
    assert add(None, "default_environment_id") == first
    assert add(None).default_environment_id is None


class TestFailures:
    def test_the_same_failure_is_counted_for_its_owner(self, store: RunStore) -> None:
        for minute, owner, fingerprint in (
            (9, "ada", "f1"), (0, "ada", "f1"), (3, "ada", "f2"),
            (5, "bob", "f1"), (4, "ada", "f1"),
        ):  # fmt: skip
            store.create_run(new(failed(minute, fingerprint, owner_id=owner)))
        seen = FailureSeen(
            count=3,
            first_seen_at=NOON + timedelta(minutes=1),
            last_seen_at=NOON + timedelta(minutes=10),
        )
        assert store.find_seen("f1", owner_id="ada", visible_to=Viewer("ada")) == seen
        assert store.find_seen("f1", owner_id="ada", visible_to=None) == seen
        assert store.find_seen("f1", owner_id="ada", visible_to=Viewer("bob")) is None
        assert store.find_seen("f3", owner_id="ada", visible_to=Viewer("ada")) is None

    def test_a_run_counts_from_its_failure_to_its_deletion(self, store: RunStore, add: Add) -> None:
        run = add(status=RunStatus.RUNNING)
        assert store.find_seen("f1", owner_id="ada", visible_to=Viewer("ada")) is None
        ended = failed(id=run.id, version=1)
        store.save_run(ended, expected_version=0)
        seen = store.find_seen("f1", owner_id="ada", visible_to=Viewer("ada"))
        assert seen is not None
        assert seen.count == 1
        store.delete_run(run.id, expected_version=1)
        assert store.find_seen("f1", owner_id="ada", visible_to=Viewer("ada")) is None

    def test_runs_are_listed_and_summed_by_their_failure(self, store: RunStore, add: Add) -> None:
        add()
        first, second, other = failed(1), failed(2), failed(3, "f2")
        for run in (first, second, other):
            store.create_run(new(run))
        assert ids(store, fingerprint=("f1",)) == [second.id, first.id]
        assert ids(store, fingerprint=("f1", "f2"), sort="created_at", limit=2) == [
            first.id, second.id,
        ]  # fmt: skip
        assert ids(store, visible_to=Viewer("bob"), fingerprint=("f1",)) == []
        query = RunQuery(fingerprint=("f1",))
        assert store.summarize(query, visible_to=None).total_runs == 2

    def test_how_often_it_was_seen_is_not_kept_with_a_run(self, store: RunStore) -> None:
        run = failed()
        seen = FailureSeen(count=9, first_seen_at=NOON, last_seen_at=NOON)
        store.create_run(new(run.model_copy(update={"seen": seen})))
        assert store.get_run(run.id) == run
