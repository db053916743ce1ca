"""Live logs over a real journal: every line once, and an end to every stream."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from mellea_jupyter import clock
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.run import Run, RunStatus
from mellea_jupyter.service.log_hub import LogHub, LogSubscription
from mellea_jupyter.service.offload import Offload
from mellea_jupyter.stores.journals.file import FileJournalStore
from tests.stores.journals.writing import JournalWriter

DEADLINE_SECONDS = 20.0


class Scene:
    """A run that is under way, its journal and the hub."""

    def __init__(self, root: Path) -> None:
        self.writer = JournalWriter(root)
        self.run = make_run(RunStatus.RUNNING)
        self.offload = Offload()
        self.hub = LogHub(
            journals=FileJournalStore(root), offload=self.offload, get_run=self._get_run
        )

    async def _get_run(self, run_id: str) -> Run:
        return self.run

    def end(self) -> None:
        """The program has ended, and so has the run."""
        self.writer.end()
        self.run = make_run(RunStatus.SUCCEEDED)
        self.hub.run_changed(self.run)

    async def close(self) -> None:
        await self.hub.close()
        self.offload.close()


def make_run(status: RunStatus) -> Run:
    return Run(
        id="run",
        asset_id="a",
        asset_version="1",
        owner_id="ann",
        config=RunConfig(),
        status=status,
        created_at=clock.now(),
    )


async def read(subscription: LogSubscription, lines: int) -> list[str]:
    """Messages until there are so many, or until the log has ended."""
    messages: list[str] = []
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(messages) < lines and subscription.ended is None:
            batch = await subscription.next(0.5)
            if batch is not None:
                frames = [orjson.loads(line) for line in batch.ndjson.splitlines()]
                messages += [frame["message"] for frame in frames]
    return messages


@pytest.mark.parametrize("later", [0, 1, 3])
async def test_a_stream_ends_that_began_when_lines_were_there_already(
    tmp_path: Path, later: int
) -> None:
    scene = Scene(tmp_path)
    scene.writer.output(b"one\n")
    async with scene.hub.subscribe("run", None) as subscription:
        assert await read(subscription, 1) == ["one"]
        for number in range(later):
            scene.writer.output(b"line %d\n" % number)
            assert await read(subscription, 1) == [f"line {number}"]
        scene.end()
        assert await read(subscription, 1) == []
        assert subscription.ended is RunStatus.SUCCEEDED
    await scene.close()


async def test_who_comes_later_and_stands_at_the_edge_misses_no_line(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.writer.frame("usage")
    scene.writer.output(b"one\ntwo\n")
    async with scene.hub.subscribe("run", None) as first:
        assert await read(first, 2) == ["one", "two"]
        async with scene.hub.subscribe("run", None) as second:
            scene.writer.output(b"three\n")
            scene.end()
            assert await read(first, 9) == ["three"]
            assert await read(second, 9) == ["one", "two", "three"]
    await scene.close()
