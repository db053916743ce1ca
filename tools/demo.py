"""`make demo`: run an example as a managed run, and check its numbers against the endpoint's own.

Everything happens in folders of its own that are gone afterwards, and so is the server that the
command starts. Exit code 0 when the run succeeded and both sides counted the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from rich.console import Console
from rich.table import Table

from mellea_jupyter.client import MelleaClient, local_server
from mellea_jupyter.models.run import Run, RunStatus

PROGRAM = "examples/trip.py"
COMMAND = ["jupyter", "mellea", "run", PROGRAM, "--model", "demo/scripted"]
ARGUMENTS = ["--city", "Lisbon"]

COUNTED_BY_BOTH = {
    "calls": ("llm_calls", "requests"),
    "failed calls": ("failed_calls", "failed"),
    "input tokens": ("input_tokens", "input_tokens"),
    "output tokens": ("output_tokens", "output_tokens"),
}
"""What is compared: the run's metric and the endpoint's count."""

CONFIG = """
c.MelleaApp.fork_server_idle_seconds = 10
"""


def main() -> int:
    """Run the example, stop what it started, and compare."""
    with own_folders() as home, stopped_server():
        print(f"$ {' '.join([*COMMAND, '--', *ARGUMENTS])}\n", flush=True)
        code = subprocess.run([*COMMAND, "--", *ARGUMENTS], check=False).returncode
        connection = local_server.find()
        if code or connection is None:
            print(f"\nThe run did not end as it should (exit code {code}).", file=sys.stderr)
            return code or 1
        with MelleaClient(connection) as client:
            (run,) = client.list_runs().runs
        return 0 if compare(run, endpoint_counts(home, run)) else 1


def compare(run: Run, counted: dict[str, int]) -> bool:
    """Print both sides; whether the run succeeded and they agree."""
    print("\nThe run's numbers, and what the demo endpoint itself counted:")
    table = Table()
    for column in ("", "run", "endpoint", ""):
        table.add_column(column, justify="right" if column else "left")
    agree = True
    for label, (metric, count) in COUNTED_BY_BOTH.items():
        ours, theirs = getattr(run.metrics, metric), counted[count]
        agree = agree and ours == theirs
        table.add_row(label, f"{ours:,}", f"{theirs:,}", "equal" if ours == theirs else "DIFFERENT")
    Console().print(table)
    return agree and run.status is RunStatus.SUCCEEDED


def endpoint_counts(home: Path, run: Run) -> dict[str, int]:
    """What the demo endpoint counted for this run, which has a key of its own."""
    spec = json.loads((home / "data" / "mellea" / "runs" / run.id / "spec.json").read_bytes())
    parts = urlsplit(spec["env"]["OPENAI_BASE_URL"])
    url = f"{parts.scheme}://{parts.netloc}/counts?api_key=demo-{run.id}"
    with urllib.request.urlopen(url, timeout=30) as reply:
        counts: dict[str, int] = json.load(reply)
    return counts


@contextmanager
def own_folders() -> Iterator[Path]:
    """Point Jupyter, in this process and those it starts, at folders that are removed again."""
    with tempfile.TemporaryDirectory(prefix="mellea-demo-") as folder:
        home = Path(folder)
        for name in ("config", "data", "runtime"):
            (home / name).mkdir()
            os.environ[f"JUPYTER_{name.upper()}_DIR"] = str(home / name)
        (home / "config" / "jupyter_server_config.py").write_text(CONFIG)
        for name in [name for name in os.environ if name.startswith(("JPY_", "MELLEA_JUPYTER_"))]:
            del os.environ[name]
        # The commands of this very environment, activated or not.
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        yield home


@contextmanager
def stopped_server() -> Iterator[None]:
    """Stop the headless server that commands inside have started."""
    try:
        yield
    finally:
        connection = local_server.find()
        if connection is not None and connection.pid is not None:
            server = psutil.Process(connection.pid)
            server.terminate()
            try:
                server.wait(20)
            except psutil.TimeoutExpired:
                server.kill()


if __name__ == "__main__":
    sys.exit(main())
