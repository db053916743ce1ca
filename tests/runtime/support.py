"""Make run folders, start real supervisors on them, and read back what they wrote.

Usable by every test that needs a journal of a real run.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

RUNTIME = Path(__file__).parents[2] / "mellea_jupyter" / "runtime"
PATIENCE_SECONDS = 60.0
CLEAN_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE")

Frame = dict[str, Any]
T = TypeVar("T")


def clean_environment(**extra: str) -> dict[str, str]:
    """Few variables, so that warm and fresh runs and the template agree on them."""
    kept = {name: os.environ[name] for name in CLEAN_NAMES if name in os.environ}
    return {**kept, **extra}


def wait_until(question: Callable[[], T | None], what: str) -> T:
    """Ask until the answer is true; fail the test when it takes too long."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        answer = question()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for: {what}")


class RunFolder:
    """A run folder as the server makes it.

    Args:
        path: Where; must not exist.
        source: Text of `prog.py`, or of the files to write by name.
        spec: Fields of `spec.json` that differ from the defaults.
    """

    def __init__(self, path: Path, source: str | dict[str, str], **spec: Any) -> None:
        self.path = path
        self.journal = path / "journal"
        self.outputs = path / "outputs"
        for folder in (path / "source", self.journal, self.outputs):
            folder.mkdir(parents=True)
        files = {"prog.py": source} if isinstance(source, str) else source
        for name, text in files.items():
            target = path / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self.spec: dict[str, Any] = {
            "v": 1,
            "run_id": path.name,
            "entry": {"kind": "file", "path": "prog.py"},
            "argv": [],
            "parameters": {},
            "source_dir": str(path / "source"),
            "working_directory": str(path / "source"),
            "output_dir": str(self.outputs),
            "env": clean_environment(),
            "model": None,
            "model_steering": "default",
            "strict_requirements": False,
            "capture_content": True,
            "timeout_seconds": 60,
            "grace_seconds": 10,
            "memory_limit_mb": None,
            "log_cap_bytes": 256 * 1024 * 1024,
            "max_llm_calls": None,
            "preload": [],
            "isolation": "warm",
            "fresh_reason": None,
            "datasets": {},
            **spec,
        }
        (path / "spec.json").write_text(json.dumps(self.spec))

    # -- what the supervisor wrote ----------------------------------------------------------

    def frames(self, *kinds: str) -> list[Frame]:
        """All whole frames (of these kinds), checked for `seq` and `line`."""
        frames = [json.loads(line) for line in self._whole_lines()]
        line = 0
        for number, frame in enumerate(frames, start=1):
            assert frame["v"] == 1
            assert frame["seq"] == number
            assert frame["line"] == line, frame
            line += frame.get("lines", 0)
        return [frame for frame in frames if not kinds or frame["kind"] in kinds]

    def frame(self, kind: str) -> Frame:
        """The only frame of this kind."""
        (frame,) = self.frames(kind)
        return frame

    def end(self) -> Frame:
        """The end frame, which must be the last."""
        last = self.frames()[-1]
        assert last["kind"] == "end", last
        return last

    def output(self, stream: str) -> bytes:
        """All bytes of a stream that are still there."""
        parts = []
        for frame in self.frames("output"):
            segment = self.journal / f"output.{frame['segment']:03d}"
            if frame["stream"] == stream and segment.exists():
                with segment.open("rb") as file:
                    file.seek(frame["offset"])
                    data = file.read(frame["length"])
                assert len(data) == frame["length"]
                parts.append(data)
        return b"".join(parts)

    def log(self) -> list[tuple[str, str]]:
        """The log's lines in order as (stream, text): output and records."""
        lines: list[tuple[str, str]] = []
        for frame in self.frames():
            if frame["kind"] == "record":
                lines += [(frame["stream"], text) for text in frame["message"].split("\n")]
            elif frame["kind"] == "output":
                with (self.journal / f"output.{frame['segment']:03d}").open("rb") as file:
                    file.seek(frame["offset"])
                    text = file.read(frame["length"]).decode("utf-8", "replace")
                lines += [(frame["stream"], line) for line in text.splitlines()]
        return lines

    def is_supervised(self) -> bool:
        """Whether somebody holds `journal/lock`."""
        try:
            descriptor = os.open(self.journal / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def wait_for(self, kind: str) -> Frame:
        """The first frame of a kind, as soon as it is there."""
        return wait_until(lambda: next(iter(self.frames(kind)), None), f"a {kind} frame")

    def wait_for_output(self, text: bytes) -> None:
        """Until a text is in the log."""
        wait_until(
            lambda: text in self.output("stdout") + self.output("stderr"), f"output {text!r}"
        )

    def write_stop(self, reason: str, **fields: Any) -> None:
        """Write the intent to stop, as the server does before it signals."""
        data = {"v": 1, "reason": reason, "by": None, "grace_seconds": None, **fields}
        temporary = self.path / "stop.json.new"
        temporary.write_text(json.dumps(data))
        temporary.rename(self.path / "stop.json")

    def _whole_lines(self) -> list[bytes]:
        try:
            data = (self.journal / "frames.ndjson").read_bytes()
        except FileNotFoundError:
            return []
        return data[: data.rfind(b"\n") + 1].splitlines()


def start_fresh(run: RunFolder, reason: str | None = None) -> subprocess.Popen[bytes]:
    """Start `supervise` in an interpreter of its own."""
    arguments = [sys.executable, "-I", "-S", str(RUNTIME), "supervise", str(run.path)]
    if reason is not None:
        arguments += ["--reason", reason]
    return subprocess.Popen(arguments)


def run_fresh(run: RunFolder, reason: str | None = None) -> Frame:
    """Run to the end; the end frame."""
    supervisor = start_fresh(run, reason)
    try:
        assert supervisor.wait(PATIENCE_SECONDS) == 0
    finally:
        supervisor.kill()
        supervisor.wait()
    return run.end()


class ForkServer:
    """A real fork server in a folder of its own; a context manager.

    Args:
        folder: Short path for the socket; is created.
        preload: Modules to import ahead.
        env: The template's environment.
    """

    def __init__(self, folder: Path, *preload: str, idle_seconds: float = 300, **env: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket = folder / "warm.sock"
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, str(RUNTIME), "forkserver", "--socket", str(self.socket)),
                    *("--preload", ",".join(preload), "--idle-seconds", str(idle_seconds)),
                ],
                env=clean_environment(**env),
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        wait_until(self.answers, "the fork server")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECONDS) == 0, self.log.read_text()
        assert not self.socket.exists()

    def answers(self) -> bool:
        """Whether it listens; fails the test when it ended instead."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.ask({"command": "status"})["ok"])
        except OSError:
            return False

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request and its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(str(self.socket))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as file:
                answer: dict[str, Any] = json.loads(file.readline())
        return answer

    def start(self, run: RunFolder) -> dict[str, Any]:
        """Ask for a supervisor of this run; its pid and start time."""
        answer = self.ask({"run_dir": str(run.path)})
        assert answer["ok"], answer
        return answer

    def run(self, run: RunFolder) -> Frame:
        """Run to the end; the end frame."""
        self.start(run)
        wait_until(lambda: not run.is_supervised(), "the supervisor's end")
        return run.end()


def living_processes() -> Iterator[tuple[int, bytes]]:
    """Pid and command line of every process that is no zombie."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state = (entry / "stat").read_bytes().rsplit(b")", 1)[1].split()[0]
                command = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != b"Z":
                yield int(entry.name), command


def alive_with_environment(marker: str) -> list[int]:
    """Pids of living processes that have this text in their initial environment or arguments."""
    found = []
    for pid, command in living_processes():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        if marker.encode() in environment or marker.encode() in command:
            found.append(pid)
    return found
