"""What a server knows of a failed run, as one JSON value that names no machine, time or id."""

from __future__ import annotations

import json
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx

from mellea_jupyter.testing.server import JupyterServer

STDERR_LINES: Final = 60
MOMENT: Final = "2026-01-01T00:00:00.000Z"
NO_ID: Final = "00000000-0000-4000-8000-000000000000"

VERDICT: Final = "error_classification"
"""What the server itself made of the evidence, which is not part of it."""

_IDS: Final = ("id", "asset_id", "owner_id", "environment_id", "retry_of", "cancelled_by")
_OF_A_FRAME: Final = ("v", "seq", "t", "line", "lines")
_KEPT_OF_END: Final = ("exit_code", "signal", "reason", "started", "left_behind", "message")
_PATTERNS: Final = (
    (re.compile(r"\b(127\.0\.0\.1|172\.\d+\.\d+\.\d+):(?!9\b)\d{2,5}\b"), r"\1:8000"),
    (re.compile(r"\b(port=)(?!9\b)\d{2,5}\b"), r"\g<1>8000"),
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "0x7f0000000000"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "0" * 64),
    (re.compile(r"\b(req|rand|chatcmpl)[-_][0-9a-zA-Z]{8,}\b"), r"\1_0"),
    (re.compile(r"/tmp/tmp\w{8}"), "/tmp/tmp00000000"),
    (re.compile(r"mj-private-\d+"), "mj-private-1"),
    (re.compile(r"timed out after 0\.\d+ seconds"), "timed out after 0.2 seconds"),
    (re.compile(r"\bshort-lived-[0-9a-f]{6}\b"), "short-lived-000000"),
    (re.compile(r"\btini \(\d+\)"), "tini (1)"),
    (re.compile(r"\d{4}-\d\d-\d\d([ T])\d\d:\d\d:\d\d([.,]\d+)?"), r"2026-01-01\g<1>00:00:00"),
    (re.compile(r"\b\d\d:\d\d:\d\d([.,]\d+)?\b"), "00:00:00"),
    (re.compile(r"\b(\d+) MB used"), "999 MB used"),
    (re.compile(r"\bpid[ =:]+\d+"), "pid 1"),
    (re.compile(r"\b(Thread-|thread )0?x?[0-9a-f]{8,}"), r"\g<1>1"),
)


class Places:
    """Paths of this machine and what stands for them. Longer ones are replaced first."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = {
            sysconfig.get_path("purelib"): "/opt/env/lib/python3/site-packages",
            sysconfig.get_path("stdlib"): "/usr/lib/python3",
            sys.prefix: "/opt/env",
            sys.base_prefix: "/usr",
            str(Path(__file__).resolve().parents[2]): "/opt/env/lib/python3/site-packages",
            **(known or {}),
        }

    def knowing(self, known: Mapping[str, str]) -> Places:
        """These and further ones."""
        return Places({**self._known, **known})

    def hide(self, value: Any) -> Any:
        """A JSON value without them, nor ports, addresses and times."""
        if isinstance(value, Mapping):
            return {name: self.hide(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.hide(item) for item in value]
        return self._hide_in(value) if isinstance(value, str) else value

    def _hide_in(self, text: str) -> str:
        for place in sorted(self._known, key=len, reverse=True):
            text = text.replace(place, self._known[place])
        for pattern, stand_in in _PATTERNS:
            text = pattern.sub(stand_in, text)
        return text


def collect(
    server: JupyterServer, http: httpx.Client, run: Mapping[str, Any], places: Places
) -> dict[str, Any]:
    """The evidence of an ended run.

    Shape: ``{run, exception, end, failed_calls, system, stderr}``. ``run`` is its record, with
    constant ids and times; ``exception`` and ``end`` are the journal's last frames of that kind or
    null; ``failed_calls`` are its `call_failed` frames, ``system`` the supervisor's remarks as
    ``{level, message}``, and ``stderr`` its last lines.
    """
    run_dir = server.data_dir / "runs" / run["id"]
    frames = list(_frames(run_dir / "journal" / "frames.ndjson"))
    query: dict[str, str | int] = {"stream": "stderr", "tail": STDERR_LINES}
    log = http.get(f"api/runs/{run['id']}/logs", params=query).raise_for_status().json()
    end = _last(frames, "end")
    known = {
        str(run_dir): "/data/runs/run",
        str(server.root): "/home/user",
        str(server.data_dir): "/data",
        str(server.home): "/srv/server",
        run["id"]: NO_ID,
    }
    evidence = {
        "run": _record(run),
        "exception": _last(frames, "exception"),
        "end": end and {name: end[name] for name in _KEPT_OF_END if name in end},
        "failed_calls": [_bare(frame) for frame in frames if frame["kind"] == "call_failed"],
        "system": [
            {name: frame[name] for name in ("level", "message")}
            for frame in frames
            if frame["kind"] == "system"
        ],
        "stderr": [frame["message"] for frame in log["frames"]],
    }
    hidden: dict[str, Any] = places.knowing(known).hide(evidence)
    return hidden


def _frames(path: Path) -> Iterable[dict[str, Any]]:
    if not path.is_file():
        return
    for line in path.read_text("utf-8").splitlines():
        yield json.loads(line)


def _last(frames: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    found = [frame for frame in frames if frame["kind"] == kind]
    return _bare(found[-1]) if found else None


def _bare(frame: Mapping[str, Any]) -> dict[str, Any]:
    """A frame's own fields, times excepted."""
    left_out = (*_OF_A_FRAME, "kind", "latency_ms")
    return {name: value for name, value in frame.items() if name not in left_out}


def _record(run: Mapping[str, Any]) -> dict[str, Any]:
    """The run's record as the API gives it, still a valid one."""
    record = {name: MOMENT if _is_time(value) else value for name, value in run.items()}
    record.update({name: NO_ID for name in _IDS if record.get(name)})
    record.pop(VERDICT, None)
    record["metrics"] = {
        name: 0 if name.endswith("_ms") or name in ("peak_memory_mb", "cpu_seconds") else value
        for name, value in run["metrics"].items()
    }
    record["config"] = {
        **run["config"],
        "environment_id": NO_ID if run["config"].get("environment_id") else None,
        "datasets": [{**each, "dataset_id": NO_ID} for each in run["config"]["datasets"]],
    }
    if run["error"] is not None:  # the exception frame holds the same, and where each file lies
        record["error"] = {**run["error"], "stack_trace": None}
    # Chance: whether a warm interpreter was ready, and how far a pull was reported.
    record.update(isolation=None, isolation_reason=None, image=None)
    record.update(version=0, host="host" if run.get("host") else None, artifacts=[])
    return record


def _is_time(value: Any) -> bool:
    if not isinstance(value, str) or len(value) < len("2026-01-01T00:00:00Z"):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
