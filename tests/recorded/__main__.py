"""Records `run/journal/` and `log.ndjson` anew by running `program.py`."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from mellea_jupyter.stores.journals.file import FileJournalStore
from mellea_jupyter.testing.server import JupyterServer

from . import FOLDER

MACHINE: dict[str, Any] = {
    "supervisor_pid": 100, "supervisor_start": 1, "boot_id": "boot", "host": "host",
    "pgid": 100, "pid": 101, "start": 2, "python": "/usr/bin/python3",
}  # fmt: skip
"""Fields of frames that say where the run was, and what stands for them."""


def main() -> None:
    """Run the program and keep its journal."""
    with tempfile.TemporaryDirectory(prefix="mj-") as home:
        with JupyterServer(Path(home)) as server, server.http() as http:
            server.write("program.py", (FOLDER / "program.py").read_text("utf-8"))
            run = server.create(http, "program.py", model="demo/scripted", isolation="fresh")
            run = server.wait_for(http, run["id"])
        assert run["status"] == "succeeded", run
        journal = server.data_dir / "runs" / run["id"] / "journal"
        kept = FOLDER / "run" / "journal"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        shutil.copyfile(journal / "output.000", kept / "output.000")
        lines = (journal / "frames.ndjson").read_text("utf-8").splitlines()
        frames = [_without_machine(json.loads(line)) for line in lines]
        (kept / "frames.ndjson").write_text(
            "".join(json.dumps(frame, separators=(",", ":")) + "\n" for frame in frames), "utf-8"
        )
    with FileJournalStore(FOLDER).open("run", complete=True) as reader:
        (FOLDER / "log.ndjson").write_bytes(b"".join(reader.iter_ndjson()))


def _without_machine(frame: dict[str, Any]) -> dict[str, Any]:
    return {name: MACHINE.get(name, value) for name, value in frame.items()}


if __name__ == "__main__":
    main()
