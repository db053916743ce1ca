"""Live logs: lines a second to 1, 10 and 100 clients, and how late a line is.

Throughput is compared with the naive design (`naive_logs.py`), round by round. Latency is the
time from the program's write to the client's read at 1,000 lines a second; a bare pipe read by
this process, in the same rounds, shows how late the machine itself is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic

import httpx

from benchmarks.measure import interleave, load, milliseconds, quantile, row
from benchmarks.readers import MARK, PRODUCER, WRITTEN_AT, read_streams
from mellea_jupyter.testing.server import JupyterServer

ROUNDS = 3
OPTIONS = ["--MelleaApp.fork_server_idle_seconds=30"]
TICK_SECONDS = 0.020
RATE = 1000
LATENCY_LINES = 3000
SETTLING_LINES = 500

# Enough lines for about a second each; the designs differ too much for one number.
NAIVE_LINES = {1: 30_000, 10: 10_000, 100: 2_000}
OUR_LINES = {1: 200_000, 10: 100_000, 100: 40_000}
AT_LEAST = {1: 4.0, 10: None, 100: 40.0}


class Bench:
    """The two designs, each able to bring one program's lines to some clients."""

    def __init__(self, server: JupyterServer, http: httpx.Client, folder: Path) -> None:
        self._server, self._http = server, http
        self._program = server.root / server.write("producer.py", PRODUCER)
        self._go = folder / "go"
        os.mkfifo(self._go)

    def _say_go(self) -> None:
        """Open the pipe the producer waits at; returns once the producer is there."""
        self._go.write_text("go")

    def _arguments(self, lines: int, rate: float) -> list[str]:
        return [str(self._go), str(lines), str(rate)]

    def naive(self, clients: int) -> tuple[float]:
        """Seconds a line, until every client has it."""
        lines = NAIVE_LINES[clients]
        with naive_server([str(self._program), *self._arguments(lines, 0)]) as url:
            elapsed, readers = read_streams(url, {}, clients, self._say_go)
        expect({reader.lines for reader in readers}, lines)
        return (elapsed / lines,)

    def ours(self, clients: int) -> tuple[float]:
        """Seconds a line, until every client has it and knows that the run is complete."""
        lines = OUR_LINES[clients]
        elapsed, _ = self._follow(clients, lines, 0)
        return (elapsed / lines,)

    def our_latencies(self, clients: int) -> list[float]:
        """Seconds from write to read, of the sampled clients' lines."""
        _, latencies = self._follow(clients, LATENCY_LINES, RATE)
        return latencies

    def pipe_latencies(self) -> list[float]:
        """The same through a bare pipe."""
        command = [sys.executable, str(self._program), *self._arguments(LATENCY_LINES, RATE)]
        latencies, rest = [], b""
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            self._say_go()
            while block := os.read(process.stdout.fileno(), 1 << 16):
                now = monotonic()
                whole, _, rest = (rest + block).rpartition(b"\n")
                latencies += [now - float(found[1]) for found in WRITTEN_AT.finditer(whole)]
        return latencies[SETTLING_LINES:]

    def _follow(self, clients: int, lines: int, rate: float) -> tuple[float, list[float]]:
        arguments = self._arguments(lines, rate)
        run = self._server.create(self._http, self._program.name, args=arguments)
        url = f"{self._server.url}api/runs/{run['id']}/logs/stream"
        headers = {"Authorization": f"token {self._server.token}"}
        elapsed, readers = read_streams(url, headers, clients, self._say_go)
        expect({reader.lines for reader in readers}, lines)
        sampled = [reader.latencies[SETTLING_LINES:] for reader in readers if reader.latencies]
        return elapsed, [latency for latencies in sampled for latency in latencies]


@contextmanager
def naive_server(command: list[str]) -> Iterator[str]:
    """The naive design, following a Python program; gives the URL of its stream."""
    server = [sys.executable, "-m", "benchmarks.naive_logs", sys.executable, *command]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/stream"
        finally:
            process.kill()


def expect(counts: set[int], lines: int) -> None:
    """Raise unless every client got every line once: a fast stream that loses is no result."""
    if counts != {lines}:
        raise RuntimeError(f"{lines} lines were written, clients counted {sorted(counts)}")


def throughput(bench: Bench) -> None:
    """Print lines a second against the naive design."""
    for clients, at_least in AT_LEAST.items():
        medians = interleave(
            {"naive": partial(bench.naive, clients), "ours": partial(bench.ours, clients)},
            rounds=ROUNDS,
        )
        (naive,), (ours,) = medians["naive"], medians["ours"]
        row(
            f"live lines a second to {clients} client{'s' if clients > 1 else ''} / naive",
            naive / ours,
            at_least=at_least,
            detail=f"{1 / ours:,.0f} / {1 / naive:,.0f} lines/s, {load()}",
        )


def latency(bench: Bench) -> None:
    """Print the 99th percentile in ticks, beyond that of a bare pipe in the same rounds."""
    for clients in AT_LEAST:
        ours, pipe = [], []
        for _ in range(ROUNDS):
            pipe.append(quantile(bench.pipe_latencies(), 0.99))
            ours.append(quantile(bench.our_latencies(clients), 0.99))
        late, control = sorted(ours)[ROUNDS // 2], sorted(pipe)[ROUNDS // 2]
        row(
            f"p99 at {RATE:,} lines/s to {clients} client{'s' if clients > 1 else ''} / tick",
            (late - control) / TICK_SECONDS,
            at_most=2,
            detail=f"{milliseconds(late)}, bare pipe {milliseconds(control)}, {load()}",
        )


def main() -> None:
    """Measure and print."""
    assert MARK.decode() in PRODUCER
    with (
        tempfile.TemporaryDirectory(prefix="mellea-bench-") as folder,
        JupyterServer(Path(folder), options=OPTIONS) as server,
        server.http() as http,
    ):
        bench = Bench(server, http, Path(folder))
        throughput(bench)
        latency(bench)


if __name__ == "__main__":
    main()
