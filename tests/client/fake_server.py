"""A small REST API over real HTTP, for what a healthy server never does: breaking off, redirecting,
refusing, and ending a run at a chosen moment. `tests/client/test_real_server.py` has the real one.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from mellea_jupyter.client.connection import Connection
from mellea_jupyter.clock import new_id, new_run_id, now
from mellea_jupyter.models.artifacts import ArtifactRef, StructuredOutput
from mellea_jupyter.models.calls import LoopPage, SamplingLoop
from mellea_jupyter.models.config import RunConfig
from mellea_jupyter.models.frames import LogFrame, LogLevel, LogStream
from mellea_jupyter.models.metrics import RunMetrics
from mellea_jupyter.models.run import Run, RunStatus

TOKEN = "a-token-that-nobody-may-see"


def a_run(**fields: Any) -> Run:
    """A running run."""
    values: dict[str, Any] = {
        "id": str(new_run_id()),
        "asset_id": "prog_1",
        "asset_version": "sha256:1",
        "asset_name": "trip.py",
        "owner_id": "ann",
        "config": RunConfig(),
        "status": RunStatus.RUNNING,
        "created_at": now(),
        **fields,
    }
    return Run(**values)


def a_frame(seq: int, message: str, stream: str = "stdout", **fields: Any) -> LogFrame:
    """The line `seq` of a log."""
    return LogFrame(
        timestamp="2026-01-15T10:30:00.000Z",
        stream=LogStream(stream),
        level=LogLevel(fields.pop("level", "info")),
        message=message,
        line=seq,
        cursor=f"{seq}.1",
        **fields,
    )


class FakeServer:
    """Runs in threads of its own; the test changes what it holds.

    Attributes:
        requests: `(method, path with query, headers, body)` of each request.
        break_after: so many events of a log stream, then the connection just ends; per connection.
        on_create: makes the run of a `POST /api/runs`.
        answers: `(method, path) -> (status, body, headers)`, before anything else; one use each.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs: dict[str, Run] = {}
        self.frames: dict[str, list[LogFrame]] = {}
        self.artifacts: dict[str, bytes] = {}
        self.outputs: dict[str, list[StructuredOutput]] = {}
        self.loops: dict[str, tuple[SamplingLoop, ...]] = {}
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.answers: dict[tuple[str, str], list[tuple[int, bytes, dict[str, str]]]] = {}
        self.break_after: list[int] = []
        self.on_create: Callable[[dict[str, Any]], Run] = lambda body: a_run(
            config=RunConfig(**body["config"]), tags=tuple(body["tags"]), name=body["name"]
        )
        self.changed = threading.Condition()
        self.is_stopping = False
        fake = self

        class Handler(_Handler):
            server_state = fake

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = False
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/base/"

    @property
    def connection(self) -> Connection:
        return Connection(self.url, token=TOKEN, root_dir=self.root)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self.changed:
            self.is_stopping = True
            self.changed.notify_all()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def add(self, run: Run, *frames: LogFrame) -> Run:
        with self.changed:
            self.runs[run.id] = run
            self.frames[run.id] = list(frames)
        return run

    def write(self, run_id: str, *frames: LogFrame) -> None:
        with self.changed:
            self.frames[run_id] += frames
            self.changed.notify_all()

    def end(self, run_id: str, status: str = "succeeded", **fields: Any) -> None:
        with self.changed:
            fields = {"exit_code": 0, "metrics": RunMetrics(total_duration_ms=1500), **fields}
            self.runs[run_id] = self.runs[run_id].changed(
                status=RunStatus(status), finished_at=now(), **fields
            )
            self.changed.notify_all()

    def answer(
        self, method: str, path: str, status: int, body: bytes = b"", **headers: str
    ) -> None:
        self.answers.setdefault((method, path), []).append((status, body, headers))

    def seen(self, method: str, path: str) -> list[tuple[dict[str, str], Any]]:
        """Headers and body of each request to a path."""
        return [(h, b) for m, p, h, b in self.requests if m == method and urlsplit(p).path == path]


class _Handler(BaseHTTPRequestHandler):
    server_state: FakeServer
    protocol_version = "HTTP/1.1"
    timeout = 5

    def log_message(self, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        state = self.server_state
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        body = json.loads(raw) if raw else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/base/mellea")
        state.requests.append((self.command, self.path.removeprefix("/base/mellea"), headers, body))
        if canned := state.answers.get((self.command, path)):
            status, content, extra = canned.pop(0)
            if not canned:
                del state.answers[self.command, path]
            if status == 0:  # break the connection without a word
                self.close_connection = True
                return
            self._reply(status, content, **extra)
            return
        if headers.get("authorization") != f"token {TOKEN}":
            self._json(403, {"message": "Forbidden"})
            return
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self._route(self.command, path, query, body)

    do_GET = do_POST = do_DELETE = do_PATCH = _serve  # noqa: N815

    def _route(self, method: str, path: str, query: dict[str, str], body: Any) -> None:
        state = self.server_state
        with state.changed:
            runs = sorted(state.runs.values(), key=lambda run: run.created_at, reverse=True)
        if path == "/api/environments":
            self._json(200, {"environments": [{"id": "default", "name": "This Python"}]})
        elif path == "/api/prices":
            self._json(200, {"source": "genai-prices", "version": "1"})
        elif (method, path) == ("POST", "/api/assets"):
            moment = "2026-01-15T10:30:00.000Z"
            self._json(
                201,
                {
                    "id": "prog_1", "kind": "file", "name": "trip.py", "entry_point": "trip.py",
                    "version": "1", "content_hash": "1", "owner_id": "ann",
                    "created_at": moment, "updated_at": moment,
                },
            )  # fmt: skip
        elif (method, path) == ("POST", "/api/runs"):
            run = state.on_create(body)
            if run.id not in state.runs:
                state.add(run)
            self._json(201, run.to_json())
        elif path == "/api/runs":
            at, limit = int(query.get("cursor", 0)), int(query.get("limit", 50))
            page = [run.to_json() for run in runs[at : at + limit]]
            following = str(at + limit) if at + limit < len(runs) else None
            self._json(200, {"runs": page, "next": following, "total": None})
        elif path.startswith("/api/runs/bulk/"):
            word = {"cancel": "cancelled", "delete": "deleted"}[path.rpartition("/")[2]]
            self._json(200, {
                each: word if each in state.runs else "error: No run with this id"
                for each in body["run_ids"]
            })  # fmt: skip
        elif match := re.fullmatch(r"/api/runs/([^/]+)(/.*)?", path):
            self._run(method, match[1], match[2] or "", query, body)
        else:
            self._json(404, {"message": "Not Found"})

    def _run(self, method: str, run_id: str, rest: str, query: dict[str, str], body: Any) -> None:  # noqa: C901 - a route table
        state = self.server_state
        run = state.runs.get(run_id)
        if run is None:
            self._error(404, "run_not_found", f"No run with id {run_id!r}")
        elif rest == "/logs/stream":
            self._stream(run_id, self.headers.get("Last-Event-ID"))
        elif rest == "/logs":
            frames = state.frames[run_id]
            last = frames[-1].cursor if frames else None
            if "after" in query:
                at = [frame.cursor for frame in frames].index(query["after"])
                frames = frames[at + 1 :]
            frames = frames[-int(query["tail"]) :] if "tail" in query else frames
            frames = frames[: int(query.get("limit", 1000))]
            following = frames[-1].cursor if frames else query.get("after")
            is_end = following == last or not frames
            frames = [each for each in frames if query.get("stream", each.stream) == each.stream]
            shown = [frame.to_json() for frame in frames]
            ended = run.is_terminal and is_end
            self._json(200, {"frames": shown, "next": following, "ended": ended})
        elif rest == "/artifacts":
            refs = run.to_json()["artifacts"]
            self._json(200, {"artifacts": refs, "skipped": [], "total_bytes": 0})
        elif rest.startswith("/artifacts/"):
            self._reply(200, state.artifacts[rest.rpartition("/")[2]])
        elif rest == "/loops":
            page = LoopPage(loops=state.loops.get(run_id, ()))
            self._json(200, page.to_json())
        elif rest == "/outputs":
            self._json(200, [each.to_json() for each in state.outputs.get(run_id, [])])
        elif rest == "/retry":
            again = a_run(retry_of=run_id, attempt=run.attempt + 1)
            state.add(again)
            self._json(201, again.to_json())
        elif method == "DELETE" and run.is_terminal:
            self._error(409, "illegal_transition", "The run has ended")
        elif method == "DELETE":
            asked = run.changed(cancel_requested_at=now(), cancel_requested_by="ann")
            state.runs[run_id] = asked
            self._json(202, asked.to_json())
        else:
            self._json(200, run.to_json())

    def _stream(self, run_id: str, after: str | None) -> None:
        state = self.server_state
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self._event("retry: 10\n\n: keep-alive\n\n")
        left = state.break_after.pop(0) if state.break_after else None
        position = 0
        if after is not None:
            position = [frame.cursor for frame in state.frames[run_id]].index(after) + 1
        while True:
            with state.changed:
                while not (
                    state.frames[run_id][position:]
                    or state.runs[run_id].is_terminal
                    or state.is_stopping
                ):
                    state.changed.wait()
                frames = state.frames[run_id][position:]
                status = state.runs[run_id].status if state.runs[run_id].is_terminal else None
            for frame in frames:
                if left is not None and left == 0:
                    return
                left = None if left is None else left - 1
                data = frame.model_dump_json()
                if not self._event(f"event: log\nid: {frame.cursor}\ndata: {data}\n\n"):
                    return
                position += 1
            if state.is_stopping or (left is not None and left == 0):
                return
            if status is not None:
                self._event(f'event: complete\ndata: {{"status": "{status.value}"}}\n\n')
                return

    def _event(self, text: str) -> bool:
        try:
            self.wfile.write(text.encode())
            self.wfile.flush()
        except OSError:
            return False
        return True

    def _error(self, status: int, code: str, message: str) -> None:
        self._json(
            status,
            {
                "code": code, "message": message, "hint": "Look again.",
                "details": {"id": "x"}, "request_id": "r1",
            },
        )  # fmt: skip

    def _json(self, status: int, value: Any) -> None:
        self._reply(status, json.dumps(value).encode(), **{"Content-Type": "application/json"})

    def _reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def an_artifact(run_id: str, path: str, content: bytes) -> ArtifactRef:
    """A kept file of a run."""
    return ArtifactRef(
        id=new_id("art"),
        run_id=run_id,
        name=path.rpartition("/")[2],
        path=path,
        content_type="text/plain",
        size_bytes=len(content),
        created_at=now(),
        checksum="0",
    )
