"""Work on threads: who is cancelled has left it behind, and a slow kind holds up no other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from mellea_jupyter.service.offload import Offload

DEADLINE_SECONDS = 20.0


@pytest.fixture
def offload() -> Iterator[Offload]:
    offload = Offload()
    yield offload
    offload.close()


class Held:
    """Work that goes on until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.ended = False

    def __call__(self) -> None:
        self.begun.set()
        assert self.let_go.wait(DEADLINE_SECONDS)
        self.ended = True

    async def wait_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, DEADLINE_SECONDS)


async def test_who_is_cancelled_leaves_after_the_work_has_ended(offload: Offload) -> None:
    work = Held()
    task = asyncio.create_task(offload.io(work))
    await work.wait_begun()
    for _ in range(2):  # the second comes while the first is being waited for
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
    work.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended


async def test_work_that_has_not_begun_is_dropped_with_who_asked_for_it(offload: Offload) -> None:
    first, second = Held(), Held()
    running = asyncio.create_task(offload.write(first))
    await first.wait_begun()
    waiting = asyncio.create_task(offload.write(second))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    first.let_go.set()
    await running
    assert not second.begun.is_set()


async def test_a_failure_after_the_cancellation_is_nobodys(offload: Offload) -> None:
    work = Held()

    def fail() -> None:
        work()
        raise OSError

    task = asyncio.create_task(offload.io(fail))
    await work.wait_begun()
    task.cancel()
    work.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("kind", ["scan", "place", "collect"])
async def test_slow_work_leaves_the_threads_of_others_free(offload: Offload, kind: str) -> None:
    held = [Held() for _ in range(10)]
    asked = [asyncio.create_task(getattr(offload, kind)(work)) for work in held]
    await held[0].wait_begun()
    async with asyncio.timeout(DEADLINE_SECONDS):
        for other in {"write", "io", "scan", "place", "collect"} - {kind}:
            assert await getattr(offload, other)(len, "abc") == 3
    for work in held:
        work.let_go.set()
    await asyncio.gather(*asked)
