"""Containers: a run in one through REST against `docker run`, and log lines against `docker logs`.

Needs a container engine with the images that `.ci/docker_engine.sh` makes.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
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
PROGRAM = "import mellea\nfrom mellea.backends.openai import OpenAIBackend\nprint('done')\n"
PRINTER = f"for n in range({LINES}): print(f'line {{n}} {{n:080}}')\n"
PRELOAD = ["mellea", "mellea.backends.openai"]


def by_hand(program: str) -> tuple[float]:
    """`docker run --rm` of the program; seconds until it has returned."""
    command = [DOCKER, "run", "--rm", "--network", "none", IMAGE, "python", "-c", program]
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.monotonic() - began,)


def managed(http: httpx.Client, asset_id: str, environment_id: str, isolation: str) -> tuple[float]:
    """A run through REST; seconds from its creation to its final status.

    For a warm one the clock starts when a container waits, as it does between people's runs.
    """
    if isolation == "warm":
        await_container()
    body = {
        "asset_id": asset_id,
        "config": {"environment_id": environment_id, "isolation": isolation},
    }
    began = time.monotonic()
    run: dict[str, Any] = http.post("api/runs", json=body).raise_for_status().json()
    while run["status"] not in {"succeeded", "failed", "cancelled"}:
        time.sleep(0.002)
        run = http.get(f"api/runs/{run['id']}").json()
    took = time.monotonic() - began
    assert (run["status"], run["isolation"]) == ("succeeded", isolation), run
    return (took,)


def await_container() -> None:
    """Until a container waits for a run with everything imported."""
    asked = [DOCKER, "ps", "-q", "--filter", "label=mellea-jupyter.sidecar"]
    while not (found := subprocess.run(asked, check=True, capture_output=True).stdout.split()):
        time.sleep(0.05)
    process = [DOCKER, "top", found[0].decode(), "-o", "pid,stat,time"]
    before = b""
    while (now := subprocess.run(process, check=True, capture_output=True).stdout) != before:
        before = now
        time.sleep(1.0)  # its processor time stands still: it has imported everything


def lines_by_hand() -> tuple[float]:
    """`docker logs -f` of a container that prints; seconds a line."""
    name = f"mellea-bench-{time.monotonic_ns()}"
    start = [DOCKER, "run", "-d", "--name", name, "--network", "none", IMAGE]
    began = time.monotonic()
    subprocess.run([*start, "python", "-c", PRINTER], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([DOCKER, "logs", "-f", name], check=True, capture_output=True)
    took = time.monotonic() - began
    subprocess.run([DOCKER, "rm", "-f", name], check=True, stdout=subprocess.DEVNULL)
    assert done.stdout.count(b"\n") == LINES
    return (took / LINES,)


def lines_managed(http: httpx.Client, asset_id: str) -> tuple[float]:
    """The log stream of a run that prints, read live to its end; seconds a line."""
    body = {"asset_id": asset_id, "config": {"environment_id": "cold"}}
    began = time.monotonic()
    run = http.post("api/runs", json=body).raise_for_status().json()
    count, rest = 0, b""
    with http.stream("GET", f"api/runs/{run['id']}/logs/stream") as response:
        for chunk in response.iter_bytes():
            text = rest + chunk
            count += text.count(EVENT)
            rest = text[-(len(EVENT) - 1) :]  # one that is cut in two
    took = time.monotonic() - began
    assert count >= LINES, count
    return (took / LINES,)


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
        detail=f"{1 / line:,.0f} / {1 / hand_line:,.0f} lines/s, start included",
    )


def _register(server: JupyterServer, http: httpx.Client, name: str, source: str) -> str:
    path = server.write(name, source)
    answer = http.post("api/assets", json={"path": path}).raise_for_status()
    return str(answer.json()["id"])


if __name__ == "__main__":
    main()
