"""Live logs over a real journal: every line once, an end to each stream, no cost that grows."""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
import threading
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mellea_jupyter.exceptions import InvalidCursor, StoreError
from mellea_jupyter.models.run import RunStatus
from mellea_jupyter.stores.journals.base import EncodedBatch, Position
from mellea_jupyter.stores.journals.file import FileJournalReader, FileJournalStore
from tests.service.conftest import DEADLINE_SECONDS, Client, Scene, open_files


@pytest.mark.parametrize("later", [0, 1, 3])
async def test_a_stream_ends_that_began_when_lines_were_there_already(
    scene: Scene, later: int
) -> None:
    scene.output("one")
    async with scene.hub.subscribe("run", None) as subscription:
        client = Client(subscription)
        assert await client.read_lines(1) == ["one"]
        for number in range(later):
            scene.output(f"line {number}")
            assert (await client.read_lines(number + 2))[-1] == f"line {number}"
        scene.end()
        await client.read_to_end()
        assert len(client.lines) == later + 1
        assert subscription.ended is RunStatus.SUCCEEDED


async def test_who_comes_later_and_stands_at_the_edge_misses_no_line(scene: Scene) -> None:
    scene.unseen()
    scene.output("one", "two")
    async with scene.hub.subscribe("run", None) as first:
        assert await Client(first).read_lines(2) == ["one", "two"]
        async with scene.hub.subscribe("run", None) as second:
            scene.output("three")
            scene.end()
            assert await Client(first).read_to_end() == ["three"]
            assert await Client(second).read_to_end() == ["one", "two", "three"]


async def test_the_end_is_told_once_after_the_last_line(scene: Scene) -> None:
    async with scene.hub.subscribe("run", None) as subscription:
        scene.output("one")
        scene.end()
        batch = await subscription.next(DEADLINE_SECONDS)
        assert batch is not None
        assert batch.lines == 1
        assert subscription.ended is None
        for _ in range(2):
            assert await subscription.next(DEADLINE_SECONDS) is None
            assert subscription.ended is RunStatus.SUCCEEDED


# Every line exactly once

ACTIONS = st.one_of(
    st.tuples(st.just("output"), st.integers(1, 4)),
    st.tuples(st.just("output"), st.integers(5, 40)),
    st.tuples(st.just("unseen"), st.just(0)),
    st.tuples(st.just("join"), st.integers(0, 1000)),
    st.tuples(st.just("join_at_the_edge"), st.just(0)),
    st.tuples(st.just("read"), st.integers(0, 1000)),
    st.tuples(st.just("cancel_a_read"), st.integers(0, 1000)),
    st.tuples(st.just("leave"), st.integers(0, 1000)),
    st.tuples(st.just("let_the_hub_read"), st.just(0)),
)


class Play:
    """A log that grows while clients come and go. An action's number says how much, or who."""

    def __init__(self, scene: Scene, stack: AsyncExitStack) -> None:
        self.clients: list[tuple[str | None, Client]] = []
        self.written = 0
        self._scene, self._stack = scene, stack

    async def output(self, number: int) -> None:
        self._scene.output(*(f"line {self.written + k}" for k in range(number)))
        self.written += number

    async def unseen(self, _: int) -> None:
        self._scene.unseen()

    async def join_after(self, cursor: str | None) -> None:
        subscription = self._scene.hub.subscribe("run", cursor)
        self.clients.append((cursor, Client(await self._stack.enter_async_context(subscription))))

    async def join(self, number: int) -> None:
        cursors = [None, *(line["cursor"] for line in self._scene.history())]
        await self.join_after(cursors[number % len(cursors)])

    async def join_at_the_edge(self, _: int) -> None:
        await self.join(len(self._scene.history()))

    async def read(self, number: int) -> None:
        if self.clients:
            await self.clients[number % len(self.clients)][1].read(0.005)

    async def cancel_a_read(self, number: int) -> None:
        reading = asyncio.create_task(self.read(number))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait({reading})

    async def leave(self, number: int) -> None:
        if self.clients:
            _, client = self.clients.pop(number % len(self.clients))
            await client.subscription.__aexit__(None, None, None)

    async def let_the_hub_read(self, _: int) -> None:
        await asyncio.sleep(0.025)


@settings(max_examples=60, deadline=None)
@given(
    actions=st.lists(ACTIONS, max_size=30),
    captured=st.sampled_from([(), ("captured", "and never framed")]),
    batch_bytes=st.sampled_from([400, 4000, 1 << 20]),
    keep_bytes=st.sampled_from([0, 40_000, 4 << 20]),
)
def test_whoever_joins_wherever_and_whenever_gets_every_line_once(
    actions: list[tuple[str, int]], captured: tuple[str, ...], batch_bytes: int, keep_bytes: int
) -> None:
    async def play(scene: Scene) -> None:
        scene.unseen()
        async with AsyncExitStack() as stack:
            play = Play(scene, stack)
            for action, number in actions:
                await getattr(play, action)(number)
            scene.lose(*captured) if captured else scene.end()
            history = scene.history()
            assert len(history) == play.written + len(captured)
            cursors = [None, *(line["cursor"] for line in history)]
            for cursor in cursors[:1] + cursors[-2:]:
                await play.join_after(cursor)
            await asyncio.gather(*(client.read_to_end() for _, client in play.clients))
            for cursor, client in play.clients:
                assert client.lines == history[cursors.index(cursor) :]

    with tempfile.TemporaryDirectory() as root:
        scene = Scene(Path(root), batch_bytes=batch_bytes, keep_bytes=keep_bytes)
        asyncio.run(play(scene))
        scene.close()


async def test_lines_that_were_never_framed_end_the_stream_of_a_lost_run(scene: Scene) -> None:
    scene.output("one")
    async with scene.hub.subscribe("run", None) as subscription:
        client = Client(subscription)
        await client.read_lines(1)
        scene.lose("two", "three")
        assert await client.read_to_end() == ["one", "two", "three"]
    async with scene.hub.subscribe("run", client.lines[1]["cursor"]) as subscription:
        assert await Client(subscription).read_to_end() == ["three"]
    with pytest.raises(InvalidCursor):
        await scene.hub.subscribe("run", "99.1").__aenter__()


async def test_a_journal_that_is_refused_says_so_in_the_stream(scene: Scene) -> None:
    frames = scene.journal / "frames.ndjson"
    frames.rename(scene.journal / "elsewhere")
    frames.symlink_to("elsewhere")
    async with scene.hub.subscribe("run", None) as subscription:
        scene.end()
        (message,) = await Client(subscription).read_to_end()
        assert "can not be read" in message


# What readers cost


async def test_readers_at_the_edge_share_bytes_and_hold_no_file(scene: Scene) -> None:
    before = open_files()
    scene.output("one")
    async with AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(scene.hub.subscribe("run", None)) for _ in range(300)
        ]
        for reader in readers:
            await Client(reader).read_lines(1)
        assert open_files() <= before + 3  # of the one that reads for all
        scene.output("two")
        async with asyncio.timeout(DEADLINE_SECONDS):
            batches = [await reader.next(DEADLINE_SECONDS) for reader in readers]
        assert len({id(batch and batch.sse) for batch in batches}) == 1
    assert open_files() == before


def batches_in_memory() -> list[EncodedBatch]:
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, EncodedBatch)]


async def test_who_never_reads_costs_nothing_that_grows(tmp_path: Path) -> None:
    scene = Scene(tmp_path, batch_bytes=10_000, keep_bytes=100_000)
    async with (
        scene.hub.subscribe("run", None) as idle,
        scene.hub.subscribe("run", None) as reading,
    ):
        client = Client(reading)
        for number in range(40):
            scene.output(*(f"{number} {'x' * 1000}" for _ in range(10)))
            await client.read_lines(10 * (number + 1))
        kept = sum(len(batch.sse) + len(batch.ndjson) for batch in batches_in_memory())
        assert kept <= 100_000
        scene.end()
        assert len(await Client(idle).read_to_end()) == 400
    scene.close()


async def test_batches_without_lines_are_let_go_too(tmp_path: Path) -> None:
    scene = Scene(tmp_path, keep_bytes=40_000)
    scene.output("one")
    async with scene.hub.subscribe("run", None) as subscription:
        client = Client(subscription)
        await client.read_lines(1)
        for number in range(6):  # 16 KiB are counted for each
            scene.unseen()
            scene.output(f"line {number}")
            await client.read_lines(number + 2)
        assert len(batches_in_memory()) <= 2
    scene.close()


# Leaving


class HeldReader(FileJournalReader):
    """Reads only once it is let go."""

    def __init__(self, store: HeldStore, root: Path, *, complete: bool) -> None:
        super().__init__(root, "run", complete=complete)
        self._store = store

    def read_encoded(
        self, position: Position, *, limit_bytes: int = 1 << 20, through_seq: int | None = None
    ) -> EncodedBatch | None:
        if self._store.holds:
            self._store.begun.set()
            assert self._store.let_go.wait(DEADLINE_SECONDS)
        try:
            return super().read_encoded(position, limit_bytes=limit_bytes, through_seq=through_seq)
        finally:
            self._store.ended.release()


class HeldStore(FileJournalStore):
    """Gives readers that stay in the middle of reading."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._folder = root
        self.holds = False
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.ended = threading.Semaphore(0)

    def open(self, run_id: str, *, complete: bool = False) -> FileJournalReader:
        return HeldReader(self, self._folder, complete=complete)


@pytest.mark.parametrize("who", ["reader", "hub"])
async def test_leaving_in_the_middle_of_a_read_leaks_no_descriptor(
    tmp_path: Path, who: str
) -> None:
    store = HeldStore(tmp_path)
    scene = Scene(tmp_path, store)
    scene.output("one")
    before = open_files()

    async def follow() -> None:
        async with scene.hub.subscribe("run", None) as subscription:
            await Client(subscription).read_to_end()

    async with scene.hub.subscribe("run", None) as other:
        await Client(other).read_lines(1)
        while store.ended.acquire(blocking=False):
            pass
        store.holds = True
        if who == "hub":
            scene.output("two")  # the hub reads it, and is closed by the last who leaves
            task = None
        else:
            task = asyncio.create_task(follow())
        assert await asyncio.to_thread(store.begun.wait, DEADLINE_SECONDS)
        if task is not None:
            task.cancel()
        leaving = asyncio.create_task(other.__aexit__(None, None, None))
        await asyncio.wait({leaving}, timeout=0.05)
        store.let_go.set()
        assert await asyncio.to_thread(store.ended.acquire, timeout=DEADLINE_SECONDS)
        await leaving
        if task is not None:
            await asyncio.wait({task})
    assert open_files() == before
    scene.close()


async def test_a_log_that_vanishes_still_gives_heartbeats_and_an_end(scene: Scene) -> None:
    scene.output("one")
    async with (
        scene.hub.subscribe("run", None) as late,
        scene.hub.subscribe("run", None) as early,
    ):
        await Client(early).read_lines(1)
        shutil.rmtree(scene.journal)
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await late.next(0.05) is None
            assert late.ended is None
            scene.run_ended(RunStatus.FAILED)
            assert await Client(late).read_to_end() == []


async def test_a_closed_hub_ends_streams_with_an_error_to_resume_after(scene: Scene) -> None:
    scene.output("one")
    async with scene.hub.subscribe("run", None) as subscription:
        await Client(subscription).read_lines(1)
        waiting = asyncio.create_task(subscription.next(DEADLINE_SECONDS))
        await asyncio.sleep(0)
        await scene.hub.close()
        with pytest.raises(StoreError, match="stopping"):
            await waiting
