"""The supervisor of a run whose program is a kernel: takes the journal and executes the run.

A process of its own beside the server, as the process executor's supervisor is, and for the same
reason: it listens while the server is restarted, so nothing is lost, and it keeps timeout, memory
limit and a requested stop without help. It has the journal's lock, and is its only writer.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mellea_jupyter.executors.kernel.process import read_launch
from mellea_jupyter.executors.kernel.run import KernelRun
from mellea_jupyter.runtime.frames import FrameWriter
from mellea_jupyter.runtime.processes import become_subreaper, boot_id, start_time
from mellea_jupyter.runtime.redaction import Redactor
from mellea_jupyter.runtime.spec import RunSpec, SpecError, load_spec
from mellea_jupyter.runtime.supervisor import (
    EXIT_ALREADY_SUPERVISED,
    EXIT_NO_JOURNAL,
    EXIT_OK,
    SignalPipe,
    lock_journal,
    never_started,
)


def supervise(run_dir: str, signals: SignalPipe, *, resume: bool = False) -> int:
    """Run one run folder to its end; the statuses of the runtime's `supervise`."""
    try:
        Path(run_dir, "journal").mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = lock_journal(run_dir)
        if lock is None:
            return EXIT_ALREADY_SUPERVISED
        return _supervise_locked(str(Path(run_dir).absolute()), signals, resume=resume)
    except OSError as error:
        sys.stderr.write(f"mellea_jupyter: the journal of {run_dir}: {error}\n")
        return EXIT_NO_JOURNAL


def _supervise_locked(run_dir: str, signals: SignalPipe, *, resume: bool) -> int:
    spec, launch, problem = None, {}, None
    try:
        spec = load_spec(run_dir)
        launch = read_launch(run_dir)
    except (SpecError, OSError, ValueError) as error:
        problem = f"The run's folder is damaged: {error}"
    redactor = Redactor(() if spec is None else spec.secret_values)
    writer = FrameWriter(
        str(Path(run_dir, "journal")),
        2**28 if spec is None else spec.log_cap_bytes,
        redactor=redactor,
        resume=resume,
    )
    try:
        if resume:
            away = max(0.0, time.time() - writer.last_written_at)
            writer.write("gap", bytes=0, gap_lines=0, seconds=round(away, 1), reason="unheard")
        else:
            _write_started(writer, spec, launch)
        if spec is None or problem is not None:
            writer.write_end(**never_started("launch_failed", problem))
        else:
            become_subreaper()
            run = KernelRun(spec, launch, writer, redactor, signals)
            asyncio.run(run.resume() if resume else run.run())
    finally:
        writer.close()
    return EXIT_OK


def _write_started(writer: FrameWriter, spec: RunSpec | None, launch: Mapping[str, Any]) -> None:
    writer.write(
        "started",
        supervisor_pid=os.getpid(),
        supervisor_start=start_time(os.getpid()),
        boot_id=boot_id(),
        host=socket.gethostname(),
        isolation="fresh",
        reason=None if spec is None else spec.fresh_reason,
        python=None if spec is None else _argv0(launch),
        pgid=os.getpgid(0),
    )


def _argv0(launch: Mapping[str, Any]) -> str | None:
    argv = (launch.get("spec") or {}).get("argv") or [None]
    return None if argv[0] is None else str(argv[0])
