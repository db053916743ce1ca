"""How frames read as log lines: one `Block` of lines for each frame that is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mellea_jupyter.clock import from_unix
from mellea_jupyter.models.base import format_timestamp
from mellea_jupyter.models.frames import LogFrame, LogLevel, LogStream
from mellea_jupyter.stores.journals.lines import Frame, is_count

MAX_LINE_BYTES: Final = 64 * 1024

_GAP_REASONS: Final = {
    "cap": "the log is over its cap",
    "disk_full": "the disk is full",
    "dropped": "they could not be written in time",
}
_ENVELOPE: Final = frozenset({"v", "seq", "t", "line", "lines"})
_LEVELS: Final = {
    "debug": LogLevel.DEBUG, "info": LogLevel.INFO, "warn": LogLevel.WARN,
    "warning": LogLevel.WARN, "error": LogLevel.ERROR, "critical": LogLevel.ERROR,
}  # fmt: skip


@dataclass(slots=True)
class Block:
    """The log lines of one frame. The k-th of them has the cursor `<seq>.<k>`.

    `cut` maps the index of a line that is shown cut to the number of bytes left out.
    """

    seq: int
    timestamp: str
    stream: LogStream
    level: LogLevel
    messages: Sequence[str]
    first_line: int
    metadata: dict[str, Any] | None = None
    cut: dict[int, int] = field(default_factory=dict)
    partial: bool = False  # the last line has not ended
    continues: bool = False  # the first goes on with a line of an earlier frame
    dropped_lines: int = 0  # how many there were, where a filter dropped them undecoded

    def metadata_of(self, index: int) -> dict[str, Any] | None:
        """The metadata of a line."""
        if index not in self.cut:
            return self.metadata
        return {**(self.metadata or {}), "cut_bytes": self.cut[index]}

    def log_frame(self, index: int) -> LogFrame:
        """A line as the API gives it."""
        return LogFrame(
            timestamp=self.timestamp,
            stream=self.stream,
            level=self.level,
            message=self.messages[index],
            metadata=self.metadata_of(index),
            line=self.first_line + index,
            cursor=f"{self.seq}.{index + 1}",
            partial=self.partial and index == len(self.messages) - 1,
            continues=self.continues and index == 0,
        )


def output_block(frame: Frame, data: bytes) -> Block:
    """Captured bytes as lines, as many as the frame says.

    Invalid UTF-8 is replaced, a line over 64 KiB is cut.
    """
    splits = max(frame["lines"], 1) - 1
    continues = frame.get("continues") is True
    partial = frame.get("partial") is True
    stdout = frame["stream"] == "stdout"
    first = frame["first_line"] if continues else frame["line"] + 1
    text_end = len(data) - 1 if data.endswith(b"\n") else len(data)
    cut: dict[int, int] = {}
    left_out = frame["length"] - len(data)
    if len(data) > MAX_LINE_BYTES or left_out > 0:
        pieces = data[:text_end].split(b"\n", splits)
        cut = {i: len(p) - MAX_LINE_BYTES for i, p in enumerate(pieces) if len(p) > MAX_LINE_BYTES}
        if left_out > 0 and frame["length"] > MAX_LINE_BYTES:
            ends = 0 if partial else 1
            cut[len(pieces) - 1] = len(pieces[-1]) - MAX_LINE_BYTES + left_out - ends
        messages = [piece[:MAX_LINE_BYTES].decode(errors="replace") for piece in pieces]
    else:
        messages = data[:text_end].decode(errors="replace").split("\n", splits)
    return Block(
        seq=frame["seq"],
        timestamp=timestamp(frame),
        stream=LogStream.STDOUT if stdout else LogStream.STDERR,
        level=LogLevel.INFO if stdout else LogLevel.ERROR,
        messages=messages,
        first_line=first,
        metadata={"recovered": True} if frame.get("recovered") is True else None,
        cut=cut,
        partial=partial,
        continues=continues,
    )


def dropped_block(frame: Frame) -> Block:
    """An output frame of which no line is wanted."""
    stdout = frame["stream"] == "stdout"
    return Block(
        seq=frame["seq"],
        timestamp="",
        stream=LogStream.STDOUT if stdout else LogStream.STDERR,
        level=LogLevel.INFO if stdout else LogLevel.ERROR,
        messages=(),
        first_line=frame["line"] + 1,
        dropped_lines=max(1, frame["lines"]),
    )


def event_block(frame: Frame) -> Block | None:
    """Any frame but output as log lines; None for one that is not shown.

    LLM events and the supervisor's remarks are `system` lines of one line, with the event as
    metadata. A logging record keeps its stream and its lines.
    """
    if frame["kind"] not in _SENTENCES or not is_count(frame.get("lines")) or not frame["lines"]:
        return None
    if frame["kind"] == "record":
        return _record_block(frame)
    level, sentence = _SENTENCES[frame["kind"]]
    if frame["kind"] in ("system", "budget"):
        level = _LEVELS.get(_text(frame, "level"), LogLevel.INFO)
    if frame["kind"] == "loop_ended" and frame.get("success") is not True:
        level = LogLevel.WARN
    return Block(
        seq=frame["seq"],
        timestamp=timestamp(frame),
        stream=LogStream.SYSTEM,
        level=level,
        messages=[" ".join(sentence(frame).split())],
        first_line=frame["line"] + 1,
        metadata={name: value for name, value in frame.items() if name not in _ENVELOPE},
    )


def gap_block(frame: Frame, *, lines: int, size_bytes: int, refused: bool) -> Block:
    """What stands in place of output frames, the first being `frame`, that can not be read."""
    why = (
        "can not be read: its file was replaced" if refused
        else f"were left out: {_GAP_REASONS['cap']}"
    )  # fmt: skip
    return Block(
        seq=frame["seq"],
        timestamp=timestamp(frame),
        stream=LogStream.SYSTEM,
        level=LogLevel.WARN,
        messages=[f"{size(size_bytes)} ({lines:,} lines) of output {why}"],
        first_line=frame["line"] + 1,
        metadata={"kind": "gap", "bytes": size_bytes, "gap_lines": lines,
                  "reason": "refused" if refused else "cap"},
    )  # fmt: skip


def refusal_block(name: str) -> Block:
    """What stands in place of a whole journal that is not what it has to be."""
    return Block(
        seq=0,
        timestamp=format_timestamp(from_unix(0)),
        stream=LogStream.SYSTEM,
        level=LogLevel.ERROR,
        messages=[f"The log can not be read: {name} was replaced by something else"],
        first_line=1,
        metadata={"kind": "refused"},
    )


def timestamp(frame: Frame) -> str:
    """A frame's time as the API writes it."""
    return format_timestamp(from_unix(frame["t"]))


def size(size_bytes: int) -> str:
    """A size for people."""
    amount = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _record_block(frame: Frame) -> Block:
    stream = frame.get("stream")
    name = frame.get("logger")
    return Block(
        seq=frame["seq"],
        timestamp=timestamp(frame),
        stream=LogStream(stream) if stream in ("stdout", "stderr") else LogStream.SYSTEM,
        level=_LEVELS.get(_text(frame, "level"), LogLevel.INFO),
        messages=_text(frame, "message").split("\n", frame["lines"] - 1),
        first_line=frame["line"] + 1,
        metadata={"logger": name} if isinstance(name, str) else None,
    )


def _text(frame: Frame, name: str, default: str = "") -> str:
    value = frame.get(name)
    return value if isinstance(value, str) else default


def _number(frame: Frame, name: str) -> float | None:
    value = frame.get(name)
    return value if type(value) in (int, float) else None


def _call(frame: Frame) -> str:
    model = "/".join(filter(None, (_text(frame, "provider"), _text(frame, "model"))))
    purpose = _text(frame, "purpose", "answer")
    return f"LLM call {frame.get('call')} ({purpose}) {model or 'unknown model'}"


def _seconds(frame: Frame) -> str:
    latency = _number(frame, "latency_ms")
    return "unknown time" if latency is None else f"{latency / 1000:.2f} s"


def _call_finished(frame: Frame) -> str:
    given, made = _number(frame, "input_tokens"), _number(frame, "output_tokens")
    tokens = "tokens unknown" if given is None and made is None else (
        f"{'?' if given is None else given} tokens in, {'?' if made is None else made} out"
    )  # fmt: skip
    return f"{_call(frame)}: {tokens}, {_seconds(frame)}"


def _call_failed(frame: Frame) -> str:
    if frame.get("cancelled") is True:
        return f"{_call(frame)} was cancelled after {_seconds(frame)}"
    error = frame.get("error")
    error = error if isinstance(error, dict) else {}
    what = ": ".join(filter(None, (_text(error, "type"), _text(error, "message"))))
    return f"{_call(frame)} failed after {_seconds(frame)}: {what or 'unknown error'}"


def _loop_ended(frame: Frame) -> str:
    end = "ended, requirements met" if frame.get("success") is True else (
        "ended, requirements not met"
    )  # fmt: skip
    samples = _number(frame, "samples")
    strategy = _text(frame, "strategy", "sampling")
    return f"Sampling loop {frame.get('loop')} ({strategy}) {end}, samples: {samples}"


def _gap(frame: Frame) -> str:
    if _text(frame, "reason") == "unheard":
        return _unheard(frame)
    lines, amount = _number(frame, "gap_lines"), _number(frame, "bytes")
    why = _GAP_REASONS.get(_text(frame, "reason"), "unknown reason")
    shown_size = "unknown size" if amount is None else size(int(amount))
    return f"{shown_size} ({lines or 0:,} lines) of output were left out: {why}"


def _unheard(frame: Frame) -> str:
    """What a kernel sent while nobody listened; only events have numbers that can be counted."""
    events, seconds = _number(frame, "events"), _number(frame, "seconds")
    if events is not None:
        return f"{events:,} events of the kernel did not arrive"
    if seconds is not None:
        return f"Nobody listened to the kernel for {seconds:,.0f} s; what it printed then is lost"
    return "The kernel did not say that it is done; output before that may be lost"


def _stop(frame: Frame) -> str:
    by = _text(frame, "by")
    grace = _number(frame, "grace_seconds")
    asked = f"Stop ({_text(frame, 'reason', 'unknown')}){f' by {by}' if by else ''}"
    first = "interrupt" if _text(frame, "first") == "interrupt" else "SIGTERM"
    return f"{asked}: {first} sent, SIGKILL after {grace or 0:g} s"


def _degraded(frame: Frame) -> str:
    missing = frame.get("missing")
    names = ", ".join(map(str, missing)) if isinstance(missing, list) else "unknown"
    return f"LLM events are incomplete with mellea {_text(frame, 'mellea', '?')}: {names}"


_SENTENCES: Final[dict[str, tuple[LogLevel, Callable[[Frame], str]]]] = {
    "system": (LogLevel.INFO, lambda frame: _text(frame, "message")),
    "record": (LogLevel.INFO, lambda frame: _text(frame, "message")),
    "gap": (LogLevel.WARN, _gap),
    "call_finished": (LogLevel.INFO, _call_finished),
    "call_failed": (LogLevel.WARN, _call_failed),
    "loop_ended": (LogLevel.INFO, _loop_ended),
    "degraded": (LogLevel.WARN, _degraded),
    "budget": (LogLevel.WARN, lambda frame: _text(frame, "message")),
    "stop": (LogLevel.INFO, _stop),
}
"""The frames that are shown, besides output: their level and how they read."""
