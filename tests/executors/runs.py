"""Looking at runs from outside: their journal, their processes, and waiting for both."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from mellea_jupyter.executors.base import Executor, LaunchSpec, RunHandle
from mellea_jupyter.executors.identity import ProcessIdentity, iter_processes

DEADLINE_SECONDS = 60.0


def wait_until(claim: Callable[[], Any], what: str = "") -> Any:
    """The first true value of `claim`, looked at until a generous deadline."""
    give_up = time.monotonic() + DEADLINE_SECONDS
    while not (value := claim()):
        assert time.monotonic() < give_up, f"not within {DEADLINE_SECONDS} s: {what or claim}"
        time.sleep(0.01)
    return value


def frames(run_dir: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The journal's whole frames so far."""
    try:
        lines = (run_dir / "journal" / "frames.ndjson").read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    parsed = [json.loads(line) for line in lines]
    return [frame for frame in parsed if kind in (None, frame["kind"])]


def output(run_dir: Path) -> str:
    """Everything the program has written so far."""
    return b"".join(p.read_bytes() for p in sorted(run_dir.glob("journal/output.*"))).decode()


def end_frame(run_dir: Path) -> dict[str, Any]:
    """The journal's last word, once it is there."""
    [end] = wait_until(lambda: frames(run_dir, "end"), "the end frame")
    assert isinstance(end, dict)
    return end


def program_identity(run_dir: Path) -> ProcessIdentity:
    [started] = wait_until(lambda: frames(run_dir, "started"), "a supervisor")
    [program] = wait_until(lambda: frames(run_dir, "program"), "a program")
    return ProcessIdentity(program["pid"], program["start"], started["boot_id"])


def supervisor_identity(handle: RunHandle) -> ProcessIdentity:
    pid, start = handle.data["supervisor_pid"], handle.data["supervisor_start"]
    assert isinstance(pid, int)
    assert isinstance(start, int)
    return ProcessIdentity(pid, start, handle.boot_id)


class NewRun(Protocol):
    """Prepares a run folder with a program; keywords replace fields of `spec.json`."""

    def __call__(self, program: str, **fields: Any) -> LaunchSpec: ...


class NewExecutor(Protocol):
    """Another executor of the kind under test, sharing nothing in memory with the others."""

    def __call__(self) -> Executor: ...


def processes_of(path: str) -> list[int]:
    """Living processes that name the folder in their command line or environment."""
    found = []
    for process in iter_processes():
        if process.pid == os.getpid() or not process.is_alive:
            continue
        for name in ("cmdline", "environ"):
            try:
                if path.encode() in Path(f"/proc/{process.pid}/{name}").read_bytes():
                    found.append(process.pid)
            except OSError:
                continue
    return found
