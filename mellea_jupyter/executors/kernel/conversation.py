"""What a run's kernel is asked to execute, and what it says to that."""

from __future__ import annotations

import ast
import asyncio
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from mellea_jupyter.executors.kernel.process import RunKernel
from mellea_jupyter.runtime.frames import FrameWriter

SILENT_SECONDS: Final = 10.0
"""How long a kernel that has answered may say nothing before its word that it is done is lost."""

Message = Mapping[str, Any]


class KernelDied(Exception):
    """The kernel has ended while it was needed."""


@dataclass(slots=True)
class Request:
    """Code on its way: the kernel's answer, and its word that all that it showed was sent.

    Attributes:
        message_id: the request's, which what the kernel says names.
        number: of the cell, counted from 1; None for the run's own code.
    """

    message_id: str
    number: int | None
    reply: asyncio.Future[dict[str, Any]]
    idle: asyncio.Future[None]


class Conversation:
    """The requests of one run to its kernel.

    Args:
        kernel: who is asked, once it is started.
        writer: the journal, where lost output is a gap.
        died: has a result once the kernel has ended.
    """

    def __init__(self, kernel: RunKernel, writer: FrameWriter, died: asyncio.Future[None]) -> None:
        self._kernel = kernel
        self._writer = writer
        self._died = died
        self._requests: dict[str, Request] = {}
        self._heard = 0

    def ask(
        self,
        code: str,
        *,
        number: int | None = None,
        keeps_history: bool = False,
        expressions: Mapping[str, str] | None = None,
    ) -> Request:
        """Have the kernel execute code, and tell what the expressions are afterwards."""
        message_id = self._kernel.client.execute(
            code,
            silent=not keeps_history,
            store_history=keeps_history,
            user_expressions=dict(expressions or {}),
            allow_stdin=False,
            stop_on_error=False,
        )
        return self.expect(message_id, number)

    def expect(self, message_id: str, number: int | None) -> Request:
        """A request that was sent, maybe by an earlier supervisor."""
        loop = asyncio.get_running_loop()
        request = Request(message_id, number, loop.create_future(), loop.create_future())
        self._requests[message_id] = request
        return request

    async def answer(self, request: Request) -> dict[str, Any]:
        """The kernel's answer, once all that the code showed is here.

        Its word that this is so may have been lost with what was sent before it.

        Raises:
            KernelDied
        """
        for word, patience in ((request.reply, None), (request.idle, SILENT_SECONDS)):
            while not word.done():
                heard = self._heard
                done, _ = await asyncio.wait(
                    {word, self._died}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                if word in done:
                    break
                if done:
                    raise KernelDied
                if self._heard == heard:
                    self._writer.write("gap", bytes=0, gap_lines=0, reason="unheard")
                    break
        return request.reply.result()

    async def hear_answers(self) -> None:
        """Take the kernel's answers, for as long as there are any."""
        while True:
            message = await _next(self._kernel.client.get_shell_msg)
            request = self.request_of(message)
            if request is not None and not request.reply.done():
                request.reply.set_result(message["content"])

    async def output(self) -> AsyncIterator[Message]:
        """What else the kernel says."""
        while True:
            message = await _next(self._kernel.client.get_iopub_msg)
            self._heard += 1
            yield message

    def request_of(self, message: Message) -> Request | None:
        """The request that a message belongs to; None where it is not ours."""
        parent = message.get("parent_header") or {}
        return self._requests.get(str(parent.get("msg_id", "")))


def numbers(reply: Mapping[str, Any]) -> dict[str, int]:
    """The numbers that expressions of a request had."""
    found = {}
    for name, result in (reply.get("user_expressions") or {}).items():
        with suppress(KeyError, ValueError, SyntaxError):
            found[name] = int(ast.literal_eval(result["data"]["text/plain"]))
    return found


async def _next(get: Callable[..., Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """The next message of a channel; one whose signature is wrong is nobody's."""
    while True:
        with suppress(queue.Empty, ValueError):
            return await get(timeout=None)
