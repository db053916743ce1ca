"""`Sharing` over a real store: who is known as what, and what follows when that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mellea_jupyter.auth.owner import User
from mellea_jupyter.exceptions import PermissionDenied, RunNotFound
from mellea_jupyter.models.run import Run
from mellea_jupyter.models.sharing import Principal, RunRole, ShareRequest, ShareRole
from mellea_jupyter.service.access import Action
from mellea_jupyter.service.broker import AccessChanged, Broker
from mellea_jupyter.service.notices import NoticeService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.sharing import Sharing
from mellea_jupyter.stores.notices.sql import SqlNoticeStore
from mellea_jupyter.stores.runs.sql import SqlRunStore
from tests.stores.runs.conftest import make_run, new

ADA = User(id="ada", owner_id="ada")
BOB = User(id="bob", owner_id="bob", groups=("lab",))
DEADLINE_SECONDS = 20.0
LAB = ShareRequest(kind="group", name="lab", role=ShareRole.VIEWER)


class Desk:
    """A store with one run of ada's, and `Sharing` over it."""

    def __init__(self, folder: Path) -> None:
        self.store = SqlRunStore.open(folder / "runs.db")
        self.offload = Offload()
        self.broker = Broker()
        self.run: Run = self.store.create_run(new(make_run())).run
        self.sharing = self.another()

    def another(self) -> Sharing:
        """As another service on the same store has it."""
        notices = NoticeService(
            store=SqlNoticeStore(self.store.transactions), offload=self.offload, lease="x"
        )
        return Sharing(store=self.store, broker=self.broker, notices=notices, offload=self.offload)


def with_desk(folder: Path, test: Callable[[Desk], Awaitable[None]]) -> None:
    """Run a test, and close what it used."""

    async def run() -> None:
        desk = Desk(folder)
        await desk.sharing.look()
        try:
            await test(desk)
        finally:
            await desk.sharing.close()
            desk.offload.close()
            desk.store.close()

    asyncio.run(run())


def test_a_role_is_asked_for_anew_each_time(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        sharing, run = desk.sharing, desk.run
        with pytest.raises(RunNotFound):
            await sharing.require(run, BOB, Action.READ)
        await sharing.share(run, LAB, ADA)
        assert (await sharing.require(run, BOB, Action.READ)).role is RunRole.VIEWER
        with pytest.raises(PermissionDenied):
            await sharing.require(run, BOB, Action.CANCEL)
        await sharing.unshare(run, LAB, ADA)
        with pytest.raises(RunNotFound):
            await sharing.require(run, BOB, Action.READ)

    with_desk(tmp_path, test)


def test_who_leaves_a_group_loses_what_is_open(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        sharing, run = desk.sharing, desk.run
        await sharing.share(run, LAB, ADA)
        sharing.met(BOB)
        losing = asyncio.create_task(sharing.until_lost(run, BOB))
        owners = asyncio.create_task(sharing.until_lost(run, ADA))
        sharing.met(User(id="bob", owner_id="bob"))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await losing
        assert not owners.done()
        owners.cancel()

    with_desk(tmp_path, test)


def test_a_share_that_another_service_revokes_is_noticed_at_the_next_look(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        sharing, run = desk.sharing, desk.run
        await sharing.share(run, LAB, ADA)
        assert await sharing.seen_by(run, BOB) is not None  # remembered from here on
        losing = asyncio.create_task(sharing.until_lost(run, BOB))
        async with desk.broker.subscribe() as events:
            await desk.another().unshare(run, Principal(kind="group", name="lab"), ADA)
            await sharing.look()
            async with asyncio.timeout(DEADLINE_SECONDS):
                await losing
                event = await anext(events)
        assert event == AccessChanged(run_id=run.id, owner_id="ada", principal="group:lab")
        assert sharing.concerns(event, BOB)
        assert not sharing.concerns(event, ADA)
        assert await sharing.seen_by(run, BOB) is None

    with_desk(tmp_path, test)


def test_somebody_is_known_as_they_were_met_last_also_elsewhere(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        sharing = desk.sharing
        assert await sharing.find_user("bob") == User(id="bob", owner_id="bob")
        root = User(id="root", owner_id="root", is_admin=True, name="Root", groups=("ops",))
        sharing.met(root)
        sharing.met(BOB)
        await sharing.close()
        elsewhere = desk.another()
        assert await elsewhere.find_user("root") == root
        sharing.met(User(id="root", owner_id="root"))
        await sharing.close()
        assert not (await elsewhere.find_user("root")).is_admin

    with_desk(tmp_path, test)


def test_only_a_new_share_is_told_of_and_not_to_who_shares(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        sharing, run = desk.sharing, desk.run
        for user in (BOB, User(id="cleo", owner_id="cleo", groups=("lab",))):
            sharing.met(user)
        await sharing.close()
        await sharing.share(run, LAB, ADA)
        await sharing.share(run, LAB.model_copy(update={"role": ShareRole.OPERATOR}), ADA)
        notices = SqlNoticeStore(desk.store.transactions)
        assert [notices.count_unread(name) for name in ("ada", "bob", "cleo")] == [0, 1, 1]
        everyone = ShareRequest(kind="everyone", role=ShareRole.VIEWER)
        await sharing.share(run, everyone, ADA)
        assert [notices.count_unread(name) for name in ("ada", "bob", "cleo")] == [0, 1, 1]

    with_desk(tmp_path, test)
