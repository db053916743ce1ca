"""How the parties of a run talk: the intent to stop, and the channel for the program's events.

`stop.json` says *why* before a signal says *that*: whoever stops a run writes it first.

The channel is a message socket on a high descriptor of its own, so that the program's output can
never be taken for events, nor events end up in the program's files.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import stat
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional, Tuple

from .frames import encode

FIRST_DESCRIPTOR = 200
MAX_MESSAGE_BYTES = 60 * 1024
SEND_BUFFER_BYTES = 4 * 1024 * 1024
MAX_PENDING_BYTES = 8 * 1024 * 1024
MAX_MESSAGES_A_TURN = 2000
SEND_FLAGS = int(socket.MSG_DONTWAIT) | int(getattr(socket, "MSG_NOSIGNAL", 0))

PROGRAM_KINDS = frozenset(
    (
        "call_started",
        "call_finished",
        "call_failed",
        "loop_started",
        "verdict",
        "repair",
        "loop_ended",
        "turn",
        "degraded",
        "budget",
        "progress",
        "structured_output",
        "exception",
        "record",
        "system",
    )
)
"""Kinds of frames a program may ask for."""


class StopIntent(NamedTuple):
    """Why a run is stopped, by whom, and how long it may take (None: as the spec says)."""

    reason: str
    by: Optional[str]
    grace_seconds: Optional[float]


def write_stop_intent(
    run_dir: str, reason: str, by: Optional[str], grace_seconds: Optional[float]
) -> None:
    """Write `stop.json` in one step; the signal comes afterwards."""
    data = {"v": 1, "reason": reason, "by": by, "grace_seconds": grace_seconds}
    path = os.path.join(run_dir, "stop.json")
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(data, file)
    os.replace(temporary, path)


def read_stop_intent(run_dir: str) -> StopIntent:
    """The intent in `stop.json`; `terminated` when there is none or it cannot be read."""
    try:
        with open(os.path.join(run_dir, "stop.json"), "rb") as file:
            data = json.load(file)
        by, grace = data.get("by"), data.get("grace_seconds")
        return StopIntent(
            reason=str(data["reason"]),
            by=None if by is None else str(by),
            grace_seconds=None if grace is None else max(0.0, float(grace)),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return StopIntent("terminated", None, None)


def open_channel() -> "tuple[socket.socket, int]":
    """The supervisor's end (non-blocking) and the program's descriptor, 200 or above."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)  # noqa: FBT003  # it takes no keyword
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    try:
        descriptor = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR)
    except OSError:  # fewer descriptors are allowed
        return ours, theirs.detach()
    theirs.close()
    return ours, descriptor


class Channel:
    """The program's end: sends events, never blocks for long, never raises.

    Args:
        descriptor: The socket. Before each use it is compared with what it was at the beginning:
            a program may close any descriptor and open a file of its own under the same number.
        positions: Gives the bytes this process wrote to stdout and stderr so far. They travel with
            each message, so that the supervisor can put it between the right lines.
    """

    def __init__(
        self, descriptor: int, positions: Optional[Callable[[], Tuple[int, int]]] = None
    ) -> None:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # it takes no keyword
        self.descriptor = descriptor
        self._identity = _identity(descriptor)
        self._socket: Optional[socket.socket] = socket.socket(fileno=descriptor)
        self._positions = positions or (lambda: (0, 0))
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Begin anew, also in a forked child: what waits there is its parent's to send."""
        self._lock = threading.RLock()
        self._pending: Deque[bytes] = deque()
        self._pending_bytes = 0
        self._dropped = 0
        self._flusher_runs = False

    def emit(self, kind: str, **fields: Any) -> bool:
        """Send one event as soon as possible; False when it was dropped."""
        try:
            with self._lock:
                fields["kind"] = kind
                fields["at"] = self._positions()
                return self._emit(fields)
        except Exception:
            self._dropped += 1
            return False

    def _emit(self, message: Dict[str, Any]) -> bool:
        if self._dropped:
            message["dropped"] = self._dropped
        data = encode(message, MAX_MESSAGE_BYTES)
        if not self._is_ours():
            self._dropped += 1
            return False
        if not self._pending and self._send(data):
            self._dropped = 0
            return True
        if self._pending_bytes + len(data) > MAX_PENDING_BYTES:
            self._dropped += 1
            return False
        self._dropped = 0
        self._pending.append(data)
        self._pending_bytes += len(data)
        self._start_flusher()
        return True

    def _is_ours(self) -> bool:
        if self._socket is None:
            return False
        if _identity(self.descriptor) != self._identity:
            self._socket.detach()
            self._socket = None
            return False
        return True

    def _send(self, data: bytes) -> bool:
        """Hand one message to the kernel; False when there is no room now."""
        if self._socket is None:
            return False
        try:
            self._socket.send(data, SEND_FLAGS)
        except (BlockingIOError, InterruptedError):
            return False
        return True

    def _start_flusher(self) -> None:
        if not self._flusher_runs:
            self._flusher_runs = True
            thread = threading.Thread(target=self.flush, name="mellea-runtime-flush", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread can be started any more; `close` flushes
                self._flusher_runs = False

    def flush(self, timeout_seconds: float = float("inf")) -> None:
        """Send what waits, at most for the given time."""
        give_up = time.monotonic() + timeout_seconds
        try:
            while time.monotonic() < give_up:
                with self._lock:
                    if not self._send_pending():
                        self._flusher_runs = False
                        return
                poller = select.poll()
                poller.register(self.descriptor, select.POLLOUT)
                poller.poll(100)
        except Exception:
            self._flusher_runs = False

    def _send_pending(self) -> bool:
        """Send waiting messages in order; whether some still wait."""
        while self._pending and self._is_ours() and self._send(self._pending[0]):
            self._pending_bytes -= len(self._pending.popleft())
        return bool(self._pending) and self._socket is not None

    def close(self, timeout_seconds: float = 1.0) -> None:
        """Flush for up to a second, report what was dropped, and let go of the descriptor."""
        self.flush(timeout_seconds)
        try:
            with self._lock:
                if self._dropped and self._is_ours():
                    self._send(encode({"kind": "dropped", "dropped": self._dropped}, 1024))
                if self._socket is not None and self._is_ours():
                    self._socket.close()
                self._socket = None
        except Exception:
            self._socket = None


class Message(NamedTuple):
    """One event from the program, checked: its kind, fields, and place among the output."""

    kind: str
    fields: Dict[str, Any]
    at: Tuple[int, int]


class ChannelReader:
    """The supervisor's end. What comes is the program's word: checked for shape, not for truth."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket: Optional[socket.socket] = sock
        self.dropped_events = 0

    def receive(self) -> List[Message]:
        """The messages that have arrived, in order, at most 2000."""
        messages: List[Message] = []
        while self.socket is not None and len(messages) < MAX_MESSAGES_A_TURN:
            try:
                data = self.socket.recv(MAX_MESSAGE_BYTES + 1)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data = b""
            if not data:
                self.close()
                break
            message = self._parse(data)
            if message is not None:
                messages.append(message)
        return messages

    def close(self) -> None:
        """Close the socket. Idempotent."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _parse(self, data: bytes) -> Optional[Message]:
        try:
            fields = json.loads(data)
            kind = fields.pop("kind")
            stdout, stderr = fields.pop("at", (0, 0))
            self.dropped_events += int(fields.pop("dropped", 0))
            if kind in PROGRAM_KINDS:
                return Message(kind, fields, (int(stdout), int(stderr)))
            if kind == "dropped":
                return None
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        self.dropped_events += 1
        return None


def _identity(descriptor: int) -> Optional[Tuple[int, int]]:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISSOCK(status.st_mode) else None
