"""Server start: from the command to the first answer, with our extension and without it."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path

import psutil

from benchmarks.measure import interleave, load, milliseconds, row
from mellea_jupyter.testing.server import JupyterServer

ROUNDS = 7
OPTIONS = ["--MelleaApp.fork_server_idle_seconds=1"]
MEBIBYTE = 1 << 20


def start(home: Path, *, extension: bool) -> tuple[float, float]:
    """Start a server once; seconds until ``/api/status`` answers, and its memory in MiB then."""
    server = JupyterServer(home, options=OPTIONS if extension else [], extension=extension)
    began = time.monotonic()
    with server:
        return time.monotonic() - began, resident_mb(server.pid)


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    return float(psutil.Process(pid).memory_info().rss) / MEBIBYTE


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="mellea-bench-") as folder:
        medians = interleave(
            {
                "without": partial(start, Path(folder), extension=False),
                "with": partial(start, Path(folder), extension=True),
            },
            rounds=ROUNDS,
        )
    (without, without_mb), (with_it, with_mb) = medians["without"], medians["with"]
    row(
        "server start with the extension / without",
        with_it / without,
        at_most=1.08,
        detail=f"{milliseconds(with_it)} / {milliseconds(without)}, "
        f"{with_mb:.0f} / {without_mb:.0f} MiB, {load()}",
    )


if __name__ == "__main__":
    main()
