"""Where blocking work goes, so that the event loop never waits for a disk.

Writes to the store share one thread, so that they queue in Python instead of contending for the
database's lock; reads and file work share a small pool.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Offload:
    """Runs blocking functions on threads; one instance a service."""

    def __init__(self, *, io_threads: int = 8) -> None:
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="mellea-store")
        self._io = ThreadPoolExecutor(io_threads, thread_name_prefix="mellea-io")
        self._slow = ThreadPoolExecutor(2, thread_name_prefix="mellea-slow")

    async def write(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a store write, after those asked for before it."""
        return await self._run(self._writer, functools.partial(fn, *args, **kwargs))

    async def io(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that blocks for milliseconds."""
        return await self._run(self._io, functools.partial(fn, *args, **kwargs))

    async def slow(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that may block for seconds: probes, collecting artifacts, killing trees."""
        return await self._run(self._slow, functools.partial(fn, *args, **kwargs))

    @staticmethod
    async def _run(pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, call)

    def close(self) -> None:
        """Wait for the work in hand and stop the threads."""
        for pool in (self._slow, self._io, self._writer):
            pool.shutdown(wait=True, cancel_futures=True)
