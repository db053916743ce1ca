"""Server start: from the command to the first answer, with our extension and without it."""

from __future__ import annotations

import secrets
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.measure import interleave, load, milliseconds, row
from benchmarks.server import free_port, launch, stop, wait_until_ready

ROUNDS = 9
MEBIBYTE = 1 << 20


def start(home: Path, *, enabled: bool) -> tuple[float, float]:
    """Start a server once; seconds until ``/api/status`` answers, and its memory in MiB then."""
    port, token = free_port(), secrets.token_hex(16)
    began = time.monotonic()
    process = launch(home, port, token, enabled=enabled)
    try:
        elapsed = wait_until_ready(process, port, token) - began
        return elapsed, resident_mb(process.pid)
    finally:
        stop(process)


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    import psutil

    return float(psutil.Process(pid).memory_info().rss) / MEBIBYTE


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="mellea-bench-") as folder:
        medians = interleave(
            {
                "without": partial(start, Path(folder), enabled=False),
                "with": partial(start, Path(folder), enabled=True),
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
