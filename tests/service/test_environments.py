"""Who sees, uses and changes which environments, over a real store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mellea_jupyter.auth.owner import User
from mellea_jupyter.environments.configured import configured_environments
from mellea_jupyter.exceptions import (
    EnvironmentNotFound,
    InvalidInput,
    NameTaken,
    PermissionDenied,
)
from mellea_jupyter.models.environments import (
    Environment,
    EnvironmentCreate,
    EnvironmentPatch,
    EnvironmentProbe,
)
from mellea_jupyter.service import probing
from mellea_jupyter.service.environments import EnvironmentService
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.service.probing import Prober, Probing
from mellea_jupyter.stores.runs.sql import SqlRunStore

ADA = User(id="ada", owner_id="ada")
BOB = User(id="bob", owner_id="bob")
ROOT = User(id="root", owner_id="root", is_admin=True)


def works(environment: Environment) -> EnvironmentProbe:
    return EnvironmentProbe(available=True, facts={"python": "3.12.1"})


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    process: Prober = works,
    settings: tuple[dict[str, Any], ...] = (),
    max_age_seconds: float = 60.0,
    **options: Any,
) -> AsyncIterator[EnvironmentService]:
    """A service whose process executor answers as told; nobody offers another one."""
    store, offload = SqlRunStore.open(folder / "runs.db"), Offload()
    asking = Probing(
        probers={"process": process},
        problems={"ray": "The executor 'ray' can not be loaded. Repair it."},
        offload=offload,
        max_age_seconds=max_age_seconds,
    )
    defaults = options.get("defaults", {})
    service = EnvironmentService(
        store=store,
        offload=offload,
        probing=asking,
        configured=configured_environments(settings, defaults),
        defaults=defaults,
        default_id=options.get("default_id", "default"),
        executors=frozenset({"process", "ray"}),
    )
    try:
        yield service
    finally:
        await service.close()
        offload.close()
        store.close()


def with_service(test: Callable[..., Any], folder: Path, **options: Any) -> None:
    """Run an async test with a service."""

    async def run() -> None:
        async with opened(folder, **options) as service, asyncio.timeout(30):
            await test(service)

    asyncio.run(run())


async def make(service: EnvironmentService, user: User, name: str, **fields: Any) -> Environment:
    return (await service.get_or_create(EnvironmentCreate(name=name, **fields), user))[0]


async def names(service: EnvironmentService, user: User) -> list[str]:
    return [each.name for each in (await service.list(user)).environments]


def test_each_sees_their_own_the_shared_ones_and_those_of_the_settings(tmp_path: Path) -> None:
    async def test(service: EnvironmentService) -> None:
        mine = await make(service, ADA, "Mine")
        shared = await make(service, ROOT, "everybody's", shared=True)
        assert (mine.owner_id, shared.owner_id) == ("ada", None)
        assert await names(service, ADA) == ["everybody's", "Mine", "This server's Python"]
        assert await names(service, BOB) == ["everybody's", "This server's Python"]
        assert await names(service, ROOT) == ["everybody's", "Mine", "This server's Python"]
        assert (await service.get(shared.id, BOB)).available
        for verb in (service.get, service.resolve, service.delete):
            with pytest.raises(EnvironmentNotFound) as caught:
                await verb(mine.id, BOB)
            assert mine.id not in caught.value.hint
        assert (await service.resolve(mine.id, ROOT)).id == mine.id

    with_service(test, tmp_path)


def test_what_is_shared_is_made_and_changed_by_administrators(tmp_path: Path) -> None:
    async def test(service: EnvironmentService) -> None:
        with pytest.raises(PermissionDenied, match="administrators"):
            await make(service, ADA, "for all", shared=True)
        shared = await make(service, ROOT, "for all", shared=True)
        with pytest.raises(PermissionDenied):
            await service.update(shared.id, EnvironmentPatch(memory_mb=5), ADA)
        with pytest.raises(PermissionDenied):
            await service.delete(shared.id, ADA)
        assert (await service.update(shared.id, EnvironmentPatch(memory_mb=5), ROOT)).memory_mb == 5
        await service.delete(shared.id, ROOT)
        assert await names(service, ADA) == ["This server's Python"]

    with_service(test, tmp_path)


def test_those_of_the_settings_are_changed_in_the_settings(tmp_path: Path) -> None:
    async def test(service: EnvironmentService) -> None:
        for user in (ADA, ROOT):
            with pytest.raises(PermissionDenied, match="settings") as caught:
                await service.delete("big", user)
            assert "MelleaApp.environments" in caught.value.hint
        assert (await service.resolve(None, ADA)).id == "big"
        assert service.load("big").memory_mb == 7
        assert [each.id for each in service.to_prepare()] == ["big"]
        assert (await service.list(ADA)).default_id == "big"

    with_service(test, tmp_path, settings=({"id": "big", "memory_mb": 7},), default_id="big")


def test_a_default_that_the_settings_do_not_have_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentNotFound, match="'huge'") as caught:
        with_service(lambda _: None, tmp_path, default_id="huge")
    assert caught.value.hint == "The settings have: default."


def test_the_same_description_gives_the_same_environment_and_another_is_refused(
    tmp_path: Path,
) -> None:
    async def test(service: EnvironmentService) -> None:
        request = EnvironmentCreate(name=" GPU box! ", memory_mb=8)
        first, is_new = await service.get_or_create(request, ADA)
        assert is_new
        assert first.name == "GPU box!"
        assert first.id.startswith("gpu-box-")
        again, is_new = await service.get_or_create(request, ADA)
        assert (again.id, is_new) == (first.id, False)
        with pytest.raises(NameTaken, match="'GPU box!'") as caught:
            await make(service, ADA, "GPU box!", memory_mb=9)
        assert caught.value.details["id"] == first.id
        assert (await make(service, BOB, "GPU box!", memory_mb=9)).id != first.id

    with_service(test, tmp_path)


def test_a_name_is_enough_where_it_is_clear_which_one(tmp_path: Path) -> None:
    async def test(service: EnvironmentService) -> None:
        mine, his = await make(service, ADA, "box"), await make(service, BOB, "box")
        assert (await service.resolve("box", ADA)).id == mine.id
        with pytest.raises(EnvironmentNotFound) as caught:
            await service.resolve("box", ROOT)
        assert {mine.id, his.id} <= set(caught.value.hint[:-1].split(": ")[1].split(", "))

    with_service(test, tmp_path)


def test_the_operators_defaults_hold_for_what_is_not_said(tmp_path: Path) -> None:
    async def test(service: EnvironmentService) -> None:
        assert (await make(service, ADA, "plain")).memory_mb == 100
        assert (await make(service, ADA, "own", memory_mb=5)).memory_mb == 5
        assert (await service.resolve(None, ADA)).memory_mb == 100

    with_service(test, tmp_path, defaults={"memory_mb": 100, "pids_limit": 64})


def test_a_change_keeps_what_is_not_given_and_null_resets(tmp_path: Path) -> None:
    async def test(service: EnvironmentService) -> None:
        made = await make(service, ADA, "box", memory_mb=5, env_passthrough=("A",), prewarm=1)
        patch = EnvironmentPatch(env_passthrough=None, prewarm=None, name="crate")
        changed = await service.update(made.id, patch, ADA)
        assert (changed.name, changed.memory_mb) == ("crate", 5)
        assert (changed.env_passthrough, changed.prewarm) == (None, 0)
        assert changed.created_at == made.created_at
        assert (await service.get(made.id, ADA)).definition() == changed.definition()
        await make(service, ADA, "other")
        with pytest.raises(NameTaken):
            await service.update(made.id, EnvironmentPatch(name="other"), ADA)
        for patch, field in (
            (EnvironmentPatch(memory_mb=0), "memory_mb"),
            (EnvironmentPatch(cpus=2), "cpus is for the docker"),
            (EnvironmentPatch(executor="docker"), "needs image"),
            (EnvironmentPatch(executor="dokcer"), "executor: there is no 'dokcer'"),
        ):
            with pytest.raises(InvalidInput, match=field):
                await service.update(made.id, patch, ADA)
        assert (await service.get(made.id, ADA)).memory_mb == 5

    with_service(test, tmp_path)


def test_one_whose_executor_is_not_there_is_kept_and_says_why(tmp_path: Path) -> None:
    async def test(service: EnvironmentService) -> None:
        box = await make(service, ADA, "box", executor="docker", image="python:3.12-slim")
        assert not box.available
        assert box.reason == "This installation has no docker executor. Choose another environment."
        assert box.checked_at is not None
        ray = await make(service, ADA, "ray", executor="ray")
        assert (ray.available, ray.reason) == (
            False, "The executor 'ray' can not be loaded. Repair it.",
        )  # fmt: skip
        assert (await service.resolve(box.id, ADA)).image == "python:3.12-slim"

    with_service(test, tmp_path)


# -- probing -----------------------------------------------------------------------------------


class Executor:
    """Answers when it is let, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.let = threading.Event()
        self.answer = EnvironmentProbe(available=True)

    def __call__(self, environment: Environment) -> EnvironmentProbe:
        self.asked += 1
        assert self.let.wait(20)
        return self.answer


def test_a_list_does_not_wait_for_an_executor_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "FIRST_ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(probing, "NEXT_ANSWER_SECONDS", 0.05)
    executor = Executor()

    async def test(service: EnvironmentService) -> None:
        for _ in range(3):
            (shown,) = (await service.list(ADA)).environments
            assert (shown.available, shown.reason) == (False, probing.CHECK_GOES_ON)
            assert shown.checked_at is None
        assert executor.asked == 1
        executor.let.set()
        (shown,) = (await service.list(ADA, refresh=True)).environments
        assert shown.available
        assert executor.asked == 2  # the first answer may have been of before the question

    with_service(test, tmp_path, process=executor)


def test_an_answer_is_remembered_until_it_is_old_or_the_environment_changes(
    tmp_path: Path,
) -> None:
    executor = Executor()
    executor.let.set()

    async def test(service: EnvironmentService) -> None:
        made = await make(service, ADA, "box")
        for _ in range(3):
            assert (await service.get(made.id, ADA)).available
        assert executor.asked == 1
        await service.update(made.id, EnvironmentPatch(python="python9"), ADA)
        assert executor.asked == 2
        executor.answer = EnvironmentProbe(available=False, reason="gone")
        assert (await service.get(made.id, ADA, refresh=True)).reason == "gone"
        assert executor.asked == 3

    with_service(test, tmp_path, process=executor)


def test_an_old_answer_is_shown_while_a_new_one_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "NEXT_ANSWER_SECONDS", 0.05)
    executor = Executor()
    executor.let.set()

    async def test(service: EnvironmentService) -> None:
        first = await service.get("default", ADA)
        executor.let.clear()
        executor.answer = EnvironmentProbe(available=False, reason="gone")
        second = await service.get("default", ADA)
        assert (second.available, second.checked_at) == (True, first.checked_at)
        executor.let.set()
        while (await service.get("default", ADA)).available:
            pass

    with_service(test, tmp_path, process=executor, max_age_seconds=0.0)


def test_an_executor_that_fails_to_check_is_a_reason(tmp_path: Path) -> None:
    def fails(environment: Environment) -> EnvironmentProbe:
        msg = "socket gone"
        raise ConnectionError(msg)

    async def test(service: EnvironmentService) -> None:
        shown = await service.get("default", ADA)
        assert shown.reason == "The check failed: ConnectionError: socket gone"

    with_service(test, tmp_path, process=fails)
