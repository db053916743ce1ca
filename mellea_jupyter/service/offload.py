"""Where blocking work goes, so that the event loop never waits for a disk.

Work is kept apart by how long it takes and who waits for it, each kind on threads of its own: a
search through a large log holds up another search, never a look at a record or a kill.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Offload:
    """Runs blocking functions on threads; one instance a service.

    A thread can not be interrupted: who is cancelled here leaves only when the function has
    returned, or without it ever being called. What it uses can therefore be closed afterwards.
    """

    def __init__(self) -> None:
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="mellea-write")
        self._io = ThreadPoolExecutor(8, thread_name_prefix="mellea-io")
        self._scan = ThreadPoolExecutor(2, thread_name_prefix="mellea-scan")
        self._place = ThreadPoolExecutor(4, thread_name_prefix="mellea-place")
        self._collect = ThreadPoolExecutor(2, thread_name_prefix="mellea-collect")
        self._fetch = ThreadPoolExecutor(4, thread_name_prefix="mellea-fetch")
        self._probe = ThreadPoolExecutor(4, thread_name_prefix="mellea-probe")

    async def write(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a store write, after those asked for before it.

        They share one thread, so that they queue here instead of contending for the database's
        lock.
        """
        return await self._run(self._writer, functools.partial(fn, *args, **kwargs))

    async def io(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that blocks for milliseconds: a store read, the next lines of a log."""
        return await self._run(self._io, functools.partial(fn, *args, **kwargs))

    async def scan(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read much for one who waits: a search in a log, a download, the source of a run."""
        return await self._run(self._scan, functools.partial(fn, *args, **kwargs))

    async def place(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Get a program to run or to stop: pin, copy, launch, find, cancel, kill."""
        return await self._run(self._place, functools.partial(fn, *args, **kwargs))

    async def collect(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Keep what a run produced, or remove it: takes as long as there are bytes."""
        return await self._run(self._collect, functools.partial(fn, *args, **kwargs))

    async def probe(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask something that may not answer for seconds: an interpreter, an engine, a store."""
        return await self._run(self._probe, functools.partial(fn, *args, **kwargs))

    async def fetch(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Move data in: an image, a dataset. Takes as long as there are bytes."""
        return await self._run(self._fetch, functools.partial(fn, *args, **kwargs))

    @staticmethod
    async def _run(pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        work = pool.submit(call)
        future = asyncio.wrap_future(work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not work.cancel():  # it has begun
                while not future.done():
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.wait({future})
            raise

    def close(self) -> None:
        """Wait for the work in hand and stop the threads."""
        background = (self._probe, self._fetch, self._collect, self._place)
        for pool in (*background, self._scan, self._io, self._writer):
            pool.shutdown(wait=True, cancel_futures=True)
