"""What observing a program adds to each of its LLM calls: ``python -m benchmarks.instrumentation``.

An in-process backend that answers at once makes every microsecond visible. Calls with and without
observation run in turn in one process; what is added is the difference of the medians, encoding
and sending both frames of a call to another process included. Longer and longer chats show
whether the cost grows with the context; more of it than the cap of the content is never read.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any

from mellea.backends.dummy import DummyBackend
from mellea.core.base import CBlock, Context, GenerateLog, ModelOutputThunk
from mellea.stdlib.components.chat import Message
from mellea.stdlib.context import ChatContext

from benchmarks.measure import interleave, load
from mellea_jupyter.runtime import llm_events
from mellea_jupyter.runtime.control import Channel, open_channel
from mellea_jupyter.runtime.supervisor import BATCH_SECONDS

TARGET_US = 50
TARGET_WITH_CONTENT_US = 100
CALLS = 200
ROUNDS = 25
REPLY = "A reply of a few words, as a model would give to a short question. " * 5
PAGE = "Eine längere Antwort, die nicht nur aus ASCII besteht. " * 150  # some 8 KiB
CONTEXTS = (
    ("empty", 0, REPLY),
    ("10-turn chat", 10, REPLY),
    ("100-turn chat", 100, REPLY),
    ("1,000-turn chat", 1000, REPLY),
    ("100 long turns", 100, PAGE),
)


class InstantBackend(DummyBackend):
    """Answers at once, and logs its prompt and usage as a real backend does."""

    def __init__(self, turns: int, said: str) -> None:
        super().__init__(None)
        self._prompt = [
            {"role": ("user", "assistant")[n % 2], "content": f"turn {n}: " + said}
            for n in range(turns)
        ]

    async def _generate_from_context(self, action: Any, ctx: Context, **_: Any) -> Any:
        thunk: ModelOutputThunk[str] = ModelOutputThunk(REPLY)
        thunk.generation.usage = {"prompt_tokens": 900, "completion_tokens": 70}
        prompt = [*self._prompt, {"role": "user", "content": "?"}]
        thunk._generate_log = GenerateLog(prompt=prompt)  # noqa: SLF001  as mellea's backends do
        return thunk, ctx


def drain(channel_end: socket.socket) -> None:
    """Read until the other end is closed: all there is, then a pause, as the supervisor does."""
    is_open = True
    while is_open:
        try:
            is_open = bool(channel_end.recv(1 << 16))
        except BlockingIOError:
            time.sleep(BATCH_SECONDS)


@contextmanager
def open_drained_channel() -> Iterator[Channel]:
    """The runtime's own channel, read by another process at the supervisor's pace."""
    ours, descriptor = open_channel()
    reader = os.fork()
    if reader == 0:
        os.close(descriptor)
        drain(ours)
        os._exit(0)
    ours.close()
    channel = Channel(descriptor)
    try:
        yield channel
    finally:
        channel.close()
        os.waitpid(reader, 0)


def time_calls(turns: int, said: str) -> Sequence[float]:
    """Make `CALLS` calls with a context of so many turns; the times of each, in seconds."""
    backend = InstantBackend(turns, said)
    context: Context = ChatContext()
    for number in range(turns):
        context = context.add(Message(("user", "assistant")[number % 2], f"turn {number}"))

    async def call_repeatedly() -> list[float]:
        times, action = [], CBlock("?")
        for _ in range(CALLS):
            began = time.perf_counter()
            await backend.generate_from_context(action, context)
            times.append(time.perf_counter() - began)
        return times

    return asyncio.run(call_repeatedly())


def time_observed_calls(
    channel: Channel, turns: int, said: str, *, content: bool
) -> Sequence[float]:
    """`time_calls` under observation, with or without prompts and replies."""
    llm_events.install(channel, capture_content=content)
    try:
        return time_calls(turns, said)
    finally:
        llm_events.uninstall()


def main() -> None:
    """Print a row a context: the call alone, observed, and what is added to it."""
    print(f"  {load()}; medians of {CALLS * ROUNDS} calls; targets: at most {TARGET_US} µs added,")
    print(f"  {TARGET_WITH_CONTENT_US} µs where prompts and replies are kept")
    print(f"  {'context':<17}{'content':<9}{'alone':>10}{'observed':>12}{'added':>10}")
    with open_drained_channel() as channel:
        for name, turns, said in CONTEXTS:
            cases: dict[str, Callable[[], Sequence[float]]] = {
                "alone": partial(time_calls, turns, said),
                "off": partial(time_observed_calls, channel, turns, said, content=False),
                "kept": partial(time_observed_calls, channel, turns, said, content=True),
            }
            medians = {
                case: median(times) * 1e6
                for case, times in interleave(cases, rounds=ROUNDS, warm_up=3).items()
            }
            for case, target in (("off", TARGET_US), ("kept", TARGET_WITH_CONTENT_US)):
                added = medians[case] - medians["alone"]
                print(
                    f"  {name:<17}{case:<9}{medians['alone']:>7.1f} µs{medians[case]:>9.1f} µs"
                    f"{added:>7.1f} µs  {'ok' if added <= target else 'MISSED'}"
                )


if __name__ == "__main__":
    main()
