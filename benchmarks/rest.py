"""What a managed run costs: a trivial mellea program through REST against ``python prog.py``.

Measured from just before the POST until the log stream says that the run is complete (`finished`)
and until it brings the first log line (`first line`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx

from benchmarks.measure import interleave, load, milliseconds, row
from mellea_jupyter.testing.server import JupyterServer

PROGRAM = 'import mellea\n\nprint("hello from", mellea.__name__)\n'
ROUNDS = 11
WARM_SECONDS = 60.0
OPTIONS = ["--MelleaApp.fork_server_idle_seconds=30"]


def run_plain(path: Path) -> tuple[float, float]:
    """Run ``python prog.py``; seconds until its first line and until it has ended."""
    began = time.monotonic()
    with subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = time.monotonic() - began
        process.stdout.read()
        process.wait()
    return first, time.monotonic() - began


def run_managed(http: httpx.Client, asset_id: str, isolation: str) -> tuple[float, float]:
    """Create a run and follow it; seconds until its first log line and until it is complete.

    Raises:
        RuntimeError: the run did not succeed.
        NotWarmError: it was not isolated as asked for.
    """
    began, first = time.monotonic(), 0.0
    body = {"asset_id": asset_id, "config": {"isolation": isolation}}
    run_id = http.post("api/runs", json=body).raise_for_status().json()["id"]
    with http.stream("GET", f"api/runs/{run_id}/logs/stream") as reply:
        event = ""
        for line in reply.iter_lines():
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
            elif line.startswith("data:") and event == "log" and not first:
                first = time.monotonic() - began
            elif line.startswith("data:") and event == "complete":
                finished = time.monotonic() - began
                status = json.loads(line.removeprefix("data:"))["status"]
                break
        else:
            raise RuntimeError(f"the log of run {run_id} ended without a word")
    run = http.get(f"api/runs/{run_id}").json()
    if status != "succeeded":
        raise RuntimeError(f"a run ended as {run}")
    if run["isolation"] != isolation:
        raise NotWarmError(run["isolation_reason"])
    return first, finished


class NotWarmError(RuntimeError):
    """A run was not isolated as asked for; the text says why."""


def wait_until_warm(measure: Callable[[], object]) -> None:
    """Run until the prepared interpreter is there: a server makes it in the background.

    Raises:
        NotWarmError: it is not there after a minute.
    """
    deadline = time.monotonic() + WARM_SECONDS
    while True:
        try:
            measure()
        except NotWarmError:
            if time.monotonic() > deadline:
                raise
        else:
            return


def main() -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory(prefix="mellea-bench-") as folder,
        JupyterServer(Path(folder), options=OPTIONS) as server,
        server.http() as http,
    ):
        body = {"path": server.write("prog.py", PROGRAM)}
        asset_id = http.post("api/assets", json=body).raise_for_status().json()["id"]
        managed = partial(run_managed, http, asset_id)
        wait_until_warm(partial(managed, "warm"))
        medians = interleave(
            {
                "plain": partial(run_plain, server.root / "prog.py"),
                "warm": partial(managed, "warm"),
                "fresh": partial(managed, "fresh"),
            },
            rounds=ROUNDS,
            warm_up=2,
        )
    (plain_first, plain), (warm_first, warm), (_, fresh) = (
        medians[name] for name in ("plain", "warm", "fresh")
    )
    against = f"/ {milliseconds(plain)}, {load()}"
    row(
        "create → finished / python prog.py",
        warm / plain,
        at_most=0.15,
        detail=f"{milliseconds(warm)} {against}",
    )
    row(
        "create → first log line / its first line",
        warm_first / plain_first,
        at_most=0.1,
        detail=f"{milliseconds(warm_first)} / {milliseconds(plain_first)}",
    )
    row(
        "create → finished, isolation fresh / python prog.py",
        fresh / plain,
        at_most=1.15,
        detail=f"{milliseconds(fresh)} {against}",
    )


if __name__ == "__main__":
    main()
