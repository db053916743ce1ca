"""Many SSE clients in one thread, as light as Python allows.

They do not decode: lines are counted by a mark that the producer writes into each, and sampled
clients pick out the moment at which the line was written. Both designs are read the same way.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from urllib.parse import urlsplit

MARK = b"~line~"
ACCEPTED = b"HTTP/1.1 200"
COMPLETE = b"event: complete"
WRITTEN_AT = re.compile(rb"at=(\d{9}\.\d{6})")
OVERLAP = 32
"""Bytes kept from one read to the next, more than any pattern above is long."""
SAMPLE_EVERY = 10
STALL_SECONDS = 60.0

PRODUCER = '''
"""Waits for a word, then prints lines of about 100 bytes, as fast as it can or at a rate."""
import sys, time
go, lines, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
open(go).read()
text = "~line~" + "x" * 70
if not rate:
    for number in range(lines):
        print(f"{number:08d} {text}")
else:
    began = time.monotonic()
    for number in range(lines):
        wait = began + number / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        print(f"at={time.monotonic():016.6f} {text}", flush=True)
'''


class Reader:
    """One client.

    `lines` counts what arrived; `latencies` holds seconds from write to arrival, in order, if the
    client is sampled; `done_at` is the moment of the last event, by `time.monotonic`.
    """

    def __init__(self, address: tuple[str, int], head: bytes, *, sampled: bool) -> None:
        self.lines = 0
        self.latencies: list[float] = []
        self.done_at: float | None = None
        self.socket = socket.create_connection(address, timeout=60)
        self._sampled = sampled
        self._buffer = bytearray(OVERLAP + (1 << 18))
        self._kept = 0
        self.socket.sendall(head)

    def wait_until_accepted(self) -> None:
        """Block until a good answer begins; from then on read without blocking."""
        begin = self.socket.recv(len(ACCEPTED), socket.MSG_PEEK | socket.MSG_WAITALL)
        if begin != ACCEPTED:
            raise RuntimeError(self.socket.recv(1000).decode(errors="replace"))
        self.socket.settimeout(0)

    def receive(self) -> bool:
        """Take what has come; False when that was the end."""
        buffer, kept = self._buffer, self._kept
        size = self.socket.recv_into(memoryview(buffer)[kept:])
        now, end = time.monotonic(), kept + size
        # What lies wholly in the kept bytes was counted before.
        self.lines += buffer.count(MARK, 0, end) - buffer.count(MARK, 0, kept)
        if self._sampled:
            found = WRITTEN_AT.finditer(buffer, 0, end)
            self.latencies += [now - float(match[1]) for match in found if match.end() > kept]
        if buffer.find(COMPLETE, 0, end) >= 0:
            self.done_at = now
            return False
        self._kept = min(end, OVERLAP)
        buffer[: self._kept] = buffer[end - self._kept : end]
        return size > 0


def read_streams(
    url: str, headers: Mapping[str, str], clients: int, go: Callable[[], object]
) -> tuple[float, list[Reader]]:
    """Open so many streams, let the producer go, and read them all to their end.

    Returns:
        Seconds from the word to go until the last client had everything, and the clients.

    Raises:
        RuntimeError: a stream was refused or broke off.
    """
    parts = urlsplit(url)
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Accept: text/event-stream"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    address = (str(parts.hostname), int(parts.port or 80))
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        readers = [
            Reader(address, head, sampled=number % SAMPLE_EVERY == 0) for number in range(clients)
        ]
        for reader in readers:
            stack.callback(reader.socket.close)
            reader.wait_until_accepted()
            selector.register(reader.socket, selectors.EVENT_READ, reader)
        began = time.monotonic()
        go()
        while selector.get_map():
            ready = selector.select(timeout=STALL_SECONDS)
            if not ready:
                raise RuntimeError("the streams stand still")
            for key, _ in ready:
                if not key.data.receive():
                    selector.unregister(key.fileobj)
    ends = [reader.done_at for reader in readers if reader.done_at is not None]
    if len(ends) < clients:
        raise RuntimeError(f"{clients - len(ends)} of {clients} streams broke off")
    return max(ends) - began, readers
