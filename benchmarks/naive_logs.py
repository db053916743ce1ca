"""The design that ours is measured against: every line encoded, written and flushed per client.

``python -m benchmarks.naive_logs COMMAND …`` prints its port, starts the command and serves its
lines as SSE at ``/stream``. It is what one writes first, on the same web server as ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from tornado import web
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets

LINES_BETWEEN_TURNS = 64

Record = dict[str, object]
Queues = set["asyncio.Queue[Record | None]"]


class StreamHandler(web.RequestHandler):
    """One client: a queue of lines, each encoded and flushed on its own."""

    def initialize(self, queues: Queues) -> None:
        """Take the set in which the reader finds this client's queue."""
        self.queues = queues

    async def get(self) -> None:
        """Stream until the command has ended or the client is gone."""
        self.set_header("Content-Type", "text/event-stream")
        queue: asyncio.Queue[Record | None] = asyncio.Queue()
        self.queues.add(queue)
        try:
            await self.flush()
            while (record := await queue.get()) is not None:
                self.write(f"event: log\ndata: {json.dumps(record)}\n\n")
                await self.flush()
            self.write('event: complete\ndata: {"status": "succeeded"}\n\n')
            await self.flush()
        except StreamClosedError:
            pass
        finally:
            self.queues.discard(queue)


async def follow(command: list[str], queues: Queues) -> None:
    """Run the command and hand each line to every client."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, limit=1 << 20)
    assert process.stdout is not None
    count = 0
    async for line in process.stdout:
        record: Record = {
            "timestamp": time.time(),
            "stream": "stdout",
            "level": "info",
            "message": line.decode().rstrip("\n"),
            "line": count,
        }
        for queue in queues:
            queue.put_nowait(record)
        count += 1
        if count % LINES_BETWEEN_TURNS == 0:
            await asyncio.sleep(0)
    await process.wait()
    for queue in queues:
        queue.put_nowait(None)


async def main() -> None:
    """Serve until killed."""
    queues: Queues = set()
    sockets = bind_sockets(0, "127.0.0.1", backlog=1024)
    server = HTTPServer(web.Application([("/stream", StreamHandler, {"queues": queues})]))
    server.add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await follow(sys.argv[1:], queues)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
