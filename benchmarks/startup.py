"""Server start: from the command to the first answer, with our extension and without it.

Started as users' servers are, without `rfc3987`, which is installed for the tests alone: jsonschema
then builds a grammar, which takes half of the time of both.
"""

from __future__ import annotations

import os
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
REPOSITORY = Path(__file__).parents[1]


def start(home: Path, hiding: Path, *, extension: bool) -> tuple[float, float]:
    """Start a server once; seconds until ``/api/status`` answers, and its memory in MiB then."""
    server = JupyterServer(
        home,
        options=OPTIONS if extension else [],
        environment={"PYTHONPATH": f"{hiding}{os.pathsep}{REPOSITORY}"},
        extension=extension,
    )
    began = time.monotonic()
    with server:
        return time.monotonic() - began, resident_mb(server.pid)


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    return float(psutil.Process(pid).memory_info().rss) / MEBIBYTE


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="mellea-bench-") as folder:
        home, hiding = Path(folder, "home"), Path(folder, "hiding")
        hiding.mkdir()
        (hiding / "rfc3987.py").write_text("raise ImportError\n")
        medians = interleave(
            {
                "without": partial(start, home, hiding, extension=False),
                "with": partial(start, home, hiding, extension=True),
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
