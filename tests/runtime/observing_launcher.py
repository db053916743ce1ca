"""Runs programs under observation, each in a fork of one process that has imported mellea.

Reads lines ``{"program", "frames", "output", "env", "options"}`` (JSON) and writes each one's
exit status. ``options`` are those of ``llm_events.install``. Frames are written as they are
emitted, one JSON object a line.
"""

import importlib
import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

from mellea_jupyter.runtime import llm_events

IMPORTED = ("mellea", "mellea.backends.openai", "mellea.backends.ollama")


class FrameFile:
    """A channel that writes frames to a file, whole and unbuffered."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def emit(self, kind: str, **fields: Any) -> None:
        line = json.dumps({"v": 1, "kind": kind, **fields}).encode() + b"\n"
        assert len(line) <= 65536
        os.write(self._descriptor, line)


def run(task: dict[str, Any]) -> int:
    """Run one program as ``__main__`` and return its exit status."""
    output = os.open(task["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(task["env"])
    sys.path.insert(0, str(Path(task["program"]).parent))
    llm_events.install(FrameFile(task["frames"]), **task["options"])
    try:
        runpy.run_path(task["program"], run_name="__main__")
    except BaseException:  # noqa: BLE001  the program may raise anything
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    for name in IMPORTED:  # once, not in each fork
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = run(json.loads(line))
            sys.stdout.flush()
            os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
