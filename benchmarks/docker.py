"""Containers: a run in one through REST against `docker run`, and log lines against `docker logs`.

Needs a container engine with the images that `.ci/docker_engine.sh` makes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks.measure import interleave, load, milliseconds, row
from mellea_jupyter.testing.server import JupyterServer

DOCKER = shutil.which("docker") or "docker"
IMAGE = "mellea-jupyter-test/mellea:1"
ROUNDS = 7
EVENT = b"event: log"
LINES = 200_000
CHUNK_BYTES = 1 << 16
PROGRAM = "import mellea\nfrom mellea.backends.openai import OpenAIBackend\nprint('done')\n"
PRINTER = f"for n in range({LINES}): print(f'line {{n}} {{n:080}}')\n"
PRELOAD = ["mellea", "mellea.backends.openai"]


def by_hand(program: str) -> tuple[float]:
    """`docker run --rm` of the program; seconds until it has returned."""
    await_container()
    command = [DOCKER, "run", "--rm", "--network", "none", IMAGE, "python", "-c", program]
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - began,)


def managed(http: httpx.Client, asset_id: str, environment_id: str, isolation: str) -> tuple[float]:
    """A run through REST; seconds from its creation to its final status."""
    await_container()
    body = {
        "asset_id": asset_id,
        "config": {"environment_id": environment_id, "isolation": isolation},
    }
    began = time.monotonic()
    run: dict[str, Any] = http.post("api/runs", json=body).raise_for_status().json()
    with http.stream("GET", f"api/runs/{run['id']}/logs/stream") as response:
        response.read()  # ends with the run; asking again and again would slow it down
    took = time.monotonic() - began
    run = http.get(f"api/runs/{run['id']}").json()
    assert (run["status"], run["isolation"]) == ("succeeded", isolation), run
    return (took,)


def await_container() -> None:
    """Until a container waits for a run with everything imported, as between people's runs."""
    asked = [DOCKER, "ps", "-q", "--filter", "label=mellea-jupyter.sidecar"]
    while not (found := subprocess.run(asked, check=True, capture_output=True).stdout.split()):
        time.sleep(0.05)
    process = [DOCKER, "top", found[0].decode(), "-o", "pid,stat,time"]
    before = b""
    while (now := subprocess.run(process, check=True, capture_output=True).stdout) != before:
        before = now
        time.sleep(1.0)  # its processor time stands still: it has imported everything


def time_lines(chunks: Iterable[bytes], mark: bytes) -> tuple[float, int]:
    """Seconds a line, from the first that arrives to the last, and lines; each has one mark."""
    count, rest, began, ended = 0, b"", 0.0, 0.0
    for chunk in chunks:
        text = rest + chunk
        found = text.count(mark)
        if found:
            ended = time.monotonic()
            began = began or ended
            count += found
        rest = text[len(text) - len(mark) + 1 :] if len(mark) > 1 else b""  # one cut in two
    return (ended - began) / count, count


def lines_by_hand() -> tuple[float]:
    """`docker logs -f` of a container that prints, read as it comes; seconds a line.

    It now and then ends before the lines do, so only those that came are counted.
    """
    name = f"mellea-bench-{time.monotonic_ns()}"
    start = [DOCKER, "run", "-d", "--name", name, "--network", "none", IMAGE]
    subprocess.run([*start, "python", "-c", PRINTER], check=True, stdout=subprocess.DEVNULL)
    command = [DOCKER, "logs", "-f", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        took, _ = time_lines(iter(partial(os.read, logs.stdout.fileno(), CHUNK_BYTES), b""), b"\n")
    subprocess.run([DOCKER, "rm", "-f", name], check=True, stdout=subprocess.DEVNULL)
    return (took,)


def lines_managed(http: httpx.Client, asset_id: str) -> tuple[float]:
    """The log stream of a run that prints, read live to its end; seconds a line."""
    body = {"asset_id": asset_id, "config": {"environment_id": "cold"}}
    run = http.post("api/runs", json=body).raise_for_status().json()
    with http.stream("GET", f"api/runs/{run['id']}/logs/stream") as response:
        took, count = time_lines(response.iter_bytes(), EVENT)
    assert count >= LINES, count
    return (took,)


def main() -> None:
    """Measure and print."""
    cold = {"id": "cold", "executor": "docker", "image": IMAGE, "network": "none"}
    warm = {**cold, "id": "warm", "prewarm": 1, "preload": PRELOAD}
    with (
        tempfile.TemporaryDirectory(prefix="mellea-bench-") as folder,
        JupyterServer(
            Path(folder),
            options=[f"--MelleaApp.environments={each!r}" for each in (cold, warm)],
        ) as server,
        server.http() as http,
    ):
        asset = _register(server, http, "program.py", PROGRAM)
        printer = _register(server, http, "printer.py", PRINTER)
        medians = interleave(
            {
                "by hand": partial(by_hand, PROGRAM),
                "cold": partial(managed, http, asset, "cold", "fresh"),
                "warm": partial(managed, http, asset, "warm", "warm"),
            },
            rounds=ROUNDS,
        )
        lines = interleave(
            {
                "by hand": lines_by_hand,
                "managed": partial(lines_managed, http, printer),
            },
            rounds=3,
        )
    [hand], [alone], [ahead] = medians["by hand"], medians["cold"], medians["warm"]
    row(
        "run in a container made ahead / docker run --rm",
        ahead / hand,
        at_most=0.15,
        detail=f"{milliseconds(ahead)} / {milliseconds(hand)}, {load()}",
    )
    row(
        "run in a container of its own / docker run --rm",
        alone / hand,
        at_most=1.2,
        detail=f"{milliseconds(alone)} / {milliseconds(hand)}",
    )
    [hand_line], [line] = lines["by hand"], lines["managed"]
    row(
        "log lines a second from a container / docker logs -f",
        hand_line / line,
        at_least=3,
        detail=f"{1 / line:,.0f} / {1 / hand_line:,.0f} lines/s, from the first to the last",
    )


def _register(server: JupyterServer, http: httpx.Client, name: str, source: str) -> str:
    path = server.write(name, source)
    answer = http.post("api/assets", json={"path": path}).raise_for_status()
    return str(answer.json()["id"])


if __name__ == "__main__":
    main()
