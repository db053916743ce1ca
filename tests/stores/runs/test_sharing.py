"""Shares, identities and the audit trail, of every implementation of the runs store."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.exceptions import (
    AssetNotFound,
    InvalidCursor,
    QuotaExceeded,
    RunNotFound,
)
from mellea_jupyter.models.assets import Asset, AssetKind
from mellea_jupyter.models.audit import AuditQuery
from mellea_jupyter.models.pages import RunFilters, RunQuery
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.models.sharing import (
    MAX_SHARES,
    AssetShare,
    Principal,
    Share,
    ShareKind,
    ShareRole,
)
from mellea_jupyter.stores.runs.base import Identity, NewAudit, NewRun, Placement, RunStore, Viewer
from mellea_jupyter.stores.runs.sql import SqlRunStore
from mellea_jupyter.testing.seeding import seed_runs
from tests.stores.runs.conftest import NOON, Add, make_run

BOB = Viewer("bob", ("user:bob", "group:lab", "everyone"))


def share(kind: ShareKind = "user", name: str = "bob", role: ShareRole = ShareRole.VIEWER) -> Share:
    return Share(kind=kind, name=name, role=role, shared_by="ada", shared_at=NOON)


def did(action: str, run: Run | None = None, user: str = "ada", **fields: object) -> NewAudit:
    return NewAudit(
        at=NOON,
        user=user,
        action=action,
        run_id=None if run is None else run.id,
        owner_id=None if run is None else run.owner_id,
        details=fields,
    )


def ids(store: RunStore, viewer: Viewer, **query: object) -> list[str]:
    found = store.list_runs(RunQuery.model_validate(query), visible_to=viewer)
    return [run.id for run in found.runs]


class TestShares:
    def test_shares_are_listed_as_they_were_made(self, store: RunStore, add: Add) -> None:
        run, other = add(), add(1)
        made = [
            share("everyone", ""),
            share("group", "lab", ShareRole.OPERATOR),
            share("user", "ben"),
            share("user", "zoe"),
        ]
        for each in reversed(made):
            store.save_share(run.id, each)
        assert store.list_shares(run.id) == made
        assert store.list_shares(other.id) == []

    def test_sharing_again_replaces_the_role(self, store: RunStore, add: Add) -> None:
        run = add()
        store.save_share(run.id, share())
        store.save_share(run.id, share(role=ShareRole.OPERATOR))
        assert [each.role for each in store.list_shares(run.id)] == [ShareRole.OPERATOR]

    def test_a_share_can_be_revoked_once(self, store: RunStore, add: Add) -> None:
        run = add()
        store.save_share(run.id, share())
        store.save_share(run.id, share("group", "bob"))
        bob = Principal(kind="user", name="bob")
        assert store.delete_share(run.id, bob, audit=[did("unshare", run)])
        assert not store.delete_share(run.id, bob, audit=[did("unshare", run)])
        assert [each.key for each in store.list_shares(run.id)] == ["group:bob"]
        assert len(store.list_audit(AuditQuery()).entries) == 1

    def test_the_strongest_role_counts(self, store: RunStore, add: Add) -> None:
        both, group, neither = add(), add(1), add(2)
        store.save_share(both.id, share("everyone", ""))
        store.save_share(both.id, share(role=ShareRole.OPERATOR))
        store.save_share(group.id, share("group", "lab"))
        store.save_share(neither.id, share("user", "lab", ShareRole.OPERATOR))
        runs = [both.id, group.id, neither.id, "nothing"]
        roles = {both.id: ShareRole.OPERATOR, group.id: ShareRole.VIEWER}
        assert store.find_roles(runs, BOB.principals) == roles
        assert store.find_roles([], BOB.principals) == {}
        assert store.find_roles(runs, []) == {}

    def test_what_is_not_there_is_not_shared(self, store: RunStore, add: Add) -> None:
        with pytest.raises(RunNotFound):
            store.save_share("nothing", share())
        run = add()
        store.save_share(run.id, share())
        store.delete_run(run.id, expected_version=run.version)
        assert store.list_shares(run.id) == []
        assert store.find_roles([run.id], BOB.principals) == {}

    def test_a_run_has_only_so_many_shares(self, store: RunStore, add: Add) -> None:
        run = add()
        for number in range(MAX_SHARES):
            store.save_share(run.id, share(name=f"user-{number}"))
        with pytest.raises(QuotaExceeded, match="200"):
            store.save_share(run.id, share())
        store.save_share(run.id, share(name="user-7", role=ShareRole.OPERATOR))

    def test_a_run_may_take_over_the_shares_of_another(self, store: RunStore, add: Add) -> None:
        run = add(status=RunStatus.FAILED)
        store.save_share(run.id, share(role=ShareRole.OPERATOR))
        store.save_share(run.id, share("group", "lab"))

        def retry(shares_of: str | None) -> str:
            again = make_run(1, retry_of=run.id)
            new = NewRun(run=again, placement=Placement(run_id=again.id), shares_of=shares_of)
            return store.create_run(new).run.id

        assert store.list_shares(retry(run.id)) == store.list_shares(run.id)
        assert store.list_shares(retry(None)) == []

    def test_readers_are_those_named_and_the_members_of_groups(
        self, store: RunStore, add: Add
    ) -> None:
        run = add()
        for owner_id, groups in (("ada", ("lab",)), ("cleo", ("lab", "class")), ("dan", ())):
            store.save_identity(Identity(owner_id=owner_id, user_id=owner_id, groups=groups))
        store.save_share(run.id, share("everyone", ""))
        assert store.list_readers(run.id) == []
        store.save_share(run.id, share())
        store.save_share(run.id, share("group", "lab"))
        store.save_share(run.id, share("group", "nobody-was-seen"))
        assert store.list_readers(run.id) == ["bob", "cleo"]


class TestIdentities:
    def test_somebody_is_known_as_they_were_seen_last(self, store: RunStore) -> None:
        assert store.find_identity("ada") is None
        first = Identity(owner_id="ada", user_id="ada", is_admin=True, groups=("class", "lab"))
        store.save_identity(first)
        assert store.find_identity("ada") == first
        later = Identity(owner_id="ada", user_id="ada@hub", name="Ada", groups=("lab",))
        store.save_identity(later)
        assert store.find_identity("ada") == later
        assert (store.list_members("lab"), store.list_members("class")) == (["ada"], [])


class TestAssets:
    @pytest.fixture
    def asset(self, store: RunStore) -> Asset:
        asset = Asset(
            id="prog_1", kind=AssetKind.FILE, name="trip.py", entry_point="trip.py", version="1",
            content_hash="0" * 64, owner_id="ada", created_at=NOON, updated_at=NOON,
        )  # fmt: skip
        return store.upsert_asset(asset, "ada\0trip", [])

    def test_an_asset_is_shared_and_listed(self, store: RunStore, asset: Asset) -> None:
        def listed(viewer: Viewer | None) -> list[str]:
            page = store.list_assets(visible_to=viewer, limit=10, cursor=None)
            return [each.id for each in page.assets]

        group = AssetShare(kind="group", name="lab", shared_by="ada", shared_at=NOON)
        assert listed(BOB) == []
        assert not store.is_asset_shared(asset.id, BOB.principals)
        store.save_asset_share(asset.id, group, audit=[did("share_asset")])
        assert store.list_asset_shares(asset.id) == [group]
        assert store.is_asset_shared(asset.id, BOB.principals)
        assert listed(BOB) == listed(Viewer("ada")) == [asset.id]
        assert listed(Viewer("cleo", ("user:cleo",))) == []
        assert listed(Viewer("root", sees_all=True)) == [asset.id]
        store.upsert_asset(asset, "ada\0trip", [])  # registered again
        assert store.is_asset_shared(asset.id, BOB.principals)
        assert store.delete_asset_share(asset.id, group, audit=[did("unshare_asset")])
        assert not store.delete_asset_share(asset.id, group, audit=[did("unshare_asset")])
        assert listed(BOB) == []
        assert len(store.list_audit(AuditQuery()).entries) == 2

    def test_an_unknown_asset_is_not_shared(self, store: RunStore) -> None:
        with pytest.raises(AssetNotFound):
            store.save_asset_share(
                "nothing", AssetShare(kind="everyone", shared_by="ada", shared_at=NOON)
            )


class TestListings:
    @pytest.fixture
    def runs(self, store: RunStore, add: Add) -> dict[str, Run]:
        runs = {
            "own": add(0, owner_id="bob"),
            "named": add(1, status=RunStatus.FAILED),
            "group": add(2),
            "everyone": add(3, owner_id="cleo"),
            "private": add(4),
            "own, shared with all": add(5, owner_id="bob"),
        }
        store.save_share(runs["named"].id, share())
        store.save_share(runs["named"].id, share("everyone", ""))
        store.save_share(runs["group"].id, share("group", "lab"))
        store.save_share(runs["everyone"].id, share("everyone", ""))
        store.save_share(runs["private"].id, share("user", "zoe"))
        store.save_share(runs["own, shared with all"].id, share("everyone", ""))
        return runs

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ({}, ["own, shared with all", "everyone", "group", "named", "own"]),
            ({"shared": "with_me"}, ["everyone", "group", "named"]),
            ({"shared": "none"}, ["own, shared with all", "own"]),
            ({"shared": "with_me", "owner_id": ("cleo",)}, ["everyone"]),
            ({"status": ("failed",)}, ["named"]),
            ({"owner_id": ("ada",)}, ["group", "named"]),
            ({"sort": "owner"}, ["named", "group", "own", "own, shared with all", "everyone"]),
        ],
    )
    def test_own_runs_and_those_that_others_share(
        self, store: RunStore, runs: dict[str, Run], query: dict[str, object], names: list[str]
    ) -> None:
        wanted = [runs[name].id for name in names]
        if query.get("sort") == "owner":  # between equals the ids decide
            wanted = [
                r.id for r in sorted((runs[n] for n in names), key=lambda r: (r.owner_id, r.id))
            ]
        assert ids(store, BOB, **query) == wanted
        total = store.summarize(
            RunFilters.model_validate({k: v for k, v in query.items() if k != "sort"}),
            visible_to=BOB,
            group_by="owner",
        )
        assert total.total_runs == len(names)
        assert sum(group.summary.total_runs for group in total.groups) == len(names)
        assert len({group.key for group in total.groups}) == len(total.groups)

    def test_an_administrator_sees_all_and_may_ask_for_what_is_shared_with_them(
        self, store: RunStore, runs: dict[str, Run]
    ) -> None:
        root = Viewer("root", ("user:root", "everyone"), sees_all=True)
        assert len(ids(store, root)) == len(runs)
        assert len(ids(store, root, shared="with_me")) == 3
        assert ids(store, root, shared="none") == []

    def test_who_shares_nothing_sees_their_own(self, store: RunStore, runs: dict[str, Run]) -> None:
        store.delete_share(runs["everyone"].id, Principal(kind="everyone"))
        store.delete_share(runs["named"].id, Principal(kind="everyone"))
        store.delete_share(runs["own, shared with all"].id, Principal(kind="everyone"))
        nobody = Viewer("eve", ("user:eve", "everyone"))
        assert ids(store, nobody) == ids(store, nobody, shared="with_me") == []


SORTS = ("created_at", "started_at", "duration", "cost", "asset", "owner", "model", "status")


def test_pages_of_a_view_are_all_of_it_once_in_order(tmp_path: Path) -> None:
    """Whatever is shared, however many are on a page, in each order and direction."""
    store = SqlRunStore.open(tmp_path / "runs.db")
    dice = random.Random(4)
    try:
        seed_runs(store, 300, days=3, owners=4, programs=3)
        everything = store.list_runs(RunQuery(limit=1000), visible_to=None).runs
        visible = set()
        for run in everything:
            if run.owner_id == "owner-1":
                visible.add(run.id)
            elif dice.random() < 0.3:
                visible.add(run.id)
                kind = dice.choice(("user", "group", "everyone"))
                name = {"user": "owner-1", "group": "lab", "everyone": ""}[kind]
                store.save_share(run.id, Share.model_validate({**dict(share()), "kind": kind,
                                                               "name": name}))  # fmt: skip
        viewer = Viewer("owner-1", ("user:owner-1", "group:lab", "everyone"))
        for sort, limit in itertools.product([*SORTS, *(f"-{name}" for name in SORTS)], (7, 64)):
            whole = store.list_runs(RunQuery(limit=1000, sort=sort), visible_to=None).runs
            expected = [run.id for run in whole if run.id in visible]
            found: list[str] = []
            cursor = None
            while True:
                query = RunQuery(limit=limit, sort=sort, cursor=cursor)
                page = store.list_runs(query, visible_to=viewer)
                found += [run.id for run in page.runs]
                cursor = page.next
                if cursor is None:
                    break
            assert found == expected, sort
        total = store.summarize(RunFilters(), visible_to=viewer)
        assert total.total_runs == len(visible)
    finally:
        store.close()


class TestAudit:
    def test_entries_come_back_latest_first_in_pages(self, store: RunStore, add: Add) -> None:
        runs = [add(minute) for minute in range(3)]
        for number, run in enumerate(runs * 3):
            store.audit(did("patch" if number % 2 else "cancel", run, number=number))
        found: list[object] = []
        cursor = None
        while True:
            page = store.list_audit(AuditQuery(limit=2, cursor=cursor))
            found += [entry.details["number"] for entry in page.entries]
            cursor = page.next
            if cursor is None:
                break
        assert found == [8, 7, 6, 5, 4, 3, 2, 1, 0]
        with pytest.raises(InvalidCursor):
            store.list_audit(AuditQuery(cursor="nonsense"))

    def test_filters(self, store: RunStore, add: Add) -> None:
        mine, theirs = add(), add(1, owner_id="bob")
        store.audit(did("cancel", mine))
        store.audit(did("delete", theirs, user="root"))
        late = NewAudit(at=NOON + timedelta(hours=1), user="ada", action="reprice")
        store.audit(late)

        def actions(**query: object) -> list[str]:
            page = store.list_audit(AuditQuery.model_validate(query))
            return [entry.action for entry in page.entries]

        assert actions() == ["reprice", "delete", "cancel"]
        assert actions(user=("ada",)) == ["reprice", "cancel"]
        assert actions(user=("ada", "root"), action=("delete",)) == ["delete"]
        assert actions(run_id=(mine.id,)) == ["cancel"]
        assert actions(owner_id=("bob",)) == ["delete"]
        assert actions(since=NOON + timedelta(minutes=1)) == ["reprice"]
        assert actions(until=NOON + timedelta(minutes=1)) == ["delete", "cancel"]

    def test_an_entry_is_written_with_what_it_tells_of_or_not_at_all(
        self, store: RunStore, add: Add
    ) -> None:
        run = add()
        new = NewRun(run=make_run(1), placement=Placement(run_id="x"), idempotency_key="k")
        new = new.model_copy(update={"placement": Placement(run_id=new.run.id)})
        store.create_run(new, audit=[did("create", new.run)])
        store.create_run(new, audit=[did("create", new.run)])  # replayed
        store.save_run(run.changed(name="x"), expected_version=0, audit=[did("patch", run)])
        with pytest.raises(RunNotFound):
            store.save_run(make_run(version=1), expected_version=0, audit=[did("patch", run)])
        store.delete_run(run.id, expected_version=1, audit=[did("delete", run)])
        found = store.list_audit(AuditQuery()).entries
        assert [entry.action for entry in found] == ["delete", "patch", "create"]
        assert found[0].owner_id == "ada"  # stays after the run

    def test_shares_after_an_entry(self, store: RunStore, add: Add) -> None:
        run = add()
        assert store.last_audit() == 0
        store.save_share(run.id, share(), audit=[did("share", run, principal="user:bob")])
        first = store.last_audit()
        store.audit(did("cancel", run))
        bob = Principal(kind="user", name="bob")
        store.delete_share(run.id, bob, audit=[did("unshare", run, principal="user:bob")])
        after = store.list_sharing_after(first)
        assert [(entry.action, entry.details) for entry in after] == [
            ("unshare", {"principal": "user:bob"})
        ]
        assert [entry.action for entry in store.list_sharing_after(0)] == ["share", "unshare"]


def test_the_parts_of_a_view_are_looked_up_by_indexes(tmp_path: Path) -> None:
    """No table is read as a whole, and nothing is sorted that could be many."""
    store = SqlRunStore.open(tmp_path / "runs.db")
    try:
        seed_runs(store, 2000, days=30, owners=20)
        some = store.list_runs(RunQuery(limit=40), visible_to=None).runs
        for run in some:
            store.save_share(run.id, share())
        for fields in ({}, {"sort": "-cost"}, {"shared": "with_me"}, {"status": ("failed",)}):
            plans = explained(store, RunQuery.model_validate(fields))
            assert plans
            for line in plans:
                assert "SCAN runs" not in line or "USING INDEX" in line, (fields, plans)
                assert "SCAN shares" not in line, (fields, plans)
    finally:
        store.close()


def explained(store: SqlRunStore, query: RunQuery) -> list[str]:
    """The plans of all statements of a listing."""
    from sqlalchemy import event

    lines: list[str] = []
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, text: str, parameters: Any, *_: object) -> None:
        if text.startswith("SELECT"):
            asked.append((text, parameters))

    event.listen(store._engine, "before_cursor_execute", note)
    try:
        store.list_runs(query, visible_to=BOB)
    finally:
        event.remove(store._engine, "before_cursor_execute", note)
    with store._reading() as connection:
        for text, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", parameters)
            lines += [row.detail for row in plan]
    return lines
